//! Factor and solves: accuracy, storage, status, reproducibility.

use crate::matrices::*;
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use spextral::stages::cholesky::{Layout, ShapeError, factor, factor_solve, solve, solve_lower, solve_upper};

fn in_layout(layout: Layout, matrix: &DMatrix<f64>) -> Vec<f64> {
    // NaN wherever nothing may be read.
    let mut values = vec![f64::NAN; layout.len()];
    for i in 0..layout.n() {
        for j in layout.first_column(i)..=i {
            values[layout.index(i, j)] = matrix[(i, j)];
        }
    }
    values
}

fn lower(layout: Layout, values: &[f64]) -> DMatrix<f64> {
    let stored = |i: usize, j: usize| j <= i && j >= layout.first_column(i);
    DMatrix::from_fn(layout.n(), layout.n(), |i, j| if stored(i, j) { values[layout.index(i, j)] } else { 0.0 })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn solutions_match_nalgebra_up_to_condition_1e6(
        seed: u64, n in 1usize..70, batch in 1usize..4, nrhs in 1usize..3, condition in 0.0..6.0f64,
    ) {
        let mut rng = generator(seed);
        let layout = Layout::dense(n);
        let matrices: Vec<_> = (0..batch).map(|_| with_spectrum(&mut rng, &decades(n, condition))).collect();
        let sides: Vec<_> = (0..batch).map(|_| uniform(&mut rng, n, nrhs)).collect();
        let stored: Vec<f64> = matrices.iter().flat_map(|matrix| in_layout(layout, matrix)).collect();
        let mut x: Vec<f64> = sides.iter().flat_map(|b| b.as_slice().to_vec()).collect();
        let mut from_factors = x.clone();

        prop_assert!(factor_solve(layout, &stored, &mut x).unwrap().iter().all(Result::is_ok));
        let mut factors = stored;
        prop_assert!(factor(layout, &mut factors).unwrap().iter().all(Result::is_ok));
        prop_assert!(solve(layout, &factors, &mut from_factors).unwrap().iter().all(Result::is_ok));

        for b in 0..batch {
            let l = lower(layout, &factors[b * layout.len()..][..layout.len()]);
            prop_assert!(distance(&(&l * l.transpose()), &matrices[b]) < 1e-14 * matrices[b].amax());
            let expected = matrices[b].clone().cholesky().unwrap().solve(&sides[b]);
            for found in [&x, &from_factors] {
                let found = DMatrix::from_column_slice(n, nrhs, &found[b * n * nrhs..][..n * nrhs]);
                prop_assert!(distance(&found, &expected) < 1e-14 * 10f64.powf(condition) * expected.amax());
            }
        }
    }

    #[test]
    fn triangular_solves_match_nalgebra(seed: u64, n in 1usize..70, half_bandwidth in 0usize..70, batch in 1usize..4) {
        let mut rng = generator(seed);
        let layout = Layout::band(n, half_bandwidth);
        let matrices: Vec<_> = (0..batch).map(|_| banded(&mut rng, n, half_bandwidth)).collect();
        let mut factors: Vec<f64> = matrices.iter().flat_map(|matrix| in_layout(layout, matrix)).collect();
        prop_assert!(factor(layout, &mut factors).unwrap().iter().all(Result::is_ok));
        let sides = uniform(&mut rng, n, batch);
        let (mut below, mut above) = (sides.as_slice().to_vec(), sides.as_slice().to_vec());
        prop_assert!(solve_lower(layout, &factors, &mut below).unwrap().iter().all(Result::is_ok));
        prop_assert!(solve_upper(layout, &factors, &mut above).unwrap().iter().all(Result::is_ok));
        for b in 0..batch {
            let l = matrices[b].clone().cholesky().unwrap().l();
            let side = DVector::from_column_slice(sides.column(b).as_slice());
            let expected = l.solve_lower_triangular(&side).unwrap();
            let found = DVector::from_column_slice(&below[b * n..][..n]);
            prop_assert!((found - &expected).amax() < 1e-11 * expected.amax());
            let expected = l.transpose().solve_upper_triangular(&side).unwrap();
            let found = DVector::from_column_slice(&above[b * n..][..n]);
            prop_assert!((found - &expected).amax() < 1e-11 * expected.amax());
        }
    }

    #[test]
    fn band_and_dense_storage_give_equal_bits(seed: u64, n in 1usize..70, half_bandwidth in 0usize..80) {
        let mut rng = generator(seed);
        let matrix = banded(&mut rng, n, half_bandwidth);
        let mut results = Vec::new();
        for layout in [Layout::dense(n), Layout::band(n, half_bandwidth), Layout::band(n, half_bandwidth + 3)] {
            let mut factor_values = in_layout(layout, &matrix);
            let mut x = vec![1.0; n];
            prop_assert!(factor_solve(layout, &factor_values, &mut x).unwrap()[0].is_ok());
            prop_assert!(factor(layout, &mut factor_values).unwrap()[0].is_ok());
            results.push((bits(lower(layout, &factor_values).as_slice()), bits(&x)));
        }
        prop_assert!(results[0] == results[1] && results[0] == results[2]);
    }

    #[test]
    fn the_first_bad_pivot_is_named_and_its_neighbours_are_served(
        seed: u64, n in 1usize..50, batch in 1usize..5, at in any::<prop::sample::Index>(), which in any::<prop::sample::Index>(),
    ) {
        let mut rng = generator(seed);
        let (index, bad) = (at.index(n), which.index(batch));
        let layout = Layout::dense(n);
        let mut stored = Vec::new();
        for b in 0..batch {
            let mut l = uniform(&mut rng, n, n).lower_triangle() * 0.3;
            l.fill_diagonal(1.0);
            let mut signs = DVector::from_element(n, 1.0);
            if b == bad {
                signs[index] = -0.25;
            }
            stored.extend(in_layout(layout, &(&l * DMatrix::from_diagonal(&signs) * l.transpose())));
        }
        let mut x = vec![1.0; n * batch];
        let status = factor_solve(layout, &stored, &mut x).unwrap();
        for (b, status) in status.iter().enumerate() {
            if b == bad {
                let failure = status.unwrap_err();
                prop_assert_eq!((failure.matrix, failure.index), (bad, index));
                prop_assert!((failure.pivot + 0.25).abs() < 1e-9, "{}", failure);
            } else {
                prop_assert!(status.is_ok());
            }
        }
        prop_assert!(x[bad * n..][..n].iter().all(|&value| value == 1.0), "the failed matrix's rhs was changed");
        let mut factors = stored.clone();
        prop_assert_eq!(factor(layout, &mut factors).unwrap(), status);
        let size = layout.len();
        prop_assert_eq!(bits(&factors[bad * size..][..size]), bits(&stored[bad * size..][..size]));
    }
}

#[test]
fn large_matrices_solve_to_working_precision() {
    let mut rng = generator(5);
    for (layout, tolerance) in
        [(Layout::dense(1023), 1e-12), (Layout::band(1024, 96), 1e-12), (Layout::band(518, 63), 1e-12)]
    {
        let n = layout.n();
        let matrix = if layout == Layout::dense(n) {
            let low_rank = uniform(&mut rng, n, 40);
            &low_rank * low_rank.transpose() + DMatrix::identity(n, n)
        } else {
            banded(&mut rng, n, 63)
        };
        let truth = DVector::from_fn(n, |i, _| (i as f64).sin());
        let side = &matrix * &truth;
        let mut x = side.as_slice().to_vec();
        assert!(factor_solve(layout, &in_layout(layout, &matrix), &mut x).unwrap()[0].is_ok());
        let residual = &matrix * DVector::from_vec(x) - &side;
        assert!(residual.amax() < tolerance * matrix.amax(), "{layout:?}: {}", residual.amax());
    }
}

#[test]
fn bits_are_equal_for_any_batch_size_order_and_thread_count() {
    let mut rng = generator(6);
    let layout = Layout::band(61, 9);
    let matrices: Vec<_> = (0..7).map(|_| in_layout(layout, &banded(&mut rng, 61, 9))).collect();
    let solve_all = |order: &[usize]| {
        let stored: Vec<f64> = order.iter().flat_map(|&b| matrices[b].clone()).collect();
        let mut x: Vec<f64> = order.iter().flat_map(|&b| (0..61).map(move |i| (i * (b + 1)) as f64)).collect();
        assert!(factor_solve(layout, &stored, &mut x).unwrap().iter().all(Result::is_ok));
        x.chunks_exact(61).map(bits).collect::<Vec<_>>()
    };
    let one_by_one: Vec<_> = (0..7).map(|b| solve_all(&[b]).remove(0)).collect();
    for threads in [1, 2, 5] {
        let (forth, back) =
            with_threads(threads, || (solve_all(&[0, 1, 2, 3, 4, 5, 6]), solve_all(&[6, 5, 4, 3, 2, 1, 0])));
        assert_eq!(forth, one_by_one);
        assert_eq!(back.into_iter().rev().collect::<Vec<_>>(), one_by_one);
    }
}

#[test]
fn values_near_the_ends_of_the_range_do_not_overflow() {
    for scale in [1e-300, 1e300] {
        let mut x = [3.0 * scale, 3.0 * scale];
        let status = factor_solve(Layout::dense(2), &[2.0 * scale, 0.0, scale, 2.0 * scale], &mut x).unwrap();
        assert!(status[0].is_ok());
        assert!(x.iter().all(|value| (value - 1.0).abs() < 1e-15), "{x:?}");
    }
}

#[test]
fn values_that_are_not_finite_are_reported() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for place in [0, 3, 4, 6, 8] {
            let mut matrix = [2.0, 0.0, 0.0, 0.5, 2.0, 0.0, 0.5, 0.5, 2.0];
            matrix[place] = bad;
            let failure = factor(Layout::dense(3), &mut matrix).unwrap()[0].unwrap_err();
            assert!(failure.index >= place / 3 && !(failure.pivot.is_finite() && failure.pivot > 0.0), "{failure}");
        }
    }
    let failed_factor = [1.0, 0.0, 0.5, f64::NAN];
    assert_eq!(solve(Layout::dense(2), &failed_factor, &mut [1.0, 1.0]).unwrap()[0].unwrap_err().index, 1);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let layout = Layout::dense(2);
    assert_eq!(factor(layout, &mut [1.0; 7]), Err(ShapeError::Matrices { found: 7, size: 4 }));
    assert_eq!(factor(Layout::dense(0), &mut []), Err(ShapeError::Empty));
    let refused = ShapeError::RightHandSides { found: 3, unit: 4, batch: 2, n: 2 };
    assert_eq!(factor_solve(layout, &[1.0; 8], &mut [1.0; 3]), Err(refused));
    assert_eq!(factor_solve(layout, &[], &mut []), Ok(Vec::new()));
}
