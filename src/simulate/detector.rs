//! The detector: photon and read noise, bad columns, dead patches and cosmic rays.

use super::random::{Purpose, stream};
use rand::RngExt;
use rand_distr::{Distribution, Exp1, Normal, Poisson};
use rayon::prelude::*;

/// Bits of the CCD mask, equal to desispec's `ccdmask`.
pub mod ccdmask {
    /// A pixel of a bad column.
    pub const BAD: i32 = 1 << 0;
    /// A pixel that records no light.
    pub const DEAD: i32 = 1 << 2;
    /// A pixel that is full.
    pub const SATURATED: i32 = 1 << 3;
    /// A cosmic ray.
    pub const COSMIC: i32 = 1 << 4;
}

/// Read noise of the four amplifiers relative to the frame's.
pub const AMPLIFIER_NOISE: [f64; 4] = [1.0, 1.04, 0.97, 1.02];
/// Amplifiers: lower left, lower right, upper left, upper right.
pub const AMPLIFIERS: [char; 4] = ['A', 'B', 'C', 'D'];
/// Cosmic rays per pixel in 1000 s: 2000 on a DESI CCD, which hit 0.1 % of its pixels.
const COSMICS: f64 = 1.2e-4;
/// Mean length of a cosmic ray's track, pixels.
const TRACK: f64 = 7.0;
/// Fraction of the flagged cosmic rays that are flagged by ivar = 0 rather than by a mask bit.
const BY_IVAR: f64 = 0.1;
/// Signal of a bad column, electron.
const BAD_COLUMN_SIGNAL: f32 = 700.0;

/// An exposed CCD: image (electron), ivar (1/electron^2) and mask, each `[ny, nx]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    pub nx: usize,
    pub ny: usize,
    pub image: Vec<f32>,
    /// Inverse of the true variance; 0 for pixels that must not be used.
    pub ivar: Vec<f32>,
    /// Bits of [`ccdmask`].
    pub mask: Vec<i32>,
}

/// Draws Poisson photons of the `expected` electrons `[ny, nx]` and adds read noise.
///
/// ivar is the inverse of the true variance: the expectation plus the amplifier's read noise squared.
pub fn expose(expected: &[f64], nx: usize, readnoise: f64, seed: u64) -> Exposed {
    let ny = expected.len() / nx;
    let mut image = vec![0.0; nx * ny];
    let mut ivar = vec![0.0; nx * ny];
    let rows = image.par_chunks_mut(nx).zip(ivar.par_chunks_mut(nx));
    rows.zip(expected.par_chunks(nx)).enumerate().for_each(|(y, ((image, ivar), expected))| {
        let rng = &mut stream(seed, Purpose::Noise, y);
        for (x, &mean) in expected.iter().enumerate() {
            let amplifier = 2 * usize::from(y >= ny / 2) + usize::from(x >= nx / 2);
            let sigma = readnoise * AMPLIFIER_NOISE[amplifier];
            // Poisson::new refuses a mean of 0: such a pixel has read noise only.
            let photons = Poisson::new(mean).map_or(0.0, |p| p.sample(rng));
            let read = Normal::new(0.0, sigma).map_or(0.0, |n| n.sample(rng));
            image[x] = (photons + read) as f32;
            ivar[x] = (1.0 / (mean + sigma * sigma)) as f32;
        }
    });
    Exposed { nx, ny, image, ivar, mask: vec![0; nx * ny] }
}

/// How a cosmic ray is flagged.
#[derive(Clone, Copy, Debug)]
enum Flag {
    Mask,
    Ivar,
    None,
}

impl Exposed {
    /// Adds `columns` bad columns, bad over most of their height, and `patches` dead blocks of pixels.
    pub fn add_defects(&mut self, columns: usize, patches: usize, seed: u64) {
        let rng = &mut stream(seed, Purpose::Defects, 0);
        for _ in 0..columns {
            let (x, y) = (rng.random_range(0..self.nx), rng.random_range(0..=self.ny / 3));
            for y in y..self.ny {
                self.spoil(x, y, ccdmask::BAD, BAD_COLUMN_SIGNAL);
            }
        }
        for _ in 0..patches {
            let (width, height) = (rng.random_range(5..25), rng.random_range(10..40));
            let (x, y) = (rng.random_range(0..self.nx), rng.random_range(0..self.ny));
            for y in y..(y + height).min(self.ny) {
                for x in x..(x + width).min(self.nx) {
                    let signal = self.image[y * self.nx + x];
                    self.spoil(x, y, ccdmask::DEAD, -signal);
                }
            }
        }
    }

    fn spoil(&mut self, x: usize, y: usize, bit: i32, signal: f32) {
        let i = y * self.nx + x;
        self.image[i] += signal;
        self.ivar[i] = 0.0;
        self.mask[i] |= bit;
    }

    /// Adds the cosmic rays of `exptime` seconds, `rate` times the usual number.
    ///
    /// A fraction `unmasked` of them has no flag, as those that preprocessing overlooks. Of the others nine in ten are
    /// flagged by [`ccdmask::COSMIC`] alone, the rest by ivar = 0 alone.
    pub fn add_cosmics(&mut self, rate: f64, exptime: f64, unmasked: f64, seed: u64) {
        let rng = &mut stream(seed, Purpose::Cosmics, 0);
        let mean = COSMICS * rate * (self.nx * self.ny) as f64 * exptime / 1000.0;
        let count = Poisson::new(mean).map_or(0.0, |p| p.sample(rng)) as usize;
        for _ in 0..count {
            let (mut x, mut y) = (rng.random_range(0.0..self.nx as f64), rng.random_range(0.0..self.ny as f64));
            let angle: f64 = rng.random_range(0.0..std::f64::consts::TAU);
            let length: f64 = Exp1.sample(rng);
            let charge = 10f64.powf(rng.random_range(2.2..3.9));
            let flag = match rng.random_range(0.0..1.0) >= BY_IVAR {
                true => Flag::Mask,
                false => Flag::Ivar,
            };
            // No number is drawn where all are flagged: such frames keep their bytes.
            let flag = if unmasked > 0.0 && rng.random_range(0.0..1.0) < unmasked { Flag::None } else { flag };
            for _ in 0..1 + (TRACK * length) as usize {
                self.hit(x.floor(), y.floor(), charge, flag);
                (x, y) = (x + angle.cos(), y + angle.sin());
            }
        }
    }

    fn hit(&mut self, x: f64, y: f64, charge: f64, flag: Flag) {
        if x < 0.0 || y < 0.0 || x >= self.nx as f64 || y >= self.ny as f64 {
            return;
        }
        let i = y as usize * self.nx + x as usize;
        self.image[i] += charge as f32;
        match flag {
            Flag::Mask => self.mask[i] |= ccdmask::COSMIC,
            Flag::Ivar => self.ivar[i] = 0.0,
            Flag::None => {}
        }
    }

    /// Cuts pixels off at `level` electron, and flags them by [`ccdmask::SATURATED`].
    pub fn saturate(&mut self, level: f64) {
        for (pixel, mask) in self.image.iter_mut().zip(&mut self.mask) {
            if f64::from(*pixel) >= level {
                *pixel = level as f32;
                *mask |= ccdmask::SATURATED;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_variance_that_ivar_states() {
        for mean in [0.0, 2.0, 300.0] {
            let e = expose(&vec![mean; 400 * 400], 400, 3.0, 9);
            let chi: Vec<f64> =
                e.image.iter().zip(&e.ivar).map(|(p, w)| (f64::from(*p) - mean) * f64::from(*w).sqrt()).collect();
            let n = chi.len() as f64;
            let mean_chi = chi.iter().sum::<f64>() / n;
            let variance = chi.iter().map(|c| c * c).sum::<f64>() / n;
            // 160 000 pixels: the mean is good to 0.0025, the variance to 0.0035.
            assert!(mean_chi.abs() < 0.01 && (variance - 1.0).abs() < 0.015, "{mean}: {mean_chi} {variance}");
        }
    }

    #[test]
    fn cosmic_rays_that_are_not_masked_hit_where_those_of_the_mask_would() {
        let ruined = |unmasked| {
            let clean = expose(&vec![5.0; 300 * 300], 300, 3.0, 3);
            let mut e = clean.clone();
            e.add_cosmics(20.0, 1000.0, unmasked, 3);
            let hit: Vec<usize> = (0..e.image.len()).filter(|&i| e.image[i] != clean.image[i]).collect();
            let flagged = hit.iter().filter(|&&i| e.mask[i] != 0 || e.ivar[i] == 0.0).count();
            (hit.len(), flagged)
        };
        let ((all, flagged), (none_of, none), (some_of, some)) = (ruined(0.0), ruined(1.0), ruined(0.3));
        assert!(all > 500 && flagged == all && none_of > 500 && none == 0);
        assert!((0.4..0.9).contains(&(some as f64 / some_of as f64)), "{some} of {some_of}");
    }

    #[test]
    fn a_saturated_pixel_is_cut_off_and_flagged() {
        let mut e = expose(&[0.0, 1000.0, 90_000.0], 3, 3.0, 1);
        e.saturate(60_000.0);
        assert_eq!((e.image[2], &e.mask[..]), (60_000.0, &[0, 0, ccdmask::SATURATED][..]));
    }

    #[test]
    fn every_ruined_pixel_is_flagged_and_no_other() {
        let clean = expose(&vec![5.0; 500 * 600], 500, 3.0, 3);
        let mut e = clean.clone();
        e.add_defects(2, 3, 3);
        e.add_cosmics(5.0, 1000.0, 0.0, 3);
        let mut counts = [0; 4];
        for i in 0..e.image.len() {
            let flagged = e.mask[i] != 0 || e.ivar[i] == 0.0;
            assert!(flagged || e.image[i] == clean.image[i]);
            counts[0] += usize::from(e.mask[i] & ccdmask::BAD != 0);
            counts[1] += usize::from(e.mask[i] & ccdmask::DEAD != 0);
            counts[2] += usize::from(e.mask[i] & ccdmask::COSMIC != 0 && e.ivar[i] > 0.0);
            counts[3] += usize::from(e.mask[i] == 0 && e.ivar[i] == 0.0);
        }
        assert!(counts[0] >= 400 && counts[1] >= 50 && counts[2] >= 300 && counts[3] >= 20, "{counts:?}");
    }
}
