//! Large data of the host on devices: sent once, and kept as long as somebody uses them.

use super::{Gpu, GpuError, Reals};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Data that are kept on a device.
pub(super) trait OnDevice {
    /// Returns a part of them, with its device and precision.
    fn reals(&self) -> &Reals;
}

/// Data that have been sent, and what they are on devices.
#[derive(Debug)]
pub(super) struct Sent<T, D>(Mutex<Vec<(Weak<T>, Weak<D>)>>);

impl<T, D: OnDevice> Sent<T, D> {
    /// Nothing has been sent.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Returns what `data` are on a device, by `upload` unless they are there.
    pub fn of(
        &self,
        gpu: &Gpu,
        data: &Arc<T>,
        upload: impl FnOnce() -> Result<D, GpuError>,
    ) -> Result<Arc<D>, GpuError> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|(data, found)| data.strong_count() > 0 && found.strong_count() > 0);
        let is_here = |found: &Arc<D>| {
            let other = found.reals().gpu();
            std::ptr::eq(other.device_memory(), gpu.device_memory()) && other.precision() == gpu.precision()
        };
        let known = sent.iter().filter(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(data)));
        if let Some(found) = known.filter_map(|(_, found)| found.upgrade()).find(is_here) {
            return Ok(found);
        }
        let found = Arc::new(upload()?);
        sent.push((Arc::downgrade(data), Arc::downgrade(&found)));
        Ok(found)
    }
}
