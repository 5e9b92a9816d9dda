//! Extracted spectra and their check.

use crate::base::real_array::{RealArray, RealSlice};
use crate::base::recycled;
use ndarray::{ArrayView2, ArrayView3, CowArray, Ix3};
use std::ops::Deref;

/// Arrays of [`SpectraParts`] that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{array} has {found} values, not the {expected} of {nspec} fibres and {nwave} bins: give arrays of one shape")]
pub struct SpectraError {
    /// The array at fault.
    pub array: &'static str,
    /// Its values.
    pub found: usize,
    /// Values that it must have.
    pub expected: usize,
    /// Number of fibres.
    pub nspec: usize,
    /// Number of wavelength bins.
    pub nwave: usize,
}

/// Extracted spectra of `nspec` fibres on `nwave` bins, checked by [`Spectra::new`].
///
/// The flat arrays are read through `Deref`, arrays with their shape by methods of the same names; [`Spectra::update`]
/// changes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectra(SpectraParts);

/// The parts of [`Spectra`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpectraParts {
    /// Number of fibres.
    pub nspec: usize,
    /// Number of wavelength bins.
    pub nwave: usize,
    /// Number of resolution diagonals, `2 HSIZEY + 1`.
    pub ndiag: usize,
    /// Flux in electron/Angstrom, `[nspec, nwave]`.
    pub flux: Vec<f64>,
    /// Inverse variance of `flux` in (electron/Angstrom)^-2, `[nspec, nwave]`.
    pub ivar: Vec<f64>,
    /// Diagonals of R, `[nspec, ndiag, nwave]`: element (k, j) is `R[j - ndiag/2 + k, j]`. They are in f32 if a device has
    /// computed all of them so.
    pub resolution: RealArray,
    /// Goodness of the 2-D fit per bin, `[nspec, nwave]`; empty if unknown.
    pub chi2pix: Vec<f64>,
    /// Fraction of the PSF on masked or absent pixels, in 0..=1, `[nspec, nwave]`; empty if unknown, as in frame files.
    pub pixmask_fraction: Vec<f64>,
    /// Bits of [`specmask`](super::specmask), `[nspec, nwave]`.
    pub mask: Vec<u32>,
}

impl Spectra {
    /// Checks that every array has its shape.
    ///
    /// # Errors
    /// [`SpectraError`] of the first array that has not.
    pub fn new(parts: SpectraParts) -> Result<Self, SpectraError> {
        let SpectraParts { nspec, nwave, ndiag, .. } = parts;
        let bins = nspec.saturating_mul(nwave);
        let or_none = |len: usize| if len == 0 { 0 } else { bins };
        let arrays = [
            ("flux", parts.flux.len(), bins),
            ("ivar", parts.ivar.len(), bins),
            ("resolution", parts.resolution.len(), bins.saturating_mul(ndiag)),
            ("chi2pix", parts.chi2pix.len(), or_none(parts.chi2pix.len())),
            ("pixmask_fraction", parts.pixmask_fraction.len(), or_none(parts.pixmask_fraction.len())),
            ("mask", parts.mask.len(), bins),
        ];
        match arrays.into_iter().find(|(_, found, expected)| found != expected) {
            Some((array, found, expected)) => Err(SpectraError { array, found, expected, nspec, nwave }),
            None => Ok(Self(parts)),
        }
    }

    /// Returns the parts.
    pub fn into_parts(mut self) -> SpectraParts {
        std::mem::take(&mut self.0)
    }

    /// Changes the parts and checks them again; the spectra stay as they were if they fail.
    ///
    /// # Errors
    /// [`SpectraError`] of the first array that does not have its shape.
    pub fn update(&mut self, change: impl FnOnce(&mut SpectraParts)) -> Result<(), SpectraError> {
        let mut parts = self.0.clone();
        change(&mut parts);
        *self = Self::new(parts)?;
        Ok(())
    }

    /// Flux in electron/Angstrom, `[nspec, nwave]`.
    pub fn flux(&self) -> ArrayView2<'_, f64> {
        self.view(&self.flux)
    }

    /// Inverse variance of the flux in (electron/Angstrom)^-2, `[nspec, nwave]`.
    pub fn ivar(&self) -> ArrayView2<'_, f64> {
        self.view(&self.ivar)
    }

    /// Diagonals of R, `[nspec, ndiag, nwave]`: element (k, j) is `R[j - ndiag/2 + k, j]`; a copy if they are in f32.
    pub fn resolution(&self) -> CowArray<'_, f64, Ix3> {
        let shape = (self.nspec, self.ndiag, self.nwave);
        match self.resolution.all() {
            RealSlice::F32(values) => {
                ArrayView3::from_shape(shape, values).expect("the shape was checked").mapv(f64::from).into()
            }
            RealSlice::F64(values) => ArrayView3::from_shape(shape, values).expect("the shape was checked").into(),
        }
    }

    /// Goodness of the 2-D fit per bin, `[nspec, nwave]`, if known.
    pub fn chi2pix(&self) -> Option<ArrayView2<'_, f64>> {
        (!self.chi2pix.is_empty()).then(|| self.view(&self.chi2pix))
    }

    /// Fraction of the PSF on masked or absent pixels, `[nspec, nwave]`, if known.
    pub fn pixmask_fraction(&self) -> Option<ArrayView2<'_, f64>> {
        (!self.pixmask_fraction.is_empty()).then(|| self.view(&self.pixmask_fraction))
    }

    /// Bits of [`specmask`](super::specmask), `[nspec, nwave]`.
    pub fn mask(&self) -> ArrayView2<'_, u32> {
        self.view(&self.mask)
    }

    fn view<'a, T>(&self, values: &'a [T]) -> ArrayView2<'a, T> {
        ArrayView2::from_shape((self.nspec, self.nwave), values).expect("the shape was checked")
    }
}

impl Drop for Spectra {
    fn drop(&mut self) {
        let SpectraParts { flux, ivar, resolution, chi2pix, pixmask_fraction, mask, .. } = std::mem::take(&mut self.0);
        // The next frame takes them.
        [flux, ivar, chi2pix, pixmask_fraction].into_iter().for_each(recycled::give);
        recycled::give_array(resolution);
        recycled::give(mask);
    }
}

impl Deref for Spectra {
    type Target = SpectraParts;

    fn deref(&self) -> &SpectraParts {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectra() -> Spectra {
        let resolution = (0..18).map(f64::from).collect::<Vec<_>>().into();
        let flux = (0..6).map(f64::from).collect();
        let bins = || vec![1.0; 6];
        let (chi2pix, pixmask_fraction, mask) = (bins(), Vec::new(), vec![0; 6]);
        let (nspec, nwave, ndiag) = (2, 3, 3);
        Spectra::new(SpectraParts {
            nspec,
            nwave,
            ndiag,
            flux,
            ivar: bins(),
            resolution,
            chi2pix,
            pixmask_fraction,
            mask,
        })
        .unwrap()
    }

    #[test]
    fn views_have_the_shape_of_the_arrays() {
        let spectra = spectra();
        assert_eq!(spectra.flux()[[1, 2]], 5.0);
        assert_eq!(spectra.resolution()[[1, 2, 0]], 15.0);
        assert_eq!(spectra.resolution().dim(), (2, 3, 3));
        assert_eq!(spectra.chi2pix().unwrap().row(1).to_vec(), [1.0; 3]);
        assert!(spectra.pixmask_fraction().is_none());
    }

    #[test]
    fn an_array_of_another_shape_is_refused_by_name() {
        type Change = fn(&mut SpectraParts);
        let wrong: [(Change, &str); 6] = [
            (|s| s.flux.truncate(5), "flux has 5 values, not the 6"),
            (|s| s.ivar.push(1.0), "ivar has 7"),
            (|s| s.ndiag = 5, "resolution has 18 values, not the 30"),
            (|s| s.chi2pix.truncate(1), "chi2pix has 1"),
            (|s| s.pixmask_fraction.push(0.0), "pixmask_fraction has 1"),
            (|s| s.mask.clear(), "mask has 0"),
        ];
        for (change, expected) in wrong {
            let mut changed = spectra();
            let error = changed.update(change).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(changed, spectra(), "a refused change leaves the spectra as they were");
        }
    }
}
