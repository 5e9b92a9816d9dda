//! The engine's stages on the CPU: the f64 twins, patches in parallel.

use super::fields::{PixelField, blocks, by_patch, layout};
use super::{
    BundleSpots, BundleTraces, CcdField, Decorrelate, DecorrelatedField, EngineError, Field, ModesField, NormalField,
    PatchFailure, PatchStatus,
};
use crate::geometry::Patch;
use crate::geometry::Rectangle;
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::cholesky;
use crate::stages::decorrelate::{Decorrelated, FibreIndex, Modes};
use crate::stages::goodness::{Goodness, pixel_chi2};
use crate::stages::normal_equations::{NormalEquations, PatchPrior};
use crate::stages::patch::PatchSpots;
use crate::stages::spots::SpotModel;
use crate::stages::traces::Traces;
use crate::stages::{decorrelate, goodness, jacobi, model, normal_equations, schur, traces};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::OnceLock;

type Result<T> = std::result::Result<T, EngineError>;

/// Shapes handed to the linear algebra come from the plan; a mismatch is a bug here.
const PLANNED: &str = "shapes follow from the plan";

pub fn traces(psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> BundleTraces {
    let model = SpotModel::new(psf, with_tails);
    let t = traces::traces(psf, fibres, wave, with_tails);
    BundleTraces {
        nfibre: t.nfibre,
        nbin: t.nbin,
        spot: *model.shape(),
        model,
        images: OnceLock::new(),
        pixel: PixelField { host: OnceLock::from([t.pixel_x, t.pixel_y].concat()), device: OnceLock::new() },
        offset: Field::on_host(t.offset_x.into_iter().chain(t.offset_y).collect()),
        shape: Field::on_host(t.shape),
    }
}

/// The bins `bins` of rows of `nbin`.
fn cut<T: Copy>(rows: &[T], nbin: usize, bins: &Range<usize>) -> Vec<T> {
    rows.chunks_exact(nbin.max(1)).flat_map(|row| row[bins.clone()].iter().copied()).collect()
}

pub fn spots(bundle: &BundleTraces, bins: Range<usize>) -> Result<Field> {
    let mut offset_x = cut(bundle.offset.host()?, bundle.nbin, &bins);
    let offset_y = offset_x.split_off(offset_x.len() / 2);
    let [pixel_x, pixel_y] = bundle.pixels()?;
    let traces = Traces {
        nfibre: bundle.nfibre,
        nbin: bins.len(),
        pixel_x: cut(pixel_x, bundle.nbin, &bins),
        pixel_y: cut(pixel_y, bundle.nbin, &bins),
        offset_x,
        offset_y,
        shape: cut(bundle.shape.host()?, bundle.nbin, &bins),
    };
    Ok(Field::on_host(bundle.model.spots(&traces)))
}

/// The spots of one patch of a bundle, whose spots are on the host.
fn view<'a>(spots: &PatchSpots<'a>, patch: &Patch, bins: &Range<usize>) -> PatchSpots<'a> {
    PatchSpots {
        fibre0: patch.fibres.start,
        nspec: patch.nspec(),
        bin0: patch.bin0 - bins.start,
        nbin: patch.nbin,
        ..*spots
    }
}

pub fn normal_equations(
    batch: &Batch,
    ccd: &CcdField,
    traces: &BundleTraces,
    spots: &BundleSpots,
    prior: PatchPrior,
) -> Result<NormalField> {
    let n = batch.n();
    let all = spots.view(traces)?;
    let mut band = vec![0.0; batch.len() * batch.band_len()];
    let mut rhs = vec![0.0; batch.len() * n];
    let parts = band.par_chunks_mut(batch.band_len()).zip(rhs.par_chunks_mut(n)).zip(&batch.patches);
    parts.for_each(|((band, rhs), patch)| {
        let (mut flux_weight, mut alpha) = (vec![0.0; n], vec![0.0; n]);
        let out = NormalEquations { band, rhs, flux_weight: &mut flux_weight, alpha: &mut alpha };
        let (spots, pixels) = (view(&all, patch, &spots.bins), ccd.host().cut(patch));
        normal_equations::normal_equations(&spots, &pixels, batch.half_bandwidth, prior, out);
    });
    Ok(NormalField { band: Field::on_host(band), rhs: Field::on_host(rhs) })
}

pub fn solve(batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
    let mut x = normal.rhs.host()?.to_vec();
    let status = cholesky::factor_solve(layout(batch), normal.band.host()?, &mut x).expect(PLANNED);
    let status = status.into_iter().map(|s| s.map_err(PatchFailure::from)).collect();
    Ok((Field::on_host(x), PatchStatus::known(status)))
}

pub fn schur(batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
    let blocks = blocks(batch);
    let mut out = vec![0.0; blocks.len() * batch.nbin * batch.nbin];
    let band = normal.band.host()?;
    let status = schur::schur(layout(batch), band, batch.nspec, &blocks, &mut out).expect(PLANNED);
    let status = status.into_iter().map(|s| s.map_err(PatchFailure::from)).collect();
    Ok((Field::on_host(out), PatchStatus::known(by_patch(status, batch.core.len()))))
}

pub fn full_matrix(batch: &Batch, normal: &NormalField) -> Result<Field> {
    let (n, layout) = (batch.n(), layout(batch));
    let mut full = vec![0.0; batch.len() * n * n];
    full.par_chunks_mut(n * n).zip(normal.band.host()?.par_chunks(batch.band_len())).for_each(|(full, band)| {
        for i in 0..n {
            for j in layout.first_column(i)..=i {
                full[i * n + j] = band[layout.index(i, j)];
                full[j * n + i] = full[i * n + j];
            }
        }
    });
    Ok(Field::on_host(full))
}

pub fn jacobi(batch: &Batch, matrices: &Field, n: usize) -> Result<(ModesField, PatchStatus)> {
    let matrices = matrices.host()?;
    let count = matrices.len() / (n * n);
    let (mut values, mut vectors) = (vec![0.0; count * n], vec![0.0; count * n * n]);
    let status = jacobi::eigen(n, matrices, &mut values, &mut vectors).expect(PLANNED);
    let failure = |s: jacobi::Status| match s {
        Ok(sweeps) if sweeps.converged => Ok(()),
        Ok(sweeps) => Err(PatchFailure::Sweeps { sweeps: sweeps.sweeps }),
        Err(e) => Err(PatchFailure::from(e)),
    };
    let modes = ModesField { n, values: Field::on_host(values), vectors: Field::on_host(vectors) };
    let status = by_patch(status.into_iter().map(failure).collect(), count / batch.len());
    Ok((modes, PatchStatus::known(status)))
}

pub fn decorrelate(
    batch: &Batch,
    how: Decorrelate,
    modes: &ModesField,
    x: &Field,
    half: usize,
) -> Result<DecorrelatedField> {
    let (all_values, all_vectors, x) = (modes.values.host()?, modes.vectors.host()?, x.host()?);
    let (nbin, ncore, width) = (batch.nbin, batch.core.len(), 2 * half + 1);
    let spectra = batch.len() * ncore;
    let [mut flux, mut ivar, mut gain] = [(); 3].map(|()| vec![0.0; spectra * nbin]);
    let mut resolution = vec![0.0; spectra * nbin * width];
    let of_bins = flux.par_chunks_mut(nbin).zip(ivar.par_chunks_mut(nbin)).zip(gain.par_chunks_mut(nbin));
    let parts = of_bins.zip(resolution.par_chunks_mut(nbin * width)).enumerate();
    parts.for_each(|(k, (((flux, ivar), gain), resolution))| {
        let (patch, fibre) = (k / ncore, batch.core.start + k % ncore);
        let of_patch = &x[patch * batch.n()..(patch + 1) * batch.n()];
        let (matrix, index, x): (usize, FibreIndex, Vec<f64>) = match how {
            Decorrelate::Signal => {
                let own = of_patch.iter().skip(fibre).step_by(batch.nspec).copied().collect();
                (k, FibreIndex { start: 0, stride: 1 }, own)
            }
            Decorrelate::Noise => (patch, FibreIndex { start: fibre, stride: batch.nspec }, of_patch.to_vec()),
        };
        let n = modes.n;
        let modes = Modes {
            n,
            values: &all_values[matrix * n..(matrix + 1) * n],
            vectors: &all_vectors[matrix * n * n..(matrix + 1) * n * n],
        };
        decorrelate::decorrelate(modes, index, &x, 0..nbin, half, Decorrelated { flux, ivar, gain, resolution });
    });
    Ok(DecorrelatedField {
        flux: Field::on_host(flux),
        ivar: Field::on_host(ivar),
        gain: Field::on_host(gain),
        resolution: Field::on_host(resolution),
        half,
    })
}

pub fn model(batch: &Batch, traces: &BundleTraces, spots: &BundleSpots, x: &Field) -> Result<Field> {
    let all = spots.view(traces)?;
    let of_patch = |(patch, x): (&Patch, &[f64])| {
        let mut image = vec![0.0; patch.npix()];
        model::add_model(&view(&all, patch, &spots.bins), &Rectangle::of(patch), x, &mut image);
        image
    };
    let images: Vec<Vec<f64>> = batch.patches.par_iter().zip(x.host()?.par_chunks(batch.n())).map(of_patch).collect();
    Ok(Field::on_host(images.concat()))
}

pub fn goodness(
    batch: &Batch,
    ccd: &CcdField,
    traces: &BundleTraces,
    spots: &BundleSpots,
    model: &Field,
    psferr: f64,
) -> Result<Vec<Vec<Goodness>>> {
    let all = spots.view(traces)?;
    let mut rest = model.host()?;
    let mut images = Vec::with_capacity(batch.len());
    for patch in &batch.patches {
        let (image, others) = rest.split_at(patch.npix());
        images.push(image);
        rest = others;
    }
    let of_patch = |(patch, model): (&Patch, &[f64])| {
        let (spots, pixels) = (view(&all, patch, &spots.bins), ccd.host().cut(patch));
        let chi2 = pixel_chi2(&pixels, model, psferr);
        let of_fibre = |f: usize| patch.core_bins.clone().map(move |b| b * patch.nspec() + f);
        patch.core.clone().flat_map(of_fibre).map(|i| goodness::goodness(&spots, &pixels, &chi2, i)).collect()
    };
    Ok(batch.patches.par_iter().zip(images).map(of_patch).collect())
}
