//! The registry of shaders: each file of `shaders/` with its stage, its CPU twin and its wrapper.

use crate::stages::banded::RESOLVED;
use crate::stages::decorrelate::EIGENVALUE_FLOOR;
use crate::stages::normal_equations::Prior;

/// Distance in bins at which the coupling of fibres is measured.
pub(in crate::gpu) const COUPLING_STEP: usize = 16;

/// Words of a matrix's progress in the eigendecomposition.
pub(in crate::gpu) const PROGRESS_WORDS: usize = 4;

/// Right-hand sides of banded solves: 1, z, and the part of z lost to the bands.
pub(in crate::gpu) const SIDES: usize = 3;

/// Rows of a strip of a model image, the pixels of a column that a thread computes.
pub(in crate::gpu) const STRIP_ROWS: usize = 4;

/// Applies a macro to the table of shaders. A row has the name of the file and the stage that it does or serves. Then the
/// twin in `src/stages/`, the wrapper in this room, and the constants shared with Rust.
macro_rules! registry {
    ($apply:ident) => {
        $apply! {
            ("traces", Some("traces"), Some("traces.rs"), traces, []);
            ("spots", Some("spots"), Some("spots/mod.rs"), spots, []);
            ("spot_grid", Some("spots"), Some("spots/sampled.rs"), spot_grid, []);
            ("spot_images", Some("spots"), Some("spots/sampled.rs"), spot_images, []);
            ("normal_equations", Some("normal_equations"), Some("normal_equations.rs"), normal_equations, [COVERED, MIN_WEIGHT, PRIOR_FLOOR]);
            ("cholesky", Some("cholesky"), Some("cholesky.rs"), cholesky, []);
            ("schur", Some("schur"), Some("schur.rs"), schur, []);
            ("jacobi", Some("jacobi"), Some("jacobi.rs"), jacobi, [WORDS]);
            ("decorrelate", Some("decorrelate"), Some("decorrelate.rs"), decorrelate, [EIGENVALUE_FLOOR]);
            ("banded_normal", Some("banded_normal"), Some("banded/normal.rs"), banded::normal, [COVERED, PRIOR_FLOOR, STEP]);
            ("banded_complement", Some("banded_complement"), Some("banded/complement.rs"), banded::complement, [SIDES]);
            ("banded_solve", Some("banded_solve"), Some("banded/solve.rs"), banded::solve, [SIDES]);
            ("banded_root", Some("banded_root"), Some("banded/root.rs"), banded::root, [SIDES, RESOLVED]);
            ("banded_inverse", None, Some("banded/inverse.rs"), banded::inverse, [SIDES]);
            ("banded_inverse_wide", None, Some("banded/inverse.rs"), banded::inverse, [SIDES]);
            ("model", Some("model"), Some("model.rs"), model, [ROWS]);
            ("goodness", Some("goodness"), Some("goodness.rs"), goodness, []);
            ("finish", Some("finish"), Some("finish.rs"), finish, []);
            ("selftest", None, None, selftest, []);
            ("roofs", None, None, roofs, []);
        }
    };
}
pub(in crate::gpu) use registry;

/// One file of `shaders/`.
#[derive(Debug)]
pub struct Shader {
    /// Its name without `.wgsl`.
    pub name: &'static str,
    /// The stage that it does alone or with others; None if it serves several stages or none.
    pub stage: Option<&'static str>,
    /// The file in `src/stages/` that does the same on the CPU.
    pub twin: Option<&'static str>,
    pub(super) source: &'static str,
    /// Constants shared with Rust, whose values replace the shader's defaults.
    pub(super) constants: &'static [(&'static str, f64)],
}

macro_rules! shaders {
    ($(($name:literal, $stage:expr, $twin:expr, $($wrapper:ident)::+, [$($constant:ident),*]);)*) => {
        &[$(Shader {
            name: $name,
            stage: $stage,
            twin: $twin,
            source: include_str!(concat!("../../../shaders/", $name, ".wgsl")),
            constants: &[$((stringify!($constant), constants::$constant)),*],
        }),*]
    };
}

/// Every file of `shaders/`.
pub const SHADERS: &[Shader] = registry!(shaders);

/// Values of the constants under their names in WGSL.
mod constants {
    use super::*;

    pub const COVERED: f64 = Prior::COVERED;
    pub const MIN_WEIGHT: f64 = Prior::MIN_WEIGHT;
    pub const PRIOR_FLOOR: f64 = Prior::FLOOR;
    pub const EIGENVALUE_FLOOR: f64 = super::EIGENVALUE_FLOOR;
    pub const RESOLVED: f64 = super::RESOLVED;
    pub const STEP: f64 = COUPLING_STEP as f64;
    pub const WORDS: f64 = PROGRESS_WORDS as f64;
    pub const SIDES: f64 = super::SIDES as f64;
    pub const ROWS: f64 = STRIP_ROWS as f64;
}

macro_rules! shared {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("../../../shaders/shared/", $name, ".wgsl")))),*]
    };
}

/// Sources of `shaders/shared/`, by name, for `#import`.
pub(super) const SHARED: &[(&str, &str)] = shared![
    "banded",
    "block8",
    "complement_blocks",
    "functions_f32",
    "functions_f64",
    "grid",
    "inverse",
    "inverse_blocks",
    "k_blocks",
    "overlap",
    "patch",
    "reduction",
    "rounds"
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn files(folder: &str) -> BTreeSet<String> {
        let entries = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).read_dir().unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(".wgsl").map(ToString::to_string)).collect()
    }

    #[test]
    fn every_file_in_shaders_is_registered() {
        assert_eq!(files("shaders"), SHADERS.iter().map(|shader| shader.name.to_string()).collect());
        assert_eq!(files("shaders/shared"), SHARED.iter().map(|(name, _)| name.to_string()).collect());
    }

    #[test]
    fn every_shader_of_a_stage_has_a_cpu_twin() {
        let stages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stages");
        for shader in SHADERS {
            let has_twin = shader.twin.is_some_and(|twin| stages.join(twin).is_file());
            assert!(
                has_twin || ["selftest", "roofs"].contains(&shader.name),
                "{}: no file {:?} in src/stages",
                shader.name,
                shader.twin
            );
        }
    }

    #[test]
    fn a_shader_its_stage_and_its_twin_have_one_name() {
        for Shader { name, stage, twin, .. } in SHADERS {
            // A second shader of a stage, for another kind of its inputs, has its twin in the folder of that stage.
            let in_folder = |stage: &str| twin.is_some_and(|twin| twin.starts_with(&format!("{stage}/")));
            if stage.is_some_and(|stage| stage != *name && in_folder(stage)) {
                continue;
            }
            assert!(stage.is_none_or(|stage| stage == *name), "{name} is of stage {stage:?}");
            let banded = name.strip_prefix("banded_").map(|name| format!("banded/{name}.rs").replace("_wide", ""));
            let right = banded.map_or_else(|| vec![format!("{name}.rs"), format!("{name}/mod.rs")], |twin| vec![twin]);
            assert!(twin.is_none_or(|twin| right.iter().any(|right| right == twin)), "{name} has the twin {twin:?}");
        }
    }
}
