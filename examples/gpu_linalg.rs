//! Batched linear algebra on a GPU: `cargo run --release --example gpu_linalg [DEVICE]`.
//!
//! Solves K x = b by Cholesky factors and diagonalises K by Jacobi rotations, for a batch of small symmetric positive definite
//! matrices. Both are compared with the CPU. DEVICE is an index, a part of a name or a PCI bus id, as `spextral devices`
//! lists them. Without a GPU it reports so and ends.

use spextral::DeviceChoice;
use spextral::low_level::gpu::{self, Device};
use spextral::low_level::stages::cholesky::Layout;
use spextral::low_level::stages::{cholesky, jacobi};
use std::error::Error;
use std::time::Instant;

/// Matrices of a batch, and their order.
const BATCH: usize = 200;
const N: usize = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let choice: DeviceChoice = std::env::args().nth(1).unwrap_or_default().parse()?;
    let Device::Gpu(gpu) = Device::open(&choice, &Default::default())? else {
        println!(
            "no GPU here passes the self-test; name a software GPU (Mesa's lavapipe: llvmpipe) to try it without one"
        );
        return Ok(());
    };
    let (matrices, rhs) = batch();

    // The same calls for either device; the GPU overwrites the matrices with their factors.
    let start = Instant::now();
    let (mut factors, mut on_gpu) = (matrices.clone(), rhs.clone());
    let statuses = gpu::cholesky::factor_solve(&gpu, Layout::dense(N), &mut factors, &mut on_gpu)?;
    statuses.into_iter().collect::<Result<Vec<_>, _>>()?;
    let seconds = start.elapsed().as_secs_f64();
    let mut on_cpu = rhs.clone();
    cholesky::factor_solve(Layout::dense(N), &matrices, &mut on_cpu)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    println!("{}: {BATCH} systems of {N} unknowns in {seconds:.3} s", gpu.name());
    println!("largest difference of x from f64: {:.1e}", largest_difference(&on_gpu, &on_cpu));

    let [mut of_gpu, mut of_cpu] = [(); 2].map(|()| (vec![0.0; BATCH * N], vec![0.0; BATCH * N * N]));
    let start = Instant::now();
    let statuses = gpu::jacobi::eigen(&gpu, N, &matrices, &mut of_gpu.0, &mut of_gpu.1)?;
    let sweeps = statuses.into_iter().collect::<Result<Vec<_>, _>>()?;
    let seconds = start.elapsed().as_secs_f64();
    jacobi::eigen(N, &matrices, &mut of_cpu.0, &mut of_cpu.1)?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let most = sweeps.iter().map(|s| s.sweeps).max().unwrap_or(0);
    println!("eigenmodes in {seconds:.3} s, at most {most} sweeps");
    println!("largest difference of an eigenvalue from f64: {:.1e}", largest_difference(&of_gpu.0, &of_cpu.0));
    Ok(())
}

/// Returns matrices `[BATCH, N, N]`, positive definite with eigenvalues of about 1 to 5, and right-hand sides `[BATCH, N]`.
fn batch() -> (Vec<f64>, Vec<f64>) {
    let element = |m: usize, i: usize, j: usize| match i.abs_diff(j) {
        0 => 3.0,
        d => ((m + i + j) as f64).sin() * (-(d as f64)).exp(),
    };
    let matrices = (0..BATCH * N * N).map(|k| element(k / (N * N), k / N % N, k % N)).collect();
    let rhs = (0..BATCH * N).map(|k| (k as f64).cos()).collect();
    (matrices, rhs)
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
