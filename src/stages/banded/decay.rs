//! How far bins are correlated: the decay of the inverse of K_ff away from its diagonal, measured on the actual K.

use super::bands::WIDEST;
use super::inverse::Columns;
use super::normal::{BandedNormal, half_bandwidth};
use super::solve::solve;
use super::with_half_bandwidth;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::aligned::AlignedSpots;
use crate::stages::normal_equations::overlap_lanes;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::ops::Range;

/// Bins to each side that are looked at: four times what a step of a PSF's width needs.
const REACH: usize = 160;

/// Share of a threshold that correlations with bins beyond the ends of a grid may have, for light of a signal to noise of 1000.
const BRIGHT: f64 = 1e-2;

/// Largest noise gain that correlations are scaled by.
const MOST_GAIN: f64 = 300.0;

/// Fibres to each side that are looked at, and bins of them.
const FIBRES: usize = 32;
const BINS: usize = 48;

/// The largest distance at which a correlation, relative to the diagonal, is above `threshold`, at one place of every
/// fibre; [`REACH`] at most.
pub(crate) fn correlation_length(normal: &BandedNormal, threshold: f64) -> usize {
    // Places are spread evenly over the grid.
    let place = |fibre: usize| (2 * (fibre % 8) + 1) * normal.n / 16;
    decay_at(normal, [threshold; 2], &place).0[0]
}

/// How far light and noise of a bin reach, for a PSF alone on equal pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PsfDecay {
    /// The largest distance in bins at which a relative correlation is above a threshold. 0 if spots overlap over more bins than
    /// there is code for.
    pub bins: usize,
    /// The largest distance at which it is above a hundredth of the threshold. So many bins beyond its ends make a grid's ends
    /// as exact as its middle. Light beyond changes flux by a tenth of the correlation times its signal to noise.
    pub beyond_ends: usize,
    /// Noise of a deconvolved bin over that of a bin alone, `sqrt((K^-1)_ii K_ii)`. Infinite where K is singular in f64,
    /// 0 where it is too wide to be measured.
    pub noise_gain: f64,
}

impl PsfDecay {
    /// Returns the correlation over the bins beyond the ends, in units of a bin's own noise.
    pub fn of_ends(&self, threshold: f64) -> f64 {
        BRIGHT * threshold * self.noise_gain.clamp(1.0, MOST_GAIN).powi(2)
    }

    /// Looks at both ends and the middle of the slit and of the grid. Bins are those within the range of the PSF: beyond it, its
    /// series say nothing.
    pub fn measure(psf: &Psf, grid: &WaveGrid, with_tails: bool, threshold: f64) -> Self {
        let widest = grid.step_at(grid.nwave() - 1);
        let within = ((psf.wave_max - psf.wave_min) / widest).max(0.0) as usize;
        let len = within.min(2 * REACH) + 1;
        let first = |at: usize| {
            let step = grid.step_at(at);
            let last = psf.wave_max - (len - 1) as f64 * step;
            (grid.wave()[at] - REACH as f64 * step).min(last).max(psf.wave_min)
        };
        let wave = |at: usize| -> Vec<f64> { (0..len).map(|k| first(at) + k as f64 * grid.step_at(at)).collect() };
        let place =
            |at: usize| (((grid.wave()[at] - first(at)) / grid.step_at(at)).round().max(0.0) as usize).min(len - 1);
        let bins = [0, grid.nwave() / 2, grid.nwave() - 1];
        let fibres = [0, psf.nfibre / 2, psf.nfibre - 1];
        let places: Vec<_> = bins.into_iter().flat_map(|at| fibres.map(|fibre| (wave(at), fibre))).collect();
        let sources = places.iter().map(|(wave, fibre)| SpotSource::new(psf, *fibre..*fibre + 1, wave, with_tails));
        let sources: Vec<SpotSource> = sources.collect();
        let half = sources.iter().map(|spots| half_bandwidth(&spots.positions(), 0)).max().unwrap_or(0);
        if half > WIDEST {
            // No band holds such spots, whatever is beyond the ends.
            return Self { bins: 0, beyond_ends: 0, noise_gain: 0.0 };
        }
        let own = |spots: &SpotSource| {
            let stamps = stamps(spots, 0);
            let mut diagonal = dispatch(Overlaps { row: &stamps, column: &stamps, half, from: 0 });
            // A spot of impossible parameters covers nothing.
            diagonal.iter_mut().step_by(half + 1).for_each(|value| *value = value.max(f64::MIN_POSITIVE));
            diagonal
        };
        let diagonal = sources.par_iter().map(own).collect();
        let normal = BandedNormal { n: len, half, diagonal, pairs: vec![], rhs: vec![] };
        let place = |k: usize| bins.get(k / fibres.len()).map_or(0, |&at| place(at));
        let ([bins, beyond_ends], variance) = decay_at(&normal, [threshold, BRIGHT * threshold], &place);
        let noise_gain = if variance > 0.0 { variance.sqrt() } else { f64::INFINITY };
        Self { bins, beyond_ends, noise_gain }
    }
}

/// Returns the largest distance in fibres at which a relative correlation is above `threshold` for a PSF alone, on equal pixels.
/// It is measured at three places of `fibres`, in the middle of `wave`, Angstrom. Fibres more than `reach` apart do not overlap.
/// `FIBRES` at most, also where K is singular.
pub fn psf_fibre_correlation(
    psf: &Psf,
    fibres: &Range<usize>,
    wave: &[f64],
    with_tails: bool,
    reach: usize,
    threshold: f64,
) -> usize {
    let middle = wave.len() / 2;
    let wave = &wave[middle.saturating_sub(BINS)..(middle + BINS + 1).min(wave.len())];
    let at = |place: usize| {
        let centre = fibres.start + place * fibres.len() / 6;
        let around = centre.saturating_sub(FIBRES).max(fibres.start)..(centre + FIBRES + 1).min(fibres.end);
        let spots = SpotSource::new(psf, around.clone(), wave, with_tails);
        correlated_fibres(&spots, centre - around.start, reach, threshold)
    };
    [1, 3, 5].into_par_iter().map(at).max().unwrap_or(0)
}

/// The largest distance from fibre `centre` at which a correlation with its middle bin is above `threshold`.
fn correlated_fibres(spots: &SpotSource, centre: usize, reach: usize, threshold: f64) -> usize {
    let (n, nfibre) = (spots.nbin(), spots.nfibre());
    let half = half_bandwidth(&spots.positions(), reach);
    if half > WIDEST {
        return FIBRES;
    }
    let stamps: Vec<AlignedSpots> = (0..nfibre).map(|f| stamps(spots, f)).collect();
    let of = |row: usize, column: usize, from: usize| {
        dispatch(Overlaps { row: &stamps[row], column: &stamps[column], half, from })
    };
    let mut normal = BandedNormal {
        n,
        half,
        diagonal: (0..nfibre).map(|f| of(f, f, 0)).collect(),
        pairs: (1..=reach).map(|d| (d..nfibre).map(|f| of(f, f - d, half)).collect()).collect(),
        rhs: vec![vec![0.0; n]; nfibre],
    };
    let own = normal.diagonal[centre][n / 2 * (half + 1)];
    normal.rhs[centre][n / 2] = own.max(f64::MIN_POSITIVE).sqrt();
    let Ok((x, _)) = solve(&normal, 0.1 * threshold) else { return FIBRES };
    let largest: Vec<f64> = x.iter().map(|x| x.iter().fold(0.0, |m: f64, v| m.max(v.abs()))).collect();
    let strong = |f: &usize| largest[*f] > threshold * largest[centre];
    (0..nfibre).filter(strong).map(|f| f.abs_diff(centre)).max().unwrap_or(0)
}

/// Returns the largest distance at which a correlation is above each threshold, and the largest variance of a bin. K is
/// scaled to a diagonal of 1; 0 if it is not positive definite.
fn decay_at(normal: &BandedNormal, thresholds: [f64; 2], place: &dyn Fn(usize) -> usize) -> ([usize; 2], f64) {
    let of_group =
        |first| with_half_bandwidth!(normal.half, B => dispatch(Decay::<B> { normal, first, thresholds, place }));
    let groups = (0..normal.diagonal.len()).step_by(8).map(of_group);
    groups.fold(([0; 2], f64::MIN_POSITIVE), |(far, most), (bins, variance)| {
        let far = [far[0].max(bins[0]), far[1].max(bins[1])];
        // Written so that 0 and NaN stay.
        (far, if variance > 0.0 && most > 0.0 { most.max(variance) } else { 0.0 })
    })
}

/// The spots of one fibre at all bins.
fn stamps(spots: &SpotSource, fibre: usize) -> AlignedSpots {
    let mut out = AlignedSpots::default();
    spots.evaluate(fibre, 0..spots.nbin(), &mut out);
    out
}

/// A^T A of two fibres, `[n, from + half + 1]`: element d of bin i is that of bins i and i + d - from.
struct Overlaps<'a> {
    row: &'a AlignedSpots,
    column: &'a AlignedSpots,
    half: usize,
    from: usize,
}

impl Kernel for Overlaps<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f64> {
        let Self { row, column, half, from } = self;
        let (n, width) = (row.y.len(), from + half + 1);
        let mut out = vec![0.0; n * width];
        for i in 0..n {
            for d in 0..width {
                let Some(j) = (i + d).checked_sub(from).filter(|&j| j < n) else { continue };
                let mut lanes = Octet::default();
                overlap_lanes(simd, (row, i), row.stamp(i), column, j, &mut lanes);
                out[i * width + d] = simd.sum(simd.load(&lanes));
            }
        }
        out
    }
}

/// Up to eight fibres, one per lane.
struct Decay<'a, const B: usize> {
    normal: &'a BandedNormal,
    first: usize,
    thresholds: [f64; 2],
    place: &'a dyn Fn(usize) -> usize,
}

impl<const B: usize> Kernel for Decay<'_, B> {
    type Output = ([usize; 2], f64);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> ([usize; 2], f64) {
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
        let singular = columns.bad_pivot(len).is_some();
        g[REACH + B] = Octet([1.0; 8]);
        columns.solve(simd, &mut g);
        let centre = g[REACH + B];
        let strong =
            |row: usize, threshold: f64| (0..8).any(|lane| g[row + B].0[lane].abs() > threshold * centre.0[lane].abs());
        let farthest = |threshold| {
            (0..len).filter(|&row| strong(row, threshold)).map(|row| row.abs_diff(REACH)).max().unwrap_or(0)
        };
        let bins = self.thresholds.map(farthest);
        (bins, if singular { 0.0 } else { centre.0.into_iter().fold(0.0, f64::max) })
    }
}
