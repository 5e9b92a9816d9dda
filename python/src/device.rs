//! Devices: what there is, and which are open.

use crate::error::Raise;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spextral::backend::Engine;
use spextral::gpu::fault_injection::Faults;
use spextral::gpu::{self, Device, DeviceChoice, OpenOptions};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// GPUs that are open, by process and choice: opening one takes a second, and a child of a fork can't use its parent's.
static OPEN: Mutex<Option<HashMap<(u32, String), Device>>> = Mutex::new(None);

fn opened() -> MutexGuard<'static, Option<HashMap<(u32, String), Device>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The choice that words make.
pub fn choice(words: &str) -> DeviceChoice {
    words.parse().unwrap_or_else(|never: Infallible| match never {})
}

/// The device of a choice, opened once.
pub fn open(choice: &DeviceChoice) -> Result<Device, gpu::GpuError> {
    if *choice == DeviceChoice::Cpu {
        return Ok(Device::Cpu);
    }
    let key = (std::process::id(), choice.to_string());
    if let Some(device) = opened().get_or_insert_default().get(&key) {
        return Ok(device.clone());
    }
    let device = Device::open(choice, &OpenOptions { faults: Faults::of_environment(), ..OpenOptions::default() })?;
    opened().get_or_insert_default().insert(key, device.clone());
    Ok(device)
}

/// Forgets a device that failed, so that the next call reopens it.
pub fn forget(choice: &DeviceChoice) {
    opened().get_or_insert_default().remove(&(std::process::id(), choice.to_string()));
}

/// Returns the stages on a device.
pub fn engine(device: Device) -> Engine {
    match device {
        Device::Cpu => Engine::cpu(),
        Device::Gpu(gpu) => Engine::on_gpu(gpu, &[]),
    }
}

/// Lists the devices of this machine, the CPU first. Each GPU is opened and self-tested.
///
/// Returns
/// -------
/// list of dict
///     ``index`` (None for the CPU), ``name``, ``kind``, ``backend``, ``driver``, ``pci`` (bus id or None), and
///     ``refused`` (None, or the reason). ``device=`` elsewhere takes an index as text, a part of a name, a PCI bus id,
///     ``"cpu"`` or ``"auto"``.
#[pyfunction]
pub fn devices(py: Python) -> PyResult<Vec<Bound<PyDict>>> {
    let entries = released(py, None, gpu::list)?;
    let as_dict = |entry: gpu::DeviceEntry| {
        let dict = PyDict::new(py);
        dict.set_item("index", entry.index)?;
        dict.set_item("name", entry.name)?;
        dict.set_item("kind", entry.kind.to_string())?;
        dict.set_item("backend", entry.backend)?;
        dict.set_item("driver", entry.driver)?;
        dict.set_item("pci", entry.pci)?;
        dict.set_item("refused", entry.refused)?;
        Ok(dict)
    };
    entries.into_iter().map(as_dict).collect()
}

/// Opens the device that a call asks for by its words.
pub fn open_words(words: &str) -> PyResult<Device> {
    open(&choice(words)).map_err(Raise::raise)
}
