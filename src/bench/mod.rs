//! How fast a device extracts: its roofs, a frame by stages, what the host takes of it, and agreement with the CPU.
//!
//! | file | content |
//! |---|---|
//! | `case` | the frame that is extracted |
//! | `error` | why nothing was measured |
//! | `machine` | names of the machine's parts |
//! | `timing` | a device or the CPU, timed |
//! | `report` | the results as a table; serde has them as JSON |

mod case;
mod error;
mod machine;
mod report;
mod timing;

pub use case::{Case, Size};
pub use error::BenchError;
pub use machine::Machine;
pub use report::Report;
pub use timing::{Agreement, DeviceTimes, HostTimes, Refused, Step};

use crate::gpu::{DeviceChoice, Precision, list};

/// Frames that a device is timed on, one after another.
const FRAMES: usize = 5;
const FRAMES_QUICK: usize = 3;

/// Which devices are measured, and on how large a frame.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The devices; empty for all that `auto` might take.
    pub devices: Vec<DeviceChoice>,
    /// Whether the host's part of a frame on a GPU is measured alone.
    pub host: bool,
    /// Whether the frame is small and f64 is left out on a software GPU.
    pub quick: bool,
    /// Fibres and bins; None for a DESI r frame, or a part of it where it must be quick.
    pub size: Option<Size>,
    /// Frames in a row; None for a default.
    pub frames: Option<usize>,
}

/// Measures the CPU, the host's part of a frame on a GPU, and all devices; a device that fails is in the report, too.
/// `progress` takes a line on what is measured next.
///
/// # Errors
/// [`BenchError`] if the frame cannot be made, or the CPU cannot extract it.
pub fn run(settings: &Settings, progress: &dyn Fn(&str)) -> Result<Report, BenchError> {
    let size = settings.size.unwrap_or(if settings.quick { Size::QUICK } else { Size::FRAME }).check()?;
    let frames = settings.frames.unwrap_or(if settings.quick { FRAMES_QUICK } else { FRAMES }).max(1);
    progress(&format!("making a frame of {} fibres by {} bins", size.fibres, size.bins));
    let case = Case::new(size)?;
    progress("the host's part, on a device whose kernels do nothing");
    let host = timing::host(&case, frames)?;
    let mut devices = Vec::new();
    if settings.host {
        return Ok(Report::new(Machine::of_this(), size, frames, None, host, devices));
    }
    progress("the CPU");
    let (cpu, reference) = timing::cpu(&case, frames)?;
    for choice in chosen(settings) {
        for precision in [Precision::F32, Precision::F64] {
            progress(&format!("device {choice} in {precision}"));
            match timing::device(&case, &choice, precision, (frames, settings.quick), &reference) {
                Ok(Some(times)) => devices.push(Ok(times)),
                Ok(None) => {}
                Err(reason) => {
                    devices.push(Err(Refused { device: choice.to_string(), precision: precision.to_string(), reason }))
                }
            }
        }
    }
    Ok(Report::new(Machine::of_this(), size, frames, Some(cpu), host, devices))
}

/// Returns the devices to measure: those given, or all GPUs but software.
fn chosen(settings: &Settings) -> Vec<DeviceChoice> {
    if !settings.devices.is_empty() {
        return settings.devices.iter().filter(|choice| **choice != DeviceChoice::Cpu).cloned().collect();
    }
    let is_hardware = |entry: &crate::gpu::DeviceEntry| entry.kind.is_hardware();
    list().iter().filter(|entry| is_hardware(entry)).filter_map(|entry| entry.index.map(DeviceChoice::Index)).collect()
}
