//! Reals on a device: f64 on the host, there in the precision of the handle that makes them.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Buffer, Download, Gpu, GpuError, Named};

/// How a device computes with reals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Precision {
    /// 32 bits: every device.
    #[default]
    F32,
    /// 64 bits: devices with the feature `SHADER_F64`, over Vulkan only.
    F64,
}

impl Precision {
    /// Bytes of a real.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F64 => size_of::<f64>(),
        }
    }

    /// Twice the largest relative rounding error.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON),
            Self::F64 => f64::EPSILON,
        }
    }
}

/// As shaders write it.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Reals on a device.
#[derive(Clone, Debug)]
pub enum Reals {
    /// In 32 bits.
    F32(Buffer<f32>),
    /// In 64 bits.
    F64(Buffer<f64>),
}

/// Does the same with a buffer of either precision.
macro_rules! of_either {
    ($kind:ident, $this:expr, $buffer:ident => $body:expr) => {
        match $this {
            $kind::F32($buffer) => $body,
            $kind::F64($buffer) => $body,
        }
    };
}

impl Gpu {
    /// `len` zeros, in the precision of this handle.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn reals(&self, label: &str, len: usize) -> Result<Reals, GpuError> {
        Ok(match self.precision() {
            Precision::F32 => Reals::F32(self.zeros(label, len)?),
            Precision::F64 => Reals::F64(self.zeros(label, len)?),
        })
    }

    /// `values`, rounded to the precision of this handle.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn upload_reals(&self, label: &str, values: &[f64]) -> Result<Reals, GpuError> {
        let reals = self.reals(label, values.len())?;
        reals.write(values)?;
        Ok(reals)
    }

    /// Bytes of `count` reals in the precision of this handle.
    pub fn real_bytes(&self, count: usize) -> u64 {
        (self.precision().bytes() * count) as u64
    }
}

impl Reals {
    /// Number of elements.
    pub fn len(&self) -> usize {
        of_either!(Self, self, b => b.len())
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device they live on, in their precision.
    pub fn gpu(&self) -> &Gpu {
        of_either!(Self, self, b => b.gpu())
    }

    /// Them, bound to the shader variable `name`.
    pub fn named<'a>(&'a self, name: &'a str) -> Named<'a> {
        of_either!(Self, self, b => b.named(name))
    }

    /// Checks that there are exactly `expected` elements.
    ///
    /// # Errors
    /// [`GpuError::Length`] where there are not.
    pub fn expect_len(&self, expected: usize) -> Result<(), GpuError> {
        of_either!(Self, self, b => b.expect_len(expected))
    }

    /// Overwrites all of them, before any dispatch recorded later runs.
    ///
    /// # Errors
    /// [`GpuError::Length`] where `values` has another length.
    pub fn write(&self, values: &[f64]) -> Result<(), GpuError> {
        match self {
            Self::F32(b) => b.write(&values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
            Self::F64(b) => b.write(values),
        }
    }

    /// A copy of them on the device, as they are after all that was handed over before.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn duplicate(&self) -> Result<Self, GpuError> {
        Ok(match self {
            Self::F32(b) => Self::F32(b.duplicate()?),
            Self::F64(b) => Self::F64(b.duplicate()?),
        })
    }

    /// Waits for the device and copies all of them to the host.
    ///
    /// # Errors
    /// As [`Buffer::download`].
    pub fn download(&self) -> Result<Vec<f64>, GpuError> {
        self.fetch()?.wait()
    }

    /// Begins to copy all of them to the host, as they are after all that was handed over before. Returns at once.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn fetch(&self) -> Result<RealsDownload, GpuError> {
        Ok(match self {
            Self::F32(b) => RealsDownload::F32(b.fetch()?),
            Self::F64(b) => RealsDownload::F64(b.fetch()?),
        })
    }
}

/// A copy of reals on its way to the host.
#[derive(Debug)]
pub enum RealsDownload {
    /// Of 32 bits.
    F32(Download<f32>),
    /// Of 64 bits.
    F64(Download<f64>),
}

impl RealsDownload {
    /// Waits for it, not for what was handed over after it.
    ///
    /// # Errors
    /// As [`Download::wait`].
    pub fn wait(self) -> Result<Vec<f64>, GpuError> {
        match self {
            Self::F32(download) => Ok(download.wait()?.into_iter().map(f64::from).collect()),
            Self::F64(download) => download.wait(),
        }
    }
}
