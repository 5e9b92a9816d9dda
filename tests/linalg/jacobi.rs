//! Eigendecomposition: accuracy on ordinary, clustered, graded and indefinite matrices, status, reproducibility.

use crate::matrices::*;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use spextral::stages::cholesky::ShapeError;
use spextral::stages::jacobi::{MAX_SWEEPS, eigen};

/// Values, and vectors as rows, of one matrix, after checking that they converged and are ascending and orthonormal.
fn decompose(matrix: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
    let n = matrix.nrows();
    let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
    let status = eigen(n, &dense(matrix), &mut values, &mut vectors).unwrap()[0].unwrap();
    assert!(status.converged && status.sweeps < MAX_SWEEPS, "{status:?}");
    assert!(values.is_sorted());
    let vectors = from_dense(n, &vectors);
    let unit = &vectors * vectors.transpose();
    assert!(distance(&unit, &DMatrix::identity(n, n)) < 1e-13, "not orthonormal");
    (DVector::from_vec(values), vectors)
}

/// Decomposes and checks A = V^T diag(values) V and nalgebra's eigenvalues, relative to the largest row sum.
fn check(matrix: &DMatrix<f64>) -> DVector<f64> {
    let (values, vectors) = decompose(matrix);
    let tolerance = 1e-14 * matrix.row_iter().map(|row| row.lp_norm(1)).fold(0.0, f64::max);
    let again = vectors.transpose() * DMatrix::from_diagonal(&values) * &vectors;
    assert!(distance(&again, matrix) <= tolerance, "{} > {tolerance}", distance(&again, matrix));
    let mut expected = matrix.clone().symmetric_eigenvalues().as_slice().to_vec();
    expected.sort_by(f64::total_cmp);
    assert!((&values - DVector::from_vec(expected)).amax() <= tolerance);
    values
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn positive_definite_matrices_match_nalgebra(seed: u64, n in 1usize..48, condition in 0.0..6.0f64) {
        check(&with_spectrum(&mut generator(seed), &decades(n, condition)));
    }

    #[test]
    fn indefinite_matrices_match_nalgebra(seed: u64, n in 1usize..48) {
        let random = uniform(&mut generator(seed), n, n);
        check(&(&random + random.transpose()));
    }

    #[test]
    fn clustered_eigenvalues_are_found(seed: u64, n in 2usize..48, gap in -15.0..-3.0f64) {
        let spectrum: Vec<f64> = (0..n).map(|k| [1.0, 1.0 + 10f64.powf(gap), 4.0][k % 3]).collect();
        check(&with_spectrum(&mut generator(seed), &spectrum));
    }

    #[test]
    fn small_eigenvalues_beside_large_ones_keep_their_digits(seed: u64, n in 2usize..40, range in 0.0..8.0f64) {
        // D B D with a well-conditioned B, as masked pixels scale S. 1/lowest is the largest of the inverse.
        let mut rng = generator(seed);
        let well = banded(&mut rng, n, 5);
        let scales = DVector::from_fn(n, |i, _| 10f64.powf(-range * ((i * 7) % n) as f64 / n as f64));
        let graded = DMatrix::from_fn(n, n, |i, j| (well[(i.max(j), i.min(j))] * scales[i]) * scales[j]);
        let (values, _) = decompose(&graded);
        let inverse_scales = scales.map(|scale| 1.0 / scale);
        let inverse = well.cholesky().unwrap().inverse().component_mul(&(&inverse_scales * inverse_scales.transpose()));
        let expected = 1.0 / inverse.symmetric_eigenvalues().max();
        prop_assert!((values[0] / expected - 1.0).abs() < 1e-9, "{} {}", values[0], expected);
    }
}

#[test]
fn the_smallest_matrices_are_served() {
    assert!((check(&DMatrix::from_element(1, 1, 7.0))[0] - 7.0).abs() < 1e-14);
    assert!((check(&DMatrix::from_element(1, 1, -7.0))[0] + 7.0).abs() < 1e-14);
    let values = check(&DMatrix::from_row_slice(2, 2, &[0.0, 3.0, 3.0, 0.0]));
    assert!((values[0] + 3.0).abs() < 1e-14 && (values[1] - 3.0).abs() < 1e-14);
    assert!((check(&DMatrix::identity(5, 5)) - DVector::from_element(5, 1.0)).amax() < 1e-15);
}

#[test]
fn zero_and_singular_matrices_converge() {
    assert_eq!(check(&DMatrix::zeros(6, 6)).amax(), 0.0);
    let column = DVector::from_fn(9, |i, _| i as f64 - 3.0);
    let values = check(&(&column * column.transpose()));
    assert!((values[8] - column.norm_squared()).abs() < 1e-12);
    assert!(values.rows(0, 8).amax() < 1e-12);
}

#[test]
fn sizes_to_128_match_nalgebra() {
    for n in [63, 64, 65, 74, 127, 128] {
        let mut rng = generator(n as u64);
        check(&with_spectrum(&mut rng, &decades(n, 6.0)));
        let values: Vec<f64> = (0..n).map(|k| k as f64 - 20.0).collect();
        check(&with_spectrum(&mut rng, &values));
    }
}

#[test]
fn values_near_the_ends_of_the_range_do_not_overflow() {
    for scale in [1e-307, 1e307] {
        let (values, _) = decompose(&DMatrix::from_row_slice(2, 2, &[2.0 * scale, scale, scale, 2.0 * scale]));
        assert!((values[0] / scale - 1.0).abs() < 1e-14 && (values[1] / scale - 3.0).abs() < 1e-14, "{values}");
    }
}

#[test]
fn bits_are_equal_for_any_batch_size_order_and_thread_count() {
    let n = 21;
    let matrices: Vec<_> = (0..6).map(|seed| dense(&with_spectrum(&mut generator(seed), &decades(n, 4.0)))).collect();
    let decompose_all = |order: &[usize]| {
        let stored: Vec<f64> = order.iter().flat_map(|&b| matrices[b].clone()).collect();
        let (mut values, mut vectors) = (vec![0.0; order.len() * n], vec![0.0; order.len() * n * n]);
        assert!(eigen(n, &stored, &mut values, &mut vectors).unwrap().iter().all(Result::is_ok));
        let pairs = values.chunks_exact(n).zip(vectors.chunks_exact(n * n));
        pairs.map(|(values, vectors)| (bits(values), bits(vectors))).collect::<Vec<_>>()
    };
    let one_by_one: Vec<_> = (0..6).map(|b| decompose_all(&[b]).remove(0)).collect();
    for threads in [1, 2, 5] {
        let (forth, back) =
            with_threads(threads, || (decompose_all(&[0, 1, 2, 3, 4, 5]), decompose_all(&[5, 4, 3, 2, 1, 0])));
        assert_eq!(forth, one_by_one);
        assert_eq!(back.into_iter().rev().collect::<Vec<_>>(), one_by_one);
    }
}

#[test]
fn a_matrix_that_is_not_finite_is_named_and_the_others_are_served() {
    for bad in [f64::NAN, f64::INFINITY] {
        let matrices = [2.0, 0.0, 0.0, 3.0, 1.0, 0.0, bad, 1.0];
        let (mut values, mut vectors) = ([9.0; 4], [9.0; 8]);
        let status = eigen(2, &matrices, &mut values, &mut vectors).unwrap();
        let failure = status[1].unwrap_err();
        assert_eq!((failure.matrix, failure.row, failure.column), (1, 1, 0));
        assert!(status[0].is_ok_and(|sweeps| sweeps.converged));
        assert_eq!(values[2..], [9.0; 2]);
        assert!((values[0] - 2.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    assert_eq!(eigen(0, &[], &mut [], &mut []), Err(ShapeError::Empty));
    assert_eq!(eigen(2, &[0.0; 5], &mut [0.0; 2], &mut [0.0; 4]), Err(ShapeError::Matrices { found: 5, size: 4 }));
    assert_eq!(eigen(2, &[0.0; 4], &mut [0.0; 3], &mut [0.0; 4]), Err(ShapeError::Output { found: 3, expected: 2 }));
    assert_eq!(eigen(2, &[0.0; 4], &mut [0.0; 2], &mut [0.0; 3]), Err(ShapeError::Output { found: 3, expected: 4 }));
}
