//! All variants of all shaders.

use super::shaders::{Variant, registry};
use std::collections::BTreeSet;

macro_rules! variants {
    ($(($name:literal, $stage:expr, $twin:expr, $($wrapper:ident)::+, [$($constant:ident),*]);)*) => {
        [$(super::$($wrapper)::+::variants()),*]
    };
}

/// Returns every variant that the crate may run on any device, for tests that translate and check them.
pub fn all_variants() -> Vec<Variant> {
    // Both shaders of inverses share a wrapper.
    let all: BTreeSet<Variant> = registry!(variants).into_iter().flatten().collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::shaders::SHADERS;

    #[test]
    fn every_registered_shader_has_variants_with_a_source() {
        let all = all_variants();
        for variant in &all {
            variant.source().unwrap_or_else(|error| panic!("{error}"));
        }
        let without = SHADERS.iter().find(|shader| all.iter().all(|variant| variant.shader() != shader.name));
        assert!(without.is_none(), "{without:?}");
    }
}
