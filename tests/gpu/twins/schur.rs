//! Schur complements against nalgebra's dense inverse and against the f64 twin.

use nalgebra::DMatrix;
use spextral::gpu::schur::schur;
use spextral::stages::cholesky::Layout;
use spextral::stages::schur::Block;

use super::matrices::{band, banded};
use testkit::{allowed, gpu, in_each_precision};

/// S_f = (C_ff)^-1 with C = K^-1, row after row.
fn by_inverse(k: &DMatrix<f64>, nspec: usize, fibre: usize) -> Vec<f64> {
    let nbin = k.nrows() / nspec;
    let c = k.clone().try_inverse().unwrap();
    let block = DMatrix::from_fn(nbin, nbin, |i, j| c[(i * nspec + fibre, j * nspec + fibre)]);
    block.try_inverse().unwrap().iter().copied().collect()
}

#[test]
fn complements_are_the_inverses_of_the_blocks_of_the_inverse() {
    for gpu in in_each_precision() {
        for (nspec, nbin, half_band) in [(1, 9, 3), (2, 1, 1), (3, 7, 8), (4, 10, 39), (7, 22, 20)] {
            let n = nspec * nbin;
            let patches = [banded(1, n, half_band), banded(2, n, half_band)];
            let matrices: Vec<f64> = patches.iter().flat_map(|k| band(k, half_band)).collect();
            let blocks: Vec<Block> = (0..nspec)
                .map(|fibre| Block { patch: fibre % 2, fibre })
                .chain([Block { patch: 0, fibre: 0 }])
                .collect();
            let mut out = vec![0.0; blocks.len() * nbin * nbin];
            let statuses = schur(&gpu, Layout::band(n, half_band), &matrices, nspec, &blocks, &mut out).unwrap();
            assert!(statuses.iter().all(Result::is_ok));
            for (block, found) in blocks.iter().zip(out.chunks_exact(nbin * nbin)) {
                let expected = by_inverse(&patches[block.patch], nspec, block.fibre);
                let largest = expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
                let worst = found.iter().zip(&expected).map(|(x, e)| (x - e).abs()).fold(0.0, f64::max);
                assert!(
                    worst < allowed(&gpu, 2e-6, 1e-13) * largest,
                    "{nspec} x {nbin}, {block:?}: {worst:e} of {largest}"
                );
                for i in 0..nbin {
                    for j in 0..i {
                        assert_eq!(found[i * nbin + j], found[j * nbin + i], "exactly symmetric");
                    }
                }
            }
        }
    }
}

#[test]
fn a_bad_pivot_names_the_patch_and_its_unknown_as_the_twin_does() {
    let gpu = gpu();
    let (nspec, nbin, half_band) = (3, 8, 7);
    let layout = Layout::band(nspec * nbin, half_band);
    let mut k = banded(3, nspec * nbin, half_band);
    k[(13, 13)] = -1.0;
    let good = banded(4, nspec * nbin, half_band);
    let matrices = [band(&good, half_band), band(&k, half_band)].concat();
    let blocks = [Block { patch: 0, fibre: 1 }, Block { patch: 1, fibre: 0 }];
    let mut out = vec![7.0; blocks.len() * nbin * nbin];
    let statuses = schur(&gpu, layout, &matrices, nspec, &blocks, &mut out).unwrap();
    let error = statuses[1].unwrap_err();
    assert_eq!((statuses[0], error.matrix, error.index), (Ok(()), 1, 13));
    assert!(out[nbin * nbin..].iter().all(|&x| x == 7.0), "a bad block stays as it was");
    let mut out = vec![0.0; blocks.len() * nbin * nbin];
    let twin = spextral::stages::schur::schur(layout, &matrices, nspec, &blocks, &mut out).unwrap();
    assert_eq!(twin[1].unwrap_err().index, 13);
}
