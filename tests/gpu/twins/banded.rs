//! banded_*.wgsl against their twins.

use super::case::Case;
use spextral::gpu::banded::{
    BLOCK, Complements, Health, Normal, Poles, Refinement, RootPoles, Roots, Shape, Solution, kept, record_complements,
    record_products, record_root, record_solve,
};
use spextral::gpu::patch::Patches;
use spextral::gpu::{Gpu, Precision, Reals, Recording};
use spextral::stages::banded::{
    BandedNormal, Overlaps, SolverParameters, banded_complements, banded_flux, banded_normal_equations, banded_root,
    half_bandwidth,
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
    twin_of(case, prior, 1)
}

fn twin_of(case: &Case, prior: Prior, distances: usize) -> BandedNormal {
    let spots = source(case);
    let half = half_bandwidth(&spots.positions(), distances);
    banded_normal_equations(&spots, &case.ccd(), half, distances, prior)
}

fn shape(case: &Case, normal: &BandedNormal, kept: usize) -> Shape {
    let (nfibre, nbin) = (case.traces.nfibre, case.wave.len());
    let distances = normal.pairs.len();
    let half = case.shape.half_y;
    Shape { nfibre, bundle: nfibre, nbin, reach: normal.half, kept, distances, frontier: distances, overlap: 36, half }
}

/// All half bandwidths.
fn all_kept() -> impl Iterator<Item = usize> {
    kept(0, 1, Precision::F32).iter().copied()
}

/// The twin's normal equations on a device.
fn upload(gpu: &Gpu, shape: &Shape, normal: &BandedNormal) -> Normal {
    let out = Normal::new(gpu, shape).unwrap();
    let padded = BLOCK * shape.nblock();
    let mut own = vec![0.0f64; out.own.len()];
    let mut pairs = vec![0.0f64; out.pairs.len()];
    let mut sums = vec![0.0f64; out.sums.len()];
    let (matrix, pair) = (own.len() / shape.nfibre, shape.pair_len());
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
                for d in 1..=shape.distances.min(f) {
                    let value = normal.pairs[d - 1][f - d][i * width + j + normal.half - i];
                    pairs[((d - 1) * shape.nfibre + f) * pair + shape.pair_element(i, j)] = value;
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
    for (regularize, kept) in [0.0, 0.03].into_iter().flat_map(|r| all_kept().map(move |kept| (r, kept))) {
        let prior = Prior::new(regularize, 0.25);
        // Blocks of second neighbours, too, though they hold nothing here.
        let distances = if kept == 16 { 2 } else { 1 };
        let expected = twin_of(&case, prior, distances);
        let shape = shape(&case, &expected, kept);
        let found = Normal::new(&gpu, &shape).unwrap();
        let spots = case.spots_on(&gpu);
        let patches = Patches::with_priors(&case.batch, &spots, &[prior]).unwrap();
        let mut recording = Recording::new();
        record_products(&mut recording, &patches, &case.ccd_on(&gpu), &shape, &found).unwrap();
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
        let measured = Overlaps::measure(&source(&case), shape.reach).coupling(1);
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
    let case = bundle();
    let expected = twin(&case, Prior::new(0.0, 0.25));
    let good: Vec<Vec<bool>> =
        (0..case.traces.nfibre).map(|f| (0..case.wave.len()).map(|i| masked(&case, f, i) < 0.5).collect()).collect();
    for gpu in in_each_precision() {
        for kept in all_kept() {
            let shape = shape(&case, &expected, kept);
            let refinement = match gpu.precision() {
                Precision::F32 => Refinement::OfFibres(1),
                Precision::F64 => Refinement::OfFibres(8),
            };
            let (missed, least_pivot) = compare_spectra(&gpu, &shape, &expected, &good, refinement);
            assert!(kept > 12 || missed > 100.0 * F64[6], "the narrowest bands cost something");
            assert!((1e-3..0.1).contains(&least_pivot), "{least_pivot}");
        }
    }
}

#[test]
fn the_error_of_too_few_poles_is_in_the_truncation_error() {
    let case = bundle();
    let expected = twin(&case, Prior::new(0.0, 0.25));
    for gpu in in_each_precision() {
        let shape = shape(&case, &expected, 16);
        let spectra = |most: usize| {
            let normal = upload(&gpu, &shape, &expected);
            let found = Complements::new(&gpu, &shape).unwrap();
            let solution = Solution::new(&gpu, &shape).unwrap();
            let poles = Poles::new(&gpu, &RootPoles::new(1e-10, most, 1e-6)).unwrap();
            let spectra = Roots::new(&gpu, &shape, &poles).unwrap();
            let mut recording = Recording::new();
            record_complements(&mut recording, &shape, &normal, 5, &found).unwrap();
            record_solve(&mut recording, &shape, &normal, &found, Refinement::OfFibres(1), &solution).unwrap();
            record_root(&mut recording, &shape, &found, &solution, &poles, &spectra).unwrap();
            gpu.run(recording).unwrap();
            spectra.spectra.download().unwrap()
        };
        let (enough, few) = (spectra(24), spectra(8));
        let bins = shape.nfibre * shape.nbin;
        let error = |bin: usize| (few[bin] - enough[bin]).abs() * enough[bins + bin].sqrt();
        let largest = (0..bins).map(error).fold(0.0, f64::max);
        assert!(largest > 0.1, "8 poles are too few: {largest}");
        for bin in 0..bins {
            let told = few[2 * bins + bin];
            assert!(error(bin) <= told && enough[2 * bins + bin] < 1e-3 * told, "{bin}: {} {told}", error(bin));
        }
        note!(
            "{}: flux is {largest:.1} sigma off, told at most {:.1}",
            gpu.precision(),
            few[2 * bins..3 * bins].iter().copied().fold(0.0, f64::max)
        );
    }
}

/// Seven fibres that share light with up to `far` on either side: G^T G + 20 for a G whose rows see that many.
fn far_fibres(far: usize) -> (BandedNormal, Vec<Vec<bool>>) {
    let (nfibre, n, half) = (7, 90, 6);
    let random = |a: usize, b: usize, c: usize| ((31 * a + 17 * b + 7 * c) as f64 * 12.9898).sin();
    // Row i of fibre f sees bins i..i + half / 2 of the fibres f..f + far.
    let row = |f: usize, i: usize, g: usize, j: usize| {
        let inside = f < nfibre && (f..=f + far).contains(&g) && (i..=i + half / 2).contains(&j);
        if inside { random(7 * f + g, i, j) * 0.6f64.powi((g - f) as i32) } else { 0.0 }
    };
    let element = |f: usize, i: usize, g: usize, j: usize| -> f64 {
        let rows = f.max(g).saturating_sub(far)..=f.min(g);
        let products = rows.flat_map(|r| (i.max(j).saturating_sub(half / 2)..=i.min(j)).map(move |k| (r, k)));
        let own = if f == g && i == j { 20.0 } else { 0.0 };
        own + products.map(|(r, k)| row(r, k, f, i) * row(r, k, g, j)).sum::<f64>()
    };
    let inside = |i: usize, d: usize| (i + d).checked_sub(half).filter(|&j| j < n);
    let pair = |f: usize, g: usize| -> Vec<f64> {
        let bins = (0..n).flat_map(|i| (0..2 * half + 1).map(move |d| (i, d)));
        bins.map(|(i, d)| inside(i, d).map_or(0.0, |j| element(f, i, g, j))).collect()
    };
    let diagonal = |f: usize| -> Vec<f64> {
        let bins = (0..n).flat_map(|i| (0..=half).map(move |d| (i, d)));
        bins.map(|(i, d)| if i + d < n { element(f, i + d, f, i) } else { 0.0 }).collect()
    };
    let normal = BandedNormal {
        n,
        half,
        diagonal: (0..nfibre).map(diagonal).collect(),
        pairs: (1..=far).map(|d| (d..nfibre).map(|f| pair(f, f - d)).collect()).collect(),
        rhs: (0..nfibre).map(|f| (0..n).map(|i| 30.0 * random(f, i, 5)).collect()).collect(),
    };
    (normal, vec![vec![true; n]; nfibre])
}

#[test]
fn fibres_that_share_light_over_two_and_three_have_the_spectra_of_the_twin() {
    for gpu in in_each_precision() {
        for (far, kept) in [(2, 32), (3, 32)] {
            let (expected, good) = far_fibres(far);
            let (nfibre, nbin) = (good.len(), expected.n);
            let (reach, distances, frontier) = (expected.half, far, far);
            let shape = Shape { nfibre, bundle: nfibre, nbin, reach, kept, distances, frontier, overlap: 36, half: 5 };
            // One more than there are neighbours, as a pass takes one fewer.
            compare_spectra(&gpu, &shape, &expected, &good, Refinement::OfBundles(4, 7));
        }
    }
}

/// Compares S and spectra with those of the twin at good bins. Returns the largest truncation error of the twin, and the smallest
/// pivot.
fn compare_spectra(
    gpu: &Gpu,
    shape: &Shape,
    expected: &BandedNormal,
    good: &[Vec<bool>],
    refinement: Refinement,
) -> (f64, f64) {
    // In f32 chunks overlap, in f64 each is the whole fibre: the arithmetic is that of the twin.
    let (allowed, overlap, poles) = match gpu.precision() {
        Precision::F32 => (F32, 36, RootPoles::new(1e-8, 16, 2e-6)),
        Precision::F64 => (F64, 160, RootPoles::new(1e-13, 48, 1e-12)),
    };
    let depth = match refinement {
        Refinement::OfFibres(_) => 5,
        Refinement::OfBundles(_, depth) => depth,
    };
    let fine = gpu.precision() == Precision::F64;
    let shape = Shape { overlap, ..*shape };
    let choice = SolverParameters::measure(expected, 1e-7, 0.8, 60, 0.0).unwrap();
    let (x, _) = banded_flux(expected, &choice).unwrap();
    let s = banded_complements(expected, shape.kept, &choice).unwrap();
    let roots: Vec<_> = s.iter().zip(&x).map(|(s, x)| banded_root(s, x, shape.half, &choice)).collect();

    let normal = upload(gpu, &shape, expected);
    let found = Complements::new(gpu, &shape).unwrap();
    let poles = Poles::new(gpu, &poles).unwrap();
    let solution = Solution::new(gpu, &shape).unwrap();
    let spectra = Roots::new(gpu, &shape, &poles).unwrap();
    let mut recording = Recording::new();
    record_complements(&mut recording, &shape, &normal, depth, &found).unwrap();
    gpu.run(recording).unwrap();
    let (matrices, reduced) = (found.matrices.download().unwrap(), found.reduced.download().unwrap());
    let mut recording = Recording::new();
    record_solve(&mut recording, &shape, &normal, &found, refinement, &solution).unwrap();
    record_root(&mut recording, &shape, &found, &solution, &poles, &spectra).unwrap();
    gpu.run(recording).unwrap();

    let (all, deconvolved) = (spectra.spectra.download().unwrap(), spectra.x.download().unwrap());
    let bins = shape.nfibre * shape.nbin;
    let mut worst = [0.0f64; 7];
    let mut keep = |k: usize, error: f64| worst[k] = maximum([worst[k], error].into_iter());
    for f in 0..shape.nfibre {
        let at = |i: usize, d: usize| s[f].matrix[i * (s[f].band + 1) + d];
        for i in (0..shape.nbin).filter(|&i| good[f][i]) {
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
            let (ones, correction) = (roots[f].row_sums[i], roots[f].correction[i]);
            let flux = roots[f].qx[i] + if fine { correction } else { 0.0 };
            keep(2, (all[k] * ones - flux).abs());
            keep(3, (all[bins + k] / (ones * ones) - 1.0).abs());
            for d in 0..=shape.half.min(shape.nbin - 1 - i) {
                let r = roots[f].diagonals[i * (shape.half + 1) + d] / ones;
                keep(4, (all[3 * bins + k * (2 * shape.half + 1) + shape.half + d] - r).abs());
            }
            keep(5, (deconvolved[i * shape.nfibre + f] - x[f][i]).abs() / largest(&x[f]));
            keep(6, (all[2 * bins + k] - correction.abs()).abs());
        }
    }
    let missed = roots.iter().flat_map(|root| &root.correction).fold(0.0, |m: f64, v| m.max(v.abs()));
    let what = format!("{}, {} bins, {} neighbours", gpu.precision(), shape.kept, shape.distances);
    note!("{what}, which cost {missed:.1e}: S, z, flux, ivar, R, x, missed: {worst:?}");
    assert!(worst.iter().zip(allowed).all(|(w, a)| *w < a), "{what}: {worst:?}");
    if let (true, Refinement::OfFibres(rounds)) = (fine, refinement) {
        let residuals = solution.worst.download().unwrap();
        let after = |round: usize| {
            let of_round = &residuals[round * shape.nfibre..(round + 1) * shape.nfibre];
            of_round.iter().map(|bits| f32::from_bits(*bits)).fold(0.0, f32::max)
        };
        let converged = (1..rounds).find(|&round| after(round) <= 1e-11);
        assert!(converged.is_some() || shape.kept < 64, "{what}: in wide bands x converges");
        let later = converged.map_or(rounds, |round| round + 1);
        assert!((later..rounds).all(|round| after(round) == 0.0), "{what}: no round follows");
    }
    let health = Health::of(&found.health().download().unwrap(), shape.nfibre);
    assert!(health.bad_pivot.is_none(), "{what}: {health:?}");
    (missed, health.least_pivot)
}

#[test]
fn a_matrix_that_is_not_positive_definite_is_named() {
    let gpu = gpu_with_default_limits();
    let case = bundle();
    let mut expected = twin(&case, Prior::new(0.0, 0.25));
    expected.diagonal[4][93 * (expected.half + 1)] *= -1.0;
    for kept in all_kept() {
        let shape = shape(&case, &expected, kept);
        let normal = upload(&gpu, &shape, &expected);
        let found = Complements::new(&gpu, &shape).unwrap();
        let mut recording = Recording::new();
        record_complements(&mut recording, &shape, &normal, 1, &found).unwrap();
        gpu.run(recording).unwrap();
        let health = Health::of(&found.health().download().unwrap(), shape.nfibre);
        assert_eq!(health.bad_pivot, Some((4, 92)), "{kept} bins");
    }
}
