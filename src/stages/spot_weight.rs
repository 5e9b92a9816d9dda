//! The weight of a spot: the mean weight of its pixels, the flux weight A^T W 1 of its bin (BS10 eq. 4).

use super::series::SeriesTable;
use super::spots::SpotModel;
use super::traces::{split, traces};
use crate::geometry::Ccd;
use crate::psf::Psf;
use rayon::prelude::*;

/// Rows times fibres that are looked at: on a small CCD every row.
const SAMPLES: usize = 200_000;
const FEWEST_ROWS: usize = 256;

/// Nodes of a trace, linear between them.
const NODES: usize = 64;

/// Places of a profile within a pixel.
const PLACES: usize = 8;

/// Standard deviations of a profile beyond which it is left out.
const REACH: f64 = 3.0;

/// Pixels that are summed side by side.
const LANES: usize = 8;

/// Fibres whose rows are put one after another at a time.
const FIBRES: usize = 16;

/// A row where a trace has no position.
const NOWHERE: u32 = u32::MAX;

/// Returns the largest weight of a spot of each fibre, see [`SpotPlaces::largest_weights`].
///
/// # Panics
/// If the CCD is smaller than the PSF's.
pub fn largest_spot_weights(psf: &Psf, ccd: &Ccd) -> Vec<f64> {
    SpotPlaces::new(psf).largest_weights(psf, ccd)
}

/// Where the spots of all fibres lie on the CCD, roughly: on some rows, as Gaussians. It follows from the PSF alone.
#[derive(Debug)]
pub struct SpotPlaces {
    /// Every so many rows of the CCD one is looked at.
    step: usize,
    /// Pixels added to either end of a row.
    margin: usize,
    traces: Vec<Trace>,
    /// First pixel of a spot's profile in a row with its margin, in steps of 1/PLACES pixel, `[row, fibre]`.
    places: Vec<u32>,
}

/// The trace of a fibre, roughly.
#[derive(Debug)]
struct Trace {
    wave: [f64; NODES],
    y: [f64; NODES],
    /// The profile of a spot across the trace, in pixels.
    across: Profiles,
    /// The profile along the trace, in rows that are looked at.
    along: Profiles,
}

impl SpotPlaces {
    /// Finds the places of a PSF.
    pub fn new(psf: &Psf) -> Self {
        let step = psf.npix_y.div_ceil((SAMPLES / psf.nfibre).max(FEWEST_ROWS));
        let rows = psf.npix_y.div_ceil(step);
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
            let across = Profiles::new(widest(sigma_x), psf.npix_x);
            let along = Profiles::new(widest(sigma_y) / step as f64, psf.npix_y);
            (Trace { wave, y, across, along }, columns((&x, &y), rows, step))
        };
        let (traces, columns): (Vec<Trace>, Vec<Vec<f64>>) = (0..psf.nfibre).into_par_iter().map(of_fibre).unzip();
        let margin = traces.iter().map(|trace| trace.across.width).max().unwrap_or(0);
        let mut places = vec![NOWHERE; rows * psf.nfibre];
        places.par_chunks_mut(psf.nfibre).enumerate().for_each(|(row, places)| {
            for ((place, trace), columns) in places.iter_mut().zip(&traces).zip(&columns) {
                *place = trace.across.place(columns[row], psf.npix_x, margin);
            }
        });
        Self { step, margin, traces, places }
    }

    /// Returns the largest weight of a spot of each fibre of the same PSF, 1/electron^2, `[nfibre]`; 0 without a good pixel.
    ///
    /// Spots are taken all over the range of the PSF, not on a grid: the result belongs to the frame, whatever is extracted of it.
    /// A pixel weighs no more than a dark one, so that a few wrong weights do not change it much.
    ///
    /// Gaussians find the row where a spot weighs most. They take some rows of the CCD whole, as pixels come into the cache.
    ///
    /// # Panics
    /// If the CCD is smaller than the PSF's.
    pub fn largest_weights(&self, psf: &Psf, ccd: &Ccd) -> Vec<f64> {
        let model = SpotModel::new(psf, false);
        let (sums, rows) = (self.sums(ccd), self.places.len() / psf.nfibre);
        let of_fibres = |first: usize| {
            let mut of_fibre = vec![0.0; FIBRES * rows];
            let fibres = first..(first + FIBRES).min(psf.nfibre);
            for (row, sums) in sums.chunks_exact(psf.nfibre).enumerate() {
                sums[fibres.clone()].iter().enumerate().for_each(|(k, sum)| of_fibre[k * rows + row] = *sum);
            }
            let weights = fibres.zip(of_fibre.chunks_exact(rows)).map(|(fibre, sums)| {
                let trace = &self.traces[fibre];
                heaviest(sums, &trace.along).map_or(0.0, |row| {
                    // Rows that are not looked at may be dead.
                    let near = row.saturating_sub(1)..=row + 1;
                    let waves: Vec<f64> = near.filter_map(|row| trace.wave_at((row * self.step) as f64)).collect();
                    heaviest_spot(psf, ccd, &model, fibre, &waves)
                })
            });
            weights.collect::<Vec<f64>>()
        };
        (0..psf.nfibre).into_par_iter().step_by(FIBRES).flat_map_iter(of_fibres).collect()
    }

    /// Returns the weight of a Gaussian across each trace, `[row, fibre]`.
    fn sums(&self, ccd: &Ccd) -> Vec<f32> {
        let nfibre = self.traces.len();
        let mut sums = vec![0.0; self.places.len()];
        let pixels = || vec![0.0; ccd.nx() + 2 * self.margin];
        sums.par_chunks_mut(nfibre).zip(self.places.par_chunks(nfibre)).enumerate().for_each_init(
            pixels,
            |pixels, (row, (sums, places))| {
                let (ivar, dark) = (&ccd.ivar()[row * self.step * ccd.nx()..][..ccd.nx()], ccd.dark_weight());
                let own = &mut pixels[self.margin..self.margin + ccd.nx()];
                own.iter_mut().zip(ivar).for_each(|(pixel, ivar)| *pixel = ivar.min(dark));
                for ((sum, trace), place) in sums.iter_mut().zip(&self.traces).zip(places) {
                    *sum = trace.across.weight(*place, pixels);
                }
            },
        );
        sums
    }
}

/// Returns x of a trace at every `step`-th row, NaN where it has none.
fn columns((x, y): (&[f64], &[f64]), rows: usize, step: usize) -> Vec<f64> {
    let mut columns = vec![f64::NAN; rows];
    for (x, y) in x.windows(2).zip(y.windows(2)) {
        let slope = (x[1] - x[0]) / (y[1] - y[0]);
        let [first, last] = [y[0].min(y[1]), y[0].max(y[1])].map(|y| (y / step as f64).clamp(-1.0, rows as f64));
        for row in first.ceil() as usize..((last.floor() + 1.0) as usize).min(rows) {
            columns[row] = x[0] + slope * ((row * step) as f64 - y[0]);
        }
    }
    columns
}

impl Trace {
    /// Returns the wavelength at a row, Angstrom; None where the trace has none.
    fn wave_at(&self, row: f64) -> Option<f64> {
        let (wave, y) =
            self.wave.windows(2).zip(self.y.windows(2)).rfind(|(_, y)| (row - y[0]) * (row - y[1]) <= 0.0)?;
        Some(if y[0] == y[1] { wave[0] } else { wave[0] + (wave[1] - wave[0]) * (row - y[0]) / (y[1] - y[0]) })
    }
}

/// Returns the row where a Gaussian has the largest weight; None without a good pixel.
fn heaviest(sums: &[f32], along: &Profiles) -> Option<usize> {
    let (half, profile) = (along.half, along.centred());
    let weight = |k: usize| -> f32 {
        let (first, end) = (k.saturating_sub(half), (k + half + 1).min(sums.len()));
        profile[first + half - k..].iter().zip(&sums[first..end]).map(|(profile, sum)| profile * sum).sum()
    };
    let (weight, row) = (0..sums.len()).map(|k| (weight(k), k)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (weight > 0.0).then_some(row)
}

/// Gaussian profiles of pixels with sum 1, for places within a pixel.
#[derive(Debug)]
struct Profiles {
    half: usize,
    /// Values of each profile: zeros follow its `2 half + 1` pixels up to whole lanes.
    width: usize,
    /// `[PLACES, width]`.
    values: Vec<f32>,
}

impl Profiles {
    fn new(sigma: f64, most: usize) -> Self {
        let half = (REACH * sigma).ceil().clamp(1.0, most as f64) as usize;
        let width = (2 * half + 1).next_multiple_of(LANES);
        let mut values = vec![0.0; PLACES * width];
        for (place, to) in values.chunks_exact_mut(width).enumerate() {
            let offset = (place as f64 + 0.5) / PLACES as f64 - 0.5;
            let value = |k: usize| (-0.5 * ((k as f64 - half as f64 - offset) / sigma).powi(2)).exp();
            let sum: f64 = (0..=2 * half).map(value).sum();
            to[..=2 * half].iter_mut().enumerate().for_each(|(k, to)| *to = (value(k) / sum) as f32);
        }
        Self { half, width, values }
    }

    /// Returns the profile of a spot in the middle of a pixel.
    fn centred(&self) -> &[f32] {
        &self.values[PLACES / 2 * self.width..][..=2 * self.half]
    }

    /// Returns the place of a profile at column `x` of `nx`, see [`SpotPlaces::places`]; [`NOWHERE`] if no pixel of it is on
    /// the CCD.
    fn place(&self, x: f64, nx: usize, margin: usize) -> u32 {
        let half = self.half as f64;
        if !(-half - 0.5..nx as f64 + half - 0.5).contains(&x) {
            return NOWHERE;
        }
        let (pixel, offset) = split(x);
        let first = (i64::from(pixel) + margin as i64) as usize - self.half;
        let place = ((offset + 0.5) * PLACES as f64) as usize;
        (first * PLACES + place.min(PLACES - 1)) as u32
    }

    /// Returns the weight at a place in a row of pixels with its margin; 0 at [`NOWHERE`].
    fn weight(&self, place: u32, pixels: &[f32]) -> f32 {
        if place == NOWHERE {
            return 0.0;
        }
        let (first, place) = (place as usize / PLACES, place as usize % PLACES);
        let profile = self.values[place * self.width..][..self.width].chunks_exact(LANES);
        let mut sums = [0.0; LANES];
        for (profile, pixels) in profile.zip(pixels[first..first + self.width].chunks_exact(LANES)) {
            (0..LANES).for_each(|k| sums[k] += profile[k] * pixels[k]);
        }
        let halves: [f32; LANES / 2] = std::array::from_fn(|k| sums[k] + sums[k + LANES / 2]);
        (halves[0] + halves[2]) + (halves[1] + halves[3])
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
        let ccd = Ccd::new(psf.npix_y, psf.npix_x, vec![0.0; ivar.len()], ivar).unwrap();
        largest_spot_weights(psf, &ccd)
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
