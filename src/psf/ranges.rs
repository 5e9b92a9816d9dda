//! A wavelength range per fibre: orders of an echelle, staggered fields.
//!
//! All series, grids and checks are on one scale, the range of the PSF. The wavelengths of a fibre with a range of its own
//! follow linearly: the ends of the scale are the ends of its range. So fibres whose wavelengths have nothing in common are
//! extracted on the same bins, coupled or not, and each has its own WAVELENGTH. Of a PSF on the scale of a table the wavelengths
//! of a fibre are a series.

use super::error::PsfError;
use super::model::{Psf, PsfParts};
use super::series::{legendre, unit};

impl PsfParts {
    /// Checks the ranges.
    pub(super) fn check_ranges(&self) -> Result<(), PsfError> {
        if let Some(waves) = &self.waves {
            waves.check("WAVELENGTH", self.nfibre)?;
        }
        let Some(ranges) = &self.ranges else { return Ok(()) };
        if ranges.len() != self.nfibre {
            let (found, nfibre) = (ranges.len(), self.nfibre);
            return Err(PsfError::Length { parameter: "WAVERANGE".into(), found, ncoeff: 1, nfibre });
        }
        match ranges.iter().find(|[low, high]| !(*low > 0.0 && low < high && high.is_finite())) {
            Some(domain) => Err(PsfError::Domain { parameter: "WAVERANGE".into(), domain: *domain }),
            None => Ok(()),
        }
    }
}

impl Psf {
    /// Whether fibres have wavelengths of their own.
    pub fn has_own_wavelengths(&self) -> bool {
        self.ranges.is_some() || self.waves.is_some()
    }

    /// Returns the range of a fibre, Angstrom: its own, or that of all.
    pub fn range(&self, fibre: usize) -> [f64; 2] {
        [self.wave_min, self.wave_max].map(|end| self.wavelength(fibre, end))
    }

    /// Returns a fibre's Angstrom per Angstrom of the scale, in the mean.
    pub fn stretch(&self, fibre: usize) -> f64 {
        if !self.has_own_wavelengths() {
            return 1.0;
        }
        let [low, high] = self.ranges.as_ref().map_or_else(|| self.range(fibre), |ranges| ranges[fibre]);
        (high - low) / (self.wave_max - self.wave_min)
    }

    /// Returns the wavelength of a fibre at one of the scale, Angstrom.
    pub fn wavelength(&self, fibre: usize, on_scale: f64) -> f64 {
        match (&self.ranges, &self.waves) {
            (None, None) => on_scale,
            (_, Some(waves)) => legendre(waves.of(fibre), unit(waves.domain, on_scale)),
            (Some(ranges), None) => ranges[fibre][0] + (on_scale - self.wave_min) * self.stretch(fibre),
        }
    }

    /// Returns the place on the scale of a wavelength of a fibre, Angstrom; the inverse of [`Self::wavelength`].
    pub fn on_scale(&self, fibre: usize, wave: f64) -> f64 {
        match (&self.ranges, &self.waves) {
            (None, None) => wave,
            (Some(ranges), None) => self.wave_min + (wave - ranges[fibre][0]) / self.stretch(fibre),
            (_, Some(_)) => {
                // Wavelengths ascend almost in a line: a few secants are exact.
                let stretch = self.stretch(fibre);
                let first = self.wave_min + (wave - self.wavelength(fibre, self.wave_min)) / stretch;
                (0..8).fold(first, |at, _| at + (wave - self.wavelength(fibre, at)) / stretch)
            }
        }
    }

    /// Returns whether the series of any fibre serve at a wavelength, Angstrom.
    pub fn has(&self, wave: f64) -> bool {
        (0..self.nfibre).any(|fibre| self.reaches(self.on_scale(fibre, wave)))
    }

    /// Returns the wavelengths of some fibres at those of the scale, Angstrom: `[nwave]` where all fibres have the same,
    /// else `[nfibre, nwave]`.
    pub fn wavelengths(&self, fibres: std::ops::Range<usize>, on_scale: &[f64]) -> Vec<f64> {
        match self.has_own_wavelengths() {
            false => on_scale.to_vec(),
            true => fibres.flat_map(|f| on_scale.iter().map(move |&w| self.wavelength(f, w))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn a_range_of_its_own_maps_ends_to_ends_and_is_checked() {
        let mut psf = Synthetic { nfibre: 2, npix_y: Some(100), ..Synthetic::default() }.build().unwrap();
        assert_eq!((psf.wavelength(1, 6000.0), psf.stretch(1)), (6000.0, 1.0));
        psf.update(|parts| parts.ranges = Some(vec![[4000.0, 4100.0], [4080.0, 4190.0]])).unwrap();
        let ends = [psf.wave_min, psf.wave_max];
        assert_eq!(psf.wavelengths(0..2, &ends), [4000.0, 4100.0, 4080.0, 4190.0]);
        for wrong in [vec![], vec![[4000.0, 4100.0]; 3], vec![[2.0, 1.0]; 2], vec![[f64::NAN, 1.0]; 2]] {
            assert!(psf.update(|parts| parts.ranges = Some(wrong)).is_err());
        }
    }
}
