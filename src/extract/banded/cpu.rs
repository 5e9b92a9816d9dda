//! Bundles in f64 on the CPU, several at once.

use super::{TOLERANCE, beyond_ends};
use crate::backend::{CcdField, Engine, Stage};
use crate::extract::assemble::FrameBuilder;
use crate::extract::{ExtractError, Options, Progress, Solver, patches};
use crate::geometry::Ccd;
use crate::geometry::WaveGrid;
use crate::plan::Bundle;
use crate::psf::Psf;
use crate::stages::banded::{
    BandFailure, BandedNormal, BandedRoot, Bands, Complement, Coupling, CouplingError, SolverParameters,
    add_banded_model, banded_complements, banded_flux, banded_goodness, banded_normal_equations, banded_root,
    half_bandwidth,
};
use crate::stages::goodness::Goodness;
use crate::stages::normal_equations::Prior;
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// What all bundles of a frame share.
pub(super) struct Job<'a> {
    psf: &'a Psf,
    ccd: &'a Ccd<'a>,
    grid: &'a WaveGrid,
    /// Bins beyond each end of the grid.
    padding: usize,
    /// The padded grid, Angstrom.
    wave: Vec<f64>,
    options: &'a Options,
    engine: &'a Engine,
}

/// Extracts the selected fibres of all bundles into `frame`. A bundle whose numbers defy the bands goes through patches, with
/// [`Solver::Auto`] also one whose spots reach too far.
///
/// # Errors
/// The PSF couples bins or fibres over larger distances than the method allows; what a device reports that takes the
/// patches.
pub fn extract_bundles(
    psf: &Psf,
    ccd: &CcdField,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundles: &[Bundle],
    frame: &mut FrameBuilder,
    progress: Progress,
) -> Result<(), ExtractError> {
    let job = Job::new(psf, ccd.host(), grid, options, engine);
    let shared = Mutex::new((&mut *frame, 0));
    progress(0, bundles.len());
    // Why a bundle is left to the patches.
    let extract = |bundle: &Bundle| -> Result<Option<Unserved>, ExtractError> {
        engine.goes_on()?;
        let solved = match engine.region(|| bundle.to_string(), || job.solve(bundle)) {
            Err(Unserved::Coupling(why)) if options.solver == Solver::Banded => return Err(why.into()),
            other => other,
        };
        // Nothing is half done where a thread may panic.
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.1 += 1;
        progress(shared.1, bundles.len());
        Ok(match solved {
            Ok(solved) => {
                shared.0.add_bundle(bundle, job.padding, &solved.x, &solved.roots, &solved.goodness);
                None
            }
            Err(why) => Some(why),
        })
    };
    let done: Vec<Result<Option<Unserved>, ExtractError>> = bundles.par_iter().map(extract).collect();
    for (bundle, unserved) in bundles.iter().zip(done) {
        if let Some(why) = unserved? {
            tracing::warn!("{bundle}: {why}; the bundle is extracted in patches");
            patches::extract_bundle(psf, ccd, grid, options, engine, bundle, frame)?;
        } else if options.model.is_some() {
            engine.timed(Stage::Model, || job.add_model(bundle, frame));
        }
    }
    Ok(())
}

/// Why the bands do not serve a bundle.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error(transparent)]
    Coupling(#[from] CouplingError),
    #[error(transparent)]
    Failure(#[from] BandFailure),
}

impl<'a> Job<'a> {
    pub(super) fn new(
        psf: &'a Psf,
        ccd: &'a Ccd<'a>,
        grid: &'a WaveGrid,
        options: &'a Options,
        engine: &'a Engine,
    ) -> Self {
        let padding = beyond_ends(psf, grid, options);
        Self { psf, ccd, grid, padding, wave: grid.padded(padding, padding), options, engine }
    }

    fn spots(&self, bundle: &Bundle) -> SpotSource<'_> {
        SpotSource::new(self.psf, bundle.fibres.clone(), &self.wave, self.options.psf_tails)
    }

    /// The fibres and the bins of a bundle that are wanted.
    fn wanted(&self, bundle: &Bundle) -> (Range<usize>, Range<usize>) {
        let first = bundle.fibres.start;
        let fibres = bundle.selected.start - first..bundle.selected.end - first;
        (fibres, self.padding..self.padding + self.grid.nwave())
    }

    fn solve(&self, bundle: &Bundle) -> Result<Solved, Unserved> {
        let Self { ccd, options, engine, .. } = self;
        let (spots, half, coupling) = engine.timed(Stage::Traces, || {
            let spots = self.spots(bundle);
            let half = half_bandwidth(&spots.positions());
            // Before anything is as wide as that.
            SolverParameters::check_width(half, self.grid.step())?;
            let coupling = Coupling::measure(&spots, half);
            Ok::<_, CouplingError>((spots, half, coupling))
        })?;
        let tolerance = options.tolerance.unwrap_or(TOLERANCE);
        coupling.check(tolerance)?;
        let prior = Prior::new(options.regularize);
        let normal = engine.timed(Stage::NormalEquations, || banded_normal_equations(&spots, *ccd, half, prior));
        let choice = SolverParameters::measure(&normal, tolerance, self.grid.step(), self.padding)?;
        let solved = self.decorrelate(bundle, &spots, &normal, &choice)?;
        solved.report(bundle, &coupling, &choice, half);
        Ok(solved)
    }

    fn decorrelate(
        &self,
        bundle: &Bundle,
        spots: &SpotSource,
        normal: &BandedNormal,
        choice: &SolverParameters,
    ) -> Result<Solved, BandFailure> {
        let Self { psf, ccd, options, engine, .. } = self;
        let (fibres, bins) = self.wanted(bundle);
        let (x, iterations) = engine.timed(Stage::Cholesky, || banded_flux(normal, choice))?;
        let goodness = engine.timed(Stage::Goodness, || {
            let psferr = options.psferr.unwrap_or(psf.psferr);
            banded_goodness(spots, *ccd, &x, psferr, normal.half, fibres.clone(), bins.clone())
        });
        // Mostly masked bins may be off, they tell so themselves.
        let counts = |k: usize, bin: usize| {
            let row = &goodness[k * bins.len()..][..bins.len()];
            bin.checked_sub(bins.start).and_then(|k| row.get(k)).is_some_and(|g| g.pixmask_fraction < 0.5)
        };
        let error_of = |k: usize, root: &BandedRoot| {
            let counted = root.missed.iter().enumerate().filter(|(bin, _)| counts(k, *bin));
            // A number that is none is the largest of errors.
            counted.map(|(_, e)| if e.is_finite() { *e } else { f64::INFINITY }).fold(0.0, f64::max)
        };
        let mut solved = Solved { x, iterations, roots: Vec::new(), bands: choice.bands[0], goodness: vec![] };
        for bands in choice.bands {
            let s = match engine.timed(Stage::Schur, || banded_complements(normal, *bands, choice)) {
                // What is cut off may cost a fine grid its positive definiteness; wider bands keep more.
                Err(_) if Some(bands) != choice.bands.last() => continue,
                s => s?,
            };
            engine.timed(Stage::Decorrelate, || {
                solved.decorrelate(&s, *bands, fibres.clone(), psf.ndiag() / 2, choice, error_of)
            });
            if solved.error() <= choice.tolerance {
                break;
            }
        }
        Ok(Solved { goodness, ..solved })
    }

    /// Adds the model of a bundle that the frame has.
    pub(super) fn add_model(&self, bundle: &Bundle, frame: &mut FrameBuilder) {
        let (fibres, bins) = self.wanted(bundle);
        let spots = self.spots(bundle);
        frame.add_model(bundle, |flux, image| add_banded_model(&spots, self.ccd, flux, fibres, bins, image));
    }
}

/// What a bundle gives.
struct Solved {
    /// Deconvolved flux of every fibre, `[fibre][bin]`, electron a bin.
    x: Vec<Vec<f64>>,
    /// Iterations that x took.
    iterations: usize,
    /// Q of the fibres wanted, and the estimated error of their flux, sigma.
    roots: Vec<(BandedRoot, f64)>,
    /// The widest bands that were needed.
    bands: Bands,
    /// Goodness of the fibres and bins wanted.
    goodness: Vec<Goodness>,
}

impl Solved {
    /// The largest error of flux at bins that count, sigma.
    fn error(&self) -> f64 {
        self.roots.iter().map(|(_, error)| *error).fold(0.0, f64::max)
    }

    /// Takes the roots of `s` for the fibres that have none, or none good enough: so what a fibre gets does not depend on
    /// which others are wanted.
    fn decorrelate(
        &mut self,
        s: &[Complement],
        bands: Bands,
        wanted: Range<usize>,
        half: usize,
        choice: &SolverParameters,
        error_of: impl Fn(usize, &BandedRoot) -> f64 + Sync,
    ) {
        let x = &self.x;
        let of_fibre = |(k, f): (usize, usize)| {
            let root = banded_root(&s[f], &x[f], half, choice);
            let error = error_of(k, &root);
            (root, error)
        };
        self.bands = bands;
        if self.roots.is_empty() {
            self.roots = wanted.into_par_iter().enumerate().map(of_fibre).collect();
        } else {
            let open = self.roots.par_iter_mut().zip(wanted).enumerate();
            let open = open.filter(|(_, ((_, error), _))| *error > choice.tolerance);
            open.for_each(|(k, (of, f))| *of = of_fibre((k, f)));
        }
    }

    /// Says what the tolerance asked for.
    fn report(&self, bundle: &Bundle, coupling: &Coupling, choice: &SolverParameters, half: usize) {
        let (error, bands) = (self.error(), self.bands);
        let blocks: usize = self.roots.iter().map(|(r, _)| r.blocks).sum();
        let octets: usize = self.roots.iter().map(|(r, _)| r.octets).sum();
        tracing::debug!(
            "{bundle}: neighbours overlap by {:.1e}, others by {:.1e}; half bandwidths {half} of K, {} of its inverses, {} of S, \
             which costs {error:.1e} sigma; {} bins of overlap; {} iterations for x; {:.1} poles on average",
            coupling.neighbours,
            coupling.beyond,
            bands.inverse,
            bands.kept,
            choice.overlap,
            self.iterations,
            8.0 * octets as f64 / blocks as f64,
        );
        if error > choice.tolerance {
            tracing::warn!("{bundle}: flux may be {error:.1e} sigma off, more than the tolerance");
        }
    }
}
