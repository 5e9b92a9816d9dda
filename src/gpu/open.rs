//! Opening devices: the one that a choice selects, all of them for a list, and one anew after it was lost.

use super::adapter::{DeviceKind, adapters, devices_with_f64, instruction_set, named};
use super::choice::{DeviceChoice, visible};
use super::driver::{Driver, OpenOptions};
use super::handle::Gpu;
use super::limits::GpuLimits;
use super::scalar::Precision;
use super::{GpuError, selftest};

/// An open device.
#[derive(Clone, Debug)]
pub enum Device {
    /// The CPU, in f64.
    Cpu,
    /// A GPU that has passed the self-test.
    Gpu(Gpu),
}

impl Device {
    /// Opens the device that `choice` selects. `Auto` skips GPUs that fail the self-test, with a warning.
    ///
    /// # Errors
    /// [`GpuError::NoSuchDevice`] if nothing matches, [`GpuError::Refused`] if the device computes wrongly.
    pub fn open(choice: &DeviceChoice, options: &OpenOptions) -> Result<Self, GpuError> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::Cpu),
            DeviceChoice::Auto => Ok(open_auto(options)),
            _ => {
                let adapters = adapters();
                let adapter = adapters
                    .iter()
                    .enumerate()
                    .find(|(index, adapter)| choice.selects(*index, &adapter.get_info()))
                    .map(|(_, adapter)| adapter)
                    .ok_or_else(|| GpuError::NoSuchDevice { asked: choice.to_string(), known: known(&adapters) })?;
                open(adapter, options).map(Self::Gpu)
            }
        }
    }
}

fn open_auto(options: &OpenOptions) -> Device {
    let all = adapters();
    let visible = visible(&all.iter().map(wgpu::Adapter::get_info).collect::<Vec<_>>());
    let mut ranked: Vec<(u8, wgpu::Adapter)> = (all.into_iter().zip(visible))
        .filter(|(_, visible)| *visible)
        .filter_map(|(adapter, _)| Some((DeviceKind::of(&adapter.get_info()).auto_rank()?, adapter)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    for (_, adapter) in &ranked {
        match open(adapter, options) {
            Ok(gpu) => return Device::Gpu(gpu),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Device::Cpu
}

/// Opens an adapter and runs the self-test.
fn open(adapter: &wgpu::Adapter, options: &OpenOptions) -> Result<Gpu, GpuError> {
    let gpu = Gpu::new(Driver::open(adapter, options)?);
    selftest::run(&gpu).map_err(|error| match error {
        GpuError::Refused { .. } => error,
        other => GpuError::Refused { device: gpu.name().to_string(), reason: other.to_string() },
    })?;
    if options.needs_f64 {
        gpu.with_f64()?;
    }
    Ok(gpu)
}

impl Gpu {
    /// Returns a handle to the same device that computes in f64. The first call runs the self-test in f64.
    ///
    /// # Errors
    /// [`GpuError::NoF64`] if the device has none, [`GpuError::Refused`] if it fails the self-test.
    pub fn with_f64(&self) -> Result<Self, GpuError> {
        if !self.has_f64() {
            return Err(GpuError::NoF64 { device: self.name().to_string(), others: devices_with_f64() });
        }
        let fine = self.in_precision(Precision::F64);
        self.f64_tested().get_or_init(|| selftest::run(&fine)).clone()?;
        Ok(fine)
    }

    /// Opens the same adapter anew, with the present limits. Fails by [`GpuError::Refused`] if it is gone or fails the
    /// self-test.
    pub(crate) fn open_again(&self) -> Result<Self, GpuError> {
        let again = open(self.driver().adapter(), self.options())?.in_precision(self.precision());
        again.set_memory(self.memory());
        again.set_operations_per_dispatch(self.operations_per_dispatch());
        if self.times().is_some() {
            again.time_stages();
        }
        Ok(again)
    }
}

/// One line of `spextral devices`.
#[derive(Clone, Debug)]
pub struct DeviceEntry {
    /// The index to choose it by; the CPU has none, it is chosen as `cpu`.
    pub index: Option<usize>,
    /// The adapter's name; for the CPU its number of cores.
    pub name: String,
    /// Its kind.
    pub kind: DeviceKind,
    /// Vulkan, Metal or DX12; for the CPU its instruction set.
    pub backend: String,
    /// Driver and its version; empty for the CPU.
    pub driver: String,
    /// PCI bus id, if the driver reports it.
    pub pci: Option<String>,
    /// Whether it computes in f64.
    pub f64: bool,
    /// The adapter's limits; None for the CPU, which has none.
    pub limits: Option<GpuLimits>,
    /// The reason why it is refused; None if it is usable.
    pub refused: Option<String>,
}

/// Lists all devices, the CPU first. Opens each GPU and runs the self-test.
pub fn list() -> Vec<DeviceEntry> {
    let mut entries = vec![cpu_entry()];
    for (index, adapter) in adapters().iter().enumerate() {
        let info = adapter.get_info();
        let opened = open(adapter, &OpenOptions::default());
        let f64 = opened.as_ref().is_ok_and(|gpu| gpu.with_f64().is_ok());
        let refused = opened.err().map(|error| match error {
            GpuError::Refused { reason, .. } => reason,
            other => other.to_string(),
        });
        entries.push(DeviceEntry {
            index: Some(index),
            kind: DeviceKind::of(&info),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            pci: Some(info.device_pci_bus_id).filter(|id| !id.is_empty()),
            name: info.name,
            f64,
            limits: Some(GpuLimits::of(&adapter.limits())),
            refused,
        });
    }
    entries
}

fn cpu_entry() -> DeviceEntry {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceEntry {
        index: None,
        name: format!("{cores} core{}", if cores == 1 { "" } else { "s" }),
        kind: DeviceKind::Cpu,
        backend: instruction_set().to_string(),
        driver: String::new(),
        pci: None,
        f64: true,
        limits: None,
        refused: None,
    }
}

fn known(adapters: &[wgpu::Adapter]) -> String {
    let mut names = vec!["cpu".to_string()];
    names.extend(named(adapters, |_| true));
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_listed_and_usable() {
        let cpu = cpu_entry();
        assert_eq!((cpu.kind, cpu.refused.is_none()), (DeviceKind::Cpu, true));
        assert!(!cpu.name.is_empty() && !cpu.backend.is_empty());
    }
}
