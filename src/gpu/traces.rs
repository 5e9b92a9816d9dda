//! Traces on the GPU: the host expands the series in chunks of bins in f64, and the device evaluates them in f32 or f64.

use super::args::kernel_args;
use super::trace_inputs::TraceInputs;
use super::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::psf::Psf;
use std::borrow::Cow;
use std::ops::Range;

/// Invocations of a workgroup, one per value.
const THREADS: usize = 64;

/// Positions and shapes of the spots of `nfibre` fibres at `nbin` wavelengths, on a device.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of wavelength bins.
    pub nbin: usize,
    /// Nearest pixel of each spot, `[2, nfibre, nbin]`, x before y.
    pub pixel: Buffer<i32>,
    /// Trace minus `pixel`, in pixels in [-0.5, 0.5), `[2, nfibre, nbin]`.
    pub offset: Reals,
    /// Other parameters, `[nparam, nfibre, nbin]`, in the order of [`crate::stages::traces::param`].
    pub shape: Reals,
}

kernel_args! {
    struct Args {
        nfibre: u32,
        nbin: u32,
        chunk: u32,
        terms: u32,
        nparam: u32,
        ncoeff: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("traces").set("THREADS", THREADS)
}

/// Evaluates the traces and spot shapes of `fibres` (rows of the PSF) at `wave` (Angstrom); the twin of
/// [`crate::stages::traces::traces`], from which positions in f32 differ by up to 2e-6 px.
///
/// # Errors
/// [`GpuError::TooLarge`] if an output exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
pub fn traces(gpu: &Gpu, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Result<Traces, GpuError> {
    let (nfibre, nbin) = (fibres.len(), wave.len());
    let inputs = TraceInputs::of(psf, fibres, wave, with_tails, gpu.precision());
    let args = Args {
        nfibre: nfibre as u32,
        nbin: nbin as u32,
        chunk: inputs.chunk as u32,
        terms: inputs.terms as u32,
        nparam: inputs.nparam as u32,
        ncoeff: inputs.ncoeff as u32,
    };
    // The frames of a stream have the same.
    let reals = |label, values| gpu.upload_reals_once(label, inputs.number, values);
    let base = gpu.upload_once("base", (inputs.number, inputs.base.len()), || Cow::Borrowed(&inputs.base))?;
    let pixel = gpu.scratch("pixel", 2 * nfibre * nbin)?;
    let offset = gpu.scratch_reals("offset", 2 * nfibre * nbin)?;
    let shape = gpu.scratch_reals("shape", inputs.nparam * nfibre * nbin)?;
    let mut recording = Recording::new();
    recording.dispatch(
        &gpu.kernel(&variant(), "positions")?,
        (2 * nfibre * nbin).div_ceil(THREADS),
        &args,
        &[
            reals("local", &inputs.local)?.named("local"),
            base.named("base"),
            reals("chunks", &inputs.chunks)?.named("chunks"),
            pixel.named("pixel"),
            offset.named("offset"),
        ],
    )?;
    recording.dispatch(
        &gpu.kernel(&variant(), "shapes")?,
        (inputs.nparam * nfibre * nbin).div_ceil(THREADS),
        &args,
        &[
            reals("unit", &inputs.units)?.named("unit"),
            reals("coeff", &inputs.coeff)?.named("coeff"),
            shape.named("shape"),
        ],
    )?;
    gpu.run(recording)?;
    Ok(Traces { nfibre, nbin, pixel, offset, shape })
}

/// Returns the bytes of the output of [`traces`], and of its scratch buffers.
pub(crate) fn bytes(gpu: &Gpu, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> [u64; 2] {
    let (nfibre, nbin) = (fibres.len(), wave.len());
    let inputs = TraceInputs::of(psf, fibres, wave, with_tails, gpu.precision());
    let TraceInputs { local, base, chunks, units, coeff, .. } = &*inputs;
    let spots = nfibre * nbin;
    let pixels = 8 * spots as u64;
    let reals = [local, chunks, units, coeff].map(Vec::len).iter().sum();
    let uploaded = gpu.real_bytes(reals) + 4 * base.len() as u64;
    // Uploads are held twice until they are done.
    [pixels + gpu.real_bytes((2 + inputs.nparam) * spots), 2 * uploaded + pixels]
}
