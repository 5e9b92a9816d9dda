//! A share of a frame: some of its bundles, extracted by themselves and put together with the others. The result is the
//! same bits for any division, as a bundle's results depend on that bundle only.

use super::assemble::{FrameBuilder, SharePlan};
use super::banded::{self, beyond_ends};
use super::model_image::{ModelImage, Stripe};
use super::{ExtractError, Extraction, Options, Progress, Solver, Summary, check, patches, precision};
use crate::backend::{Decorrelate, Engine, Stage};
use crate::frame::SpectraParts;
use crate::geometry::Ccd;
use crate::geometry::WaveGrid;
use crate::plan::{Bundle, bundles};
use crate::psf::Psf;
use crate::stages::traces::{legendre, unit};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

/// Columns beside those of the traces: a device may round a position to the next pixel.
const MARGIN: i64 = 2;

/// Bundles extracted.
#[derive(Debug)]
pub struct Share {
    frame: FrameBuilder,
    stage_time: Vec<(Stage, Duration)>,
}

/// All of a share but its numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShareHead {
    fibres: Range<usize>,
    nwave: usize,
    ndiag: usize,
    summary: Summary,
    stage_time: Vec<(Stage, Duration)>,
    /// First column and columns of each stripe of the model, where there is one.
    stripes: Option<Vec<(usize, usize)>>,
}

/// The bundles of an extraction, once options and inputs have been seen to fit.
///
/// # Errors
/// See [`super::extract`].
pub fn plan(psf: &Psf, ccd: &Ccd, grid: &WaveGrid, options: &Options) -> Result<Vec<Bundle>, ExtractError> {
    check(psf, ccd, grid, options)?;
    let nspec = options.nspec.unwrap_or(psf.nfibre.saturating_sub(options.specmin));
    Ok(bundles(psf.nfibre, options.specmin, nspec, options.patches.bundlesize)?)
}

/// The bundles of share `k` of `n`: as many as of any other, or one more.
pub fn part(bundles: &[Bundle], k: usize, n: usize) -> &[Bundle] {
    &bundles[k * bundles.len() / n..(k + 1) * bundles.len() / n]
}

/// The CCD columns that the light of fibres can reach at the bins of a grid and those beyond its ends.
pub fn columns(psf: &Psf, fibres: Range<usize>, grid: &WaveGrid, options: &Options) -> Range<usize> {
    let pad = options.patches.padding();
    let observed = options.barycentric.map_or_else(|| grid.clone(), |f| grid.divided_by(f));
    let beyond = beyond_ends(psf, &observed, options);
    let wave = observed.padded(beyond.max(pad), beyond.max(pad + options.patches.nwavestep));
    let series = &psf.trace_x;
    let of_fibre = |fibre: usize| wave.iter().map(move |&w| legendre(series.of(fibre), unit(series.domain, w)));
    let ends = fibres.flat_map(of_fibre).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let reach = psf.half_x as i64 + MARGIN;
    // Beyond i64 `as` gives its ends, which the CCD's cut.
    let low = (ends.0.floor() as i64).saturating_sub(reach).clamp(0, psf.npix_x as i64) as usize;
    let high = (ends.1.ceil() as i64).saturating_add(reach + 1).clamp(0, psf.npix_x as i64) as usize;
    low..high.max(low)
}

/// Extracts some of the bundles of [`plan`], consecutive ones. Of `ccd` only their [`columns`] count.
///
/// # Errors
/// See [`super::extract`].
///
/// # Panics
/// Where `bundles` is empty.
pub fn extract_share(
    psf: &Psf,
    ccd: &Ccd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundles: &[Bundle],
    progress: Progress,
) -> Result<Share, ExtractError> {
    let observed = options.barycentric.map_or_else(|| grid.clone(), |f| grid.divided_by(f));
    let finer = precision::choose(psf, &observed, options, engine)?;
    let engine = finer.as_ref().unwrap_or(engine);
    let on_engine = engine.load(ccd);
    engine.begin(options.max_device_memory);
    let share = SharePlan { psf, grid, options, bundles };
    let mut frame = FrameBuilder::new(&share, ccd);
    if options.solver == Solver::Patches || options.decorrelate == Decorrelate::Noise {
        for (done, bundle) in bundles.iter().enumerate() {
            progress(done, bundles.len());
            engine.goes_on()?;
            let extract = || patches::extract_bundle(psf, &on_engine, &observed, options, engine, bundle, &mut frame);
            engine.region(|| bundle.to_string(), extract)?;
        }
        progress(bundles.len(), bundles.len());
    } else {
        banded::extract_bundles(psf, &on_engine, &observed, options, engine, bundles, &mut frame, progress)?;
    }
    let stage_time = engine.take_times()?;
    (frame.summary.device, frame.summary.device_memory) = (engine.device(), engine.memory_use());
    Ok(Share { frame, stage_time })
}

/// Puts shares together, in the order of their bundles.
///
/// # Panics
/// Where there is none.
pub fn assemble(shares: Vec<Share>, grid: &WaveGrid, options: &Options) -> Extraction {
    let observed = options.barycentric.map_or_else(|| grid.clone(), |f| grid.divided_by(f));
    let mut shares = shares.into_iter();
    let mut all = shares.next().expect("a frame has a share");
    for share in shares {
        all.frame.join(share.frame);
        for (stage, time) in share.stage_time {
            match all.stage_time.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, sum)) => *sum += time,
                None => all.stage_time.push((stage, time)),
            }
        }
    }
    all.frame.finish(&observed, all.stage_time)
}

impl Share {
    /// The same, with why it was done again, or by the CPU in a device's place.
    pub fn retried(mut self, why: Option<String>) -> Self {
        self.frame.summary.retried = why;
        self
    }

    /// Its head and its numbers, to be sent.
    pub fn pack(&self) -> (ShareHead, Vec<f64>) {
        let frame = &self.frame;
        let s = &frame.spectra;
        let head = ShareHead {
            fibres: frame.specmin..frame.specmin + s.nspec,
            nwave: s.nwave,
            ndiag: s.ndiag,
            summary: frame.summary.clone(),
            stage_time: self.stage_time.clone(),
            stripes: frame.model.as_ref().map(|m| m.stripes().iter().map(|s| (s.x0, s.nx)).collect()),
        };
        let lost: Vec<f64> = frame.lost.iter().map(|&lost| f64::from(u8::from(lost))).collect();
        let fields =
            [&s.flux, &s.ivar, &s.chi2pix, &s.pixmask_fraction, &frame.x, &frame.off_ccd, &lost, &s.resolution];
        let stripes = frame.model.iter().flat_map(|m| m.stripes()).map(|stripe| &stripe.pixels);
        let numbers = fields.into_iter().chain(stripes).flatten().copied().collect();
        (head, numbers)
    }

    /// The share of a head and its numbers, on a CCD of `[ny, nx]` pixels; None where they don't belong together.
    pub fn unpack(head: ShareHead, numbers: &[f64], [ny, nx]: [usize; 2]) -> Option<Self> {
        let mut rest = numbers;
        let mut take = |n: usize| -> Option<Vec<f64>> {
            let (first, others) = rest.split_at_checked(n)?;
            rest = others;
            Some(first.to_vec())
        };
        let (nspec, nwave, ndiag) = (head.fibres.len(), head.nwave, head.ndiag);
        let bins = nspec * nwave;
        let [flux, ivar, chi2pix, pixmask_fraction] = [take(bins)?, take(bins)?, take(bins)?, take(bins)?];
        let [x, off_ccd, lost] = [take(bins)?, take(bins)?, take(bins)?];
        let resolution = take(bins * ndiag)?;
        let stripe = |(x0, nx): (usize, usize)| Some(Stripe { x0, nx, pixels: take(ny * nx)? });
        let stripes = head.stripes.map(|all| all.into_iter().map(stripe).collect::<Option<Vec<_>>>());
        let model = match stripes {
            Some(stripes) => Some(ModelImage::of_stripes(ny, nx, stripes?)),
            None => None,
        };
        let mask = vec![0; bins];
        let spectra = SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix, pixmask_fraction, mask };
        let lost = lost.into_iter().map(|lost| lost != 0.0).collect();
        let frame = FrameBuilder::of_parts(head.summary, head.fibres.start, spectra, x, off_ccd, lost, model);
        rest.is_empty().then_some(Self { frame, stage_time: head.stage_time })
    }
}
