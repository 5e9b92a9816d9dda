//! The weight of a spot: the mean weight of its pixels, the flux weight A^T W 1 of its bin (BS10 eq. 4).

use super::series::SeriesTable;
use super::spots::SpotModel;
use super::traces::{split, traces};
use crate::geometry::Ccd;
use crate::psf::Psf;
use rayon::prelude::*;

/// Rows times fibres that are looked at: on a small CCD every row.
const SAMPLES: usize = 400_000;
const FEWEST_ROWS: usize = 256;

/// Nodes of a trace, linear between them.
const NODES: usize = 64;

/// Places of a profile within a pixel.
const PLACES: usize = 8;

/// Standard deviations of a profile beyond which it is left out.
const REACH: f64 = 3.0;

/// Returns the largest weight of a spot of each fibre, 1/electron^2, `[nfibre]`; 0 without a good pixel.
///
/// Spots are taken all over the range of the PSF, not on a grid: the result belongs to the frame, whatever is extracted of it. A
/// pixel weighs no more than a dark one, so that a few wrong weights do not change it much.
///
/// Gaussians find the row where a spot weighs most. They take some rows of the CCD whole, as pixels come into the cache.
pub fn largest_spot_weights(psf: &Psf, ccd: &Ccd) -> Vec<f64> {
    let step = ccd.ny().div_ceil((SAMPLES / psf.nfibre).max(FEWEST_ROWS));
    let rows = ccd.ny().div_ceil(step);
    let traces = Trace::all(psf, ccd, step);
    let columns: Vec<Vec<f64>> = traces.par_iter().map(|trace| trace.columns(rows, step)).collect();
    let mut sums = vec![0.0; rows * psf.nfibre];
    sums.par_chunks_mut(psf.nfibre).enumerate().for_each(|(row, sums)| {
        let ivar = &ccd.ivar()[row * step * ccd.nx()..][..ccd.nx()];
        for ((sum, trace), columns) in sums.iter_mut().zip(&traces).zip(&columns) {
            *sum = trace.across.weight_at(columns[row], ivar, ccd.dark_weight());
        }
    });
    let model = SpotModel::new(psf, false);
    let of_fibre = |(fibre, trace): (usize, &Trace)| {
        let sums: Vec<f32> = sums.iter().skip(fibre).step_by(psf.nfibre).copied().collect();
        heaviest(&sums, &trace.along).map_or(0.0, |row| {
            let near = (row.saturating_sub(1)..=row + 1).filter_map(|row| trace.wave_at((row * step) as f64));
            heaviest_spot(psf, ccd, &model, fibre, &near.collect::<Vec<_>>())
        })
    };
    traces.par_iter().enumerate().map(of_fibre).collect()
}

/// The trace of a fibre, roughly.
struct Trace {
    wave: [f64; NODES],
    x: [f64; NODES],
    y: [f64; NODES],
    /// The profile of a spot across the trace, in pixels.
    across: Profiles,
    /// The profile along the trace, in rows that are looked at.
    along: Profiles,
}

impl Trace {
    /// Returns the traces of all fibres; of the rows of the CCD every `step`-th is looked at.
    fn all(psf: &Psf, ccd: &Ccd, step: usize) -> Vec<Self> {
        let distance = (psf.wave_max - psf.wave_min) / (NODES - 1) as f64;
        let wave = std::array::from_fn(|k| psf.wave_min + distance * k as f64);
        let table = SeriesTable::new(&[&psf.trace_x, &psf.trace_y, &psf.sigma_x, &psf.sigma_y], &wave);
        let of_fibre = |fibre: usize| {
            let [x, y, sigma_x, sigma_y] = std::array::from_fn(|series| {
                let mut row = [0.0; NODES];
                table.row(series, fibre, &mut row);
                row
            });
            let widest = |sigma: [f64; NODES]| sigma.into_iter().fold(0.0, f64::max);
            let across = Profiles::new(widest(sigma_x), ccd.nx());
            Self { wave, x, y, across, along: Profiles::new(widest(sigma_y) / step as f64, ccd.ny()) }
        };
        (0..psf.nfibre).into_par_iter().map(of_fibre).collect()
    }

    /// Returns x at every `step`-th row, NaN where the trace has none.
    fn columns(&self, rows: usize, step: usize) -> Vec<f64> {
        let mut columns = vec![f64::NAN; rows];
        for (x, y) in self.x.windows(2).zip(self.y.windows(2)) {
            let slope = (x[1] - x[0]) / (y[1] - y[0]);
            let [first, last] = [y[0].min(y[1]), y[0].max(y[1])].map(|y| (y / step as f64).clamp(-1.0, rows as f64));
            for row in first.ceil() as usize..((last.floor() + 1.0) as usize).min(rows) {
                columns[row] = x[0] + slope * ((row * step) as f64 - y[0]);
            }
        }
        columns
    }

    /// Returns the wavelength at a row, Angstrom; None where the trace has none.
    fn wave_at(&self, row: f64) -> Option<f64> {
        let (wave, y) =
            self.wave.windows(2).zip(self.y.windows(2)).rfind(|(_, y)| (row - y[0]) * (row - y[1]) <= 0.0)?;
        Some(if y[0] == y[1] { wave[0] } else { wave[0] + (wave[1] - wave[0]) * (row - y[0]) / (y[1] - y[0]) })
    }
}

/// Returns the row where a Gaussian has the largest weight; None without a good pixel.
fn heaviest(sums: &[f32], along: &Profiles) -> Option<usize> {
    let (_, profile) = along.at(0.0);
    let half = profile.len() / 2;
    let weight = |k: usize| -> f32 {
        let (first, end) = (k.saturating_sub(half), (k + half + 1).min(sums.len()));
        profile[first + half - k..].iter().zip(&sums[first..end]).map(|(profile, sum)| profile * sum).sum()
    };
    let (weight, row) = (0..sums.len()).map(|k| (weight(k), k)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (weight > 0.0).then_some(row)
}

/// Gaussian profiles of pixels with sum 1, for places within a pixel.
struct Profiles {
    half: i64,
    profiles: Vec<Vec<f32>>,
}

impl Profiles {
    fn new(sigma: f64, most: usize) -> Self {
        let half = (REACH * sigma).ceil().clamp(1.0, most as f64) as i64;
        let profile = |place: usize| {
            let offset = (place as f64 + 0.5) / PLACES as f64 - 0.5;
            let values = (-half..=half).map(|k| (-0.5 * ((k as f64 - offset) / sigma).powi(2)).exp());
            let values: Vec<f64> = values.collect();
            let sum: f64 = values.iter().sum();
            values.iter().map(|value| (value / sum) as f32).collect()
        };
        Self { half, profiles: (0..PLACES).map(profile).collect() }
    }

    /// Returns the first pixel of the profile at a position, and the profile.
    fn at(&self, position: f64) -> (i64, &[f32]) {
        let (pixel, offset) = split(position);
        let place = ((offset + 0.5) * PLACES as f64) as usize;
        (i64::from(pixel) - self.half, &self.profiles[place.min(PLACES - 1)])
    }

    /// Returns the weight at a position in a row of pixels, none of which weighs more than `dark`; 0 at NaN.
    fn weight_at(&self, position: f64, ivar: &[f32], dark: f32) -> f32 {
        if position.is_nan() {
            return 0.0;
        }
        let (first, profile) = self.at(position);
        let [start, end] = [first, first + profile.len() as i64].map(|pixel| pixel.clamp(0, ivar.len() as i64));
        let pixels = profile.iter().skip((start - first) as usize).zip(&ivar[start as usize..end as usize]);
        pixels.map(|(profile, ivar)| profile * ivar.min(dark)).sum()
    }
}

/// Returns the largest weight of a fibre's spots at some wavelengths, on the PSF's scale.
fn heaviest_spot(psf: &Psf, ccd: &Ccd, model: &SpotModel, fibre: usize, waves: &[f64]) -> f64 {
    let traces = traces(psf, fibre..fibre + 1, waves, false);
    let (nx, dark) = (model.shape().nx(), ccd.dark_weight());
    let weight = |(bin, spot): (usize, &[f64])| -> f64 {
        let corner = [(traces.pixel_x[bin], psf.half_x), (traces.pixel_y[bin], psf.half_y)];
        let [x0, y0] = corner.map(|(pixel, half)| i64::from(pixel) - half as i64);
        let weight = |(k, spot): (usize, &f64)| {
            let (x, y) = (x0 + (k % nx) as i64, y0 + (k / nx) as i64);
            let on_ccd = (0..ccd.nx() as i64).contains(&x) && (0..ccd.ny() as i64).contains(&y);
            if on_ccd { spot * f64::from(ccd.ivar()[y as usize * ccd.nx() + x as usize].min(dark)) } else { 0.0 }
        };
        spot.iter().enumerate().map(weight).sum()
    };
    let spots = model.spots(&traces);
    spots.chunks_exact(model.shape().size()).enumerate().map(weight).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    fn psf() -> Psf {
        Synthetic { nfibre: 4, bundlesize: 4, npix_y: Some(120), ..Synthetic::default() }.build().unwrap()
    }

    fn largest(psf: &Psf, ivar: &[f32]) -> Vec<f64> {
        largest_spot_weights(psf, &Ccd::new(psf.npix_y, psf.npix_x, vec![0.0; ivar.len()], ivar).unwrap())
    }

    #[test]
    fn equal_pixels_give_their_weight_and_none_gives_0() {
        let psf = psf();
        let pixels = psf.npix_x * psf.npix_y;
        assert!(
            largest(&psf, &vec![0.25; pixels]).iter().all(|weight| (0.999..=1.0 + 1e-12).contains(&(weight / 0.25)))
        );
        assert_eq!(largest(&psf, &vec![0.0; pixels]), [0.0; 4]);
    }

    #[test]
    fn the_largest_weight_is_that_of_all_spots_of_a_fibre() {
        let psf = psf();
        // Weights that rise and fall along and across the traces, and dead rows.
        let weight = |k: usize| {
            let (x, y) = ((k % psf.npix_x) as f64, (k / psf.npix_x) as f64);
            if (50.0..60.0).contains(&y) { 0.0 } else { 0.1 + 0.05 * (y / 9.0).sin() * (x / 5.0).cos() }
        };
        let ivar: Vec<f32> = (0..psf.npix_x * psf.npix_y).map(|k| weight(k) as f32).collect();
        let ccd = Ccd::new(psf.npix_y, psf.npix_x, vec![0.0; ivar.len()], &ivar).unwrap();
        let (model, step) = (SpotModel::new(&psf, false), (psf.wave_max - psf.wave_min) / 999.0);
        for (fibre, found) in largest(&psf, &ivar).into_iter().enumerate() {
            let all: Vec<f64> = (0..1000).map(|k| psf.wave_min + step * k as f64).collect();
            let largest = heaviest_spot(&psf, &ccd, &model, fibre, &all);
            assert!((0.99 * largest..=1.001 * largest).contains(&found), "fibre {fibre}: {found} of {largest}");
        }
    }

    #[test]
    fn one_wrong_weight_changes_little() {
        let psf = psf();
        let mut ivar = vec![0.02; psf.npix_x * psf.npix_y];
        ivar[..2 * psf.npix_x].fill(0.1);
        let right = largest(&psf, &ivar);
        let trace = traces(&psf, 1..2, &[0.5 * (psf.wave_min + psf.wave_max)], false);
        ivar[trace.pixel_y[0] as usize * psf.npix_x + trace.pixel_x[0] as usize] = 50.0;
        let wrong = largest(&psf, &ivar);
        assert_eq!([wrong[0], wrong[3]], [right[0], right[3]]);
        assert!(wrong[1] < 1.5 * right[1], "{wrong:?} {right:?}");
    }
}
