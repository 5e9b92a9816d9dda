//! banded_*.wgsl against their twins.

use super::case::Case;
use spextral::gpu::banded::{
    BLOCK, Complements, Health, Normal, Poles, Refinement, Roots, Shape, Solution, poles, record_complements,
    record_prior, record_products, record_root, record_solve,
};
use spextral::gpu::patch::Patches;
use spextral::gpu::{Gpu, Precision, Reals, Recording};
use spextral::stages::banded::{
    BandedNormal, Bands, Overlaps, SolverParameters, banded_complements, banded_flux, banded_normal_equations,
    banded_root, half_bandwidth,
};
use spextral::stages::goodness::goodness;
use spextral::stages::normal_equations::Prior;
use spextral::stages::spots::SpotSource;
use testkit::{gpu_with_default_limits, in_each_precision, largest, maximum, worst};

/// Six fibres by 180 bins, the first off the CCD, a dead column and dead blocks, as one bundle.
fn bundle() -> Case {
    Case::synthetic(false).bundle()
}

fn source(case: &Case) -> SpotSource<'_> {
    SpotSource::new(&case.psf, case.fibres(), &case.wave, case.shape.tails)
}

fn twin(case: &Case, prior: Prior) -> BandedNormal {
    let spots = source(case);
    banded_normal_equations(&spots, &case.ccd(), half_bandwidth(&spots.positions(), 1), 1, prior)
}

fn shape(case: &Case, normal: &BandedNormal, bands: Bands) -> Shape {
    let (nfibre, nbin) = (case.traces.nfibre, case.wave.len());
    let (reach, kept, half) = (normal.half, bands.kept, case.shape.half_y);
    Shape { nfibre, bundle: nfibre, nbin, reach, kept, distances: 1, frontier: 1, overlap: 36, half }
}

/// The twin's normal equations on a device.
fn upload(gpu: &Gpu, shape: &Shape, normal: &BandedNormal) -> Normal {
    let out = Normal::new(gpu, shape).unwrap();
    let padded = BLOCK * shape.nblock();
    let mut own = vec![0.0f64; out.own.len()];
    let mut pairs = vec![0.0f64; out.pairs.len()];
    let mut sums = vec![0.0f64; out.sums.len()];
    let (matrix, pair) = (own.len() / shape.nfibre, pairs.len() / shape.nfibre);
    let width = 2 * normal.half + 1;
    for f in 0..shape.nfibre {
        for i in 0..padded {
            let own = &mut own[f * matrix..];
            if i >= shape.nbin {
                own[shape.element(i, i)] = normal.diagonal[f][(shape.nbin - 1) * (normal.half + 1)];
                continue;
            }
            sums[f * padded + i] = normal.rhs[f][i];
            for d in 0..=normal.half.min(shape.nbin - 1 - i) {
                let value = normal.diagonal[f][i * (normal.half + 1) + d];
                own[shape.element(i + d, i)] = value;
                if (i + d) / BLOCK == i / BLOCK {
                    own[shape.element(i, i + d)] = value;
                }
            }
            for j in i.saturating_sub(normal.half)..(i + normal.half + 1).min(shape.nbin) {
                if f > 0 {
                    let value = normal.pairs[0][f - 1][i * width + j + normal.half - i];
                    pairs[f * pair + shape.pair_element(i, j)] = value;
                }
            }
        }
    }
    out.own.write(&own).unwrap();
    out.pairs.write(&pairs).unwrap();
    out.sums.write(&sums).unwrap();
    out
}

#[test]
fn k_and_y_of_a_bundle_are_within_3e_6_of_the_twin() {
    let gpu = gpu_with_default_limits();
    let case = bundle();
    for (regularize, bands) in [0.0, 0.03].into_iter().flat_map(|r| Bands::candidates(0).iter().map(move |b| (r, *b))) {
        let prior = Prior::new(regularize);
        let expected = twin(&case, prior);
        let shape = shape(&case, &expected, bands);
        let found = Normal::new(&gpu, &shape).unwrap();
        let spots = case.spots_on(&gpu);
        let patches = Patches::new(&case.batch, &spots).unwrap();
        let mut recording = Recording::new();
        record_products(&mut recording, &patches, &case.ccd_on(&gpu), &shape, &found).unwrap();
        record_prior(&mut recording, &patches, &shape, prior, &found).unwrap();
        gpu.run(recording).unwrap();
        let expected = upload(&gpu, &shape, &expected);
        let error = |found: &Reals, expected: &Reals, count: usize| {
            let [found, expected] = [found, expected].map(|b| b.download().unwrap()[..count].to_vec());
            worst(&found, &expected) / largest(&expected)
        };
        let errors = [
            error(&found.own, &expected.own, found.own.len()),
            error(&found.pairs, &expected.pairs, found.pairs.len()),
            error(&found.sums, &expected.sums, shape.nfibre * BLOCK * shape.nblock()),
        ];
        note!("K_ff, K_fg, y: {errors:?}");
        assert!(errors.iter().all(|&e| e < 3e-6), "{errors:?}");
        let measured = Overlaps::measure(&source(&case), shape.reach).coupling();
        let coupling = found.coupling().unwrap()[0];
        // The twin looks at other places.
        assert!((0.8..1.25).contains(&(coupling.neighbours / measured.neighbours)), "{coupling:?} {measured:?}");
        assert!(coupling.beyond < 1e-9 && measured.beyond < 1e-9, "{coupling:?} {measured:?}");
    }
}

/// Fraction of a bin's spot on pixels that are not used.
fn masked(case: &Case, f: usize, i: usize) -> f64 {
    let patch = &case.batch.patches[0];
    let spots = case.view(patch);
    let pixels = case.ccd().cut(patch);
    let chi2 = vec![f64::NAN; pixels.image.len()];
    goodness(&spots, &pixels, &chi2, i * spots.nspec + f).pixmask_fraction
}

/// Bounds on the errors of S, z, flux (sigma), ivar, R, x and the truncation error. The image is noise with S/N 40 per pixel,
/// so that x is a thousand sigma.
const F32: [f64; 7] = [1e-5, 1e-3, 4e-3, 2e-4, 1e-4, 1e-3, 1e-3];
const F64: [f64; 7] = [1e-9, 1e-7, 1e-7, 1e-9, 1e-9, 1e-9, 1e-7];

#[test]
fn s_and_spectra_of_a_bundle_are_those_of_the_twin_in_bands_of_any_width() {
    for gpu in in_each_precision() {
        for &bands in Bands::candidates(0) {
            compare_spectra(&gpu, bands);
        }
    }
}

fn compare_spectra(gpu: &Gpu, bands: Bands) {
    // In f32 chunks overlap, in f64 each is the whole fibre: the arithmetic is that of the twin.
    let (allowed, overlap, floor, octets, depth, refinement) = match gpu.precision() {
        Precision::F32 => (F32, 36, 1e-8, 2, 3, Refinement::OfFibres(1)),
        Precision::F64 => (F64, 160, 1e-13, 6, 5, Refinement::OfFibres(8)),
    };
    let case = bundle();
    let expected = twin(&case, Prior::new(0.0));
    let shape = Shape { overlap, ..shape(&case, &expected, bands) };
    let choice = SolverParameters::measure(&expected, 1e-7, 0.8, 60, 0.0).unwrap();
    let (x, _) = banded_flux(&expected, &choice).unwrap();
    let s = banded_complements(&expected, bands.kept, &choice).unwrap();
    let roots: Vec<_> = s.iter().zip(&x).map(|(s, x)| banded_root(s, x, shape.half, &choice)).collect();

    let normal = upload(gpu, &shape, &expected);
    let found = Complements::new(gpu, &shape).unwrap();
    let poles = Poles::new(gpu, &poles(floor, octets)).unwrap();
    let solution = Solution::new(gpu, &shape).unwrap();
    let spectra = Roots::new(gpu, &shape, &poles).unwrap();
    let mut recording = Recording::new();
    record_complements(&mut recording, &shape, &normal, depth, &found).unwrap();
    record_solve(&mut recording, &shape, &normal, &found, refinement, &solution).unwrap();
    record_root(&mut recording, &shape, &found, &solution, &poles, &spectra).unwrap();
    gpu.run(recording).unwrap();

    let (matrices, reduced) = (found.matrices.download().unwrap(), found.reduced.download().unwrap());
    let (all, deconvolved) = (spectra.spectra.download().unwrap(), spectra.x.download().unwrap());
    let bins = shape.nfibre * shape.nbin;
    let mut worst = [0.0f64; 7];
    let mut keep = |k: usize, error: f64| worst[k] = maximum([worst[k], error].into_iter());
    for f in 0..shape.nfibre {
        let at = |i: usize, d: usize| s[f].matrix[i * (s[f].band + 1) + d];
        for i in (0..shape.nbin).filter(|&i| masked(&case, f, i) < 0.5) {
            let sigma = at(i, 0).sqrt();
            for d in 0..=s[f].band {
                if i + d < shape.nbin {
                    let ours = matrices[f * matrices.len() / shape.nfibre + shape.element(i + d, i)];
                    keep(0, (ours - at(i, d)).abs() / (sigma * at(i + d, 0).sqrt()));
                }
            }
            let z = reduced[f * BLOCK * shape.nblock() + i];
            keep(1, (z - s[f].rhs[i]).abs() / sigma);
            let k = f * shape.nbin + i;
            let (ones, flux) = (roots[f].row_sums[i], roots[f].qx[i]);
            keep(2, (all[k] * ones - flux).abs());
            keep(3, (all[bins + k] / (ones * ones) - 1.0).abs());
            for d in 0..=shape.half.min(shape.nbin - 1 - i) {
                let r = roots[f].diagonals[i * (shape.half + 1) + d] / ones;
                keep(4, (all[3 * bins + k * (2 * shape.half + 1) + shape.half + d] - r).abs());
            }
            keep(5, (deconvolved[i * shape.nfibre + f] - x[f][i]).abs() / largest(&x[f]));
            keep(6, (all[2 * bins + k] - roots[f].truncation_error[i]).abs());
        }
    }
    let missed = roots.iter().flat_map(|root| &root.truncation_error).fold(0.0, |m: f64, v| m.max(*v));
    note!("{} {bands:?}, which cost {missed:.1e}: S, z, flux, ivar, R, x, missed: {worst:?}", gpu.precision());
    assert!(worst.iter().zip(allowed).all(|(w, a)| *w < a), "{bands:?}: {worst:?}");
    assert!(bands.kept > 12 || missed > 100.0 * F64[6], "the narrowest bands cost something");
    let health = Health::of(&found.health().download().unwrap(), shape.nfibre);
    assert!(health.bad_pivot.is_none() && (1e-3..0.1).contains(&health.least_pivot), "{health:?}");
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_named() {
    let gpu = gpu_with_default_limits();
    let case = bundle();
    let mut expected = twin(&case, Prior::new(0.0));
    expected.diagonal[4][93 * (expected.half + 1)] *= -1.0;
    for &bands in Bands::candidates(0) {
        let shape = shape(&case, &expected, bands);
        let normal = upload(&gpu, &shape, &expected);
        let found = Complements::new(&gpu, &shape).unwrap();
        let mut recording = Recording::new();
        record_complements(&mut recording, &shape, &normal, 1, &found).unwrap();
        gpu.run(recording).unwrap();
        let health = Health::of(&found.health().download().unwrap(), shape.nfibre);
        assert_eq!(health.bad_pivot, Some((4, 92)), "{bands:?}");
    }
}
