//! How far bins are correlated: the decay of the inverse of K_ff away from its diagonal, measured on the actual K.

use super::factor::Columns;
use super::normal::BandedNormal;
use super::with_half_bandwidth;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};

/// Bins to each side that are looked at: four times what a step of a PSF's width needs.
const REACH: usize = 160;

/// The largest distance at which a correlation, relative to the diagonal, is above `threshold`, at one place of every
/// fibre; [`REACH`] at most.
pub(crate) fn correlation_length(normal: &BandedNormal, threshold: f64) -> usize {
    let of_group = |first| with_half_bandwidth!(normal.half, B => dispatch(Decay::<B> { normal, first, threshold }));
    (0..normal.diagonal.len()).step_by(8).map(of_group).max().unwrap_or(0)
}

/// Up to eight fibres, one a lane.
struct Decay<'a, const B: usize> {
    normal: &'a BandedNormal,
    first: usize,
    threshold: f64,
}

impl<const B: usize> Kernel for Decay<'_, B> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let (n, width, len) = (self.normal.n, self.normal.half + 1, 2 * REACH + 1);
        let fibres = &self.normal.diagonal[self.first..];
        // Row `row` of lane `lane` is this bin of its fibre; lanes are spread evenly over the grid.
        let bin = |row: usize, lane: usize| ((2 * lane + 1) * n / 16 + row).checked_sub(REACH).filter(|&b| b < n);
        // Scaled to a diagonal of 1, so that correlations are relative.
        let element = |row: usize, d: usize, lane: usize| match (fibres.get(lane), bin(row, lane), bin(row + d, lane)) {
            (Some(k), Some(i), Some(j)) if row + d < len => k[i * width + d] / (k[i * width] * k[j * width]).sqrt(),
            _ => f64::from(u8::from(d == 0)),
        };
        let mut columns = Columns::<B>::new(len);
        let mut g = vec![Octet::default(); len + 2 * B];
        for j in 0..len {
            let of = |d: usize| Octet(std::array::from_fn(|lane| if d < width { element(j, d, lane) } else { 0.0 }));
            columns.set(simd, j, simd.load(&of(0)), |i| simd.load(&of(i + 1)));
        }
        columns.factor(len);
        g[REACH + B] = Octet([1.0; 8]);
        columns.solve(simd, [&mut g]);
        let centre = g[REACH + B];
        let strong = |row: &usize| (0..8).any(|lane| g[row + B].0[lane].abs() > self.threshold * centre.0[lane].abs());
        (0..len).filter(strong).map(|row| row.abs_diff(REACH)).max().unwrap_or(0)
    }
}
