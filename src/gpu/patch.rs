//! Input of the patch stages on a device: the CCD, a bundle's spots, and the positions of patches.

use super::args::kernel_args;
use super::{Buffer, Gpu, GpuError, Named, Reals};
use crate::geometry::{Ccd, Patch, SpotShape};
use crate::plan::Batch;
use crate::stages::normal_equations::Prior;
use std::ops::Range;

/// A CCD on a device, in f32 as in files.
#[derive(Clone, Debug)]
pub struct CcdBuffers {
    /// Columns.
    pub nx: usize,
    /// Pixel values, electron, `[ny, nx]`.
    pub image: Buffer<f32>,
    /// Inverse variances, 0 = do not use, `[ny, nx]`.
    pub ivar: Buffer<f32>,
}

impl CcdBuffers {
    /// Uploads a CCD.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if a plane exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn upload(gpu: &Gpu, ccd: &Ccd) -> Result<Self, GpuError> {
        let plane = |label: &str, values: &[f32]| {
            let buffer = gpu.upload(label, values)?;
            buffer.expect_len(ccd.ny() * ccd.nx())?;
            Ok(buffer)
        };
        Ok(Self { nx: ccd.nx(), image: plane("image", ccd.image())?, ivar: plane("ivar", ccd.ivar())? })
    }
}

/// Spots of a bundle on a device, and their positions.
#[derive(Clone, Debug)]
pub struct BundleSpots {
    /// Size of the spots.
    pub shape: SpotShape,
    /// Fibres.
    pub nfibre: usize,
    /// Bins per fibre in `pixel`.
    pub nbin: usize,
    /// Nearest pixel of each spot, `[2, nfibre, nbin]`, x before y.
    pub pixel: Buffer<i32>,
    /// The bins in `spots`.
    pub bins: Range<usize>,
    /// Spots, `[nfibre, bins, ny, nx]`.
    pub spots: Reals,
}

/// Splits a number into f32 and the remainder, two fields in WGSL whose sum is `real`.
fn split(value: f64) -> [f32; 2] {
    let high = value as f32;
    [high, (value - f64::from(high)) as f32]
}

kernel_args! {
    /// Sizes that the patches of a batch share, see `shaders/shared/patch.wgsl`.
    pub(super) struct Args {
        count: u32,
        first: u32,
        nspec: u32,
        nbin: u32,
        pixel_bins: u32,
        pixel_stride: u32,
        spot_bins: u32,
        spot_first: u32,
        half_x: u32,
        half_y: u32,
        ccd_nx: u32,
        half_bandwidth: u32,
        distances: u32,
        rows: u32,
        pub flux_patch: u32,
        pub flux_bin: u32,
        core_fibre: u32,
        ncore_fibre: u32,
        core_bin: u32,
        ncore_bin: u32,
        psferr: f32,
        psferr_low: f32,
    }
}

impl Args {
    /// Returns the arguments that follow from the batch alone, for one workgroup per item.
    pub(super) fn of_batch(batch: &Batch, items: &Range<usize>) -> Self {
        Self {
            count: items.len() as u32,
            first: items.start as u32,
            nspec: batch.nspec as u32,
            nbin: batch.nbin as u32,
            half_bandwidth: batch.half_bandwidth as u32,
            core_fibre: batch.core.start as u32,
            ncore_fibre: batch.core.len() as u32,
            ..bytemuck::Zeroable::zeroed()
        }
    }

    pub(super) fn with_distances(mut self, distances: usize) -> Self {
        self.distances = distances as u32;
        self
    }

    pub(super) fn with_psferr(mut self, psferr: f64) -> Self {
        [self.psferr, self.psferr_low] = split(psferr);
        self
    }
}

/// The patches of one batch on a device.
#[derive(Debug)]
pub struct Patches<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The spots of its bundle.
    pub spots: &'a BundleSpots,
    table: Buffer<u32>,
}

impl<'a> Patches<'a> {
    /// Uploads the positions of the patches of `batch`.
    ///
    /// # Errors
    /// [`GpuError::Length`] if a patch reaches beyond the spots or the batch's shape, [`GpuError::OutOfMemory`] if the device is
    /// full.
    pub fn new(batch: &'a Batch, spots: &'a BundleSpots) -> Result<Self, GpuError> {
        let none = Prior { regularize: 0.0, least_weight: 0.0 };
        Self::with_priors(batch, spots, &vec![none; batch.len()])
    }

    /// Uploads the positions of the patches of `batch` and the prior of each. A least weight of 0 stands for that of the patch.
    ///
    /// # Errors
    /// [`GpuError::Length`] if a patch reaches beyond the spots or the batch's shape, or has no prior,
    /// [`GpuError::OutOfMemory`] if the device is full.
    pub fn with_priors(batch: &'a Batch, spots: &'a BundleSpots, priors: &[Prior]) -> Result<Self, GpuError> {
        spots.pixel.expect_len(2 * spots.nfibre * spots.nbin)?;
        spots.spots.expect_len(spots.nfibre * spots.bins.len() * spots.shape.size())?;
        if priors.len() != batch.len() {
            let (expected, found) = (batch.len(), priors.len());
            return Err(GpuError::Length { what: "priors of patches".to_string(), expected, found });
        }
        let mut rows = Vec::with_capacity(11 * batch.len());
        let mut first_pixel = 0;
        for (patch, prior) in batch.patches.iter().zip(priors) {
            check(batch, spots, patch)?;
            let (y, x) = (patch.rows.start, patch.columns.start);
            let place = [patch.fibres.start, patch.bin0, y, x, patch.rows.len(), patch.columns.len()];
            rows.extend(place.into_iter().chain([first_pixel]).map(|v| v as u32));
            let split = [prior.regularize, prior.least_weight].map(split);
            rows.extend(split.into_iter().flatten().map(f32::to_bits));
            first_pixel += patch.npix();
        }
        let table = spots.pixel.gpu().upload("patches", &rows)?;
        Ok(Self { batch, spots, table })
    }

    pub(super) fn gpu(&self) -> &'a Gpu {
        self.spots.spots.gpu()
    }

    /// Returns the arguments of a dispatch of one workgroup per item; those of single stages are zero.
    pub(super) fn args(&self, items: &Range<usize>, ccd_nx: usize) -> Args {
        let spots = self.spots;
        let core = self.core_bins();
        Args {
            pixel_bins: spots.nbin as u32,
            pixel_stride: (spots.nfibre * spots.nbin) as u32,
            spot_bins: spots.bins.len() as u32,
            spot_first: spots.bins.start as u32,
            half_x: spots.shape.half_x as u32,
            half_y: spots.shape.half_y as u32,
            ccd_nx: ccd_nx as u32,
            rows: self.most_rows() as u32,
            core_bin: core.start as u32,
            ncore_bin: core.len() as u32,
            ..Args::of_batch(self.batch, items)
        }
    }

    /// Returns the buffers that every patch stage binds.
    pub(super) fn bound(&self) -> [Named<'_>; 3] {
        [self.spots.spots.named("spots"), self.spots.pixel.named("pixel"), self.table.named("patches")]
    }

    /// Returns the number of pixels of all patches.
    pub(super) fn npix(&self) -> usize {
        self.batch.patches.iter().map(Patch::npix).sum()
    }

    /// Returns the rows of the highest patch.
    pub(super) fn most_rows(&self) -> usize {
        self.batch.patches.iter().map(|p| p.rows.len()).max().unwrap_or(0)
    }

    /// Returns the columns of the widest patch.
    pub(super) fn most_columns(&self) -> usize {
        self.batch.patches.iter().map(|p| p.columns.len()).max().unwrap_or(0)
    }

    /// Returns the range of bins that holds the core bins of all patches.
    pub fn core_bins(&self) -> Range<usize> {
        let cores = self.batch.patches.iter().map(|p| p.core_bins.clone());
        cores.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0)
    }
}

/// Checks that a patch has the batch's shape and that its spots exist.
fn check(batch: &Batch, spots: &BundleSpots, patch: &Patch) -> Result<(), GpuError> {
    let length =
        |what: &str, expected, found| Err(GpuError::Length { what: format!("{what} of a patch"), expected, found });
    if patch.nspec() != batch.nspec || patch.nbin != batch.nbin {
        return length("unknowns", batch.n(), patch.n());
    }
    if patch.fibres.end > spots.nfibre {
        return length("fibres", spots.nfibre, patch.fibres.end);
    }
    if patch.bin0 < spots.bins.start || patch.bin0 + patch.nbin > spots.bins.end {
        return length("last bin", spots.bins.end, patch.bin0 + patch.nbin);
    }
    Ok(())
}
