//! The device of the command line, opened.

use clap::Args;
use spextral::backend::{Engine, EngineError, Stage};
use spextral::gpu::fault_injection::Faults;
use spextral::gpu::{DeviceChoice, OpenOptions};

/// Where to compute.
#[derive(Debug, Args)]
#[command(next_help_heading = "Device")]
pub struct DeviceArguments {
    /// Where to compute: cpu, an index, part of a name, a PCI bus id, or auto. That is a discrete GPU, else an integrated
    /// one, else the CPU [default: auto]
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    #[arg(long, value_name = "STAGE", value_delimiter = ',', help = stages_help())]
    pub stage_on_cpu: Vec<Stage>,
}

fn stages_help() -> String {
    let stages = Stage::ALL.map(Stage::name).join(", ");
    format!("Stages that the CPU does while the rest stays on the GPU (finds a wrong kernel): {stages}")
}

impl DeviceArguments {
    /// Opens the device, which must have f64 where that is needed.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if there is none of that name, it has no f64, or it is refused.
    pub fn open(&self, needs_f64: bool) -> Result<Engine, EngineError> {
        open(&self.device.clone().unwrap_or_default(), &self.stage_on_cpu, needs_f64)
    }

    /// Opens the device of one of several processes of this machine.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if there is none of that name, it has no f64, or it is refused.
    #[cfg(feature = "mpi")]
    pub fn open_for(&self, process: usize, needs_f64: bool) -> Result<Engine, EngineError> {
        let device = self.device.clone().unwrap_or_default().for_process(process);
        open(&device, &self.stage_on_cpu, needs_f64)
    }
}

/// Opens a device, of which the CPU does the stages `on_cpu`.
///
/// # Errors
/// [`EngineError::Gpu`] if there is none of that name, it has no f64, or it is refused.
pub fn open(device: &DeviceChoice, on_cpu: &[Stage], needs_f64: bool) -> Result<Engine, EngineError> {
    let options = OpenOptions { faults: Faults::of_environment(), needs_f64, ..OpenOptions::default() };
    let engine = Engine::open(device, &options, on_cpu)?;
    if !engine.is_gpu() && !on_cpu.is_empty() {
        tracing::warn!("all stages are on the CPU");
    }
    // Times of stages are logged at this level; they cost waiting for the device.
    Ok(if tracing::enabled!(tracing::Level::DEBUG) { engine.with_exact_times() } else { engine })
}
