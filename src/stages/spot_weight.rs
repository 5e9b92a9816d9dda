//! The weight of a spot: the mean weight of its pixels, the flux weight A^T W 1 of its bin (BS10 eq. 4).

use super::series::SeriesTable;
use super::spots::SpotModel;
use super::traces::{split, traces};
use crate::geometry::Ccd;
use crate::psf::Psf;
use rayon::prelude::*;

/// Places that are looked at: on a small CCD one per row of each fibre.
const SAMPLES: usize = 400_000;
const FEWEST: usize = 256;

/// Places of a profile within a pixel.
const PLACES: usize = 8;

/// Standard deviations of a profile beyond which it is left out.
const REACH: f64 = 3.0;

/// Returns the largest weight of a spot of each fibre, 1/electron^2, `[nfibre]`; 0 without a good pixel.
///
/// Spots are taken all over the range of the PSF, not on a grid: the result belongs to the frame, whatever is extracted of it. A
/// pixel weighs no more than a dark one, so that a few wrong weights do not change it much.
pub fn largest_spot_weights(psf: &Psf, ccd: &Ccd) -> Vec<f64> {
    let count = (SAMPLES / psf.nfibre).max(FEWEST).min(psf.npix_y).max(2);
    let rows_per_place = psf.npix_y as f64 / count as f64;
    let step = (psf.wave_max - psf.wave_min) / (count - 1) as f64;
    let waves: Vec<f64> = (0..count).map(|k| psf.wave_min + step * k as f64).collect();
    let table = SeriesTable::new(&[&psf.trace_x, &psf.trace_y, &psf.sigma_x, &psf.sigma_y], &waves);
    let model = SpotModel::new(psf, false);
    let of_fibre = |fibre: usize| {
        let [x, y, sigma_x, sigma_y] = std::array::from_fn(|series| {
            let mut row = vec![0.0; count];
            table.row(series, fibre, &mut row);
            row
        });
        let widest = |sigma: &[f64]| sigma.iter().copied().fold(0.0, f64::max);
        let place = heaviest(ccd, [&x, &y], [widest(&sigma_x), widest(&sigma_y) / rows_per_place]);
        let near = |k: usize| k.saturating_sub(1)..(k + 2).min(count);
        place.map_or(0.0, |k| heaviest_spot(psf, ccd, &model, fibre, &waves[near(k)]))
    };
    (0..psf.nfibre).into_par_iter().map(of_fibre).collect()
}

/// Returns the place on a trace, x and y, where a Gaussian has the largest weight; None without a good pixel. Its sigma is in
/// columns and places.
fn heaviest(ccd: &Ccd, [x, y]: [&[f64]; 2], [sigma_x, sigma_y]: [f64; 2]) -> Option<usize> {
    let (across, along) = (Profiles::new(sigma_x, ccd.nx()), Profiles::new(sigma_y, ccd.ny()));
    let (columns, rows, dark) = (ccd.nx() as i64, ccd.ny() as i64, ccd.dark_weight());
    let in_row = |(x, y): (&f64, &f64)| -> f64 {
        let (row, (column, profile)) = (i64::from(split(*y).0), across.at(*x));
        if !(0..rows).contains(&row) {
            return 0.0;
        }
        let [first, last] = [column, column + profile.len() as i64].map(|column| column.clamp(0, columns));
        let ivar = &ccd.ivar()[row as usize * ccd.nx()..][first as usize..last as usize];
        let pixels = profile.iter().skip((first - column) as usize).zip(ivar);
        pixels.map(|(value, ivar)| value * f64::from(ivar.min(dark))).sum()
    };
    let sums: Vec<f64> = x.iter().zip(y).map(in_row).collect();
    let (_, profile) = along.at(0.0);
    let half = profile.len() / 2;
    let weight = |k: usize| -> f64 {
        let places = (k + half).checked_sub(profile.len() - 1).map_or(0, |_| k - half)..(k + half + 1).min(sums.len());
        places.map(|place| profile[place + half - k] * sums[place]).sum()
    };
    let (weight, place) = (0..sums.len()).map(|k| (weight(k), k)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (weight > 0.0).then_some(place)
}

/// Gaussian profiles of pixels with sum 1, for places within a pixel.
struct Profiles {
    half: i64,
    profiles: Vec<Vec<f64>>,
}

impl Profiles {
    fn new(sigma: f64, most: usize) -> Self {
        let half = (REACH * sigma).ceil().clamp(1.0, most as f64) as i64;
        let profile = |place: usize| {
            let offset = (place as f64 + 0.5) / PLACES as f64 - 0.5;
            let values = (-half..=half).map(|k| (-0.5 * ((k as f64 - offset) / sigma).powi(2)).exp());
            let values: Vec<f64> = values.collect();
            let sum: f64 = values.iter().sum();
            values.iter().map(|value| value / sum).collect()
        };
        Self { half, profiles: (0..PLACES).map(profile).collect() }
    }

    /// Returns the first pixel of the profile at a position, and the profile.
    fn at(&self, position: f64) -> (i64, &[f64]) {
        let (pixel, offset) = split(position);
        let place = ((offset + 0.5) * PLACES as f64) as usize;
        (i64::from(pixel) - self.half, &self.profiles[place.min(PLACES - 1)])
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
