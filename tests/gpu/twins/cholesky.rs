//! Cholesky factors and solves against nalgebra.

use nalgebra::{DMatrix, DVector};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use spextral::gpu::cholesky::{Passes, factor, factor_solve, solve};
use spextral::gpu::{Gpu, OpenOptions};
use spextral::stages::cholesky::Layout;

use super::matrices::{band, banded, noise, rows, spread, with_eigenvalues};
use testkit::{allowed, gpu, gpu_with_default_limits, in_each_precision, open};

/// Largest difference of L L^T from K, relative to sqrt(K_ii K_jj): the backward error that the theory bounds.
fn backward_error(k: &DMatrix<f64>, element: impl Fn(usize, usize) -> f64) -> f64 {
    let n = k.nrows();
    let l = DMatrix::from_fn(n, n, |i, j| if j <= i { element(i, j) } else { 0.0 });
    let product = &l * l.transpose();
    let relative = |i: usize, j: usize| (product[(i, j)] - k[(i, j)]).abs() / (k[(i, i)] * k[(j, j)]).sqrt();
    (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| relative(i, j)).fold(0.0, f64::max)
}

fn dense_backward_error(gpu: &Gpu, k: &DMatrix<f64>) -> f64 {
    let n = k.nrows();
    let mut matrices = rows(k);
    let statuses = factor(gpu, Layout::dense(n), &mut matrices).unwrap();
    assert_eq!(statuses, [Ok(())], "n = {n}");
    backward_error(k, |i, j| matrices[i * n + j])
}

#[test]
fn dense_factors_multiply_back_for_any_size_in_both_memories() {
    // With WebGPU's limits n = 64 and up are in storage, the others in workgroup memory.
    let small = gpu_with_default_limits();
    let large = gpu();
    for n in [1, 2, 3, 7, 8, 9, 16, 33, 63, 64, 74] {
        let k = with_eigenvalues(n as u64, &spread(n, 100.0));
        for gpu in [&small, &large] {
            let error = dense_backward_error(gpu, &k);
            assert!(error < 2e-6, "n = {n}: {error:e}");
        }
    }
}

#[test]
fn ill_conditioned_and_badly_scaled_matrices_factor_as_well() {
    for gpu in in_each_precision() {
        let k = with_eigenvalues(5, &spread(50, 1e6));
        // Pixels beside masked ones differ from the rest by 1e9 and more; f32 squares of 1e25 would overflow.
        let scales = DMatrix::from_diagonal(&DVector::from_fn(50, |i, _| 10f64.powi(i as i32 % 5 * 6 - 12)));
        for k in [k.clone(), &scales * &k * &scales] {
            let error = dense_backward_error(&gpu, &k);
            assert!(error < allowed(&gpu, 2e-6, 1e-14), "{error:e}");
        }
    }
}

#[test]
fn band_factors_multiply_back_and_solve() {
    for gpu in in_each_precision() {
        for (n, half_band) in [(1, 0), (5, 0), (20, 3), (40, 39), (40, 60), (130, 17), (300, 55)] {
            let k = banded(n as u64, n, half_band);
            let layout = Layout::band(n, half_band);
            let mut matrices = band(&k, half_band);
            let truth = DVector::from_vec(noise(9, n));
            let mut sides: Vec<f64> = (&k * &truth).iter().copied().collect();
            assert_eq!(factor_solve(&gpu, layout, &mut matrices, &mut sides).unwrap(), [Ok(())]);
            let error = backward_error(&k, |i, j| if i - j > half_band { 0.0 } else { matrices[layout.index(i, j)] });
            assert!(error < allowed(&gpu, 2e-6, 1e-14), "n = {n}, half band {half_band}: {error:e}");
            let worst = sides.iter().zip(&truth).map(|(x, t)| (x - t).abs()).fold(0.0, f64::max);
            assert!(worst < allowed(&gpu, 2e-5, 1e-13), "n = {n}, half band {half_band}: {worst:e}");
        }
    }
}

#[test]
fn triangular_solves_agree_with_nalgebra_for_several_right_sides() {
    let gpu = gpu();
    for n in [1, 2, 11, 74, 200] {
        let l = with_eigenvalues(3, &spread(n, 50.0)).cholesky().unwrap().l();
        let sides = DMatrix::from_vec(n, 3, noise(4, 3 * n));
        let cases = [
            (Passes::Forward, l.solve_lower_triangular(&sides).unwrap()),
            (Passes::Backward, l.tr_solve_lower_triangular(&sides).unwrap()),
        ];
        for (passes, expected) in cases {
            let mut found: Vec<f64> = sides.iter().copied().collect();
            solve(&gpu, Layout::dense(n), &rows(&l), &mut found, passes).unwrap();
            let scale = expected.amax();
            let worst = found.iter().zip(&expected).map(|(x, t)| (x - t).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5 * scale, "{passes:?}, n = {n}: {worst:e} of {scale}");
        }
    }
}

#[test]
fn the_largest_size_factors_within_default_limits() {
    let gpu = gpu_with_default_limits();
    let layout = Layout::band(1024, 40);
    let k = banded(1, 1024, 40);
    let mut matrices = band(&k, 40);
    assert_eq!(factor(&gpu, layout, &mut matrices).unwrap(), [Ok(())]);
    let error = backward_error(&k, |i, j| if i - j > 40 { 0.0 } else { matrices[layout.index(i, j)] });
    assert!(error < 2e-6, "{error:e}");
    let beyond = factor(&gpu, Layout::band(1025, 0), &mut [1.0; 1025]).unwrap_err().to_string();
    assert!(beyond.contains("1025") && beyond.contains("1024"), "{beyond}");
}

#[test]
fn a_pivot_that_is_not_positive_names_matrix_and_index_and_leaves_the_others_alone() {
    let gpu = gpu();
    for n in [3, 20, 70] {
        let good = rows(&with_eigenvalues(1, &spread(n, 10.0)));
        for (bad_index, bad_value) in [(0, -1.0), (n / 2, -5.0), (n - 1, f64::NAN), (1, 0.0)] {
            let mut bad = good.clone();
            bad[bad_index * n + bad_index] = bad_value;
            let mut matrices = [good.clone(), bad.clone(), good.clone()].concat();
            let statuses = factor(&gpu, Layout::dense(n), &mut matrices).unwrap();
            let failed = statuses[1].unwrap_err();
            assert_eq!((failed.matrix, failed.index), (1, bad_index), "n = {n}");
            assert!(failed.pivot.is_nan() || failed.pivot <= 0.0, "{failed:?}");
            assert_eq!((statuses[0], statuses[2]), (Ok(()), Ok(())));
            assert_eq!(matrices[..n * n], matrices[2 * n * n..], "neighbours of a bad matrix");
            let bits = |m: &[f64]| m.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&matrices[n * n..2 * n * n]), bits(&bad), "a bad matrix stays as it was");
        }
    }
}

#[test]
fn factors_are_bitwise_equal_for_any_batch_size() {
    let gpu = gpu();
    // 8000 bytes hold two of these matrices with their scales: the batch goes through in parts.
    let cramped = open(&OpenOptions { memory: Some(8000), ..Default::default() });
    let layout = Layout::band(60, 13);
    let each: Vec<Vec<f64>> = (0..9).map(|seed| band(&banded(seed, 60, 13), 13)).collect();
    let mut together = each.concat();
    assert!(factor(&cramped, layout, &mut together).unwrap().iter().all(Result::is_ok));
    for (k, alone) in each.into_iter().enumerate() {
        let mut alone = alone;
        factor(&gpu, layout, &mut alone).unwrap();
        let bits = |m: &[f64]| m.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&alone), bits(&together[k * layout.len()..(k + 1) * layout.len()]), "matrix {k}");
    }
}

#[test]
fn random_batches_of_random_sizes_solve_as_the_twin_does() {
    let gpu = gpu_with_default_limits();
    let cases = (1..90usize, 0..90usize, 1..6usize, 1..4usize, 0..1000u64);
    let property = |(n, half_band, batch, right_sides, seed)| {
        let layout = Layout::band(n, half_band);
        let all: Vec<DMatrix<f64>> = (0..batch as u64).map(|k| banded(seed + k, n, half_band)).collect();
        let mut matrices: Vec<f64> = all.iter().flat_map(|k| band(k, half_band)).collect();
        let twin: Vec<f64> = matrices.clone();
        let mut expected = noise(seed, batch * right_sides * n);
        let mut sides: Vec<f64> = expected.clone();
        assert!(factor_solve(&gpu, layout, &mut matrices, &mut sides).unwrap().iter().all(Result::is_ok));
        spextral::stages::cholesky::factor_solve(layout, &twin, &mut expected).unwrap();
        let scale = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        let worst = sides.iter().zip(&expected).map(|(x, t)| (x - t).abs()).fold(0.0, f64::max);
        assert!(worst < 3e-5 * scale, "{worst:e} of {scale}");
        Ok(())
    };
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)).run(&cases, property).unwrap();
}
