//! The stages on a GPU: kernels are submitted without waiting for them.

use super::fields::{PixelField, blocks, by_patch, layout};
use super::run::corrupt;
use super::{
    BundleSpots, BundleTraces, CcdField, Decorrelate, DecorrelatedField, EngineError, Field, ModesField, NormalField,
    PatchFailure, PatchStatus, Stage,
};
use crate::geometry::Patch;
use crate::geometry::SpotShape;
use crate::gpu::cholesky::{self, ALL_POSITIVE, Passes};
use crate::gpu::memory::SLACK;
use crate::gpu::model::Unknowns;
use crate::gpu::patch::{self, Patches};
use crate::gpu::{Gpu, Reals, Recording, decorrelate as decorrelation, goodness as fit, model as image, spot_kinds};
use crate::gpu::{jacobi as eigen, normal_equations as normal, schur as complements, traces as series};
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::cholesky::NonPositivePivot;
use crate::stages::goodness::Goodness;
use crate::stages::jacobi::{NotFinite, Sweeps};
use crate::stages::normal_equations::PatchPrior;
use crate::stages::spots::SpotModel;
use std::ops::Range;
use std::sync::OnceLock;

type Result<T> = std::result::Result<T, EngineError>;

pub fn traces(gpu: &Gpu, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Result<BundleTraces> {
    let found = series::traces(gpu, psf, fibres, wave, with_tails)?;
    corrupt(gpu, Stage::Traces, &[&found.offset, &found.shape])?;
    Ok(BundleTraces {
        nfibre: found.nfibre,
        nbin: found.nbin,
        spot: SpotShape::new(psf, with_tails),
        model: SpotModel::new(psf, with_tails),
        images: OnceLock::new(),
        pixel: PixelField { host: OnceLock::new(), device: OnceLock::from(found.pixel) },
        offset: Field::on_device(found.offset),
        shape: Field::on_device(found.shape),
    })
}

pub fn spots(gpu: &Gpu, bundle: &BundleTraces, bins: Range<usize>) -> Result<Field> {
    if spot_kinds::bytes_served(gpu, &bundle.model).is_none() {
        // No kernel of the device serves them: the CPU's spots go over.
        return super::cpu::spots(bundle, bins);
    }
    let traces = series::Traces {
        nfibre: bundle.nfibre,
        nbin: bundle.nbin,
        pixel: bundle.device_pixels(gpu)?.clone(),
        offset: bundle.offset.device(gpu)?.clone(),
        shape: bundle.shape.device(gpu)?.clone(),
    };
    let found = spot_kinds::spots(&traces, &bundle.model, &bundle.images, bins)?;
    corrupt(gpu, Stage::Spots, &[&found])?;
    Ok(Field::on_device(found))
}

/// The spots of a bundle as kernels take them.
pub(super) fn on_device(gpu: &Gpu, traces: &BundleTraces, spots: &BundleSpots) -> Result<patch::BundleSpots> {
    Ok(patch::BundleSpots {
        shape: traces.spot,
        nfibre: traces.nfibre,
        nbin: traces.nbin,
        pixel: traces.device_pixels(gpu)?.clone(),
        bins: spots.bins.clone(),
        spots: spots.spots.device(gpu)?.clone(),
    })
}

pub fn normal_equations(
    gpu: &Gpu,
    batch: &Batch,
    ccd: &CcdField,
    traces: &BundleTraces,
    spots: &BundleSpots,
    prior: PatchPrior,
) -> Result<NormalField> {
    let spots = on_device(gpu, traces, spots)?;
    let patches = Patches::with_priors(batch, &spots, &vec![prior.of(0.0); batch.len()])?;
    let found = normal::normal_equations(&patches, ccd.device(gpu)?)?;
    corrupt(gpu, Stage::NormalEquations, &[&found.band, &found.rhs])?;
    Ok(NormalField { band: Field::on_device(found.band), rhs: Field::on_device(found.rhs) })
}

/// Reads the status of factorisations from the words of a kernel, which do not hold the value of a bad pivot.
fn pivots(status: Vec<u32>) -> Vec<std::result::Result<(), PatchFailure>> {
    let judge = |(matrix, index): (usize, u32)| match index {
        ALL_POSITIVE => Ok(()),
        index => Err(NonPositivePivot { matrix, index: index as usize, pivot: f64::NAN }.into()),
    };
    status.into_iter().enumerate().map(judge).collect()
}

pub fn solve(gpu: &Gpu, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
    // Factors and x overwrite what they are made of, which later stages read.
    let factors = normal.band.device(gpu)?.duplicate()?;
    let x = normal.rhs.device(gpu)?.duplicate()?;
    let mut recording = Recording::new();
    let status = cholesky::record_factor(&mut recording, layout(batch), &factors)?;
    cholesky::record_solve(&mut recording, layout(batch), &factors, &x, Passes::Both)?;
    gpu.run(recording)?;
    corrupt(gpu, Stage::Cholesky, &[&x])?;
    Ok((Field::on_device(x), PatchStatus::later(move || Ok(pivots(status.download()?)))))
}

pub fn schur(gpu: &Gpu, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
    let blocks = blocks(batch);
    let mut recording = Recording::new();
    recording.stage(Stage::Schur.name());
    let band = normal.band.device(gpu)?;
    let found = complements::record_schur(&mut recording, layout(batch), band, batch.nspec, &blocks)?;
    gpu.run(recording)?;
    corrupt(gpu, Stage::Schur, &[&found.matrices])?;
    let (status, per_patch) = (found.status, batch.core.len());
    let status = PatchStatus::later(move || Ok(by_patch(pivots(status.download()?), per_patch)));
    Ok((Field::on_device(found.matrices), status))
}

pub fn full_matrix(gpu: &Gpu, batch: &Batch, normal: &NormalField) -> Result<Field> {
    Ok(Field::on_device(normal::full_matrix(batch, normal.band.device(gpu)?)?))
}

pub fn jacobi(gpu: &Gpu, batch: &Batch, matrices: &Field, n: usize) -> Result<(ModesField, PatchStatus)> {
    let mut recording = Recording::new();
    let found = eigen::record_eigen(&mut recording, n, matrices.device(gpu)?)?;
    gpu.run(recording)?;
    corrupt(gpu, Stage::Jacobi, &[&found.values, &found.vectors])?;
    let modes = ModesField {
        n,
        values: Field::on_device(found.values.clone()),
        vectors: Field::on_device(found.vectors.clone()),
    };
    let count = batch.len();
    let fetch = move || {
        let results: Vec<_> = found.status()?.into_iter().enumerate().map(|(k, s)| converged(k, s)).collect();
        let per_patch = results.len() / count.max(1);
        Ok(by_patch(results, per_patch))
    };
    Ok((modes, PatchStatus::later(fetch)))
}

/// Reads the status of an eigendecomposition, which does not hold the place of an element that is not finite.
fn converged(matrix: usize, sweeps: Option<Sweeps>) -> std::result::Result<(), PatchFailure> {
    match sweeps {
        Some(sweeps) if sweeps.converged => Ok(()),
        Some(sweeps) => Err(PatchFailure::Sweeps { sweeps: sweeps.sweeps }),
        None => Err(NotFinite { matrix, row: 0, column: 0, value: f64::NAN }.into()),
    }
}

pub fn decorrelate(gpu: &Gpu, batch: &Batch, modes: &ModesField, x: &Field, half: usize) -> Result<DecorrelatedField> {
    let (nspec, nbin, core) = (batch.nspec, batch.nbin, batch.core.clone());
    let shape = decorrelation::Shape { npatch: batch.len(), nspec, nbin, core, half };
    let (values, vectors) = (modes.values.device(gpu)?, modes.vectors.device(gpu)?);
    let found = decorrelation::decorrelate(&shape, modes.n, values, vectors, x.device(gpu)?)?;
    corrupt(gpu, Stage::Decorrelate, &[&found.flux, &found.ivar, &found.gain, &found.resolution])?;
    Ok(DecorrelatedField {
        flux: Field::on_device(found.flux),
        ivar: Field::on_device(found.ivar),
        gain: Field::on_device(found.gain),
        resolution: Field::on_device(found.resolution),
        half,
    })
}

pub fn model(gpu: &Gpu, batch: &Batch, traces: &BundleTraces, spots: &BundleSpots, x: &Field) -> Result<Field> {
    let spots = on_device(gpu, traces, spots)?;
    model_of(gpu, &Patches::new(batch, &spots)?, x.device(gpu)?, Unknowns::OfPatches)
}

/// The model images of patches, from unknowns in either layout.
pub(super) fn model_of(gpu: &Gpu, patches: &Patches, x: &Reals, unknowns: Unknowns) -> Result<Field> {
    let found = image::model(patches, x, unknowns)?;
    corrupt(gpu, Stage::Model, &[&found])?;
    Ok(Field::on_device(found))
}

/// The goodness of the core bins of patches, `[patch, core fibre, core bin, 3]`.
pub(super) fn goodness_of(gpu: &Gpu, patches: &Patches, ccd: &CcdField, model: &Field, psferr: f64) -> Result<Reals> {
    let found = fit::goodness(patches, ccd.device(gpu)?, model.device(gpu)?, psferr)?;
    corrupt(gpu, Stage::Goodness, &[&found])?;
    Ok(found)
}

pub fn goodness(
    gpu: &Gpu,
    batch: &Batch,
    ccd: &CcdField,
    traces: &BundleTraces,
    spots: &BundleSpots,
    model: &Field,
    psferr: f64,
) -> Result<Vec<Vec<Goodness>>> {
    let spots = on_device(gpu, traces, spots)?;
    let patches = Patches::new(batch, &spots)?;
    let found = goodness_of(gpu, &patches, ccd, model, psferr)?.download()?;
    let (bins, ncore) = (patches.core_bins(), batch.core.len());
    let count = bins.len();
    let of_bin = |k: usize| {
        let [chi2pix, pixmask_fraction, off_ccd] = [0, 1, 2].map(|which| found[3 * k + which]);
        Goodness { chi2pix, pixmask_fraction, off_ccd }
    };
    let of_patch = |(p, patch): (usize, &Patch)| {
        let own = patch.core_bins.start - bins.start..patch.core_bins.end - bins.start;
        (0..ncore).flat_map(|f| own.clone().map(move |b| (p * ncore + f) * count + b)).map(of_bin).collect()
    };
    Ok(batch.patches.iter().enumerate().map(of_patch).collect())
}

/// How many patches like those of `batch` fit on the device at once, all that their stages keep there together.
pub fn batch_size(gpu: &Gpu, batch: &Batch, how: Decorrelate) -> Result<usize> {
    let bytes = |elements: usize| gpu.real_bytes(elements);
    let ncore = batch.core.len() as u64;
    let (matrices, n) = match how {
        Decorrelate::Signal => (ncore, batch.nbin),
        Decorrelate::Noise => (1, batch.n()),
    };
    // The largest jacobi works on are columns, padded to an odd number of vec4s.
    let matrix = matrices * bytes(n * (n + 8));
    let mut needed = vec![bytes(batch.band_len()); 2];
    needed.extend([matrix; 4]);
    if how == Decorrelate::Signal {
        needed.extend(complements::block_bytes(gpu, layout(batch), batch.nspec).into_iter().map(|b| ncore * b));
    }
    needed.push(bytes(batch.patches.iter().map(Patch::npix).max().unwrap_or(0)));
    Ok(gpu.batch("one patch", &needed)?)
}

/// Bytes alive at a time while patches of a bundle go through the stages: `windows` of so many bins each, with their batches.
pub fn bytes(
    gpu: &Gpu,
    ccd: &CcdField,
    bundle: &BundleTraces,
    [traces, passing]: [u64; 2],
    windows: &[(usize, &[Batch])],
    (how, half): (Decorrelate, usize),
) -> u64 {
    let plane = (size_of::<f32>() * ccd.host().ny() * ccd.host().nx()) as u64;
    let spots = |bins: usize| gpu.real_bytes(bundle.nfibre * bins * bundle.spot.size());
    let of_window = |&(bins, batches): &(usize, &[Batch])| {
        let most = batches.iter().map(|batch| bytes_of_batch(gpu, batch, how, half)).max().unwrap_or(0);
        // The CCD goes over with the first batch, one plane at a time.
        spots(bins) + most.max(plane)
    };
    let most = windows.iter().map(of_window).max().unwrap_or(0);
    // Uploads are held twice until they are done: images, or the spots that the CPU makes.
    let most_spots = || windows.iter().map(|(bins, _)| spots(*bins)).max().unwrap_or(0);
    let uploaded = spot_kinds::bytes_served(gpu, &bundle.model).map_or_else(most_spots, |images| 2 * images);
    2 * plane + traces + uploaded + most.max(passing) + SLACK
}

/// Bytes of all that the stages make of a batch.
fn bytes_of_batch(gpu: &Gpu, batch: &Batch, how: Decorrelate, half: usize) -> u64 {
    let (ncore, n) = (batch.core.len(), batch.n());
    let (matrices, side) = match how {
        Decorrelate::Signal => (ncore, batch.nbin),
        Decorrelate::Noise => (1, n),
    };
    let spectra = ncore * batch.nbin;
    // K and its factor; y, x, the flux weight and the factor's scale; x on its way to the host.
    let solve = 2 * batch.band_len() + 5 * n;
    // The matrix, its factor and vectors, and its columns, which are padded; values and scales.
    let modes = matrices * (3 * side * side + side * (side + 8) + 4 * side);
    // Spectra, also on their way to the host.
    let decorrelate = 2 * spectra * (2 * half + 4);
    let goodness = 2 * 3 * spectra;
    let reals = gpu.real_bytes(batch.len() * (solve + modes + decorrelate + goodness));
    let schur = match how {
        Decorrelate::Signal => complements::block_bytes(gpu, layout(batch), batch.nspec).iter().sum::<u64>(),
        Decorrelate::Noise => 0,
    };
    // The model and chi^2 of every pixel.
    let npix: usize = batch.patches.iter().map(Patch::npix).sum();
    let most_rows = batch.patches.iter().map(|patch| patch.rows.len()).max().unwrap_or(0);
    // Where spots lie; places, blocks, statuses, progress.
    let words = image::marks(batch.len(), most_rows, batch.nspec) + batch.len() * (3 * 16 + matrices * 32);
    reals + (batch.len() * ncore) as u64 * schur + gpu.real_bytes(2 * npix) + 4 * words as u64
}

/// How many bins of a bundle's spots fit on the device at once.
pub fn most_spot_bins(gpu: &Gpu, bundle: &BundleTraces) -> Result<usize> {
    Ok(gpu.batch("spots of one bin", &[gpu.real_bytes(bundle.nfibre * bundle.spot.size())])?)
}
