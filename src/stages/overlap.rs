//! How strongly spots of different fibres overlap, anywhere along their traces: what a cut between fibres would neglect.

use super::spots::SpotModel;
use super::traces::{legendre, shape_series, split, unit};
use crate::geometry::SpotShape;
use crate::psf::{LegendreSeries, Psf};
use rayon::prelude::*;

/// The largest flux of a bin over the least noise of another, 1e6 over 3 electron, times 100. What leaks from a saturating bin into
/// a faint fibre is that many sigma times their overlap. Where fibres between are masked, the little light that they have in
/// common counts for more: at 3e5, flux of 3 in 12000 random worlds was 2e-5 sigma off unreported.
pub(crate) const BRIGHT_OVER_FAINT: f64 = 3e7;

/// CCD rows that are looked at, spread evenly from end to end. Overlaps change slowly along traces; where stamps just touch,
/// they change with the nearest pixel of a trace, of which these see all.
const ROWS: usize = 32;

/// Wavelengths at which a trace is tabulated, to find where it crosses a row.
const TABULATED: usize = 65;

/// Rows by which the second spot of a pair is moved: tilted spots overlap most off their centres.
const MOVES: [f64; 5] = [0.0, 1.0, -1.0, 2.0, -2.0];

/// The spots of a PSF along its traces.
struct Spots<'a> {
    psf: &'a Psf,
    shape: SpotShape,
    model: SpotModel,
    series: Vec<&'a LegendreSeries>,
}

/// Where a trace crosses a row.
#[derive(Clone, Copy)]
struct Crossing {
    fibre: usize,
    /// Angstrom.
    wave: f64,
    /// Angstrom per row.
    slope: f64,
    /// Pixels.
    x: f64,
}

/// A spot: its corner pixel, its pixels and the root of the sum of their squares.
struct Stamp {
    corner: [i64; 2],
    pixels: Vec<f64>,
    norm: f64,
}

/// Returns the largest relative overlap `s_f . s_g / (|s_f| |s_g|)` of spots across each cut, `[nfibre]`: element c is that of
/// fibres before c with those from c on. Only cuts that `is_cut` names are looked at, until they exceed `enough`.
pub fn overlaps_across(psf: &Psf, with_tails: bool, is_cut: impl Fn(usize) -> bool, enough: f64) -> Vec<f64> {
    let (model, series) = (SpotModel::new(psf, with_tails), shape_series(psf, with_tails));
    let spots = Spots { psf, shape: *model.shape(), model, series };
    let mut across = vec![0.0; psf.nfibre];
    let crossings = spots.crossings();
    // The middle of the CCD decides most cuts at once.
    let order = (0..ROWS).map(|k| (k + ROWS / 2) % ROWS);
    for row in order {
        let mut here: Vec<Crossing> = crossings.iter().filter_map(|of_fibre| of_fibre[row]).collect();
        here.sort_by(|a, b| a.x.total_cmp(&b.x));
        let width = spots.shape.nx() as f64 + 1.0;
        let close = |(k, first): (usize, &Crossing)| {
            let (first, others) = (*first, &here[k + 1..]);
            others.iter().take_while(move |other| other.x - first.x < width).map(move |other| (first, *other))
        };
        let close: Vec<(Crossing, Crossing)> = here.iter().enumerate().flat_map(close).collect();
        let cuts = |(a, b): &(Crossing, Crossing)| a.fibre.min(b.fibre) + 1..=a.fibre.max(b.fibre);
        // Where neighbours overlap no other pair need be looked at.
        for neighbours in [true, false] {
            let open = |pair: &&(Crossing, Crossing)| {
                (cuts(pair).count() == 1) == neighbours && cuts(pair).any(|cut| is_cut(cut) && across[cut] <= enough)
            };
            let pairs: Vec<&(Crossing, Crossing)> = close.iter().filter(open).collect();
            let found: Vec<f64> = pairs.par_iter().map(|(a, b)| spots.overlap(a, b, enough)).collect();
            for (pair, overlap) in pairs.into_iter().zip(found) {
                cuts(pair).for_each(|cut| across[cut] = across[cut].max(overlap));
            }
        }
    }
    across
}

impl Spots<'_> {
    /// Returns where every fibre's trace crosses each of the rows, `[nfibre][ROWS]`.
    fn crossings(&self) -> Vec<Vec<Option<Crossing>>> {
        let psf = self.psf;
        let step = (psf.wave_max - psf.wave_min) / (TABULATED - 1) as f64;
        let wave: Vec<f64> = (0..TABULATED).map(|k| psf.wave_min + k as f64 * step).collect();
        let value = |series: &LegendreSeries, fibre: usize, w: f64| legendre(series.of(fibre), unit(series.domain, w));
        let of_fibre = |fibre: usize| -> Vec<Option<Crossing>> {
            let y: Vec<f64> = wave.iter().map(|&w| value(&psf.trace_y, fibre, w)).collect();
            let crossing = |k: usize| {
                let row = k as f64 * (psf.npix_y - 1) as f64 / (ROWS - 1) as f64;
                let at = y.windows(2).position(|y| (y[0] - row) * (y[1] - row) <= 0.0 && y[0] != y[1])?;
                let slope = step / (y[at + 1] - y[at]);
                let mut w = wave[at] + (row - y[at]) * slope;
                // The trace is curved between two wavelengths of the table.
                w += (row - value(&psf.trace_y, fibre, w)) * slope;
                Some(Crossing { fibre, wave: w, slope, x: value(&psf.trace_x, fibre, w) })
            };
            (0..ROWS).map(crossing).collect()
        };
        (0..psf.nfibre).into_par_iter().map(of_fibre).collect()
    }

    /// Returns the largest relative overlap of two spots near a row, or the first beyond `enough`.
    fn overlap(&self, a: &Crossing, b: &Crossing, enough: f64) -> f64 {
        let fixed = self.stamp(a.fibre, a.wave);
        let mut largest = 0.0;
        for rows in MOVES {
            largest = self.relative(&fixed, &self.stamp(b.fibre, b.wave + rows * b.slope)).max(largest);
            if largest > enough {
                break;
            }
        }
        largest
    }

    fn stamp(&self, fibre: usize, wave: f64) -> Stamp {
        let value = |series: &LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
        let ((px, dx), (py, dy)) = (split(value(&self.psf.trace_x)), split(value(&self.psf.trace_y)));
        let params: Vec<f64> = self.series.iter().map(|series| value(series)).collect();
        let mut pixels = vec![0.0; self.shape.size()];
        self.model.spot((dx, dy), &params, &mut pixels);
        let norm = pixels.iter().map(|p| p * p).sum::<f64>().sqrt();
        let corner = [i64::from(px) - self.shape.half_x as i64, i64::from(py) - self.shape.half_y as i64];
        Stamp { corner, pixels, norm }
    }

    /// `s_a . s_b / (|s_a| |s_b|)`; 0 where a spot covers nothing.
    fn relative(&self, a: &Stamp, b: &Stamp) -> f64 {
        let [nx, ny] = [self.shape.nx() as i64, self.shape.ny() as i64];
        let [x, y] = [b.corner[0] - a.corner[0], b.corner[1] - a.corner[1]];
        if x.abs() >= nx || y.abs() >= ny {
            return 0.0;
        }
        let (columns, rows) = (x.max(0)..nx.min(nx + x), y.max(0)..ny.min(ny + y));
        let of_row = |row: i64| {
            let (of_a, of_b) = ((row * nx) as usize, ((row - y) * nx) as usize);
            let pixel = |column: i64| a.pixels[of_a + column as usize] * b.pixels[of_b + (column - x) as usize];
            columns.clone().map(pixel).sum::<f64>()
        };
        let overlap = rows.map(of_row).sum::<f64>() / (a.norm * b.norm);
        if overlap.is_finite() { overlap } else { 0.0 }
    }
}
