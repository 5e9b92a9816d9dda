//! The banded solver on the CPU in f64: a bundle, or a window of a long one, from its spots to decorrelated spectra.

use super::in_flight::{BandedOutcome, Exactness};
use super::layout::rows_of;
use super::row::{FibreRow, HostRow};
use super::{BandedGroup, HostWindow};
use crate::backend::{Engine, EngineError, Stage};
use crate::geometry::Ccd;
use crate::gpu::banded::{Group, Health};
use crate::stages::banded::{
    BandFailure, BandedNormal, BandedRoot, Complement, Coupling, CouplingError, Decorrelated, Forming, Overlaps, Part,
    SolverParameters, Wanted, banded_complements, banded_decorrelation, banded_flux, banded_goodness,
    banded_normal_equations, banded_root, correlation_with_ends, half_bandwidth, is_at_an_end,
};
use crate::stages::normal_equations::Prior;
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::ops::Range;

/// By which factor masks may raise the correlation with the ends of a padded grid. In DESI frames it is up to 55, where flux moves
/// by less than 1e-7 sigma. In random worlds whose ends were 1e-5 to 1e-4 sigma off it was more than 100.
const ENDS: f64 = 100.0;

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

impl BandedFailure {
    /// Counts bins as if `more` bins were taken from each end of a grid of `n` bins; they become its first or last bin.
    fn without_ends(self, more: usize, n: usize) -> Self {
        match self {
            Self::Band(BandFailure::Pivot { what, fibre, bin }) => {
                Self::Band(BandFailure::Pivot { what, fibre, bin: bin.clamp(more, n - more - 1) - more })
            }
            other => other,
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

/// Takes a window through all stages. Where masks carry correlations from the ends of the grid to its core, it is solved again
/// with more bins beyond them. The bundle alone decides this.
pub(super) fn spectra(
    group: &BandedGroup,
    window: &HostWindow,
    engine: &Engine,
    ccd: &Ccd,
) -> Result<BandedOutcome, BandedFailure> {
    let (grid, planned) = (group.grid, group.group.core_bins.start);
    let mut beyond = planned;
    loop {
        let wave = grid.padded(beyond, beyond);
        let padded = Group { wave: &wave, core_bins: beyond..beyond + grid.nwave(), ..group.group.clone() };
        let padded = BandedGroup { group: padded, ..group.clone() };
        // Bins beyond those that were planned may overlap farther.
        let wider = beyond > planned;
        let found = on_grid(&padded, wider, window, engine, ccd)
            .map_err(|why| why.without_ends(beyond - planned, wave.len()))?;
        if let Some(outcome) = found {
            return Ok(outcome.without_ends(beyond - planned));
        }
        beyond = (2 * beyond).min(group.most_beyond_ends);
    }
}

/// Takes a window through all stages on its padded grid, which may be wider than planned. None if that has too few bins beyond
/// the ends.
fn on_grid(
    group: &BandedGroup,
    wider: bool,
    window: &HostWindow,
    engine: &Engine,
    ccd: &Ccd,
) -> Result<Option<BandedOutcome>, BandedFailure> {
    let of = &group.group;
    engine.check_cancel()?;
    let source = || SpotSource::new(of.psf, of.fibres.clone(), of.wave, of.with_tails);
    let spots = engine.timed(Stage::Traces, source);
    let reach = if wider { of.reach.max(half_bandwidth(&spots.positions(), window.neighbours)) } else { of.reach };
    SolverParameters::check_width(reach, group.grid.step())?;
    let mut forming =
        engine.timed(Stage::BandedNormal, || Forming::new(&spots, ccd, reach, window.neighbours, of.priors[0]));
    if of.core_bins.start < group.most_beyond_ends {
        let at_an_end = |bins: &Range<usize>| is_at_an_end(bins, of.wave.len(), &of.core_bins);
        engine.timed(Stage::BandedNormal, || forming.fill(at_an_end));
        let allowed = ENDS * group.end_correlation;
        let counts = |fibre: usize, bin: usize| window.core.contains(&fibre) && forming.coverage[fibre][bin] > 0.5;
        let ends = || correlation_with_ends(&forming.normal, &of.core_bins, &counts, 0.1 * allowed);
        // Ends that cannot be judged have more bins.
        let found = engine.timed(Stage::BandedSolve, ends).unwrap_or(f64::INFINITY);
        tracing::debug!(
            "{} bins beyond the ends are correlated by {found:.1e}, {allowed:.1e} allowed",
            of.core_bins.start
        );
        // Written so that a NaN has more bins.
        let good = found <= allowed;
        if !good {
            return Ok(None);
        }
    }
    engine.timed(Stage::BandedNormal, || forming.fill(|_| true));
    let HostNormal { normal, parameters, coupling } = measured(group, forming.normal, window.coupling)?;
    let (x, iterations) = engine.timed(Stage::BandedSolve, || banded_flux(&normal, &parameters))?;
    engine.check_cancel()?;
    // Of the whole core: what becomes of a window does not depend on what is selected of it.
    let judge = || banded_goodness(&spots, ccd, &x, of.psferr, reach, window.core.clone(), of.core_bins.clone());
    let goodness = engine.timed(Stage::Goodness, judge);
    let judged = |fibre: usize| &goodness[(fibre - window.core.start) * of.core_bins.len()..][..of.core_bins.len()];
    let counts = |fibre: usize, bin: usize| {
        let core = bin.checked_sub(of.core_bins.start).filter(|_| window.core.contains(&fibre));
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
        let row = HostRow {
            x: x[fibre].clone(),
            flux: (0..normal.n).map(|i| (root.qx[i] + root.correction[i]) / root.row_sums[i]).collect(),
            ivar: root.row_sums.iter().map(|sum| sum * sum).collect(),
            resolution: rows_of(&root, half),
            truncation_error: root.truncation_error,
            goodness: judged(fibre).to_vec(),
        };
        FibreRow::on_host(fibre, row)
    };
    let fibres = fibres.iter().zip(found).map(row).collect();
    let health = Health { bad_pivot: None, least_pivot: 1.0 };
    Ok(Some(BandedOutcome {
        fibres,
        exactness: Exactness { residual: 0.0, coupling, health, information: Some(information) },
    }))
}

/// The bands of the fibres, each once.
fn bands_of(found: &[Decorrelated]) -> Vec<usize> {
    let mut bands: Vec<usize> = found.iter().map(|found| found.kept).collect();
    bands.sort_unstable();
    bands.dedup();
    bands
}

/// Forms K and y of a bundle, with its prior, for a GPU, if its fibres are coupled no farther than K has blocks for.
pub(super) fn normal(
    group: &BandedGroup,
    spots: &SpotSource,
    prior: Prior,
    ccd: &Ccd,
) -> Result<HostNormal, BandedFailure> {
    let (half, distances) = (group.group.reach, group.group.distances);
    // Before anything is as wide as that.
    SolverParameters::check_width(half, group.grid.step())?;
    let coupling = Overlaps::measure(spots, half).coupling(distances);
    coupling.check(group.tolerance)?;
    measured(group, banded_normal_equations(spots, ccd, half, distances, prior), coupling)
}

/// Measures the parameters that follow from K.
pub(super) fn measured(
    group: &BandedGroup,
    normal: BandedNormal,
    coupling: Coupling,
) -> Result<HostNormal, BandedFailure> {
    let (step, least) = (group.grid.step(), group.correlated);
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
