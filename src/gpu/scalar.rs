//! Scalars and the precision of reals, alike in Rust and in WGSL.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
}

impl ScalarKind {
    /// Returns its name in WGSL.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::U32 => "u32",
            Self::I32 => "i32",
        }
    }
}

/// A scalar that lives in buffers.
pub trait Element: bytemuck::Pod + Send + Sync {
    /// Its kind, compared with the shader's declaration.
    const KIND: ScalarKind;
}

impl Element for f32 {
    const KIND: ScalarKind = ScalarKind::F32;
}
impl Element for f64 {
    const KIND: ScalarKind = ScalarKind::F64;
}
impl Element for u32 {
    const KIND: ScalarKind = ScalarKind::U32;
}
impl Element for i32 {
    const KIND: ScalarKind = ScalarKind::I32;
}

/// The precision in which a device computes with reals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Precision {
    /// 32 bits: every device.
    #[default]
    F32,
    /// 64 bits: devices with the feature `SHADER_F64`, over Vulkan only.
    F64,
}

impl Precision {
    /// Returns the bytes of a real.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F64 => size_of::<f64>(),
        }
    }

    /// Returns twice the largest relative rounding error.
    pub fn epsilon(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON),
            Self::F64 => f64::EPSILON,
        }
    }
}

/// Writes the name of the type in WGSL.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}
