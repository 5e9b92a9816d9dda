//! Errors of GPU devices, buffers and kernels.

use crate::base::memory_size::MemorySize;
use crate::base::option_name::{OptionName, Remedy};

const NO_F64: &[Remedy] = &[Remedy::Set(OptionName::Device, "cpu"), Remedy::Set(OptionName::Precision, "f32")];
const GONE: &[Remedy] = &[Remedy::Change(OptionName::Device), Remedy::Set(OptionName::Device, "cpu")];
const FULL: &[Remedy] = &[
    Remedy::Lower(OptionName::MaxDeviceMemory),
    Remedy::Change(OptionName::Device),
    Remedy::Set(OptionName::Device, "cpu"),
];

/// The remedies where a limit of memory is below `least` KiB.
fn little_memory(least: u64) -> [Remedy; 2] {
    let enough = MemorySize(least.saturating_mul(1024));
    [Remedy::AtLeast(OptionName::MaxDeviceMemory, enough), Remedy::Set(OptionName::Device, "cpu")]
}

/// An error of a GPU device, its buffers or its kernels.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The device asked for does not exist.
    #[error("no device matches `{asked}`; there is: {known} (see `spextral devices`)")]
    NoSuchDevice {
        /// The choice.
        asked: String,
        /// The devices of this machine, separated by commas.
        known: String,
    },
    /// The device computes wrongly or cannot be opened.
    #[error("device `{device}` is refused: {reason}")]
    Refused {
        /// The adapter's name.
        device: String,
        /// The reason.
        reason: String,
    },
    /// The device has no 64-bit floats, or was opened without them.
    #[error("device `{device}` has no f64 (it takes SHADER_F64, over Vulkan): {others}, or {}", Remedy::any_of(NO_F64))]
    NoF64 {
        /// The adapter's name.
        device: String,
        /// The devices that have f64, as advice.
        others: String,
    },
    /// The driver lost the device, and all data on it.
    #[error("device `{device}` was lost: {reason}; {}", Remedy::any_of(GONE))]
    Lost {
        /// The adapter's name.
        device: String,
        /// The driver's message.
        reason: String,
    },
    /// The device does not answer; all data on it are abandoned.
    #[error(
        "device `{device}` has not done a submission in {seconds} s and counts as hung: its driver, or another program on it, holds it; {}",
        Remedy::any_of(GONE)
    )]
    Hung {
        /// The adapter's name.
        device: String,
        /// The wait, seconds.
        seconds: f64,
    },
    /// The memory limit of a device is too low for the smallest piece of work.
    #[error(
        "{} is too little memory for the work on device `{device}`: {}",
        if limit.is_multiple_of(1024) { MemorySize(*limit).to_string() } else { format!("{limit} bytes") },
        Remedy::any_of(&little_memory(*least))
    )]
    LittleMemory {
        /// The adapter's name.
        device: String,
        /// The limit, bytes.
        limit: u64,
        /// The least that would suffice, KiB.
        least: u64,
        /// Whether the device was chosen automatically: then the CPU serves.
        optional: bool,
    },
    /// The device's memory is exhausted.
    #[error("device `{device}` is out of memory at `{what}`; {}", Remedy::any_of(FULL))]
    OutOfMemory {
        /// The adapter's name.
        device: String,
        /// The buffer or step that failed.
        what: String,
    },
    /// A buffer exceeds the device's binding limit.
    #[error("buffer `{what}` of {bytes} bytes is beyond the device's limit of {limit} bytes; use a smaller batch")]
    TooLarge {
        /// The buffer's label.
        what: String,
        /// Its size.
        bytes: u64,
        /// The granted limit.
        limit: u64,
    },
    /// A problem of this size cannot run on this device.
    #[error("{what} is {value}, beyond the limit of {limit}")]
    Limit {
        /// The limited quantity.
        what: String,
        /// The value requested.
        value: u64,
        /// The largest possible value.
        limit: u64,
    },
    /// A slice or buffer does not have the length of its shape.
    #[error("`{what}` has {found} elements where its shape needs {expected}")]
    Length {
        /// The slice or buffer.
        what: String,
        /// Elements its shape needs.
        expected: usize,
        /// Elements it has.
        found: usize,
    },
    /// A shader does not compile, or lacks an entry point, an import or a parameter.
    #[error("shader {shader}: {message}")]
    Shader {
        /// The variant, `name{PARAM=value}`.
        shader: String,
        /// The compiler's message.
        message: String,
    },
    /// Buffers or arguments differ from the kernel's declarations.
    #[error("kernel {kernel}: {message}")]
    Binding {
        /// The kernel, `variant::entry`.
        kernel: String,
        /// The difference.
        message: String,
    },
    /// An error that the driver reported outside of a call.
    #[error("device `{device}` reports: {message}")]
    Driver {
        /// The adapter's name.
        device: String,
        /// The driver's message.
        message: String,
    },
}

impl GpuError {
    /// Returns what to do with which option, where that may help; its message ends in it.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::NoF64 { .. } => NO_F64.into(),
            Self::Lost { .. } | Self::Hung { .. } => GONE.into(),
            Self::OutOfMemory { .. } => FULL.into(),
            Self::LittleMemory { least, .. } => little_memory(*least).into(),
            _ => Vec::new(),
        }
    }

    /// Whether the device failed rather than its input: then another device may serve.
    pub fn is_of_device(&self) -> bool {
        if let GpuError::LittleMemory { optional, .. } = self {
            return *optional;
        }
        use GpuError::{Driver, Hung, Lost, OutOfMemory, Refused, Shader};
        matches!(self, Lost { .. } | Hung { .. } | OutOfMemory { .. } | Driver { .. } | Refused { .. } | Shader { .. })
    }

    /// Whether the device is gone, with all data on it.
    pub(super) fn is_for_good(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Hung { .. })
    }
}
