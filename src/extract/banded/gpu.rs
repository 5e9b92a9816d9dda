//! Bundles in f32 on a GPU, two on their way at a time.

use super::{BEYOND_ENDS, TOLERANCE_F32, cpu};
use crate::engine::{BandedBundles, Engine, EngineCcd, EngineError, Stage};
use crate::extract::assemble::{FrameBuilder, PatchSpectra};
use crate::extract::{ExtractError, Options, Progress, Solver};
use crate::gpu::GpuError;
use crate::gpu::banded::{Accuracy, BLOCK, Found, Pending, REACH, Request};
use crate::plan::{Bundle, Patch, Positions, WaveGrid};
use crate::psf::{LegendreSeries, Psf};
use crate::stages::banded::{Choice, banded_normal_equations, half_bandwidth};
use crate::stages::normal_equations::Prior;
use crate::stages::patch::Ccd;
use crate::stages::spots::{SpotShape, SpotSource};
use crate::stages::traces::{legendre, split, unit};
use std::collections::VecDeque;
use std::ops::Range;

/// Bundles handed over before the results of the first are waited for.
const ON_THE_WAY: usize = 2;

/// Chunks overlap by as many bins as it takes the correlation to fall to this fraction of the tolerance: the brightest
/// bins are a hundred sigma.
const DECAY_OF_TOLERANCE: f64 = 0.01;

/// The largest `|y - K x|_i / sqrt(K_ii)` over the error of flux it stands for: on sim11, with chunks that overlap too
/// little or fibres told from too few others, 0.4 sigma over 9e-3, 0.13 over 2e-3.
const RESIDUAL_OVER_ERROR: f64 = 40.0;

/// Below this fraction of its diagonal element a pivot has lost too many of f32's digits. Steps of 0.8 Angstrom on DESI's
/// CCDs have 8e-3, of 0.6 Angstrom 2e-4.
const LEAST_PIVOT: f64 = 1e-4;

/// What all bundles of a frame share.
struct Job<'a> {
    psf: &'a Psf,
    ccd: Ccd<'a>,
    options: &'a Options,
    grid: &'a WaveGrid,
    /// The padded grid, Angstrom.
    wave: Vec<f64>,
    tolerance: f64,
}

/// A bundle on its way.
struct Sent<'a> {
    bundle: &'a Bundle,
    patch: Patch,
    pending: Pending,
}

/// Extracts the selected fibres of all bundles into `frame`; a bundle that is beyond the device's precision goes through the
/// CPU.
///
/// # Errors
/// The PSF couples fibres over larger distances than the method allows; what the device reports.
pub fn extract_bundles(
    psf: &Psf,
    ccd: &EngineCcd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundles: &[Bundle],
    frame: &mut FrameBuilder,
    progress: Progress,
) -> Result<(), ExtractError> {
    let wave = grid.padded(BEYOND_ENDS, BEYOND_ENDS);
    let tolerance = options.tolerance.unwrap_or(TOLERANCE_F32);
    let job = Job { psf, ccd: ccd.host, options, grid, wave, tolerance };
    let mut on_cpu = Vec::new();
    let mut redo = |bundle: &Bundle, why: String| {
        tracing::warn!("{bundle}: {why}; the CPU does the bundle");
        on_cpu.push(bundle.clone());
    };
    progress(0, bundles.len());
    let accuracy = job.accuracy(&bundles[bundles.len() / 2]);
    let Some(mut device) = accuracy.map(|accuracy| engine.banded(accuracy)).transpose()?.flatten() else {
        return cpu::extract_bundles(psf, ccd, grid, options, engine, bundles, frame, progress);
    };
    let model = cpu::Job::new(psf, ccd.host, grid, options, engine);
    let mut sent: VecDeque<Sent> = VecDeque::new();
    let mut done = 0;
    // Some more turns than bundles, to collect the last.
    for k in 0..bundles.len() + ON_THE_WAY {
        engine.goes_on()?;
        if let Some(bundle) = bundles.get(k) {
            match job.submit(bundle, &mut device, ccd)? {
                Ok(on_the_way) => sent.push_back(on_the_way),
                Err(why) => redo(bundle, why),
            }
        }
        let first = (k + 1 >= ON_THE_WAY).then(|| sent.pop_front()).flatten();
        if let Some(first) = first {
            let bundle = first.bundle;
            let taken = engine.region(|| bundle.to_string(), || job.collect(first, frame, &mut redo))?;
            if taken && options.model.is_some() {
                engine.timed(Stage::Model, || model.add_model(bundle, frame));
            }
            done += 1;
            progress(done, bundles.len());
        }
    }
    frame.summary.redone += on_cpu.len();
    let of_all = |redone: usize, _| progress(bundles.len() - on_cpu.len() + redone, bundles.len());
    cpu::extract_bundles(psf, ccd, grid, options, engine, &on_cpu, frame, &of_all)
}

impl Job<'_> {
    /// What the tolerance takes, measured on the fibres in the middle of a bundle; None where not even the CPU could.
    fn accuracy(&self, bundle: &Bundle) -> Option<Accuracy> {
        let middle = (bundle.fibres.start + bundle.fibres.end) / 2;
        let fibres = middle.max(bundle.fibres.start + 1) - 1..(middle + 2).min(bundle.fibres.end);
        let spots = SpotSource::new(self.psf, fibres, &self.wave, self.options.psf_tails);
        let half = half_bandwidth(&spots.positions());
        let normal = banded_normal_equations(&spots, self.ccd, half, Prior::new(self.options.regularize));
        let choice = Choice::measure(&normal, DECAY_OF_TOLERANCE * self.tolerance, self.grid.step()).ok()?;
        let accuracy = Accuracy::of(self.tolerance, choice.overlap);
        tracing::debug!(
            "{:.0e} sigma: {} bins of overlap, {} fibres to each side, {} poles down to {:.0e}",
            self.tolerance,
            accuracy.overlap,
            accuracy.depth,
            8 * accuracy.octets,
            accuracy.floor
        );
        Some(accuracy)
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
        (of(y, spot.half_y, self.ccd.ny), of(x, spot.half_x, self.ccd.nx))
    }

    /// A bundle as the device takes it, or why it does not.
    fn request(&self, bundle: &Bundle) -> Result<(Request<'_>, Patch), String> {
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
        let (most, half) = (BLOCK * REACH, self.psf.ndiag() / 2);
        if reach > most || half > most {
            return Err(format!(
                "bins are coupled over {reach} bins, R has {half} diagonals, the device goes to {most}"
            ));
        }
        let (rows, columns) = self.extent(&x, &y, &spot);
        let first = bundle.fibres.start;
        let core_bins = BEYOND_ENDS..BEYOND_ENDS + self.grid.nwave();
        let patch = Patch {
            fibres: 0..nfibre,
            core: bundle.selected.start - first..bundle.selected.end - first,
            bin0: 0,
            nbin,
            core_bins: core_bins.clone(),
            rows: rows.clone(),
            columns: columns.clone(),
        };
        let request = Request {
            psf: self.psf,
            fibres: bundle.fibres.clone(),
            wave: &self.wave,
            with_tails: self.options.psf_tails,
            reach,
            core_bins,
            rows,
            columns,
            prior: Prior::new(self.options.regularize),
            psferr: self.options.psferr.unwrap_or(self.psf.psferr),
        };
        Ok((request, patch))
    }

    /// Hands a bundle over; or why it is not for the device.
    fn submit<'a>(
        &self,
        bundle: &'a Bundle,
        device: &mut BandedBundles,
        ccd: &EngineCcd,
    ) -> Result<Result<Sent<'a>, String>, ExtractError> {
        let (request, patch) = match self.request(bundle) {
            Ok(planned) => planned,
            Err(why) => return Ok(Err(why)),
        };
        match device.submit(ccd, &request) {
            Ok(pending) => Ok(Ok(Sent { bundle, patch, pending })),
            Err(EngineError::Gpu(why @ (GpuError::Limit { .. } | GpuError::TooLarge { .. }))) => {
                Ok(Err(why.to_string()))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Waits for a bundle and takes it into the frame, if its numbers serve.
    fn collect(
        &self,
        sent: Sent,
        frame: &mut FrameBuilder,
        redo: &mut impl FnMut(&Bundle, String),
    ) -> Result<bool, ExtractError> {
        let Sent { bundle, patch, pending } = sent;
        let found = pending.wait().map_err(EngineError::from)?;
        tracing::debug!(
            "{bundle}: neighbours overlap by {:.1e}, others by {:.1e}; x leaves {:.1e} sigma, least pivot {:.1e}",
            found.coupling.neighbours,
            found.coupling.beyond,
            found.residual,
            found.health.least_pivot,
        );
        Ok(match self.failure(&found)? {
            Some(why) => {
                redo(bundle, why);
                false
            }
            None => {
                frame.summary.banded += 1;
                frame.add_rows(bundle, &patch, BEYOND_ENDS, &spectra(&found, &patch));
                true
            }
        })
    }

    /// Why a bundle's numbers do not serve.
    fn failure(&self, found: &Found) -> Result<Option<String>, ExtractError> {
        let (error, least) = (found.residual / RESIDUAL_OVER_ERROR, found.health.least_pivot);
        if let Err(why) = found.coupling.check(self.tolerance) {
            // Otherwise the CPU finds the same and takes the patches.
            return if self.options.solver == Solver::Banded { Err(why.into()) } else { Ok(Some(why.to_string())) };
        }
        if let Some((fibre, bin)) = found.health.bad_pivot {
            return Ok(Some(format!("K is not positive definite in f32 at its fibre {fibre}, about bin {bin}")));
        }
        if least < LEAST_PIVOT {
            return Ok(Some(format!("a condition of about {:.0e} is beyond f32", 1.0 / least)));
        }
        // Written so that a NaN fails.
        let good = error <= self.tolerance;
        Ok((!good).then(|| format!("flux may be {error:.1e} sigma off in f32")))
    }
}

/// The spectra of a bundle's selected fibres.
fn spectra(found: &Found, patch: &Patch) -> PatchSpectra {
    let shape = &found.shape;
    let bins = shape.nfibre * shape.nbin;
    let part = |first: usize, of_bin: usize| -> Vec<f64> {
        let own = patch.core.start * shape.nbin * of_bin..patch.core.end * shape.nbin * of_bin;
        found.spectra[first..][own].iter().map(|&v| f64::from(v)).collect()
    };
    let x = patch.core.clone().flat_map(|f| (0..shape.nbin).map(move |bin| f64::from(found.x[bin * shape.nfibre + f])));
    let wanted = patch.core_bins.len();
    let goodness = found.goodness[patch.core.start * wanted..patch.core.end * wanted].to_vec();
    PatchSpectra::of_rows(
        shape.nbin,
        x.collect(),
        part(0, 1),
        part(bins, 1),
        part(2 * bins, 2 * shape.half + 1),
        goodness,
    )
}
