//! Bundles on a GPU, two on their way at a time: those that lose too much to narrow bands again in wider ones, those beyond
//! f32 in f64, what is beyond the device on the CPU.

use super::rows::Rows;
use super::{beyond_ends, cpu, fibre_alone, tolerance};
use crate::backend::{BandedBundles, CcdField, Engine, EngineError, Stage};
use crate::extract::assemble::FrameBuilder;
use crate::extract::precision::{finer, least_pivot};
use crate::extract::{ExtractError, Options, Progress, Solver};
use crate::geometry::Ccd;
use crate::geometry::SpotShape;
use crate::geometry::{Patch, Positions, WaveGrid};
use crate::gpu::banded::{Accuracy, Exactness, Found, Pending, Request, WIDEST};
use crate::gpu::{GpuError, Precision};
use crate::plan::Bundle;
use crate::psf::{LegendreSeries, Psf};
use crate::stages::banded::{
    BandedNormal, Bands, CouplingError, SOLVER_TOLERANCE_SHARE, SolverParameters, half_bandwidth,
};
use crate::stages::normal_equations::Prior;
use crate::stages::traces::{legendre, split, unit};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Groups of bundles handed over before the results of the first are waited for.
const ON_THE_WAY: usize = 2;

/// Chunks overlap by as many bins as it takes the correlation to fall to this fraction of the tolerance: the brightest
/// bins are hundreds of sigma, and beside masks bins are correlated farther.
const DECAY_OF_TOLERANCE: f64 = 1e-3;

/// The largest `|y - K x|_i / sqrt(K_ii)` over the error of flux it stands for: on sim11, with chunks that overlap too
/// little or fibres told from too few others, 0.4 sigma over 9e-3, 0.13 over 2e-3.
const RESIDUAL_OVER_ERROR: f64 = 40.0;

/// What f32 keeps to beside masks, sigma.
const LEAST_TOLERANCE_F32: f64 = 3e-4;

/// In f32 bands that are wider by a half, or more, help where they leave less than this of the error; else it is rounding.
const HELPS: f64 = 0.5;

/// What all bundles of a frame share.
struct Job<'a> {
    psf: &'a Psf,
    ccd: &'a Ccd<'a>,
    options: &'a Options,
    grid: &'a WaveGrid,
    /// Bins beyond each end of the grid.
    padding: usize,
    /// The padded grid, Angstrom.
    wave: Vec<f64>,
    precision: Precision,
    tolerance: f64,
}

/// A bundle, where it lies, how far its bins are coupled, the bands to be tried and what narrower ones have given.
#[derive(Clone)]
struct Planned<'a> {
    bundle: &'a Bundle,
    patch: Patch,
    reach: usize,
    /// Never empty.
    bands: &'static [Bands],
    /// Whether x does not converge the short way.
    is_hard: bool,
    held: Option<Arc<Rows>>,
}

impl<'a> Planned<'a> {
    /// The same in the next wider bands.
    fn wider(self) -> Option<Self> {
        let bands = &self.bands[1..];
        (!bands.is_empty()).then_some(Self { bands, ..self })
    }
}

/// What became of a bundle.
enum Taken<'a> {
    /// It is in the frame.
    Done,
    /// It is to be done again in another way.
    Again(Box<Planned<'a>>),
    /// Why the device does not serve it.
    Left(String),
}

impl<'a> Taken<'a> {
    fn again(planned: Planned<'a>) -> Self {
        Self::Again(Box::new(planned))
    }
}

/// Bundles on their way.
struct Sent<'a> {
    planned: Vec<Planned<'a>>,
    pending: Pending,
}

/// Extracts the selected fibres of all bundles into `frame`; a bundle that is beyond f32 goes through the device again in f64
/// where it has it, one that is beyond the device through the CPU.
///
/// # Errors
/// The PSF couples fibres over larger distances than the method allows; what the device reports.
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
    let padding = beyond_ends(psf, grid, options);
    let wave = grid.padded(padding, padding);
    let job = |engine: &Engine| {
        let (precision, wave) = (engine.precision(), wave.clone());
        let tolerance = tolerance(options, precision);
        Job { psf, ccd: ccd.host(), options, grid, padding, wave, precision, tolerance }
    };
    let done = |left: usize| move |now: usize, _: usize| progress(bundles.len() - left + now, bundles.len());
    let mut left = job(engine).run(ccd, engine, bundles, frame, &done(bundles.len()))?;
    if let Some(finer) = (!left.is_empty()).then(|| finer(engine, options)).flatten() {
        tracing::warn!("the device does {} of {} bundles in f64", left.len(), bundles.len());
        left = job(&finer).run(ccd, &finer, &left, frame, &done(left.len()))?;
    }
    if !left.is_empty() {
        tracing::warn!("the CPU does {} of {} bundles", left.len(), bundles.len());
    }
    frame.summary.redone += left.len();
    cpu::extract_bundles(psf, ccd, grid, options, engine, &left, frame, &done(left.len()))
}

impl Job<'_> {
    /// Takes bundles through the device in one precision; returns those that it does not serve, having said why.
    fn run(
        &self,
        ccd: &CcdField,
        engine: &Engine,
        bundles: &[Bundle],
        frame: &mut FrameBuilder,
        progress: Progress,
    ) -> Result<Vec<Bundle>, ExtractError> {
        let precision = self.precision;
        let mut left = Vec::new();
        let mut redo = |bundle: &Bundle, why: String| {
            tracing::warn!("{bundle}: {why}");
            left.push(bundle.clone());
        };
        progress(0, bundles.len());
        if precision == Precision::F32 && self.tolerance < LEAST_TOLERANCE_F32 {
            tracing::warn!("f32 keeps to {LEAST_TOLERANCE_F32:.0e} sigma, not to {:.0e}", self.tolerance);
            return Ok(bundles.to_vec());
        }
        let opened = match self.accuracy() {
            Ok(accuracy) => engine.banded(accuracy)?,
            Err(why) => {
                tracing::warn!("no bundle is solved in {precision}: {why}");
                None
            }
        };
        let Some(mut device) = opened else { return Ok(bundles.to_vec()) };
        let model = cpu::Job::new(self.psf, ccd.host(), self.grid, self.options, engine);
        let mut served = Vec::new();
        for bundle in bundles {
            match self.plan(bundle) {
                Ok(planned) => served.push(planned),
                Err(why) => redo(bundle, why),
            }
        }
        let mut done = 0;
        for round in 0.. {
            if served.is_empty() {
                break;
            }
            // Those of a shape one after another, in their order.
            served.sort_by_key(|p| (Reverse(p.bands.len()), p.is_hard, p.bundle.fibres.start));
            let cut = || {
                let mut groups: VecDeque<Vec<Planned>> = VecDeque::new();
                served.iter().for_each(|planned| self.group(planned.clone(), &mut groups, &device, bundles.len()));
                let bytes =
                    |group: &Vec<Planned>| device.bytes(&self.request(group), [ccd.host().ny(), ccd.host().nx()]);
                (groups.iter().map(bytes).max().unwrap_or(0), groups)
            };
            let mut groups = match engine.fit(cut) {
                Err(EngineError::Gpu(why @ GpuError::LittleMemory { .. })) if round > 0 => {
                    // Wider bands take more of it; the bundles that are done stay so.
                    served.drain(..).for_each(|planned| redo(planned.bundle, why.to_string()));
                    break;
                }
                groups => groups?,
            };
            served.clear();
            let mut sent: VecDeque<Sent> = VecDeque::new();
            while !(groups.is_empty() && sent.is_empty()) {
                engine.goes_on()?;
                if let Some(group) = groups.pop_front() {
                    sent.extend(self.submit(group, &mut device, ccd, &mut redo)?);
                }
                if sent.len() < ON_THE_WAY && !groups.is_empty() {
                    continue;
                }
                let Some(Sent { planned, pending }) = sent.pop_front() else { continue };
                let found = engine
                    .region(|| "waiting for the GPU".to_string(), || pending.wait())
                    .map_err(EngineError::from)?;
                for (k, planned) in planned.into_iter().enumerate() {
                    let bundle = planned.bundle;
                    let taken = engine.region(|| bundle.to_string(), || self.take(planned, (&found, k), frame));
                    match taken? {
                        Taken::Left(why) => redo(bundle, why),
                        Taken::Again(planned) => served.push(*planned),
                        Taken::Done => {
                            done += 1;
                            if self.options.model.is_some() {
                                engine.timed(Stage::Model, || model.add_model(bundle, frame));
                            }
                        }
                    }
                    progress(done, bundles.len());
                }
            }
        }
        Ok(left)
    }

    /// What the tolerance takes: the same for all bundles and selections, so it is read off the PSF, on a CCD without defects.
    fn accuracy(&self) -> Result<Accuracy, CouplingError> {
        let fibres = [0, self.psf.nfibre / 2, self.psf.nfibre - 1];
        let overlaps = fibres.into_par_iter().map(|fibre| self.overlap(fibre)).collect::<Result<Vec<usize>, _>>()?;
        let accuracy = Accuracy::of(self.precision, self.tolerance, overlaps.into_iter().max().unwrap_or(0));
        tracing::debug!(
            "{:.0e} sigma in {}: {} bins of overlap, {} fibres to each side, {} poles down to {:.0e}",
            self.tolerance,
            self.precision,
            accuracy.overlap,
            accuracy.depth,
            8 * accuracy.octets,
            accuracy.floor
        );
        Ok(accuracy)
    }

    /// How far the bins of a fibre are correlated, at the largest of eight places.
    fn overlap(&self, fibre: usize) -> Result<usize, CouplingError> {
        let normal = fibre_alone(self.psf, fibre, &self.wave, self.options);
        // It is looked at in one place of a fibre.
        let eight = BandedNormal { diagonal: vec![normal.diagonal[0].clone(); 8], ..normal };
        Ok(SolverParameters::measure(&eight, DECAY_OF_TOLERANCE * self.tolerance, self.grid.step(), 0)?.overlap)
    }

    /// Rows and columns of the CCD that spots reach, and one more to each side: a device may round a position that lies
    /// between two pixels to the other one.
    fn extent(&self, x: &[i32], y: &[i32], spot: &SpotShape) -> (Range<usize>, Range<usize>) {
        let of = |pixels: &[i32], half: usize, most: usize| {
            let low = pixels.iter().min().map_or(0, |&p| i64::from(p) - half as i64 - 1);
            let high = pixels.iter().max().map_or(0, |&p| i64::from(p) + half as i64 + 2);
            let low = low.clamp(0, most as i64) as usize;
            low..(high.clamp(0, most as i64) as usize).max(low)
        };
        (of(y, spot.half_y, self.ccd.ny()), of(x, spot.half_x, self.ccd.nx()))
    }

    /// A bundle as the device takes it, or why it does not.
    fn plan<'a>(&self, bundle: &'a Bundle) -> Result<Planned<'a>, String> {
        let pixels = |series: &LegendreSeries| -> Vec<i32> {
            let units: Vec<f64> = self.wave.iter().map(|&w| unit(series.domain, w)).collect();
            let of_fibre =
                |f: usize| units.iter().map(move |&u| split(legendre(series.of(f), u)).0).collect::<Vec<_>>();
            bundle.fibres.clone().flat_map(of_fibre).collect()
        };
        let spot = SpotShape::new(self.psf, self.options.psf_tails);
        let (x, y) = (pixels(&self.psf.trace_x), pixels(&self.psf.trace_y));
        let (nfibre, nbin) = (bundle.fibres.len(), self.wave.len());
        let reach = half_bandwidth(&Positions { nfibre, nbin, pixel_x: &x, pixel_y: &y, spot });
        let (bands, half) = (Bands::candidates(reach), self.psf.ndiag() / 2);
        if bands.is_empty() || half > WIDEST {
            return Err(format!(
                "bins are coupled over {reach} bins, R has {half} diagonals to each side, the device goes to {WIDEST}"
            ));
        }
        let (rows, columns) = self.extent(&x, &y, &spot);
        let first = bundle.fibres.start;
        let patch = Patch {
            fibres: 0..nfibre,
            core: bundle.selected.start - first..bundle.selected.end - first,
            bin0: 0,
            nbin,
            core_bins: self.padding..self.padding + self.grid.nwave(),
            rows,
            columns,
        };
        Ok(Planned { bundle, patch, reach, bands, is_hard: false, held: None })
    }

    /// Puts a bundle to those that it goes over with: as many as the device takes at once, but no more than leave it
    /// something to do while the host looks at the first.
    fn group<'a>(
        &self,
        next: Planned<'a>,
        groups: &mut VecDeque<Vec<Planned<'a>>>,
        device: &BandedBundles,
        bundles: usize,
    ) {
        let alone = std::slice::from_ref(&next);
        let most = device.most(&self.request(alone)).min(bundles.div_ceil(2 * ON_THE_WAY));
        let joins = |group: &&mut Vec<Planned>| {
            let last = &group[group.len() - 1];
            group.len() < most
                && last.patch.nspec() == next.patch.nspec()
                && last.bundle.fibres.end == next.bundle.fibres.start
                && last.bands == next.bands
                && last.is_hard == next.is_hard
        };
        match groups.back_mut().filter(joins) {
            Some(group) => group.push(next),
            None => groups.push_back(vec![next]),
        }
    }

    /// What the device is asked of a group.
    fn request(&self, planned: &[Planned]) -> Request<'_> {
        Request {
            psf: self.psf,
            fibres: planned[0].bundle.fibres.start..planned[planned.len() - 1].bundle.fibres.end,
            wave: &self.wave,
            with_tails: self.options.psf_tails,
            reach: planned.iter().map(|p| p.reach).max().unwrap_or(0),
            bands: planned[0].bands[0],
            is_hard: planned[0].is_hard,
            core_bins: self.padding..self.padding + self.grid.nwave(),
            pixels: planned.iter().map(|p| (p.patch.rows.clone(), p.patch.columns.clone())).collect(),
            prior: Prior::new(self.options.regularize),
            psferr: self.options.psferr.unwrap_or(self.psf.psferr),
        }
    }

    /// Hands bundles over, unless they are beyond the device.
    fn submit<'a>(
        &self,
        planned: Vec<Planned<'a>>,
        device: &mut BandedBundles,
        ccd: &CcdField,
        redo: &mut impl FnMut(&Bundle, String),
    ) -> Result<Option<Sent<'a>>, ExtractError> {
        let request = self.request(&planned);
        match device.submit(ccd, &request) {
            Ok(pending) => Ok(Some(Sent { planned, pending })),
            Err(EngineError::Gpu(why @ (GpuError::Limit { .. } | GpuError::TooLarge { .. }))) => {
                planned.iter().for_each(|p| redo(p.bundle, why.to_string()));
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Takes the k-th bundle found into the frame, if its numbers serve.
    fn take<'a>(
        &self,
        planned: Planned<'a>,
        (found, k): (&Found, usize),
        frame: &mut FrameBuilder,
    ) -> Result<Taken<'a>, ExtractError> {
        let (bundle, patch) = (planned.bundle, &planned.patch);
        let exactness = &found.exactness[k];
        let held = planned.held.as_deref();
        let rows = Rows::of(found, k, patch, self.precision).after(held, self.tolerance);
        let (error, before) = (rows.error(), held.map_or(f64::INFINITY, Rows::error));
        tracing::debug!(
            "{bundle}: neighbours overlap by {:.1e}, others by {:.1e}; x leaves {:.1e} sigma, bands of {} bins cost {error:.1e}, \
             least pivot {:.1e}",
            exactness.coupling.neighbours,
            exactness.coupling.beyond,
            exactness.residual,
            found.shape.bands.kept,
            exactness.health.least_pivot,
        );
        if let Some(failure) = self.failure(exactness)? {
            let again = match failure.cure {
                Cure::None => None,
                Cure::Rounds if !planned.is_hard => Some(Planned { is_hard: true, ..planned }),
                Cure::Rounds if self.precision == Precision::F32 => None,
                Cure::Rounds | Cure::Bands => planned.wider(),
            };
            return Ok(again.map_or(Taken::Left(failure.why), Taken::again));
        }
        if error <= self.tolerance {
            frame.summary.banded += 1;
            frame.summary.in_f32 += usize::from(self.precision == Precision::F32);
            frame.add_rows(bundle, patch, self.padding, &rows.spectra(&patch.core, found.shape.nbin));
            return Ok(Taken::Done);
        }
        let helps = self.precision == Precision::F64 || error.is_finite() && error <= HELPS * before;
        let held = Some(Arc::new(rows));
        Ok(match helps.then_some(Planned { held, ..planned }).and_then(Planned::wider) {
            Some(wider) => Taken::again(wider),
            None => Taken::Left(format!("flux may be {error:.1e} sigma off in {}", self.precision)),
        })
    }

    /// Why a bundle's numbers do not serve, whatever its bands cost.
    fn failure(&self, found: &Exactness) -> Result<Option<Failure>, ExtractError> {
        let precision = self.precision;
        let (error, least) = (found.residual / RESIDUAL_OVER_ERROR, found.health.least_pivot);
        if let Err(why) = found.coupling.check(self.tolerance) {
            // Otherwise the CPU finds the same and takes the patches.
            return if self.options.solver == Solver::Banded {
                Err(why.into())
            } else {
                Ok(Some(Failure { why: why.to_string(), cure: Cure::None }))
            };
        }
        // What is cut off may cost a fine grid its positive definiteness.
        let cure = if precision == Precision::F64 { Cure::Bands } else { Cure::None };
        if let Some((fibre, bin)) = found.health.bad_pivot {
            let why = format!("K is not positive definite in {precision} at its fibre {fibre}, about bin {bin}");
            return Ok(Some(Failure { why, cure }));
        }
        if least < least_pivot(precision) {
            let why = format!("a condition of about {:.0e} is beyond {precision}", 1.0 / least);
            return Ok(Some(Failure { why, cure }));
        }
        let allowed = match precision {
            Precision::F32 => self.tolerance,
            Precision::F64 => SOLVER_TOLERANCE_SHARE * self.tolerance,
        };
        // Written so that a NaN fails.
        let good = error <= allowed;
        let why = || format!("flux may be {error:.1e} sigma off in {precision}");
        Ok((!good).then(|| Failure { why: why(), cure: Cure::Rounds }))
    }
}

/// Why a bundle's numbers do not serve, and what may mend that.
struct Failure {
    why: String,
    cure: Cure,
}

enum Cure {
    None,
    /// The longer way to x.
    Rounds,
    /// Wider bands.
    Bands,
}
