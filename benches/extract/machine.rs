//! Peak rates of the machine, measured: f64 multiply-adds and bytes from memory.

use serde::Serialize;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

/// Turns of the loop of multiply-adds a thread: some 50 ms.
const TURNS: usize = 10_000_000;
/// Independent sums: enough to hide an addition's latency.
const CHAINS: usize = 16;
/// Numbers of each array of the memory probe, all threads together: far beyond any cache.
const NUMBERS: usize = 48 << 20;
/// Times each probe is run; the best counts.
const REPEAT: usize = 3;

/// Two roofs, of all threads together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    pub threads: usize,
    /// f64 operations per second; a multiply-add is two.
    pub flops: f64,
    /// Bytes per second of `a = b + s c` on long arrays: two read, one written.
    pub bytes: f64,
}

impl Machine {
    pub fn measure() -> Self {
        let threads = rayon::current_num_threads();
        let flops = best(|| {
            let all = on_threads(threads, |_| black_box(multiply_add(TURNS)));
            all.iter().sum::<f64>()
        });
        let per = NUMBERS / threads;
        let mut arrays: Vec<[Vec<f64>; 3]> = (0..threads).map(|_| [0.0, 1.0, 2.0].map(|v| vec![v; per])).collect();
        let seconds = (0..=REPEAT).map(|_| {
            let start = Instant::now();
            thread::scope(|scope| {
                for [a, b, c] in &mut arrays {
                    scope.spawn(move || {
                        a.iter_mut().zip(b.iter().zip(c.iter())).for_each(|(a, (b, c))| *a = b + 3.0 * c);
                        black_box(&*a);
                    });
                }
            });
            start.elapsed().as_secs_f64()
        });
        // The first turn finds the pages.
        let seconds = seconds.skip(1).fold(f64::INFINITY, f64::min);
        Self { threads, flops, bytes: (24 * per * threads) as f64 / seconds }
    }
}

fn best(rate: impl Fn() -> f64) -> f64 {
    (0..REPEAT).map(|_| rate()).fold(0.0, f64::max)
}

fn on_threads(threads: usize, work: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    let work = &work;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|k| scope.spawn(move || work(k))).collect();
        running.into_iter().map(|thread| thread.join().expect("a probe does not panic")).collect()
    })
}

/// Measures the operations per second of one thread.
fn multiply_add(turns: usize) -> f64 {
    let start = Instant::now();
    let lanes = chains(black_box(turns));
    (2 * CHAINS * lanes * turns) as f64 / start.elapsed().as_secs_f64()
}

/// Runs the chains on the widest registers there are; their lanes.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // functions of instructions that the machine may lack
fn chains(turns: usize) -> usize {
    use std::arch::x86_64::*;

    macro_rules! kernel {
        ($name:ident, $features:literal, $set:ident, $fma:ident, $lanes:literal) => {
            #[target_feature(enable = $features)]
            fn $name(turns: usize) -> usize {
                let (factor, term) = ($set(black_box(0.999)), $set(black_box(0.001)));
                let mut sums = [$set(1.0); CHAINS];
                for _ in 0..turns {
                    for sum in &mut sums {
                        *sum = $fma(*sum, factor, term);
                    }
                }
                black_box(sums);
                $lanes
            }
        };
    }
    kernel!(wide, "avx512f", _mm512_set1_pd, _mm512_fmadd_pd, 8);
    kernel!(narrow, "avx2,fma", _mm256_set1_pd, _mm256_fmadd_pd, 4);
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has the instructions.
        return unsafe { wide(turns) };
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the machine has the instructions.
        return unsafe { narrow(turns) };
    }
    plain(turns)
}

#[cfg(not(target_arch = "x86_64"))]
fn chains(turns: usize) -> usize {
    plain(turns)
}

/// Two lanes a chain, as the compiler makes them.
fn plain(turns: usize) -> usize {
    let (factor, term) = (black_box(0.999f64), black_box(0.001f64));
    let mut sums = [[1.0f64; 2]; CHAINS];
    for _ in 0..turns {
        for lane in sums.iter_mut().flatten() {
            *lane = if cfg!(target_arch = "aarch64") { lane.mul_add(factor, term) } else { *lane * factor + term };
        }
    }
    black_box(sums);
    2
}
