//! How far bins are correlated: the decay of the inverse of K_ff away from its diagonal, measured on the actual K.

use super::bands::WIDEST;
use super::inverse::Columns;
use super::normal::{BandedNormal, half_bandwidth};
use super::with_half_bandwidth;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::aligned::AlignedSpots;
use crate::stages::normal_equations::overlap_lanes;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;

/// Bins to each side that are looked at: four times what a step of a PSF's width needs.
const REACH: usize = 160;

/// The largest distance at which a correlation, relative to the diagonal, is above `threshold`, at one place of every
/// fibre; [`REACH`] at most.
pub(crate) fn correlation_length(normal: &BandedNormal, threshold: f64) -> usize {
    // Places are spread evenly over the grid.
    let place = |fibre: usize| (2 * (fibre % 8) + 1) * normal.n / 16;
    length_at(normal, threshold, &place)
}

/// Returns the largest distance in bins at which a relative correlation is above `threshold` for a PSF alone, on equal pixels.
/// It looks at both ends and the middle of the slit and of the grid. So many bins beyond its ends make a grid's ends as exact
/// as its middle. 0 if spots overlap over more bins than there is code for.
pub fn psf_correlation_length(psf: &Psf, grid: &WaveGrid, with_tails: bool, threshold: f64) -> usize {
    let wave = |at: usize| -> Vec<f64> {
        let bin = |k: usize| grid.wave()[at] + (k as f64 - REACH as f64) * grid.step();
        (0..=2 * REACH).map(bin).collect()
    };
    let places = [0, grid.nwave() / 2, grid.nwave() - 1].into_iter();
    let fibres = [0, psf.nfibre / 2, psf.nfibre - 1];
    let places: Vec<_> = places.flat_map(|at| fibres.map(|fibre| (wave(at), fibre))).collect();
    let sources = places.iter().map(|(wave, fibre)| SpotSource::new(psf, *fibre..*fibre + 1, wave, with_tails));
    let sources: Vec<SpotSource> = sources.collect();
    let half = sources.iter().map(|spots| half_bandwidth(&spots.positions())).max().unwrap_or(0);
    if half > WIDEST {
        // No band holds such spots, whatever is beyond the ends.
        return 0;
    }
    let diagonal = sources.par_iter().map(|spots| dispatch(Overlaps { spots, half })).collect();
    let normal = BandedNormal { n: 2 * REACH + 1, half, diagonal, pairs: vec![], rhs: vec![] };
    length_at(&normal, threshold, &|_| REACH)
}

fn length_at(normal: &BandedNormal, threshold: f64, place: &dyn Fn(usize) -> usize) -> usize {
    let of_group =
        |first| with_half_bandwidth!(normal.half, B => dispatch(Decay::<B> { normal, first, threshold, place }));
    (0..normal.diagonal.len()).step_by(8).map(of_group).max().unwrap_or(0)
}

/// A^T A of one fibre, `[n, half + 1]`.
struct Overlaps<'a, 'b> {
    spots: &'a SpotSource<'b>,
    half: usize,
}

impl Kernel for Overlaps<'_, '_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f64> {
        let (n, width) = (self.spots.nbin(), self.half + 1);
        let mut stamps = AlignedSpots::default();
        self.spots.evaluate(0, 0..n, &mut stamps);
        let mut out = vec![0.0; n * width];
        for i in 0..n {
            for d in 0..width.min(n - i) {
                let mut lanes = Octet::default();
                overlap_lanes(simd, (&stamps, i), stamps.stamp(i), &stamps, i + d, &mut lanes);
                out[i * width + d] = simd.sum(simd.load(&lanes));
            }
            // A spot of impossible parameters covers nothing.
            out[i * width] = out[i * width].max(f64::MIN_POSITIVE);
        }
        out
    }
}

/// Up to eight fibres, one per lane.
struct Decay<'a, const B: usize> {
    normal: &'a BandedNormal,
    first: usize,
    threshold: f64,
    place: &'a dyn Fn(usize) -> usize,
}

impl<const B: usize> Kernel for Decay<'_, B> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> usize {
        let (n, width, len) = (self.normal.n, self.normal.half + 1, 2 * REACH + 1);
        let fibres = &self.normal.diagonal[self.first..];
        let place: [usize; 8] = std::array::from_fn(|lane| (self.place)(self.first + lane));
        // Row `row` of lane `lane` is this bin of its fibre.
        let bin = |row: usize, lane: usize| (place[lane] + row).checked_sub(REACH).filter(|&b| b < n);
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
