//! Inputs and outputs of stages: fields with their shapes, and the status of single patches.

use super::{EngineError, Field};
use crate::geometry::Positions;
use crate::geometry::SpotShape;
use crate::gpu::spot_kinds::SentImages;
use crate::gpu::{Buffer, Gpu};
use crate::plan::Batch;
use crate::stages::cholesky::{Layout, NonPositivePivot};
use crate::stages::jacobi::NotFinite;
use crate::stages::patch::PatchSpots;
use crate::stages::schur::Block;
use crate::stages::spots::SpotModel;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// Traces of one bundle on a padded grid.
#[derive(Debug)]
pub struct BundleTraces {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of bins.
    pub nbin: usize,
    /// Size and orders of the spots.
    pub spot: SpotShape,
    /// How they are evaluated.
    pub(super) model: SpotModel,
    /// Images on the device, where it makes the spots of such a kind.
    pub(super) images: OnceLock<SentImages>,
    /// Nearest pixel of each spot, `[2, nfibre, nbin]`, x before y.
    pub(super) pixel: PixelField,
    /// Offset of the trace from its pixel, `[2, nfibre, nbin]`, x before y.
    pub offset: Field,
    /// Shape parameters, `[nparam, nfibre, nbin]`.
    pub shape: Field,
}

/// Integer pixels on the host, on a device, or on both.
#[derive(Debug, Default)]
pub(super) struct PixelField {
    pub host: OnceLock<Vec<i32>>,
    pub device: OnceLock<Buffer<i32>>,
}

impl BundleTraces {
    /// Returns the nearest pixel of each spot on the host, `[2, nfibre, nbin]`, x before y.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if they cannot be downloaded.
    pub fn pixels(&self) -> Result<[&[i32]; 2], EngineError> {
        if let (None, Some(device)) = (self.pixel.host.get(), self.pixel.device.get()) {
            // A faster thread has stored the same values.
            let _ = self.pixel.host.set(device.download()?);
        }
        let all = self.pixel.host.get().expect("pixels are written when they are made");
        let (x, y) = all.split_at(self.nfibre * self.nbin);
        Ok([x, y])
    }

    /// Returns where the spots lie.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if pixels cannot be downloaded.
    pub fn positions(&self) -> Result<Positions<'_>, EngineError> {
        let Self { nfibre, nbin, spot, .. } = *self;
        let [pixel_x, pixel_y] = self.pixels()?;
        Ok(Positions { nfibre, nbin, pixel_x, pixel_y, spot })
    }

    /// Returns the pixels on a device.
    pub(super) fn device_pixels(&self, gpu: &Gpu) -> Result<&Buffer<i32>, EngineError> {
        if let (None, Some(host)) = (self.pixel.device.get(), self.pixel.host.get()) {
            let _ = self.pixel.device.set(gpu.upload("pixel", host)?);
        }
        Ok(self.pixel.device.get().expect("pixels are written when they are made"))
    }
}

/// Spots of some bins of one bundle.
#[derive(Debug)]
pub struct BundleSpots {
    /// The bins of the bundle's grid that it holds.
    pub bins: Range<usize>,
    /// The spots, `[nfibre, bins, ny, nx]`.
    pub spots: Field,
    /// Nearest pixel of each spot on the host, `[nfibre, bins]`, x and y.
    pixels: OnceLock<[Vec<i32>; 2]>,
}

impl BundleSpots {
    pub(super) fn new(bins: Range<usize>, spots: Field) -> Self {
        Self { bins, spots, pixels: OnceLock::new() }
    }

    /// Returns the spots as the CPU's stages take them: `bin0` and `stride` count from the first of `bins`.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if spots or pixels cannot be downloaded.
    pub fn view(&self, traces: &BundleTraces) -> Result<PatchSpots<'_>, EngineError> {
        if self.pixels.get().is_none() {
            let cut = |pixel: &[i32]| {
                pixel.chunks_exact(traces.nbin.max(1)).flat_map(|row| &row[self.bins.clone()]).copied().collect()
            };
            let _ = self.pixels.set(traces.pixels()?.map(cut));
        }
        let [pixel_x, pixel_y] = self.pixels.get().expect("set above");
        Ok(PatchSpots {
            spots: self.spots.host()?,
            pixel_x,
            pixel_y,
            stride: self.bins.len(),
            ny: traces.spot.ny(),
            nx: traces.spot.nx(),
            fibre0: 0,
            nspec: traces.nfibre,
            bin0: 0,
            nbin: self.bins.len(),
        })
    }
}

/// Normal equations of a batch.
#[derive(Debug)]
pub struct NormalField {
    /// K, `[patch, n, half_bandwidth + 1]`, row-aligned lower band storage.
    pub band: Field,
    /// y, `[patch, n]`.
    pub rhs: Field,
}

/// Eigenmodes of a batch: of S_f for every core fibre, or of every patch's whole K.
#[derive(Debug)]
pub struct ModesField {
    /// Unknowns of one matrix.
    pub n: usize,
    /// Eigenvalues, ascending, `[matrix, n]`.
    pub values: Field,
    /// Eigenvectors, one per row, `[matrix, n, n]`.
    pub vectors: Field,
}

/// Decorrelated spectra of a batch's core fibres.
#[derive(Debug)]
pub struct DecorrelatedField {
    /// R x in electron per bin, `[patch, core fibre, nbin]`.
    pub flux: Field,
    /// Its inverse variance, `[patch, core fibre, nbin]`.
    pub ivar: Field,
    /// Noise of a bin of the deconvolved flux over that of a bin alone, `[patch, core fibre, nbin]`.
    pub gain: Field,
    /// R's rows around the diagonal, `[patch, core fibre, nbin, 2 half + 1]`.
    pub resolution: Field,
    /// Bins of R to each side of the diagonal.
    pub half: usize,
}

/// Which fibres are decorrelated together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decorrelate {
    /// One fibre at a time (BS10 eq. 16-19): the survey's choice.
    #[default]
    Signal,
    /// All fibres of a patch together (BS10 eq. 10-13).
    Noise,
}

/// Why a patch has no result.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum PatchFailure {
    /// K or S_f is not positive definite in the precision used.
    #[error(transparent)]
    Pivot(#[from] NonPositivePivot),
    /// S_f or K is not finite.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// Bins are too much alike for the precision used.
    #[error("deconvolved bins are {gain:.0} times noisier than alone, beyond f32")]
    Noisy {
        /// Noise of a deconvolved bin over that of a bin alone.
        gain: f64,
    },
    /// The eigendecomposition did not converge.
    #[error("the eigendecomposition did not converge in {sweeps} sweeps")]
    Sweeps {
        /// Sweeps done.
        sweeps: usize,
    },
}

/// The status of each patch of a batch. A patch that fails leaves the others untouched.
pub type PatchResults = Vec<Result<(), PatchFailure>>;

/// The status of each patch of a batch in flight.
pub struct PatchStatus(Box<dyn FnOnce() -> Result<PatchResults, EngineError> + Send>);

impl PatchStatus {
    /// A status that is known.
    pub fn known(results: PatchResults) -> Self {
        Self(Box::new(|| Ok(results)))
    }

    /// A status that must be fetched.
    pub(super) fn later(fetch: impl FnOnce() -> Result<PatchResults, EngineError> + Send + 'static) -> Self {
        Self(Box::new(fetch))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if the device fails.
    pub fn wait(self) -> Result<PatchResults, EngineError> {
        self.0()
    }
}

impl fmt::Debug for PatchStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatchStatus")
    }
}

/// Combines one result per matrix into one per patch of `per_patch` matrices: its first failure.
pub(super) fn by_patch(results: PatchResults, per_patch: usize) -> PatchResults {
    let mut out: PatchResults = Vec::with_capacity(results.len() / per_patch.max(1));
    for (k, one) in results.into_iter().enumerate() {
        match out.get_mut(k / per_patch) {
            Some(patch) if patch.is_ok() => *patch = one,
            Some(_) => {}
            None => out.push(one),
        }
    }
    out
}

/// How K of a batch is stored.
pub(super) fn layout(batch: &Batch) -> Layout {
    Layout::band(batch.n(), batch.half_bandwidth)
}

/// The core fibres of a batch.
pub(super) fn blocks(batch: &Batch) -> Vec<Block> {
    let of_patch = |patch| batch.core.clone().map(move |fibre| Block { patch, fibre });
    (0..batch.len()).flat_map(of_patch).collect()
}
