//! Work of the stages per useful bin: f64 operations and bytes through memory, counted from the equations.
//!
//! The plain arithmetic of each stage is counted in multiply-adds, at the sizes that the default options give on the PSF.
//! Padding, and work that a stage repeats or discards, show as a smaller share of the machine. Bytes are those of a
//! stage's inputs and outputs, each once: data that stays in caches is free.

use crate::case::Case;
use spextral::psf::Psf;

/// Rows of the CCD a bin of 0.8 Angstrom.
const ROWS_A_BIN: f64 = 1.43;
/// Columns from a fibre to the next.
const SPACING: f64 = 7.27;
/// Bins beyond both ends of the grid that the banded solver extracts and throws away.
const BEYOND_ENDS: f64 = 60.0;
/// Half bandwidths of the recursion over fibres and of S_f, iterations for x, and poles, at the default tolerance.
const INVERSE: f64 = 16.0;
const KEPT: f64 = 12.0;
const ITERATIONS: f64 = 8.0;
const POLES: f64 = 16.0;
/// Sweeps of the Jacobi rotations.
const SWEEPS: f64 = 8.0;
/// Bytes of f64, and of a pixel with its ivar.
const REAL: f64 = 8.0;
const PIXEL: f64 = 8.0;

/// The work of one stage for all bins of a case.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// The work of a stage, where there is a count of it.
pub fn of_stage(case: &Case, psf: &Psf, stage: &str) -> Option<Work> {
    let spot = Spot::of(psf);
    let (adds, bytes) = if case.solver == "banded" { banded(&spot, stage)? } else { patches(&spot, case, stage)? };
    let padded = if case.solver == "banded" { 1.0 + BEYOND_ENDS / case.nwave as f64 } else { 1.0 };
    Some(Work { flops: 2.0 * adds * padded * case.bins(), bytes: bytes * padded * case.bins() })
}

/// Sizes of the PSF.
struct Spot {
    rows: f64,
    columns: f64,
    /// Multiply-adds of the Legendre series and of the sum of Hermite terms.
    series: f64,
    terms: f64,
}

impl Spot {
    fn of(psf: &Psf) -> Self {
        let (rows, columns) = ((2 * psf.half_y + 1) as f64, (2 * psf.half_x + 1) as f64);
        let [gx, gy] = [psf.gh_degree_x, psf.gh_degree_y].map(|degree| (degree + 1) as f64);
        let series = (4.0 + gx * gy) * psf.sigma_x.ncoeff as f64;
        Self { rows, columns, series, terms: gx * gy * columns + gy * columns * rows }
    }

    fn pixels(&self) -> f64 {
        self.rows * self.columns
    }

    /// The farthest bin whose spot overlaps.
    fn half(&self) -> f64 {
        (self.rows / ROWS_A_BIN).floor()
    }

    /// Products of pixels of a spot with those of the same fibre's bins before it, itself included.
    fn own(&self) -> f64 {
        let rows = (0..=self.half() as usize).map(|d| self.rows - ROWS_A_BIN * d as f64);
        self.columns * rows.filter(|r| *r > 0.0).sum::<f64>()
    }

    /// Multiply-adds with all overlapping bins of the fibre that is `fibres` away.
    fn other(&self, fibres: f64) -> f64 {
        let columns = (self.columns - SPACING * fibres).max(0.0);
        columns / self.columns * (2.0 * self.own() - self.pixels())
    }

    /// Bytes of the pixels that come with a bin.
    fn image(&self) -> f64 {
        ROWS_A_BIN * SPACING * PIXEL
    }
}

/// Counts multiply-adds and bytes per bin. Spots are made where they are used.
fn banded(spot: &Spot, stage: &str) -> Option<(f64, f64)> {
    let half = spot.half();
    let spots = spot.series + spot.terms;
    // K_ff, K_{f+1,f} and y.
    let system = REAL * (half + 1.0 + 2.0 * half + 1.0 + 1.0);
    Some(match stage {
        "traces" => (spot.series, 0.0),
        "spots" => (spot.terms, REAL * spot.pixels()),
        "banded_normal" => (spots + spot.own() + spot.other(1.0) + 2.0 * spot.pixels(), spot.image() + system),
        "banded_solve" => {
            let multiply = 3.0 * (2.0 * half + 1.0);
            let iteration = multiply + 2.0 * half + 1.0 + 5.0;
            (0.5 * half * (half + 3.0) + ITERATIONS * iteration, system * (1.0 + ITERATIONS))
        }
        "banded_complement" => {
            // From both sides: a factor, a band of its inverse, and K times it times K.
            let product = (2.0 * half + 1.0) * (2.0 * INVERSE + 1.0) + (KEPT + 1.0) * (2.0 * half + 1.0);
            (2.0 * (0.5 * KEPT * (KEPT + 3.0) + INVERSE * KEPT + product), 2.0 * system + 3.0 * REAL * (KEPT + 1.0))
        }
        "banded_root" => {
            // A factor, three right-hand sides there and back, and a band of the inverse.
            let pole = 0.5 * KEPT * (KEPT + 3.0) + 6.0 * KEPT + KEPT * KEPT;
            (POLES * pole, REAL * (KEPT + 1.0 + 3.0 + 0.5 * (spot.rows + 1.0)))
        }
        "goodness" => (spots + 4.0 * spot.pixels(), 2.0 * spot.image() + 4.0 * REAL),
        "model" => (spots + spot.pixels(), spot.image()),
        _ => return None,
    })
}

/// Counts multiply-adds and bytes per bin, of patches with one fibre and 12 bins around.
fn patches(spot: &Spot, case: &Case, stage: &str) -> Option<(f64, f64)> {
    let (core, bins) = ((25 / case.nsubbundles.unwrap_or(5)) as f64, case.nwavestep as f64);
    let (fibres, nbin) = (core + 2.0, bins + 24.0);
    let n = fibres * nbin;
    let band = fibres * spot.half() + 1.0;
    let useful = core * bins;
    // Patches overlap: what is done for each of their bins, a useful bin.
    let padding = n / useful;
    let matrix = REAL * band * n / useful;
    let full = REAL * nbin * nbin * core / useful;
    Some(match stage {
        "traces" => (spot.series, 4.0 * REAL),
        "spots" => (spot.terms, REAL * spot.pixels()),
        "normal_equations" => {
            let overlaps = spot.own() + spot.other(1.0) + spot.other(2.0) + 2.0 * spot.pixels();
            (overlaps * padding, (REAL * spot.pixels() + spot.image()) * padding + matrix)
        }
        "cholesky" => (0.5 * n * band * band / useful, 2.0 * matrix),
        "schur" => {
            // The band of the others, the fibre's rows against it, and the fibre's block.
            let (others, band) = (n - nbin, (fibres - 1.0) * spot.half() + 1.0);
            let rows = 0.5 * nbin * others;
            (core * (0.5 * others * band * band + rows * band + 0.5 * rows * nbin) / useful, matrix + full)
        }
        "jacobi" => (core * SWEEPS * 0.5 * nbin * nbin * 5.0 * nbin / useful, 2.0 * full),
        "decorrelate" => (core * bins * nbin * nbin / useful, full + 3.0 * REAL + REAL * spot.rows),
        "model" => (spot.pixels() * padding, (REAL * spot.pixels() + spot.image()) * padding),
        "goodness" => (3.0 * spot.pixels(), REAL * spot.pixels() + 2.0 * spot.image()),
        _ => return None,
    })
}
