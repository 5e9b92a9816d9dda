//! Cholesky, Schur complements and Jacobi on the matrices of one DESI patch: 7 fibres by 74 bins, one thread.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use spextral::stages::cholesky::{self, Layout};
use spextral::stages::jacobi;
use spextral::stages::schur::{Block, schur};
use std::hint::black_box;

const NSPEC: usize = 7;
const NBIN: usize = 74;
const LAYOUT_N: usize = NSPEC * NBIN;
/// Spots of 11 rows at 1.43 rows per bin overlap up to 7 bins away.
const REACH: usize = 7;
const HALF_BANDWIDTH: usize = REACH * NSPEC + NSPEC - 1;

/// K of a patch of Gaussian spots, sigma 1 px, fibres 7.2 px apart, with bright and dark bins.
fn patch() -> (Layout, Vec<f64>) {
    let layout = Layout::band(LAYOUT_N, HALF_BANDWIDTH);
    let mut matrix = vec![0.0; layout.len()];
    let weight = |i: usize| 1.0 + 0.9 * ((i * i) as f64).sin();
    for i in 0..LAYOUT_N {
        for j in layout.first_column(i)..=i {
            let bins = i / NSPEC - j / NSPEC;
            if bins <= REACH {
                let (dx, dy) = (7.2 * (i % NSPEC).abs_diff(j % NSPEC) as f64, 1.43 * bins as f64);
                matrix[layout.index(i, j)] = (weight(i) * weight(j)).sqrt() * (-(dx * dx + dy * dy) / 4.0).exp();
            }
        }
        matrix[layout.index(i, i)] *= 1.0 + 1e-6;
    }
    (layout, matrix)
}

fn one_thread() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started")
}

fn patch_stages(criterion: &mut Criterion) {
    let pool = one_thread();
    let (layout, matrix) = patch();
    let side: Vec<f64> = (0..LAYOUT_N).map(|i| (i as f64).cos()).collect();
    criterion.bench_function("patch: factor and solve, n = 518", |bench| {
        bench.iter_batched_ref(
            || side.clone(),
            |x| pool.install(|| cholesky::factor_solve(layout, black_box(&matrix), x).expect("the shapes fit")),
            BatchSize::SmallInput,
        );
    });

    let blocks: Vec<_> = (1..6).map(|fibre| Block { patch: 0, fibre }).collect();
    let mut complements = vec![0.0; blocks.len() * NBIN * NBIN];
    criterion.bench_function("patch: 5 Schur complements", |bench| {
        bench.iter(|| {
            pool.install(|| {
                schur(layout, black_box(&matrix), NSPEC, &blocks, &mut complements).expect("the shapes fit")
            })
        });
    });

    let mut values = vec![0.0; blocks.len() * NBIN];
    let mut vectors = complements.clone();
    criterion.bench_function("patch: 5 Jacobi decompositions, n = 74", |bench| {
        bench.iter(|| {
            pool.install(|| {
                jacobi::eigen(NBIN, black_box(&complements), &mut values, &mut vectors).expect("the shapes fit")
            })
        });
    });
}

fn dense_matrix(criterion: &mut Criterion) {
    let pool = one_thread();
    let layout = Layout::dense(1024);
    let element = |i: usize, j: usize| {
        if i == j { 2.0 } else { 1.0 / (1 + i.abs_diff(j)).pow(2) as f64 }
    };
    let matrix: Vec<f64> = (0..layout.len()).map(|k| element(k / 1024, k % 1024)).collect();
    criterion.bench_function("factor, dense, n = 1024", |bench| {
        bench.iter_batched_ref(
            || matrix.clone(),
            |matrix| pool.install(|| cholesky::factor(layout, matrix).expect("the shapes fit")),
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, patch_stages, dense_matrix);
criterion_main!(benches);
