//! The synthetic PSF from its parameters.

use super::parameters::{Synthetic, SyntheticError};
use super::slit::{Slit, clipped_normal};
use crate::psf::{Dispersion, Form, Psf, PsfParts, Tails};
use crate::simulate::range::OutOfRange;
use rand::SeedableRng;
use rand_pcg::Pcg64;

/// Scatter of the gaps between bundles as a fraction of the gap (0.8 px of 17.8 px in DESI r).
const GAP_SCATTER: f64 = 0.045;
/// Scatter of a fibre's position about its ideal one, pixels.
const FIBRE_SCATTER: f64 = 0.03;

impl Synthetic {
    /// Makes the PSF.
    ///
    /// # Errors
    /// [`SyntheticError::OutOfRange`] with the parameter at fault, [`SyntheticError::TooNarrow`] if the CCD has too few
    /// columns, [`SyntheticError::Psf`] if the parameters make no valid PSF.
    pub fn build(&self) -> Result<Psf, SyntheticError> {
        self.check()?;
        let mut rng = Pcg64::seed_from_u64(self.seed);
        let mut positions = self.positions(&mut rng);
        let (first, last) = (positions[0], positions[positions.len() - 1]);
        let width = last - first;
        let (letter, range, npix) = self.camera.arm();
        let npix_x = self.columns(width, npix[0])?;
        let npix_y = self.npix_y.unwrap_or(npix[1]);
        let domain = self.domain(range, npix_y as f64, npix[1] as f64)?;
        let middle = 0.5 * (npix_x as f64 - 1.0);
        positions.iter_mut().for_each(|x| *x += middle - 0.5 * (first + last));

        let mut slit = Slit::new(self, domain, &positions, rng);
        Ok(Psf::new(PsfParts {
            nfibre: self.nfibre,
            fibermin: 0,
            dispersion: Dispersion::AlongY,
            trace_x: slit.trace_x(&positions, npix_x),
            trace_y: slit.trace_y([npix_x, npix_y]),
            form: Form::GaussHermite,
            sigma_x: slit.sigma_x(),
            sigma_y: slit.sigma_y(),
            gh: slit.hermite_terms(),
            gh_degree_x: self.gh_degree,
            gh_degree_y: self.gh_degree,
            tails: Some(Tails {
                amplitude: slit.constant(self.tail_amplitude),
                core: slit.constant(1.0),
                x_scale: slit.constant(1.0),
                y_scale: slit.constant(1.0),
                index: slit.constant(2.0),
            }),
            half_x: self.half_x,
            half_y: self.half_y,
            npix_x,
            npix_y,
            ranges: None,
            numbers: None,
            waves: None,
            wave_min: domain[0],
            wave_max: domain[1],
            psferr: 0.01,
            camera: Some(format!("{letter}0")),
        })?)
    }

    /// Draws the positions of the fibres along x, from 0, pixels.
    fn positions(&self, rng: &mut Pcg64) -> Vec<f64> {
        let mut x = 0.0;
        (0..self.nfibre)
            .map(|fibre| {
                if fibre > 0 && fibre % self.bundlesize == 0 {
                    x += self.bundle_gap * (1.0 + GAP_SCATTER * clipped_normal(rng));
                } else if fibre > 0 {
                    x += self.spacing;
                }
                x + FIBRE_SCATTER * clipped_normal(rng)
            })
            .collect()
    }

    /// Returns the columns of a CCD for fibres that span `width` pixels: `full` for DESI's fibres, otherwise with 3.6 %
    /// left on either side like there.
    fn columns(&self, width: f64, full: usize) -> Result<usize, SyntheticError> {
        let spot = self.half_x as f64 + 4.0;
        let needed = (width + 2.0 * spot).ceil() as usize + 1;
        let ample = (width + 2.0 * (0.0375 * width).max(spot)).ceil() as usize + 1;
        let default = Self::default();
        let desi = (self.nfibre, self.bundlesize, self.spacing, self.bundle_gap)
            == (default.nfibre, default.bundlesize, default.spacing, default.bundle_gap);
        let npix_x = self.npix_x.unwrap_or(if desi { full } else { ample });
        if npix_x < needed {
            return Err(SyntheticError::TooNarrow { nfibre: self.nfibre, needed, npix_x });
        }
        Ok(npix_x)
    }

    /// Returns the wavelength range: as given, or by the dispersion of an arm with `low..high` on `full` rows.
    fn domain(&self, [low, high]: [f64; 2], rows: f64, full: f64) -> Result<[f64; 2], OutOfRange> {
        let span = (high - low) * rows / full;
        let [min, max] = match (self.wave_min, self.wave_max) {
            (Some(min), Some(max)) => [min, max],
            (Some(min), None) => [min, min + span],
            (None, Some(max)) => [max - span, max],
            (None, None) => {
                let middle = 0.5 * (low + high);
                [(middle - 0.5 * span).round(), (middle + 0.5 * span).round()]
            }
        };
        let rule = |name, value, rule| Err(OutOfRange { name, value, rule });
        if !(min > 0.0 && min.is_finite()) {
            return rule("the lower end of the wavelength range", min, "a positive number of Angstrom");
        }
        if !(max > min && max.is_finite()) {
            return rule("the upper end of the wavelength range", max, "above its lower end");
        }
        Ok([min, max])
    }
}
