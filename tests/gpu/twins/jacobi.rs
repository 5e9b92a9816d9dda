//! Eigendecompositions against nalgebra and against matrices made with known eigenvalues.

use nalgebra::DMatrix;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use spextral::gpu::jacobi;
use spextral::gpu::{Gpu, OpenOptions};
use spextral::stages::jacobi::Status;

use super::matrices::{rows, spread, with_eigenvalues};
use testkit::{allowed, gpu, gpu_with_default_limits, in_each_precision, open};

/// Eigenvalues, eigenvectors and statuses.
fn eigen(gpu: &Gpu, n: usize, matrices: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<Status>) {
    let (mut values, mut vectors) = (vec![0.0; matrices.len() / n], vec![0.0; matrices.len()]);
    let statuses = jacobi::eigen(gpu, n, matrices, &mut values, &mut vectors).unwrap();
    (values, vectors, statuses)
}

/// Decomposes one matrix. Returns the largest errors of the eigenvalues, of A V - V Lambda and of V^T V - I, all relative to
/// the largest eigenvalue.
fn errors(gpu: &Gpu, a: &DMatrix<f64>) -> [f64; 3] {
    let n = a.nrows();
    let (values, vectors, statuses) = eigen(gpu, n, &rows(a));
    let sweeps = statuses[0].unwrap();
    assert!(sweeps.converged && sweeps.sweeps <= 15, "n = {n}: {sweeps:?}");
    assert!(values.is_sorted(), "n = {n}");
    let mut expected: Vec<f64> = a.clone().symmetric_eigenvalues().iter().copied().collect();
    expected.sort_by(f64::total_cmp);
    let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs())).max(f64::MIN_POSITIVE);
    let value_error = values.iter().zip(&expected).map(|(x, e)| (x - e).abs() / largest).fold(0.0, f64::max);
    let v = DMatrix::from_iterator(n, n, vectors);
    let lambda = DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(&values));
    let residual = (a * &v - &v * lambda).amax() / largest;
    let orthogonality = (v.transpose() * &v - DMatrix::identity(n, n)).amax();
    [value_error, residual, orthogonality]
}

fn assert_small(errors: [f64; 3], bounds: [f64; 3], what: &str) {
    for (error, bound) in errors.into_iter().zip(bounds) {
        assert!(error <= bound, "{what}: {errors:?} beyond {bounds:?}");
    }
}

#[test]
fn eigenpairs_agree_with_nalgebra_for_any_size_in_both_memories() {
    // With WebGPU's limits n above 60 is in storage, the others in workgroup memory.
    let small = gpu_with_default_limits();
    let large = gpu();
    for n in [1, 2, 3, 5, 8, 17, 50, 64, 74, 128] {
        let a = with_eigenvalues(n as u64, &spread(n, 1e3));
        for gpu in [&small, &large] {
            assert_small(errors(gpu, &a), [3e-6, 5e-6, 2e-5], &format!("n = {n}"));
        }
    }
}

#[test]
fn ill_conditioned_and_clustered_eigenvalues_converge() {
    for gpu in in_each_precision() {
        let clustered: Vec<f64> = (0..40).map(|k| if k % 2 == 0 { 1.0 } else { 2.0 + 1e-6 * k as f64 }).collect();
        for (eigenvalues, what) in
            [(spread(50, 1e6), "condition 1e6"), (clustered, "clustered"), (vec![3.0; 20], "all equal")]
        {
            let a = with_eigenvalues(7, &eigenvalues);
            let most = [(3e-6, 1e-14), (5e-6, 2e-14), (2e-5, 1e-13)].map(|(f32, f64)| allowed(&gpu, f32, f64));
            assert_small(errors(&gpu, &a), most, what);
        }
    }
}

#[test]
fn matrices_that_are_not_positive_definite_are_shifted_and_shifted_back() {
    for gpu in in_each_precision() {
        let indefinite: Vec<f64> = (0..30).map(|k| k as f64 - 12.0).collect();
        let mut singular = spread(30, 10.0);
        singular[29] = 0.0;
        for (eigenvalues, what) in
            [(indefinite, "indefinite"), (singular, "singular"), (vec![-2.0; 9], "negative"), (vec![0.0; 6], "zero")]
        {
            let a = with_eigenvalues(8, &eigenvalues);
            let most = [(1e-5, 1e-13), (1e-5, 1e-13), (2e-5, 1e-12)].map(|(f32, f64)| allowed(&gpu, f32, f64));
            assert_small(errors(&gpu, &a), most, what);
        }
    }
}

#[test]
fn sweeps_cut_into_many_dispatches_give_the_same_bits() {
    let whole = gpu_with_default_limits();
    let options = OpenOptions { webgpu_defaults: true, operations_per_dispatch: Some(100_000), ..Default::default() };
    let cut = open(&options);
    // n = 70 is in storage under WebGPU's limits; 100 000 operations are 5 of its 69 rounds.
    for n in [9, 70] {
        let matrices =
            [rows(&with_eigenvalues(2, &spread(n, 1e3))), rows(&with_eigenvalues(3, &spread(n, 10.0)))].concat();
        assert_eq!(eigen(&whole, n, &matrices), eigen(&cut, n, &matrices));
    }
}

#[test]
fn an_element_that_is_not_finite_is_named_and_its_neighbours_are_not_disturbed() {
    let gpu = gpu();
    let good = rows(&with_eigenvalues(1, &spread(6, 10.0)));
    for value in [f64::NAN, f64::INFINITY] {
        let mut bad = good.clone();
        bad[4 * 6 + 2] = value;
        let (values, _, statuses) = eigen(&gpu, 6, &[good.clone(), bad, good.clone()].concat());
        let error = statuses[1].unwrap_err();
        assert_eq!((error.matrix, error.row, error.column), (1, 4, 2));
        assert!(statuses[0].is_ok_and(|s| s.converged) && statuses[2].is_ok_and(|s| s.converged));
        assert_eq!(values[..6], values[12..]);
    }
}

#[test]
fn eigenpairs_are_bitwise_equal_for_any_batch_size() {
    let gpu = gpu();
    let n = 21;
    let each: Vec<Vec<f64>> = (0..5).map(|seed| rows(&with_eigenvalues(seed, &spread(n, 100.0)))).collect();
    let (values, vectors, _) = eigen(&gpu, n, &each.concat());
    for (k, alone) in each.iter().enumerate() {
        let (v, w, _) = eigen(&gpu, n, alone);
        assert_eq!((v.as_slice(), w.as_slice()), (&values[k * n..][..n], &vectors[k * n * n..][..n * n]), "matrix {k}");
    }
}

#[test]
fn random_batches_of_random_sizes_have_the_eigenvalues_they_were_made_with() {
    let gpu = gpu_with_default_limits();
    let property = |(n, batch, exponent, seed): (usize, u64, f64, u64)| {
        let made: Vec<f64> = spread(n, 10f64.powf(exponent));
        let matrices: Vec<f64> = (0..batch).flat_map(|k| rows(&with_eigenvalues(seed + k, &made))).collect();
        let (values, _, statuses) = eigen(&gpu, n, &matrices);
        assert!(statuses.iter().all(|status| status.is_ok_and(|sweeps| sweeps.converged)), "{statuses:?}");
        for values in values.chunks_exact(n) {
            let pairs = values.iter().zip(made.iter().rev());
            let worst = pairs.map(|(x, made)| (x - made).abs()).fold(0.0, f64::max);
            assert!(worst < 3e-6, "{worst:e}");
        }
        Ok(())
    };
    let config = Config { cases: 16, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
        .run(&(1..80usize, 1..4u64, 0.0..6.0, 0..1000u64), property)
        .unwrap();
}
