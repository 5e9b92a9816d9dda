//! Groups in flight: what is being copied from the device, and the spectra of each bundle once it is there.

use crate::gpu::banded::{Health, Shape, couplings};
use crate::gpu::{Download, GpuError, RealsDownload};
use crate::stages::banded::Coupling;
use crate::stages::goodness::Goodness;
use rayon::prelude::*;
use std::ops::Range;

/// Spectra of one fibre in electron per bin, on the padded grid.
#[derive(Clone, Debug, PartialEq)]
pub struct FibreRow {
    /// The fibre, counted from the bundle's first.
    pub fibre: usize,
    /// Deconvolved flux, `[nbin]`.
    pub x: Vec<f64>,
    /// Decorrelated flux, `[nbin]`.
    pub flux: Vec<f64>,
    /// Its inverse variance, `[nbin]`.
    pub ivar: Vec<f64>,
    /// R's rows, `[nbin, ndiag]`.
    pub resolution: Vec<f64>,
    /// Estimate of flux's truncation error, sigma, `[nbin]`.
    pub truncation_error: Vec<f64>,
    /// Goodness, `[core bins]`.
    pub goodness: Vec<Goodness>,
}

impl FibreRow {
    /// Takes `more` bins from each end of the padded grid.
    fn without_ends(self, more: usize) -> Self {
        let (n, kept) = (self.x.len(), more..self.x.len() - more);
        let ndiag = self.resolution.len() / n;
        let cut = |values: Vec<f64>| values[kept.clone()].to_vec();
        Self {
            x: cut(self.x),
            flux: cut(self.flux),
            ivar: cut(self.ivar),
            truncation_error: cut(self.truncation_error),
            resolution: self.resolution[kept.start * ndiag..kept.end * ndiag].to_vec(),
            ..self
        }
    }
}

/// Evidence of how exact a bundle is, its bands apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exactness {
    /// The largest `|y - K x|_i / sqrt(K_ii)`, sigma, before the exact z_f makes up for it; 0 on the CPU, which iterates to
    /// its tolerance.
    pub residual: f64,
    /// How strongly fibres overlap.
    pub coupling: Coupling,
    /// How far its matrices are from singular.
    pub health: Health,
    /// The median information on a bin over that of a fibre alone; None from a GPU, which does not measure it.
    pub information: Option<f64>,
}

/// Results of one bundle.
#[derive(Clone, Debug)]
pub struct BandedOutcome {
    /// Spectra of all fibres, on the CPU of those wanted.
    pub fibres: Vec<FibreRow>,
    /// How exact they are.
    pub exactness: Exactness,
}

impl BandedOutcome {
    /// Takes `more` bins from each end of the padded grid.
    pub(super) fn without_ends(self, more: usize) -> Self {
        Self { fibres: self.fibres.into_iter().map(|row| row.without_ends(more)).collect(), ..self }
    }
}

/// A group whose stages are submitted.
#[derive(Debug)]
pub enum BandedInFlight {
    /// A bundle, or a window of a long one, that the CPU has done.
    Done(BandedOutcome),
    /// A group on a device.
    Device(Box<DeviceInFlight>),
}

/// Copies under way from a device.
#[derive(Debug)]
pub struct DeviceInFlight {
    pub(super) shape: Shape,
    pub(super) core_bins: Range<usize>,
    /// Core bins of each window, and `[fibre, core bin, 3]` of it.
    pub(super) goodness: Vec<(Range<usize>, WindowGoodness)>,
    pub(super) spectra: RealsDownload,
    pub(super) x: RealsDownload,
    pub(super) worst: Download<u32>,
    pub(super) largest: Download<u32>,
    pub(super) health: Download<u32>,
}

/// Goodness of a window's core bins, `[fibre, core bin]`.
#[derive(Debug)]
pub(super) enum WindowGoodness {
    Host(Vec<Goodness>),
    Device(RealsDownload),
}

impl BandedInFlight {
    /// Waits for the results of every bundle.
    ///
    /// # Errors
    /// [`GpuError`] if the device fails.
    pub fn wait(self) -> Result<Vec<BandedOutcome>, GpuError> {
        match self {
            Self::Done(outcome) => Ok(vec![outcome]),
            Self::Device(in_flight) => in_flight.wait(),
        }
    }
}

impl DeviceInFlight {
    fn wait(self) -> Result<Vec<BandedOutcome>, GpuError> {
        let (shape, wanted) = (self.shape, self.core_bins);
        let mut goodness = vec![Goodness::default(); shape.nfibre * wanted.len()];
        for (core, fit) in self.goodness {
            let fit = fit.wait()?;
            let bins = core.start.max(wanted.start)..core.end.min(wanted.end);
            if bins.is_empty() {
                continue;
            }
            for (to, from) in goodness.chunks_exact_mut(wanted.len()).zip(fit.chunks_exact(core.len())) {
                let from = &from[bins.start - core.start..bins.end - core.start];
                to[bins.start - wanted.start..bins.end - wanted.start].copy_from_slice(from);
            }
        }
        let (worst, health) = (self.worst.wait()?, self.health.wait()?);
        let (spectra, x) = (self.spectra.wait()?, self.x.wait()?);
        let couplings = couplings(&self.largest.wait()?);
        let exactness = |(k, coupling): (usize, Coupling)| {
            let fibres = k * shape.bundle..(k + 1) * shape.bundle;
            // A residual that is no number is the largest; so are its bits.
            let value = |&bits: &u32| Some(f64::from(f32::from_bits(bits))).filter(|v| v.is_finite());
            let residuals = worst[fibres.clone()].iter().map(|bits| value(bits).unwrap_or(f64::INFINITY));
            // From below, then from above.
            let of_bundle = health.chunks_exact(2 * shape.nfibre).flat_map(|h| &h[2 * fibres.start..2 * fibres.end]);
            let health = Health::of(&of_bundle.copied().collect::<Vec<_>>(), shape.bundle);
            Exactness { residual: residuals.fold(0.0, f64::max), coupling, health, information: None }
        };
        let (nbin, width, bins) = (shape.nbin, 2 * shape.half + 1, shape.nfibre * shape.nbin);
        let row = |k: usize, f: usize| {
            let fibre = k * shape.bundle + f;
            let plane = |which: usize| spectra[which * bins + fibre * nbin..][..nbin].to_vec();
            FibreRow {
                fibre: f,
                x: (0..nbin).map(|bin| x[(k * nbin + bin) * shape.bundle + f]).collect(),
                flux: plane(0),
                ivar: plane(1),
                truncation_error: plane(2),
                resolution: spectra[3 * bins + fibre * nbin * width..][..nbin * width].to_vec(),
                goodness: goodness[fibre * wanted.len()..(fibre + 1) * wanted.len()].to_vec(),
            }
        };
        let outcome = |(k, exactness): (usize, Exactness)| {
            let fibres = (0..shape.bundle).into_par_iter().map(|f| row(k, f)).collect();
            BandedOutcome { fibres, exactness }
        };
        Ok(couplings.into_iter().enumerate().map(exactness).enumerate().map(outcome).collect())
    }
}

impl WindowGoodness {
    fn wait(self) -> Result<Vec<Goodness>, GpuError> {
        let of_bin = |v: &[f64]| Goodness { chi2pix: v[0], pixmask_fraction: v[1], off_ccd: v[2] };
        match self {
            Self::Host(goodness) => Ok(goodness),
            Self::Device(download) => Ok(download.wait()?.chunks_exact(3).map(of_bin).collect()),
        }
    }
}
