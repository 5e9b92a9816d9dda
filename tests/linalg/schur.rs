//! Schur complements: against the inverse of the inverse's diagonal blocks, status, reproducibility.

use crate::matrices::*;
use nalgebra::DMatrix;
use proptest::prelude::*;
use spextral::stages::cholesky::{Layout, ShapeError};
use spextral::stages::schur::{Block, schur};

/// ((K^-1)_ff)^-1, fibre f's rows being f, f + nspec, ...
fn by_inversion(matrix: &DMatrix<f64>, nspec: usize, fibre: usize) -> DMatrix<f64> {
    let nbin = matrix.nrows() / nspec;
    let inverse = matrix.clone().cholesky().unwrap().inverse();
    let block = DMatrix::from_fn(nbin, nbin, |i, j| inverse[(i * nspec + fibre, j * nspec + fibre)]);
    block.cholesky().unwrap().inverse()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn complements_match_the_inverse_of_the_inverses_blocks(
        seed: u64, nspec in 1usize..6, nbin in 1usize..20, half_bandwidth in 0usize..30, batch in 1usize..3,
    ) {
        let mut rng = generator(seed);
        let n = nspec * nbin;
        let matrices: Vec<_> = (0..batch).map(|_| banded(&mut rng, n, half_bandwidth)).collect();
        let stored: Vec<f64> = matrices.iter().flat_map(dense).collect();
        let blocks: Vec<_> =
            (0..batch).flat_map(|patch| (0..nspec).map(move |fibre| Block { patch, fibre })).collect();
        let mut out = vec![0.0; blocks.len() * nbin * nbin];
        prop_assert!(schur(Layout::dense(n), &stored, nspec, &blocks, &mut out).unwrap().iter().all(Result::is_ok));
        for (block, found) in blocks.iter().zip(out.chunks_exact(nbin * nbin)) {
            let found = from_dense(nbin, found);
            let expected = by_inversion(&matrices[block.patch], nspec, block.fibre);
            prop_assert!(distance(&found, &expected) < 1e-10 * expected.amax());
            prop_assert_eq!(bits(found.as_slice()), bits(found.transpose().as_slice()));
        }
    }
}

#[test]
fn one_fibre_alone_is_returned_unchanged() {
    let matrix = banded(&mut generator(1), 13, 4);
    let mut out = vec![0.0; 169];
    assert!(
        schur(Layout::dense(13), &dense(&matrix), 1, &[Block { patch: 0, fibre: 0 }], &mut out).unwrap()[0].is_ok()
    );
    assert_eq!(from_dense(13, &out).lower_triangle(), matrix.lower_triangle());
}

#[test]
fn bits_are_equal_for_any_storage_batch_order_and_thread_count() {
    let (nspec, nbin, half_bandwidth) = (4, 17, 11);
    let n = nspec * nbin;
    let matrices: Vec<_> = (0..3).map(|seed| banded(&mut generator(seed), n, half_bandwidth)).collect();
    let band = Layout::band(n, half_bandwidth);
    let complement = |layout: Layout, stored: &[f64], blocks: &[Block]| {
        let mut out = vec![0.0; blocks.len() * nbin * nbin];
        assert!(schur(layout, stored, nspec, blocks, &mut out).unwrap().iter().all(Result::is_ok));
        out.chunks_exact(nbin * nbin).map(bits).collect::<Vec<_>>()
    };
    let mut banded_storage = vec![0.0; 3 * band.len()];
    for (matrix, stored) in matrices.iter().zip(banded_storage.chunks_exact_mut(band.len())) {
        for i in 0..n {
            for j in band.first_column(i)..=i {
                stored[band.index(i, j)] = matrix[(i, j)];
            }
        }
    }
    let blocks: Vec<_> = (0..12).map(|k| Block { patch: k / 4, fibre: k % 4 }).collect();
    let alone: Vec<_> = blocks
        .iter()
        .map(|&Block { patch, fibre }| {
            complement(Layout::dense(n), &dense(&matrices[patch]), &[Block { patch: 0, fibre }]).remove(0)
        })
        .collect();
    let backwards: Vec<_> = blocks.iter().rev().copied().collect();
    for threads in [1, 2, 5] {
        let found = with_threads(threads, || complement(band, &banded_storage, &backwards));
        assert_eq!(found.into_iter().rev().collect::<Vec<_>>(), alone);
    }
}

#[test]
fn a_bad_pivot_names_the_patch_and_its_unknown() {
    let (nspec, nbin) = (3, 5);
    let n = nspec * nbin;
    let good = dense(&DMatrix::identity(n, n));
    let mut bad = DMatrix::identity(n, n);
    bad[(7, 7)] = -2.0;
    let stored = [good, dense(&bad)].concat();
    let blocks = [Block { patch: 0, fibre: 0 }, Block { patch: 1, fibre: 0 }, Block { patch: 1, fibre: 1 }];
    let mut out = vec![9.0; 3 * nbin * nbin];
    let status = schur(Layout::dense(n), &stored, nspec, &blocks, &mut out).unwrap();
    let failure = status[1].unwrap_err();
    assert_eq!((failure.matrix, failure.index, failure.pivot), (1, 7, -2.0));
    assert!(out[nbin * nbin..2 * nbin * nbin].iter().all(|&value| value == 9.0), "a failed block was written");
    assert!(status[0].is_ok());
    // Unknown 7 is fibre 1's own: nothing of it is eliminated.
    assert!(status[2].is_ok());
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let matrix = [1.0; 36];
    let layout = Layout::dense(6);
    let block = |patch, fibre| [Block { patch, fibre }];
    let ask = |nspec, blocks: &[Block], length| schur(layout, &matrix, nspec, blocks, &mut vec![0.0; length]);
    assert_eq!(ask(4, &block(0, 0), 4), Err(ShapeError::Fibres { n: 6, nspec: 4 }));
    assert_eq!(ask(0, &block(0, 0), 4), Err(ShapeError::Fibres { n: 6, nspec: 0 }));
    assert_eq!(ask(3, &block(1, 0), 4), Err(ShapeError::Index { what: "patch", found: 1, count: 1 }));
    assert_eq!(ask(3, &block(0, 3), 4), Err(ShapeError::Index { what: "fibre", found: 3, count: 3 }));
    assert_eq!(ask(3, &block(0, 0), 5), Err(ShapeError::Output { found: 5, expected: 4 }));
    assert_eq!(ask(3, &[], 0), Ok(Vec::new()));
}
