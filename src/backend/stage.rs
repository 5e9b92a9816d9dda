//! The list of stages of both solvers.

use serde::{Deserialize, Serialize};

/// The stages of both solvers, in the order of a pixel's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Legendre series of the PSF.
    Traces,
    /// Pixel-integrated PSF.
    Spots,
    /// Patches: K, y and flux weight.
    NormalEquations,
    /// Patches: deconvolved flux.
    Cholesky,
    /// Patches: S_f, the inverse of a fibre's covariance block.
    Schur,
    /// Patches: eigenmodes of S_f.
    Jacobi,
    /// Patches: resolution, flux, inverse variance.
    Decorrelate,
    /// Bands: K_ff, K_{f,f-d} and y of whole bundles.
    BandedNormal,
    /// Bands: S_f by a recursion over the fibres.
    BandedComplement,
    /// Bands: deconvolved flux.
    BandedSolve,
    /// Bands: square roots of S_f; resolution, flux, inverse variance.
    BandedRoot,
    /// Model image.
    Model,
    /// chi2pix and masked fraction.
    Goodness,
    /// Bands: spectra as files want them, from a device to the host.
    Finish,
}

/// Stages with their names, which are those of their shaders, CPU twins, timers and tests.
const NAMES: [(Stage, &str); 14] = [
    (Stage::Traces, "traces"),
    (Stage::Spots, "spots"),
    (Stage::NormalEquations, "normal_equations"),
    (Stage::Cholesky, "cholesky"),
    (Stage::Schur, "schur"),
    (Stage::Jacobi, "jacobi"),
    (Stage::Decorrelate, "decorrelate"),
    (Stage::BandedNormal, "banded_normal"),
    (Stage::BandedComplement, "banded_complement"),
    (Stage::BandedSolve, "banded_solve"),
    (Stage::BandedRoot, "banded_root"),
    (Stage::Model, "model"),
    (Stage::Goodness, "goodness"),
    (Stage::Finish, "finish"),
];

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 14] = {
        let mut all = [Self::Traces; 14];
        let mut k = 0;
        while k < 14 {
            all[k] = NAMES[k].0;
            k += 1;
        }
        all
    };

    /// Stages of the banded solver.
    pub const BANDED: [Self; 9] = [
        Self::Traces,
        Self::Spots,
        Self::BandedNormal,
        Self::BandedComplement,
        Self::BandedSolve,
        Self::BandedRoot,
        Self::Model,
        Self::Goodness,
        Self::Finish,
    ];

    /// Stages of the patch solver.
    pub const PATCHES: [Self; 9] = [
        Self::Traces,
        Self::Spots,
        Self::NormalEquations,
        Self::Cholesky,
        Self::Schur,
        Self::Jacobi,
        Self::Decorrelate,
        Self::Model,
        Self::Goodness,
    ];

    /// The name of the stage, of its shader and of its CPU twin.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// Returns the stage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(stage, _)| *stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_found_by_its_name() {
        assert!(Stage::ALL.iter().all(|&stage| Stage::from_name(stage.name()) == Some(stage)));
        assert_eq!(Stage::from_name("nonsense"), None);
        let both: std::collections::BTreeSet<Stage> = Stage::BANDED.into_iter().chain(Stage::PATCHES).collect();
        assert_eq!(both.len(), Stage::ALL.len());
    }
}
