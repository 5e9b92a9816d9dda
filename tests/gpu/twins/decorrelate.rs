//! decorrelate.wgsl against its twin.

use super::case::noise;
use spextral::gpu::decorrelate::{Shape, decorrelate};
use spextral::gpu::{Gpu, GpuError};
use spextral::stages::decorrelate::{self as cpu, FibreIndex, Modes};
use spextral::stages::jacobi::eigen;
use testkit::{allowed, gpu_with_default_limits, in_each_precision, largest, worst};

/// Eigenmodes of matrices that couple neighbours, `[matrix, n]` and `[matrix, n, n]`.
fn modes(matrices: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    let diagonal = noise(3, matrices * n);
    let element = |m: usize, i: usize, j: usize| match i.abs_diff(j) {
        0 => 1.0 + diagonal[m * n + i],
        1 => 0.6,
        2 => 0.2,
        _ => 0.0,
    };
    let all = (0..matrices * n * n).map(|k| element(k / (n * n), k / n % n, k % n)).collect::<Vec<f64>>();
    let (mut values, mut vectors) = (vec![0.0; matrices * n], vec![0.0; all.len()]);
    assert!(eigen(n, &all, &mut values, &mut vectors).unwrap().iter().all(|s| s.is_ok_and(|s| s.converged)));
    (values, vectors)
}

/// Compares every spectrum of a batch, with modes of each fibre or of each patch.
fn compare(shape: &Shape, together: bool) {
    in_each_precision().iter().for_each(|gpu| compare_on(gpu, shape, together));
}

fn compare_on(gpu: &Gpu, shape: &Shape, together: bool) {
    let Shape { npatch, nspec, nbin, half, .. } = *shape;
    let (ncore, width) = (shape.core.len(), 2 * half + 1);
    let (matrices, n) = if together { (npatch, nspec * nbin) } else { (npatch * ncore, nbin) };
    let (values, vectors) = modes(matrices, n);
    let x: Vec<f64> = noise(5, npatch * nspec * nbin).into_iter().map(|v| 500.0 * v).collect();
    let up = |values: &[f64]| gpu.upload_reals("input", values).unwrap();
    let found = decorrelate(shape, n, &up(&values), &up(&vectors), &up(&x)).unwrap();
    let (flux, ivar) = (found.flux.download().unwrap(), found.ivar.download().unwrap());
    let (gain, resolution) = (found.gain.download().unwrap(), found.resolution.download().unwrap());
    for k in 0..npatch * ncore {
        let (patch, fibre) = (k / ncore, shape.core.start + k % ncore);
        let of_patch = &x[patch * nspec * nbin..(patch + 1) * nspec * nbin];
        let own: Vec<f64> = of_patch.iter().skip(fibre).step_by(nspec).copied().collect();
        let (m, index, x) = match together {
            true => (patch, FibreIndex { start: fibre, stride: nspec }, of_patch),
            false => (k, FibreIndex { start: 0, stride: 1 }, own.as_slice()),
        };
        let modes = Modes { n, values: &values[m * n..(m + 1) * n], vectors: &vectors[m * n * n..(m + 1) * n * n] };
        let [mut f, mut w, mut g] = [(); 3].map(|()| vec![0.0; nbin]);
        let mut r = vec![0.0; nbin * width];
        let out = cpu::Decorrelated { flux: &mut f, ivar: &mut w, gain: &mut g, resolution: &mut r };
        cpu::decorrelate(modes, index, x, 0..nbin, half, out);
        let bins = k * nbin..(k + 1) * nbin;
        assert!(worst(&flux[bins.clone()], &f) < allowed(gpu, 3e-6, 1e-12) * largest(&f), "flux of spectrum {k}");
        assert!(worst(&gain[bins.clone()], &g) < allowed(gpu, 1e-5, 1e-12) * largest(&g), "gain of spectrum {k}");
        assert!(worst(&ivar[bins], &w) < allowed(gpu, 3e-6, 1e-12) * largest(&w), "ivar of spectrum {k}");
        assert!(
            worst(&resolution[k * nbin * width..(k + 1) * nbin * width], &r) < allowed(gpu, 1e-6, 1e-12),
            "R of spectrum {k}"
        );
    }
}

#[test]
fn fibres_decorrelated_one_by_one_agree_with_the_twin() {
    compare(&Shape { npatch: 2, nspec: 4, nbin: 30, core: 1..3, half: 5 }, false);
    compare(&Shape { npatch: 1, nspec: 1, nbin: 3, core: 0..1, half: 5 }, false);
}

#[test]
fn fibres_decorrelated_together_agree_with_the_twin() {
    compare(&Shape { npatch: 2, nspec: 5, nbin: 30, core: 1..4, half: 5 }, true);
}

#[test]
fn modes_of_another_shape_are_refused() {
    let gpu = gpu_with_default_limits();
    let shape = Shape { npatch: 1, nspec: 2, nbin: 3, core: 0..2, half: 1 };
    let zeros = |len| gpu.reals("input", len).unwrap();
    let refused = decorrelate(&shape, 4, &zeros(4), &zeros(16), &zeros(6)).unwrap_err();
    assert!(matches!(refused, GpuError::Length { expected: 6, found: 4, .. }), "{refused}");
    let large = Shape { nspec: 400, core: 0..1, ..shape };
    let refused = decorrelate(&large, 1200, &zeros(1200), &zeros(1_440_000), &zeros(1200)).unwrap_err();
    assert!(matches!(refused, GpuError::Limit { value: 1200, .. }), "{refused}");
}
