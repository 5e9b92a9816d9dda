//! The mathematics, stage by stage, in f64: pure functions on slices, the CPU twins of the shaders.

pub(crate) mod aligned;
pub mod banded;
pub mod cholesky;
pub mod decorrelate;
pub(crate) mod gh00;
pub mod goodness;
pub(crate) mod gram;
pub mod hermite_fit;
pub mod jacobi;
pub(crate) mod legendre;
pub mod model;
pub mod normal_equations;
pub mod overlap;
pub mod patch;
pub mod psf_check;
pub mod psf_difference;
pub mod schur;
mod series;
pub(crate) mod simd;
pub(crate) mod skyline;
pub(crate) mod spot_derivatives;
pub mod spot_samples;
pub mod spot_weight;
pub mod spot_widths;
pub mod spots;
pub mod trace_fit;
pub mod traces;
