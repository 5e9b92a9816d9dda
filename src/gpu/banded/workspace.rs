//! The buffers of the banded stages on a device, kept from group to group.

use super::accuracy::Accuracy;
use super::complement::Complements;
use super::group::Group;
use super::inverse::{Health, Poles};
use super::normal::Normal;
use super::root::Roots;
use super::shape::Shape;
use super::solve::Solution;
use crate::gpu::{Gpu, GpuError};
use std::sync::Arc;

/// Buffers for groups of one shape.
#[derive(Debug)]
pub struct Workspace {
    /// Sizes.
    pub shape: Shape,
    /// K and y.
    pub normal: Normal,
    /// S_f and z_f.
    pub complements: Complements,
    /// x.
    pub solution: Solution,
    /// Spectra.
    pub roots: Roots,
}

/// A device ready for the banded stages: accuracy, poles, and the buffers of the last group.
#[derive(Debug)]
pub struct BandedDevice {
    pub(super) gpu: Gpu,
    accuracy: Accuracy,
    poles: Poles,
    last: Option<Arc<Workspace>>,
}

impl BandedDevice {
    /// Prepares a device.
    ///
    /// # Errors
    /// [`GpuError`] if the poles cannot be uploaded.
    pub fn new(gpu: &Gpu, accuracy: Accuracy) -> Result<Self, GpuError> {
        let poles = Poles::new(gpu, &accuracy.poles)?;
        Ok(Self { gpu: gpu.clone(), accuracy, poles, last: None })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its parameters.
    pub fn accuracy(&self) -> &Accuracy {
        &self.accuracy
    }

    /// The poles of the square root.
    pub fn poles(&self) -> &Poles {
        &self.poles
    }

    /// Returns the sizes of a group on this device.
    pub fn shape(&self, group: &Group) -> Shape {
        group.shape(self.accuracy.overlap)
    }

    /// Returns how many bundles like that of `group` to submit at once: the more, the more threads a device has to hide its
    /// latencies with. All of their spots must fit twice, as the next ones are submitted before they are done.
    pub fn most(&self, group: &Group) -> usize {
        let (nfibre, nbin) = (group.fibres.len(), group.wave.len());
        let shape = Shape { bundle: nfibre, ..self.shape(group) };
        let spots = self.gpu.real_bytes(nfibre * nbin * group.spot().size());
        let mut bytes = Complements::bytes(&self.gpu, &shape);
        bytes.extend([spots; 2]);
        self.gpu.batch("one bundle", &bytes).unwrap_or(1)
    }

    /// Returns buffers for a shape, those of the last group if they fit: stages overwrite them, but for the counters, which
    /// are reset here. The queue keeps the order of groups, and results are copied before the next group starts.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if a buffer is beyond a binding, [`GpuError::OutOfMemory`] if memory is short.
    pub fn workspace(&mut self, shape: &Shape) -> Result<Arc<Workspace>, GpuError> {
        let last = self.last.take().filter(|work| work.shape == *shape);
        let work = match last {
            Some(work) => work,
            None => Arc::new(Workspace {
                shape: *shape,
                normal: Normal::new(&self.gpu, shape)?,
                complements: Complements::new(&self.gpu, shape)?,
                solution: Solution::new(&self.gpu, shape)?,
                roots: Roots::new(&self.gpu, shape, &self.poles)?,
            }),
        };
        for zeros in [&work.normal.largest, &work.solution.worst] {
            zeros.write(&vec![0; zeros.len()])?;
        }
        let health = work.complements.health();
        health.write(&Health::all_well(health.len() / 2))?;
        self.last = Some(work.clone());
        Ok(work)
    }
}
