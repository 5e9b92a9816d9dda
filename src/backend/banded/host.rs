//! The banded solver on the CPU in f64: a bundle, or a window of a long one, from its spots to decorrelated spectra.

use super::in_flight::{BandedOutcome, Exactness, FibreRow};
use super::layout::rows_of;
use super::{BandedGroup, HostWindow};
use crate::backend::{Engine, EngineError, Stage};
use crate::geometry::Ccd;
use crate::gpu::banded::Health;
use crate::stages::banded::{
    BandFailure, BandedNormal, BandedRoot, Complement, Coupling, CouplingError, Decorrelated, DecorrelationFailure,
    Overlaps, Part, SolverParameters, Wanted, banded_complements, banded_decorrelation, banded_flux, banded_goodness,
    banded_normal_equations, banded_root,
};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;

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

impl From<DecorrelationFailure> for BandedFailure {
    fn from(failure: DecorrelationFailure) -> Self {
        match failure {
            DecorrelationFailure::Coupling(error) => Self::Coupling(error),
            DecorrelationFailure::Band(error) => Self::Band(error),
        }
    }
}

/// K and y of a bundle, and the parameters that follow from them.
#[derive(Debug)]
pub(super) struct HostNormal {
    pub normal: BandedNormal,
    pub parameters: SolverParameters,
    pub coupling: Coupling,
}

/// Takes a window through all stages.
pub(super) fn spectra(
    group: &BandedGroup,
    window: &HostWindow,
    engine: &Engine,
    ccd: &Ccd,
) -> Result<BandedOutcome, BandedFailure> {
    let of = &group.group;
    engine.check_cancel()?;
    let source = || SpotSource::new(of.psf, of.fibres.clone(), of.wave, of.with_tails);
    let spots = engine.timed(Stage::Traces, source);
    SolverParameters::check_width(of.reach, group.step)?;
    let form = || banded_normal_equations(&spots, ccd, of.reach, window.neighbours, of.prior);
    let normal = engine.timed(Stage::BandedNormal, form);
    let HostNormal { normal, parameters, coupling } = measured(group, normal, window.coupling)?;
    let (x, iterations) = engine.timed(Stage::BandedSolve, || banded_flux(&normal, &parameters))?;
    engine.check_cancel()?;
    // Of the whole core: what becomes of a window does not depend on what is selected of it.
    let judge = || banded_goodness(&spots, ccd, &x, of.psferr, of.reach, window.core.clone(), of.core_bins.clone());
    let goodness = engine.timed(Stage::Goodness, judge);
    let judged = |fibre: usize| &goodness[(fibre - window.core.start) * of.core_bins.len()..][..of.core_bins.len()];
    let counts = |fibre: usize, bin: usize| {
        let core = bin.checked_sub(of.core_bins.start);
        core.and_then(|core| judged(fibre).get(core)).is_some_and(|g| g.pixmask_fraction < 0.5)
    };
    let half = of.half_diagonals;
    let fibres = &group.wanted[0];
    let wanted = Wanted { core: window.core.clone(), around: window.around, fibres, half, counts: &counts };
    let stage = |part: Part| match part {
        Part::Complements => Stage::BandedComplement,
        Part::Roots => Stage::BandedRoot,
    };
    let timed = |part: Part, work: &mut dyn FnMut()| engine.timed(stage(part), work);
    let (found, information) = banded_decorrelation(&normal, &x, &parameters, &wanted, &timed)?;
    tracing::debug!(
        "{iterations} iterations for x; fibres up to {} apart overlap; bands of {:?} bins",
        window.neighbours,
        bands_of(&found)
    );
    let row = |(&fibre, found): (&usize, Decorrelated)| {
        let root = found.root;
        FibreRow {
            fibre,
            x: x[fibre].clone(),
            flux: (0..normal.n).map(|i| (root.qx[i] + root.correction[i]) / root.row_sums[i]).collect(),
            ivar: root.row_sums.iter().map(|sum| sum * sum).collect(),
            resolution: rows_of(&root, half),
            truncation_error: root.truncation_error,
            goodness: judged(fibre).to_vec(),
        }
    };
    let fibres = fibres.iter().zip(found).map(row).collect();
    let health = Health { bad_pivot: None, least_pivot: 1.0 };
    Ok(BandedOutcome {
        fibres,
        exactness: Exactness { residual: 0.0, coupling, health, information: Some(information) },
    })
}

/// The bands of the fibres, each once.
fn bands_of(found: &[Decorrelated]) -> Vec<usize> {
    let mut bands: Vec<usize> = found.iter().map(|found| found.kept).collect();
    bands.sort_unstable();
    bands.dedup();
    bands
}

/// Forms K and y of a bundle for a GPU, if its fibres are coupled no farther than K has blocks for.
pub(super) fn normal(group: &BandedGroup, spots: &SpotSource, ccd: &Ccd) -> Result<HostNormal, BandedFailure> {
    let (half, distances) = (group.group.reach, group.group.distances);
    // Before anything is as wide as that.
    SolverParameters::check_width(half, group.step)?;
    let coupling = Overlaps::measure(spots, half).coupling(distances);
    coupling.check(group.tolerance)?;
    measured(group, banded_normal_equations(spots, ccd, half, distances, group.group.prior), coupling)
}

/// Measures the parameters that follow from K.
pub(super) fn measured(
    group: &BandedGroup,
    normal: BandedNormal,
    coupling: Coupling,
) -> Result<HostNormal, BandedFailure> {
    let (step, least) = (group.step, group.correlated);
    let parameters = SolverParameters::measure(&normal, group.tolerance, step, least, coupling.neighbours)?;
    Ok(HostNormal { normal, parameters, coupling })
}

/// Computes S_f and z_f of a bundle's fibres in a GPU's bands.
pub(super) fn complements(group: &BandedGroup, of: &HostNormal) -> Result<Vec<Complement>, BandedFailure> {
    Ok(banded_complements(&of.normal, group.group.kept, &of.parameters)?)
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
