//! Groups in flight: what is being copied from the device, and the spectra of each bundle once it is there.

use super::row::{FibreRow, FinishedGroup, FinishedValues, LandedGoodness, LandedGroup};
use crate::gpu::banded::{Health, Shape, couplings};
use crate::gpu::{Download, GpuError, RealsDownload};
use crate::stages::banded::Coupling;
use crate::stages::finish::FinishShape;
use crate::stages::goodness::Goodness;
use std::ops::Range;
use std::sync::Arc;

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
    pub(super) spectra: SpectraInFlight,
    pub(super) worst: Download<u32>,
    pub(super) largest: Download<u32>,
    pub(super) health: Download<u32>,
}

/// Spectra in flight from a device.
#[derive(Debug)]
pub(super) enum SpectraInFlight {
    /// As the device finished them.
    Finished(FinishShape, RealsDownload),
    /// As the stages made them: the host finishes them.
    Raw {
        spectra: RealsDownload,
        x: RealsDownload,
        /// Core bins of each window, and `[fibre, core bin, 3]` of it.
        goodness: Vec<(Range<usize>, WindowGoodness)>,
    },
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
        let shape = self.shape;
        let (worst, health) = (self.worst.wait()?, self.health.wait()?);
        let rows = self.spectra.land(shape, self.core_bins)?;
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
        let outcome = |(k, exactness): (usize, Exactness)| {
            let fibres = (0..shape.bundle).map(|f| rows.of(f, k * shape.bundle + f)).collect();
            BandedOutcome { fibres, exactness }
        };
        Ok(couplings.into_iter().enumerate().map(exactness).enumerate().map(outcome).collect())
    }
}

/// Rows of a group.
enum Rows {
    Finished(Arc<FinishedGroup>),
    Raw(Arc<LandedGroup>),
}

impl Rows {
    /// Returns that of a fibre, counted from its bundle's first and from the group's.
    fn of(&self, fibre: usize, of_group: usize) -> FibreRow {
        match self {
            Self::Finished(group) => FibreRow::finished(fibre, group, of_group),
            Self::Raw(group) => FibreRow::landed(fibre, group, of_group),
        }
    }
}

impl SpectraInFlight {
    fn land(self, shape: Shape, core_bins: Range<usize>) -> Result<Rows, GpuError> {
        match self {
            Self::Finished(shape, download) => {
                let values = FinishedValues::Landed(download.land()?);
                Ok(Rows::Finished(Arc::new(FinishedGroup { shape, values })))
            }
            Self::Raw { spectra, x, goodness } => {
                let landed = |(core, goodness): (Range<usize>, WindowGoodness)| Ok((core, goodness.land()?));
                let goodness = goodness.into_iter().map(landed).collect::<Result<Vec<_>, GpuError>>()?;
                let (spectra, x) = (spectra.land()?, x.land()?);
                Ok(Rows::Raw(Arc::new(LandedGroup { shape, core_bins, spectra, x, goodness })))
            }
        }
    }
}

impl WindowGoodness {
    fn land(self) -> Result<LandedGoodness, GpuError> {
        match self {
            Self::Host(goodness) => Ok(LandedGoodness::Host(goodness)),
            Self::Device(download) => Ok(LandedGoodness::Device(download.land()?)),
        }
    }
}
