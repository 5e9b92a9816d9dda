//! Whole bundles from traces to spectra, handed over without waiting: the next one's work follows on the device while the
//! host fetches the last one's results.

use super::complement::{Complements, record_complements};
use super::inverse::{Health, Poles, poles};
use super::normal::{Normal, couplings, record_prior, record_products};
use super::root::{Rounds, Spectra, record_spectra};
use super::shape::{BLOCK, Shape};
use crate::geometry::Patch;
use crate::geometry::SpotShape;
use crate::gpu::goodness::goodness;
use crate::gpu::model::{Unknowns, model};
use crate::gpu::patch::{BundleSpots, CcdBuffers, Patches};
use crate::gpu::spots::spots;
use crate::gpu::traces::{Traces, traces};
use crate::gpu::{Download, Gpu, GpuError, Precision, RealsDownload, Recording};
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::banded::{Bands, Coupling, Root};
use crate::stages::goodness::Goodness;
use crate::stages::normal_equations::Prior;
use std::ops::Range;

/// In f32 spectra are resolved down to this fraction of the largest eigenvalue. Beside masks 1e-8 cost one frame in three 4e-2 sigma
/// and 3e-3 in R, 1e-9 nothing any more: it takes 24 poles in place of 16.
const FLOOR: f64 = 1e-10;

/// The same in f64 at most: as the CPU does it.
const FLOOR_F64: f64 = 1e-11;

/// With 32 poles the root is exact in f32, with 48 to 1e-14.
const MOST_OCTETS: usize = 6;

/// What the accuracy asked for takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// Bins by which chunks overlap.
    pub overlap: usize,
    /// Fibres on either side that a fibre is told from.
    pub depth: usize,
    /// Spectra are resolved down to this fraction of the largest eigenvalue.
    pub floor: f64,
    /// Eights of poles.
    pub octets: usize,
    /// How x is made exact, and how where that does not converge, as where a fibre is masked whole.
    pub rounds: [Rounds; 2],
}

impl Accuracy {
    /// For an error of flux of `tolerance` sigma, where chunks must overlap by `overlap` bins. On sim11 the error beside masks
    /// is 2e-3 sigma with a depth of 1, 3e-4 with 2, 2e-4 with 3; beside a fibre that is masked whole 1e-3 with 2.
    pub fn of(precision: Precision, tolerance: f64, overlap: usize) -> Self {
        let floor = match precision {
            Precision::F32 => FLOOR,
            Precision::F64 => (10.0 * tolerance * tolerance).min(FLOOR_F64),
        };
        let further = (1e-3 / tolerance).log10().ceil().max(0.0) as usize;
        // Signal to noise multiplies the error of the root.
        let brightest = match precision {
            Precision::F32 => 1e3,
            Precision::F64 => 1e4,
        };
        let serves = |octets: &usize| brightest * Root::new(floor, *octets).error <= tolerance;
        let octets = (1..MOST_OCTETS).find(serves).unwrap_or(MOST_OCTETS);
        let depth = 3 + further;
        let rounds = match precision {
            Precision::F32 => [Rounds::OfFibres(1), Rounds::OfBundles(2, depth)],
            Precision::F64 => [Rounds::OfFibres(8), Rounds::OfBundles(4, depth)],
        };
        Self { overlap, depth, floor, octets, rounds }
    }
}

/// Some bundles of equally many fibres, one after another on the PSF.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The PSF.
    pub psf: &'a Psf,
    /// Their fibres, rows of the PSF.
    pub fibres: Range<usize>,
    /// The padded grid, Angstrom.
    pub wave: &'a [f64],
    /// Whether spots have tails.
    pub with_tails: bool,
    /// Half bandwidth of K, bins, at most that kept of S_f.
    pub reach: usize,
    /// Half bandwidths of S_f and of the inverses on the way to it.
    pub bands: Bands,
    /// Whether x is to be made exact the longer way.
    pub is_hard: bool,
    /// The bins goodness is wanted of.
    pub core_bins: Range<usize>,
    /// Rows and columns of the CCD that the spots of each bundle reach, and more.
    pub pixels: Vec<(Range<usize>, Range<usize>)>,
    /// The prior.
    pub prior: Prior,
    /// Fractional error of the PSF.
    pub psferr: f64,
}

/// The device's buffers for bundles of one shape after another.
#[derive(Debug)]
pub struct Bundles {
    pub(super) gpu: Gpu,
    accuracy: Accuracy,
    pub(super) poles: Poles,
    work: Option<Work>,
}

#[derive(Debug)]
struct Work {
    shape: Shape,
    normal: Normal,
    complements: Complements,
    spectra: Spectra,
}

impl Bundles {
    /// Ready for bundles.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn new(gpu: &Gpu, accuracy: Accuracy) -> Result<Self, GpuError> {
        let poles = Poles::new(gpu, &poles(accuracy.floor, accuracy.octets))?;
        Ok(Self { gpu: gpu.clone(), accuracy, poles, work: None })
    }

    /// How many bundles like that of `request` to hand over at once: the more, the more threads a device has to
    /// hide its latencies with. All of their spots must fit, twice, as the next ones are handed over before they are done.
    pub fn most(&self, request: &Request) -> usize {
        let (nfibre, nbin) = (request.fibres.len(), request.wave.len());
        let shape = self.shape(request, nfibre);
        let spots = self.gpu.real_bytes(nfibre * nbin * SpotShape::new(request.psf, request.with_tails).size());
        let mut bytes = Complements::bytes(&self.gpu, &shape);
        bytes.extend([spots; 2]);
        self.gpu.batch("one bundle", &bytes).unwrap_or(1)
    }

    /// The shape of bundles of `bundle` fibres each.
    pub(super) fn shape(&self, request: &Request, bundle: usize) -> Shape {
        Shape {
            nfibre: request.fibres.len(),
            bundle,
            nbin: request.wave.len(),
            reach: request.reach,
            bands: request.bands,
            overlap: self.accuracy.overlap,
            half: request.psf.ndiag() / 2,
        }
    }

    /// Hands bundles over.
    ///
    /// # Errors
    /// [`GpuError::Limit`] and [`GpuError::TooLarge`] where they are beyond the device; what the driver reports.
    pub fn submit(&mut self, ccd: &CcdBuffers, request: &Request) -> Result<Pending, GpuError> {
        let spot = SpotShape::new(request.psf, request.with_tails);
        let nfibre = request.fibres.len();
        let bundle = nfibre / request.pixels.len().max(1);
        let shape = self.shape(request, bundle);
        let traces = traces(&self.gpu, request.psf, request.fibres.clone(), request.wave, request.with_tails)?;
        let windows = Windows::new(&self.gpu, request, &traces, spot, BLOCK * shape.blocks());
        let work = Work::of(&mut self.work, &self.gpu, &self.poles, &shape)?;
        let mut kept = None;
        for window in 0..windows.count() {
            let spots = windows.spots(window)?;
            let batch = windows.batch(window);
            let mut recording = Recording::new();
            record_products(&mut recording, &Patches::new(&batch, &spots)?, ccd, &shape, &work.normal)?;
            self.gpu.run(recording)?;
            kept = Some((batch, spots));
        }
        let mut recording = Recording::new();
        if let Some((batch, spots)) = &kept {
            record_prior(&mut recording, &Patches::new(batch, spots)?, &shape, request.prior, &work.normal)?;
        }
        record_complements(&mut recording, &shape, &work.normal, self.accuracy.depth, &work.complements)?;
        let how = (&self.poles, self.accuracy.rounds[usize::from(request.is_hard)]);
        record_spectra(&mut recording, &shape, &work.normal, &work.complements, how, &work.spectra)?;
        self.gpu.run(recording)?;
        let mut fits = Vec::with_capacity(windows.count());
        for window in 0..windows.count() {
            // The spots of a single window are still there.
            let (batch, spots) = match kept.take().filter(|_| windows.count() == 1) {
                Some(kept) => kept,
                None => (windows.batch(window), windows.spots(window)?),
            };
            let patches = Patches::new(&batch, &spots)?;
            let image = model(&patches, &work.spectra.x, Unknowns::OfBundles)?;
            fits.push(goodness(&patches, ccd, &image, request.psferr)?.fetch()?);
        }
        Ok(Pending {
            shape,
            core_bins: request.core_bins.clone(),
            windows: windows.cores,
            fits,
            spectra: work.spectra.spectra.fetch()?,
            x: work.spectra.x.fetch()?,
            worst: work.spectra.worst.fetch()?,
            largest: work.normal.largest.fetch()?,
            health: work.complements.health().fetch()?,
        })
    }
}

impl Work {
    /// The buffers for a shape, those of the last bundle where they fit: what is left in them is overwritten, but for
    /// what counts up or down.
    fn of<'a>(slot: &'a mut Option<Self>, gpu: &Gpu, poles: &Poles, shape: &Shape) -> Result<&'a Self, GpuError> {
        let last = slot.take().filter(|work| work.shape == *shape);
        let work = slot.insert(match last {
            Some(work) => work,
            None => Self {
                shape: *shape,
                normal: Normal::new(gpu, shape)?,
                complements: Complements::new(gpu, shape)?,
                spectra: Spectra::new(gpu, shape, poles)?,
            },
        });
        for zeros in [&work.normal.largest, &work.spectra.worst] {
            zeros.write(&vec![0; zeros.len()])?;
        }
        let health = work.complements.health();
        health.write(&Health::all_well(health.len() / 2))?;
        Ok(work)
    }
}

/// The bins of bundles in windows whose spots fit the device.
struct Windows<'a> {
    request: &'a Request<'a>,
    traces: &'a Traces,
    spot: SpotShape,
    /// Bins that a bin may be coupled to on either side.
    reach: usize,
    /// Bins without those that overlap with other windows.
    cores: Vec<Range<usize>>,
}

/// Bins cut so that the spots of each part and its neighbours fit the device, or are as few as can be.
pub(super) fn cores(gpu: &Gpu, nfibre: usize, nbin: usize, spot: &SpotShape, reach: usize) -> Vec<Range<usize>> {
    let most = gpu.batch("spots of one bin", &[gpu.real_bytes(nfibre * spot.size())]).unwrap_or(1);
    let step = if most >= nbin { nbin } else { most.saturating_sub(2 * reach).max(1) };
    (0..nbin).step_by(step.max(1)).map(|first| first..(first + step).min(nbin)).collect()
}

impl<'a> Windows<'a> {
    fn new(gpu: &Gpu, request: &'a Request, traces: &'a Traces, spot: SpotShape, reach: usize) -> Self {
        let cores = cores(gpu, traces.nfibre, traces.nbin, &spot, reach);
        Self { request, traces, spot, reach, cores }
    }

    fn count(&self) -> usize {
        self.cores.len()
    }

    /// A window with the bins that its core is coupled to.
    fn bins(&self, window: usize) -> Range<usize> {
        let core = &self.cores[window];
        core.start.saturating_sub(self.reach)..(core.end + self.reach).min(self.traces.nbin)
    }

    fn spots(&self, window: usize) -> Result<BundleSpots, GpuError> {
        let bins = self.bins(window);
        Ok(BundleSpots {
            shape: self.spot,
            nfibre: self.traces.nfibre,
            nbin: self.traces.nbin,
            pixel: self.traces.pixel.clone(),
            spots: spots(self.traces, &self.spot, bins.clone())?,
            bins,
        })
    }

    /// The window as one patch a bundle.
    fn batch(&self, window: usize) -> Batch {
        let (bins, core) = (self.bins(window), &self.cores[window]);
        let nspec = self.traces.nfibre / self.request.pixels.len();
        let patch = |(k, (rows, columns)): (usize, &(Range<usize>, Range<usize>))| Patch {
            fibres: k * nspec..(k + 1) * nspec,
            core: 0..nspec,
            bin0: bins.start,
            nbin: bins.len(),
            core_bins: core.start - bins.start..core.end - bins.start,
            rows: rows.clone(),
            columns: columns.clone(),
        };
        let patches = self.request.pixels.iter().enumerate().map(patch).collect();
        Batch { nspec, core: 0..nspec, nbin: bins.len(), half_bandwidth: 0, patches }
    }
}

/// Bundles on their way.
#[derive(Debug)]
pub struct Pending {
    shape: Shape,
    core_bins: Range<usize>,
    windows: Vec<Range<usize>>,
    fits: Vec<RealsDownload>,
    spectra: RealsDownload,
    x: RealsDownload,
    worst: Download<u32>,
    largest: Download<u32>,
    health: Download<u32>,
}

/// What bundles gave.
#[derive(Clone, Debug)]
pub struct Found {
    /// Sizes.
    pub shape: Shape,
    /// Decorrelated flux in electron a bin, its ivar and an estimate of what the bands cost it in sigma, each `[fibre, nbin]`,
    /// then R's rows `[fibre, nbin, 2 half + 1]`.
    pub spectra: Vec<f64>,
    /// Deconvolved flux in electron a bin, `[bundle, nbin, fibre of the bundle]`.
    pub x: Vec<f64>,
    /// Goodness, `[fibre, core bin]`.
    pub goodness: Vec<Goodness>,
    /// How exact each bundle is.
    pub exactness: Vec<Exactness>,
}

/// How exact a bundle is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exactness {
    /// The largest `|y - K x|_i / sqrt(K_ii)`, sigma, before it is made good for.
    pub residual: f64,
    /// How strongly its fibres overlap.
    pub coupling: Coupling,
    /// How far its matrices are from singular.
    pub health: Health,
}

impl Pending {
    /// Waits for the bundles.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn wait(self) -> Result<Found, GpuError> {
        let (nfibre, wanted) = (self.shape.nfibre, self.core_bins);
        let mut goodness = vec![Goodness::default(); nfibre * wanted.len()];
        for (core, fit) in self.windows.iter().zip(self.fits) {
            let fit = fit.wait()?;
            for bin in core.start.max(wanted.start)..core.end.min(wanted.end) {
                for fibre in 0..nfibre {
                    let values = &fit[3 * (fibre * core.len() + bin - core.start)..][..3];
                    let [chi2pix, pixmask_fraction, off_ccd] = [0, 1, 2].map(|k| values[k]);
                    goodness[fibre * wanted.len() + bin - wanted.start] =
                        Goodness { chi2pix, pixmask_fraction, off_ccd };
                }
            }
        }
        let (worst, health) = (self.worst.wait()?, self.health.wait()?);
        let exactness = |(k, coupling): (usize, Coupling)| {
            let fibres = k * self.shape.bundle..(k + 1) * self.shape.bundle;
            // A number that is none is the largest; its bits are, too.
            let value = |&bits: &u32| Some(f64::from(f32::from_bits(bits))).filter(|v| v.is_finite());
            let residuals = worst[fibres.clone()].iter().map(|bits| value(bits).unwrap_or(f64::INFINITY));
            let residual = residuals.fold(0.0, f64::max);
            // From below, then from above.
            let of_bundle = health.chunks_exact(2 * nfibre).flat_map(|h| &h[2 * fibres.start..2 * fibres.end]);
            let health = Health::of(&of_bundle.copied().collect::<Vec<_>>(), self.shape.bundle);
            Exactness { residual, coupling, health }
        };
        Ok(Found {
            goodness,
            spectra: self.spectra.wait()?,
            x: self.x.wait()?,
            exactness: couplings(&self.largest.wait()?).into_iter().enumerate().map(exactness).collect(),
            shape: self.shape,
        })
    }
}
