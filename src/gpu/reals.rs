//! Reals on a device: f64 on the host, in the precision of the handle on the device.

use super::GpuError;
use super::buffer::{Buffer, Download};
use super::content::Content;
use super::fault_injection::perturb;
use super::handle::Gpu;
use super::kernel::Named;
use super::scalar::Precision;
use super::transfer::Landed;
use crate::base::real_array::{RealSlice, of_either};
use rayon::prelude::*;
use std::borrow::Cow;

/// Fewest values that a thread rounds.
const LEAST_PART: usize = 1 << 14;

/// Reals on a device.
#[derive(Clone, Debug)]
pub enum Reals {
    /// In 32 bits.
    F32(Buffer<f32>),
    /// In 64 bits.
    F64(Buffer<f64>),
}

impl Gpu {
    /// Creates `len` zeros in the precision of this handle.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn reals(&self, label: &str, len: usize) -> Result<Reals, GpuError> {
        self.reals_with(label, len, Content::Zeros)
    }

    /// Creates `len` reals of any value, for a kernel that writes all of them before any is read.
    ///
    /// # Errors
    /// As of [`Gpu::reals`].
    pub(super) fn scratch_reals(&self, label: &str, len: usize) -> Result<Reals, GpuError> {
        self.reals_with(label, len, Content::Any)
    }

    /// Creates `len` reals that are zeros, or what kernels of the same layout have written before, see [`Content::Layout`].
    ///
    /// # Errors
    /// As of [`Gpu::reals`].
    pub(super) fn reals_of_layout(&self, label: &str, len: usize, layout: u64) -> Result<Reals, GpuError> {
        self.reals_with(label, len, Content::Layout(layout))
    }

    fn reals_with(&self, label: &str, len: usize, content: Content) -> Result<Reals, GpuError> {
        Ok(match self.precision() {
            Precision::F32 => Reals::F32(self.buffer(label, len, content)?),
            Precision::F64 => Reals::F64(self.buffer(label, len, content)?),
        })
    }

    /// Uploads `values`, rounded to the precision of this handle.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn upload_reals(&self, label: &str, values: &[f64]) -> Result<Reals, GpuError> {
        let content = if values.is_empty() { Content::Zeros } else { Content::Any };
        let reals = self.reals_with(label, values.len(), content)?;
        reals.write(values)?;
        Ok(reals)
    }

    /// Uploads `values` that nobody changes, for which `number` stands under this label, unless an idle buffer still holds them.
    ///
    /// # Errors
    /// As of [`Gpu::upload_reals`].
    pub(super) fn upload_reals_once(&self, label: &str, number: u64, values: &[f64]) -> Result<Reals, GpuError> {
        let known = (number, values.len());
        Ok(match self.precision() {
            _ if values.is_empty() => return self.upload_reals(label, values),
            Precision::F32 => Reals::F32(self.upload_once(label, known, || Cow::Owned(rounded(values)))?),
            Precision::F64 => Reals::F64(self.upload_once(label, known, || Cow::Borrowed(values))?),
        })
    }

    /// Returns the bytes of `count` reals in the precision of this handle.
    pub fn real_bytes(&self, count: usize) -> u64 {
        (self.precision().bytes() * count) as u64
    }

    /// Makes `output` wrong by up to 1 % if fault injection names `stage`, whose output it is: for tests that look for the
    /// wrong stage. Does nothing without the feature `fault-injection`.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn corrupt_stage_output(&self, stage: &str, output: &Reals) -> Result<(), GpuError> {
        if self.options().faults.makes_wrong(stage) {
            let mut values = output.download()?;
            perturb(&mut values);
            output.write(&values)?;
        }
        Ok(())
    }
}

/// Returns values in f32.
fn rounded(values: &[f64]) -> Vec<f32> {
    values.par_iter().with_min_len(LEAST_PART).map(|&v| v as f32).collect()
}

impl Reals {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        of_either!(Self, self, b => b.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the device they live on, in their precision.
    pub fn gpu(&self) -> &Gpu {
        of_either!(Self, self, b => b.gpu())
    }

    /// Binds them to the shader variable `name`.
    pub fn named<'a>(&'a self, name: &'a str) -> Named<'a> {
        of_either!(Self, self, b => b.named(name))
    }

    /// Checks that there are exactly `expected` elements.
    ///
    /// # Errors
    /// [`GpuError::Length`] if there are not.
    pub fn expect_len(&self, expected: usize) -> Result<(), GpuError> {
        of_either!(Self, self, b => b.expect_len(expected))
    }

    /// Overwrites all of them before later submissions run.
    ///
    /// # Errors
    /// [`GpuError::Length`] if `values` has another length.
    pub fn write(&self, values: &[f64]) -> Result<(), GpuError> {
        match self {
            Self::F32(b) => b.write(&rounded(values)),
            Self::F64(b) => b.write(values),
        }
    }

    /// Copies them to new ones on the device, after the submissions before.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn duplicate(&self) -> Result<Self, GpuError> {
        Ok(match self {
            Self::F32(b) => Self::F32(b.duplicate()?),
            Self::F64(b) => Self::F64(b.duplicate()?),
        })
    }

    /// Waits for the device and copies all of them to the host.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn download(&self) -> Result<Vec<f64>, GpuError> {
        self.fetch()?.wait()
    }

    /// Starts to copy all of them to the host, after the submissions before. Returns at once.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn fetch(&self) -> Result<RealsDownload, GpuError> {
        Ok(match self {
            Self::F32(b) => RealsDownload::F32(b.fetch()?),
            Self::F64(b) => RealsDownload::F64(b.fetch()?),
        })
    }
}

/// A copy of reals in flight to the host.
#[derive(Debug)]
pub enum RealsDownload {
    /// In 32 bits.
    F32(Download<f32>),
    /// In 64 bits.
    F64(Download<f64>),
}

impl RealsDownload {
    /// Waits for the copy, not for later submissions.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn wait(self) -> Result<Vec<f64>, GpuError> {
        match self {
            Self::F32(download) => download.wait_as(f64::from),
            Self::F64(download) => download.wait(),
        }
    }
}

impl RealsDownload {
    /// Waits for the copy, not for later submissions, and leaves its bytes where they are.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn land(self) -> Result<LandedReals, GpuError> {
        Ok(match self {
            Self::F32(download) => LandedReals(download.land()?, Precision::F32),
            Self::F64(download) => LandedReals(download.land()?, Precision::F64),
        })
    }
}

/// Reals that a device has copied to memory of the host.
#[derive(Debug)]
pub struct LandedReals(Landed, Precision);

impl LandedReals {
    /// Returns all values.
    pub fn values(&self) -> RealSlice<'_> {
        match self.1 {
            Precision::F32 => RealSlice::F32(bytemuck::cast_slice(self.0.bytes())),
            Precision::F64 => RealSlice::F64(bytemuck::cast_slice(self.0.bytes())),
        }
    }

    /// Fills `to` with every `step`-th value from `first` on.
    ///
    /// # Panics
    /// If there are fewer values.
    pub fn fill(&self, first: usize, step: usize, to: &mut [f64]) {
        match self.values() {
            RealSlice::F32(all) => fill(all, (first, step), to),
            RealSlice::F64(all) => fill(all, (first, step), to),
        }
    }
}

fn fill<T: Copy + Into<f64>>(all: &[T], (first, step): (usize, usize), to: &mut [f64]) {
    let Some(last) = to.len().checked_sub(1) else { return };
    let from = all[first..first + last * step + 1].iter().step_by(step);
    to.iter_mut().zip(from).for_each(|(to, from)| *to = (*from).into());
}
