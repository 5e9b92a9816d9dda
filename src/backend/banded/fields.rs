//! Results of the banded stages: on the host, or in a device's workspace and on the host from the first read on.

use super::host::HostNormal;
use crate::backend::{BundleSpots, BundleTraces};
use crate::gpu::banded::{Windows, Workspace};
use crate::stages::banded::{BandedRoot, Complement};
use std::sync::{Arc, Mutex, OnceLock};

/// Spots of a group on a device, made window by window.
#[derive(Debug)]
pub struct BandedSpots {
    /// Traces of all bins.
    pub traces: Box<BundleTraces>,
    /// The windows.
    pub windows: Windows,
    /// The last window made.
    pub last: Mutex<Option<(usize, Arc<BundleSpots>)>>,
}

/// A stage's result: per bundle on the host, and in the workspace if a device takes part.
#[derive(Debug)]
pub(super) struct Located<T> {
    pub host: OnceLock<Vec<T>>,
    pub device: Option<Arc<Workspace>>,
}

impl<T> Located<T> {
    pub fn on_device(work: Arc<Workspace>) -> Self {
        Self { host: OnceLock::new(), device: Some(work) }
    }

    /// Returns the values on the host, read by `download` if only the device has them.
    pub fn get<E>(&self, download: impl FnOnce(&Workspace) -> Result<Vec<T>, E>) -> Result<&[T], E> {
        if let (None, Some(work)) = (self.host.get(), &self.device) {
            // A faster thread has stored the same values.
            let _ = self.host.set(download(work)?);
        }
        Ok(self.host.get().expect("a result is written when it is made"))
    }

    /// Returns the workspace of a group that a device takes part in.
    pub fn work(&self) -> &Arc<Workspace> {
        self.device.as_ref().expect("a device takes part")
    }
}

/// K and y of a group.
#[derive(Debug)]
pub struct BandedNormals(pub(super) Located<HostNormal>);

/// S_f and z_f of all fibres of a group; on the host `[bundle][fibre]`.
#[derive(Debug)]
pub struct BandedComplements(pub(super) Located<Vec<Complement>>);

/// x of all fibres of a group in electron per bin; on the host `[bundle][fibre][bin]`.
#[derive(Debug)]
pub struct BandedSolution(pub(super) Located<Vec<Vec<f64>>>);

/// Q of the fibres wanted; on the host `[bundle][wanted fibre]`.
#[derive(Debug)]
pub struct BandedRoots(pub(super) Located<Vec<BandedRoot>>);
