//! Typed arrays in a GPU's memory; lengths are in elements.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::GpuError;
use super::commands::Copy;
use super::content::Content;
use super::handle::Gpu;
use super::held::Held;
use super::kernel::Named;
use super::landing::Fetch;
use super::scalar::Element;
use super::transfer::Landed;
use rayon::prelude::*;

/// Fewest elements that a thread converts.
const LEAST_PART: usize = 1 << 14;

/// An array of `T` on a device, within the device's binding limit.
#[derive(Clone, Debug)]
pub struct Buffer<T> {
    gpu: Gpu,
    raw: Held,
    label: String,
    len: usize,
    element: PhantomData<T>,
}

impl Gpu {
    /// Creates a buffer of `len` zeros.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn zeros<T: Element>(&self, label: &str, len: usize) -> Result<Buffer<T>, GpuError> {
        self.buffer(label, len, Content::Zeros)
    }

    /// Creates a buffer of any values, for a kernel that writes all of them before any is read.
    ///
    /// # Errors
    /// As of [`Gpu::zeros`].
    pub(super) fn scratch<T: Element>(&self, label: &str, len: usize) -> Result<Buffer<T>, GpuError> {
        self.buffer(label, len, Content::Any)
    }

    pub(super) fn buffer<T: Element>(&self, label: &str, len: usize, content: Content) -> Result<Buffer<T>, GpuError> {
        // A binding needs at least one element, and the largest is a vec4 of f64.
        let bytes = (len * size_of::<T>()).max(32) as u64;
        let limit = self.limits().binding_bytes;
        if bytes > limit {
            return Err(GpuError::TooLarge { what: label.to_string(), bytes, limit });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let raw = self.device_memory().create(label, bytes, usage, content)?;
        Ok(Buffer { gpu: self.clone(), raw, label: label.to_string(), len, element: PhantomData })
    }

    /// Creates a buffer that holds `data`.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn upload<T: Element>(&self, label: &str, data: &[T]) -> Result<Buffer<T>, GpuError> {
        let content = if data.is_empty() { Content::Zeros } else { Content::Any };
        let buffer = self.buffer(label, data.len(), content)?;
        buffer.write(data)?;
        Ok(buffer)
    }

    /// Creates a buffer that holds `data`: at least one element, for which `number` stands under this label. They are sent only where no
    /// idle buffer holds them. Nobody may write it.
    ///
    /// # Errors
    /// As of [`Gpu::upload`].
    pub(super) fn upload_once<'a, T: Element>(
        &self,
        label: &str,
        (number, len): (u64, usize),
        data: impl FnOnce() -> Cow<'a, [T]>,
    ) -> Result<Buffer<T>, GpuError> {
        let content = Content::Data(number);
        let buffer = self.buffer(label, len, content)?;
        if !buffer.raw.has_content(content) {
            let data = data();
            expect_len(label, len, data.len())?;
            self.device_memory().write_for_good(label, &buffer.raw, content, bytemuck::cast_slice(&data))?;
        }
        Ok(buffer)
    }
}

impl<T: Element> Buffer<T> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the device it lives on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Binds it to the shader variable `name`.
    pub fn named<'a>(&'a self, name: &'a str) -> Named<'a> {
        Named { name, kind: T::KIND, raw: &self.raw }
    }

    /// Checks that it has exactly `expected` elements.
    ///
    /// # Errors
    /// [`GpuError::Length`] if it has not.
    pub fn expect_len(&self, expected: usize) -> Result<(), GpuError> {
        expect_len(&self.label, expected, self.len)
    }

    /// Overwrites all of it before later submissions run.
    ///
    /// # Errors
    /// [`GpuError::Length`] if `data` has another length.
    pub fn write(&self, data: &[T]) -> Result<(), GpuError> {
        expect_len(&self.label, self.len, data.len())?;
        self.gpu.device_memory().write(&self.label, &self.raw, bytemuck::cast_slice(data))
    }

    /// Copies it to a new buffer on the device, after the submissions before.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn duplicate(&self) -> Result<Self, GpuError> {
        let duplicate = self.gpu.buffer(&self.label, self.len, Content::Any)?;
        let (label, from, to) = (self.label.clone(), self.raw.clone(), duplicate.raw.clone());
        self.gpu.device_memory().copy(Copy { label, from, to, landing: None });
        Ok(duplicate)
    }

    /// Waits for the device and copies all of it to the host.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn download(&self) -> Result<Vec<T>, GpuError> {
        self.fetch()?.wait()
    }

    /// Starts to copy all of it to the host, after the submissions before. Returns at once.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] beyond the binding limit, [`GpuError::OutOfMemory`] if the device is full.
    pub fn fetch(&self) -> Result<Download<T>, GpuError> {
        let fetch = Fetch::start(self.gpu.device_memory(), &self.label, &self.raw)?;
        Ok(Download { gpu: self.gpu.clone(), fetch, len: self.len, element: PhantomData })
    }
}

/// A copy of a buffer in flight to the host.
#[derive(Debug)]
pub struct Download<T> {
    gpu: Gpu,
    fetch: Fetch,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Element> Download<T> {
    /// Waits for the copy, not for later submissions.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn wait(self) -> Result<Vec<T>, GpuError> {
        self.wait_as(|value: T| value)
    }

    /// Waits for the copy, and leaves its bytes where they are.
    pub(super) fn land(self) -> Result<Landed, GpuError> {
        self.fetch.land(self.gpu.device_memory())
    }

    /// Waits for the copy, and converts its elements on the way, by all threads.
    pub(super) fn wait_as<R: Send>(self, convert: impl Fn(T) -> R + Sync) -> Result<Vec<R>, GpuError> {
        let size = size_of::<T>();
        let element = |bytes: &[u8]| convert(bytemuck::pod_read_unaligned(bytes));
        let read = |bytes: &[u8]| {
            bytes[..size * self.len].par_chunks_exact(size).with_min_len(LEAST_PART).map(element).collect()
        };
        self.fetch.wait(self.gpu.device_memory(), read)
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
