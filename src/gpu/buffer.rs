//! Typed arrays in a GPU's memory; lengths are in elements.

use std::marker::PhantomData;
use std::sync::mpsc;

use super::fault_injection::{Fault, Touch};
use super::in_flight::{Held, Ticket};
use super::{Gpu, GpuError};

/// The kind of a scalar, the same in Rust and in WGSL.
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
    /// Its name in WGSL.
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
pub trait Element: bytemuck::Pod {
    /// Its kind, compared with what a shader declares.
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

/// An array of `T` on a device, never longer than the device binds at once.
#[derive(Clone, Debug)]
pub struct Buffer<T> {
    gpu: Gpu,
    raw: Held,
    label: String,
    len: usize,
    element: PhantomData<T>,
}

/// A buffer under the name of the shader variable it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) kind: ScalarKind,
    pub(super) raw: &'a Held,
}

impl Gpu {
    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] where the device is full.
    pub fn zeros<T: Element>(&self, label: &str, len: usize) -> Result<Buffer<T>, GpuError> {
        // Nothing can be bound that has no bytes, nor less than one element, a vec4 at most.
        let bytes = (len * size_of::<T>()).max(32) as u64;
        let limit = self.limits().binding_bytes;
        if bytes > limit {
            return Err(GpuError::TooLarge { what: label.to_string(), bytes, limit });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let raw = self.create(label, bytes, usage)?;
        Ok(Buffer { gpu: self.clone(), raw, label: label.to_string(), len, element: PhantomData })
    }

    /// A buffer that holds `data`.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn upload<T: Element>(&self, label: &str, data: &[T]) -> Result<Buffer<T>, GpuError> {
        let buffer = self.zeros(label, data.len())?;
        buffer.write(data)?;
        Ok(buffer)
    }
}

impl<T: Element> Buffer<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The device it lives on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// This buffer, bound to the shader variable `name`.
    pub fn named<'a>(&'a self, name: &'a str) -> Named<'a> {
        Named { name, kind: T::KIND, raw: &self.raw }
    }

    pub(super) fn raw(&self) -> &Held {
        &self.raw
    }

    /// Checks that it has exactly `expected` elements.
    ///
    /// # Errors
    /// [`GpuError::Length`] where it has not.
    pub fn expect_len(&self, expected: usize) -> Result<(), GpuError> {
        expect_len(&self.label, expected, self.len)
    }

    /// Overwrites all of it, before any dispatch recorded later runs.
    ///
    /// # Errors
    /// [`GpuError::Length`] where `data` has another length.
    pub fn write(&self, data: &[T]) -> Result<(), GpuError> {
        expect_len(&self.label, self.len, data.len())?;
        self.gpu.write(&self.label, &self.raw, bytemuck::cast_slice(data))
    }

    /// A copy of it on the device, as it is after all that was handed over before.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn duplicate(&self) -> Result<Self, GpuError> {
        let copy = self.gpu.zeros(&self.label, self.len)?;
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.raw, 0, &copy.raw, 0, self.raw.size());
        self.gpu.hand_over(&self.label, Some(encoder.finish()), vec![self.raw.clone(), copy.raw.clone()])?;
        Ok(copy)
    }

    /// Waits for the device and copies all of it to the host.
    ///
    /// # Errors
    /// [`GpuError::Lost`] or [`GpuError::Driver`] where the device failed meanwhile.
    pub fn download(&self) -> Result<Vec<T>, GpuError> {
        self.fetch()?.wait()
    }

    /// Begins to copy all of it to the host, as it is after all that was handed over before. Returns at once.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub fn fetch(&self) -> Result<Download<T>, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.gpu.create("download", self.raw.size(), usage)?;
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.raw, 0, &staging, 0, self.raw.size());
        let ticket = self.gpu.hand_over(&self.label, Some(encoder.finish()), vec![self.raw.clone()])?;
        let (sender, mapped) = mpsc::channel();
        self.gpu.touch(Touch::Map, &self.label);
        // Where nobody waits any more there is nobody to tell.
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        self.gpu.check(&self.label)?;
        let (gpu, label) = (self.gpu.clone(), self.label.clone());
        Ok(Download { gpu, label, staging, ticket, mapped, len: self.len, element: PhantomData })
    }
}

/// A copy of a buffer on its way to the host.
#[derive(Debug)]
pub struct Download<T> {
    gpu: Gpu,
    label: String,
    staging: Held,
    ticket: Ticket,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Download<T> {
    /// Waits for it, not for what was handed over after it.
    ///
    /// # Errors
    /// [`GpuError::Lost`] or [`GpuError::Driver`] where the device failed meanwhile.
    pub fn wait(self) -> Result<Vec<T>, GpuError> {
        self.gpu.wait_for(self.ticket)?;
        let failed = |why: &str| self.gpu.reports(format!("downloading `{}`: {why}", self.label));
        match self.mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => return Err(failed("the driver never answered")),
        }
        let fault = self.gpu.touch(Touch::Read, &self.label);
        let bytes = self.staging.get_mapped_range(..).map_err(|error| failed(&error.to_string()))?;
        let mut data = vec![T::zeroed(); self.len];
        let data_bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut data);
        let count = data_bytes.len();
        data_bytes.copy_from_slice(&bytes[..count]);
        if fault == Some(Fault::Wrong) {
            data_bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        drop(bytes);
        self.gpu.check(&self.label)?;
        Ok(data)
    }
}

/// Checks a length against its shape.
pub(super) fn expect_len(what: &str, expected: usize, found: usize) -> Result<(), GpuError> {
    if found == expected { Ok(()) } else { Err(GpuError::Length { what: what.to_string(), expected, found }) }
}

/// Copies those items of `len` elements of a batch that succeeded.
pub(super) fn keep<T, E>(statuses: &[Result<T, E>], host: &mut [f64], device: &[f64], len: usize) {
    let pairs = host.chunks_exact_mut(len.max(1)).zip(device.chunks_exact(len.max(1)));
    for (status, (host, device)) in statuses.iter().zip(pairs) {
        if status.is_ok() {
            host.copy_from_slice(device);
        }
    }
}
