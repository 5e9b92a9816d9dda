//! Guides: the pages of `docs/`. Their commands and examples are run by the tests.

#[doc = include_str!("../docs/guide/desi.md")]
pub mod desi {}

#[doc = include_str!("../docs/guide/gh-0-0.md")]
pub mod gh_0_0 {}

#[doc = include_str!("../docs/guide/other-spectrographs.md")]
pub mod other_spectrographs {}

#[doc = include_str!("../docs/guide/gpu.md")]
pub mod gpu_programming {}

#[doc = include_str!("../docs/guide/clusters.md")]
pub mod clusters {}

#[doc = include_str!("../docs/exposures.md")]
pub mod exposures {}

#[doc = include_str!("../docs/trust.md")]
pub mod trust {}
