//! The banded stages on the CPU in f64, bundle by bundle.

use super::BandedGroup;
use crate::backend::EngineError;
use crate::geometry::Ccd;
use crate::stages::banded::{
    BandFailure, BandedNormal, BandedRoot, Complement, Coupling, CouplingError, SolverParameters, banded_complements,
    banded_flux, banded_goodness, banded_normal_equations, banded_root,
};
use crate::stages::goodness::Goodness;
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::ops::Range;

/// Why a banded stage gave no result.
#[derive(Debug, thiserror::Error)]
pub enum BandedFailure {
    /// The device failed, or cancellation was requested.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Fibres or bins are coupled over larger distances than the bands hold.
    #[error(transparent)]
    Coupling(#[from] CouplingError),
    /// A matrix is not positive definite, or the iteration for x does not converge.
    #[error(transparent)]
    Band(#[from] BandFailure),
}

/// K and y of a bundle, and the parameters that follow from them.
#[derive(Debug)]
pub(super) struct HostNormal {
    pub normal: BandedNormal,
    pub parameters: SolverParameters,
    pub coupling: Coupling,
}

/// Forms K and y of a bundle, if its fibres are coupled as the bands need it.
pub(super) fn normal(group: &BandedGroup, spots: &SpotSource, ccd: &Ccd) -> Result<HostNormal, BandedFailure> {
    let half = group.group.reach;
    // Before anything is as wide as that.
    SolverParameters::check_width(half, group.step)?;
    let coupling = Coupling::measure(spots, half);
    coupling.check(group.tolerance)?;
    measured(group, banded_normal_equations(spots, ccd, half, group.group.prior), coupling)
}

/// Measures the parameters that follow from K.
pub(super) fn measured(
    group: &BandedGroup,
    normal: BandedNormal,
    coupling: Coupling,
) -> Result<HostNormal, BandedFailure> {
    let parameters = SolverParameters::measure(&normal, group.tolerance, group.step, group.padding)?;
    Ok(HostNormal { normal, parameters, coupling })
}

/// Computes S_f and z_f of a bundle's fibres.
pub(super) fn complements(group: &BandedGroup, of: &HostNormal) -> Result<Vec<Complement>, BandedFailure> {
    Ok(banded_complements(&of.normal, group.group.bands, &of.parameters)?)
}

/// Solves for x of a bundle's fibres by conjugate gradients.
pub(super) fn solve(of: &HostNormal) -> Result<Vec<Vec<f64>>, BandedFailure> {
    let (x, iterations) = banded_flux(&of.normal, &of.parameters)?;
    tracing::debug!("{iterations} iterations for x");
    Ok(x)
}

/// Computes Q of some fibres of a bundle.
pub(super) fn roots(
    group: &BandedGroup,
    of: &HostNormal,
    s: &[Complement],
    x: &[Vec<f64>],
    wanted: &[usize],
) -> Vec<BandedRoot> {
    let half = group.group.half_diagonals;
    wanted.par_iter().map(|&f| banded_root(&s[f], &x[f], half, &of.parameters)).collect()
}

/// Computes goodness of consecutive fibres of a bundle, `[fibre, core bin]`.
pub(super) fn goodness(
    group: &BandedGroup,
    spots: &SpotSource,
    ccd: &Ccd,
    x: &[Vec<f64>],
    wanted: Range<usize>,
) -> Vec<Goodness> {
    let of = &group.group;
    banded_goodness(spots, ccd, x, of.psferr, of.reach, wanted, of.core_bins.clone())
}
