//! The CCD behind its border: every pixel is a finite number with a weight that a detector can have.

use super::pixels::{ABSURD, count_absurd, count_unsound, dark_weight, mask_absurd, mask_pixels};
use super::{Patch, Rectangle};
use crate::base::recycled;
use crate::base::transpose::transposed;
use crate::psf::Dispersion;
use std::borrow::Cow;
use std::ops::Range;

/// Planes that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{plane} has {found} pixels, a CCD of {ny} rows and {nx} columns has {}: give planes of the same shape", ny * nx)]
pub struct CcdError {
    /// The plane at fault.
    pub plane: &'static str,
    /// Its pixels.
    pub found: usize,
    /// Rows.
    pub ny: usize,
    /// Columns.
    pub nx: usize,
}

/// Pixels that the border masked although no mask bit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Pixels whose value is not finite, or whose ivar is negative or not finite.
    pub unsound: usize,
    /// Pixels whose ivar is far larger than that of all others.
    pub absurd: usize,
}

impl Rejected {
    /// Number of pixels.
    pub fn total(&self) -> usize {
        self.unsound + self.absurd
    }
}

/// The CCD of one frame: pixel values in electron and inverse variances in 1/electron^2 (0 = do not use), both `[ny, nx]`.
///
/// [`Ccd::new`] is the only border for pixels. A pixel whose value is not finite, or whose ivar is negative or not finite,
/// gets value 0 and ivar 0. A pixel whose ivar is absurdly large beside all others gets ivar 0.
///
/// Its planes are those of its file until [`Ccd::turned`]; solvers know spectra along y alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Ccd<'a> {
    ny: usize,
    nx: usize,
    image: Cow<'a, [f32]>,
    ivar: Cow<'a, [f32]>,
    dark_weight: f32,
    largest_weights: Option<Vec<f64>>,
    rejected: Rejected,
    dispersion: Dispersion,
}

impl<'a> Ccd<'a> {
    /// Checks planes `[ny, nx]`; borrowed planes are copied only where a pixel is rejected.
    ///
    /// # Errors
    /// [`CcdError`] if a plane does not have `ny * nx` pixels.
    pub fn new(
        ny: usize,
        nx: usize,
        image: impl Into<Cow<'a, [f32]>>,
        ivar: impl Into<Cow<'a, [f32]>>,
    ) -> Result<Self, CcdError> {
        Self::checked(ny, nx, image.into(), ivar.into(), None)
    }

    /// Checks planes `[ny, nx]`, and sets ivar to 0 where `mask`, `[ny, nx]`, has any of `mask_bits`.
    ///
    /// # Errors
    /// [`CcdError`] if a plane does not have `ny * nx` pixels.
    pub fn with_mask(
        ny: usize,
        nx: usize,
        image: impl Into<Cow<'a, [f32]>>,
        ivar: impl Into<Cow<'a, [f32]>>,
        (mask, mask_bits): (&[i32], u32),
    ) -> Result<Self, CcdError> {
        Self::checked(ny, nx, image.into(), ivar.into(), Some((mask, mask_bits)))
    }

    /// Gives its planes to the next frame of that size.
    pub(crate) fn recycle(self) {
        for plane in [self.image, self.ivar] {
            if let Cow::Owned(pixels) = plane {
                recycled::give(pixels);
            }
        }
    }

    fn checked(
        ny: usize,
        nx: usize,
        mut image: Cow<'a, [f32]>,
        mut ivar: Cow<'a, [f32]>,
        mask: Option<(&[i32], u32)>,
    ) -> Result<Self, CcdError> {
        let planes =
            [("the image", image.len()), ("ivar", ivar.len()), ("the mask", mask.map_or(ny * nx, |m| m.0.len()))];
        if let Some((plane, found)) = planes.into_iter().find(|(_, found)| *found != ny * nx) {
            return Err(CcdError { plane, found, ny, nx });
        }
        let mut rejected = Rejected::default();
        if mask.is_some() || count_unsound(&image, &ivar) > 0 {
            let (mask, bits) = mask.map_or((None, 0), |(mask, bits)| (Some(mask), bits));
            rejected.unsound = mask_pixels(image.to_mut(), ivar.to_mut(), mask, bits);
        }
        let mut dark = dark_weight(&ivar).unwrap_or(0.0);
        let limit = if dark > 0.0 { ABSURD * dark } else { f32::MAX };
        if count_absurd(&ivar, limit) > 0 {
            rejected.absurd = mask_absurd(ivar.to_mut(), limit);
            dark = dark_weight(&ivar).unwrap_or(0.0);
        }
        let (largest_weights, dispersion) = (None, Dispersion::AlongY);
        Ok(Self { ny, nx, image, ivar, dark_weight: dark, largest_weights, rejected, dispersion })
    }

    /// Builds the CCD of a frame of which only some columns are known: the others have ivar 0. The planes are those of
    /// [`Ccd::columns`], `[ny, columns]`, and have passed the border already. `largest_weights` are those of
    /// the spots of each fibre in the whole frame, 1/electron^2; None where the columns are all of them.
    ///
    /// # Errors
    /// [`CcdError`] if a plane does not have `ny * columns.len()` pixels.
    pub fn from_columns(
        [ny, nx]: [usize; 2],
        columns: Range<usize>,
        [image, ivar]: [&[f32]; 2],
        largest_weights: Option<Vec<f64>>,
    ) -> Result<Self, CcdError> {
        for (plane, found) in [("the image", image.len()), ("ivar", ivar.len())] {
            if found != ny * columns.len() {
                return Err(CcdError { plane, found, ny, nx: columns.len() });
            }
        }
        let whole = |stripe: &[f32]| {
            let mut pixels = vec![0.0; ny * nx];
            if !columns.is_empty() {
                let rows = pixels.chunks_exact_mut(nx).zip(stripe.chunks_exact(columns.len()));
                rows.for_each(|(row, stripe)| row[columns.clone()].copy_from_slice(stripe));
            }
            Cow::Owned(pixels)
        };
        let (rejected, dispersion) = (Rejected::default(), Dispersion::AlongY);
        let (image, ivar) = (whole(image), whole(ivar));
        let dark_weight = dark_weight(&ivar).unwrap_or(0.0);
        Ok(Self { ny, nx, image, ivar, dark_weight, largest_weights, rejected, dispersion })
    }

    /// Returns the CCD with rows and columns exchanged: along y are then the spectra that its file has along x, or back.
    #[must_use]
    pub fn turned(self) -> Ccd<'static> {
        let (ny, nx, rejected, dispersion) = (self.nx, self.ny, self.rejected, self.dispersion.other());
        let (dark_weight, largest_weights) = (self.dark_weight, self.largest_weights);
        let [image, ivar] = [&self.image, &self.ivar].map(|plane| Cow::Owned(transposed(plane, [self.ny, self.nx])));
        Ccd { ny, nx, image, ivar, dark_weight, largest_weights, rejected, dispersion }
    }

    /// Returns the CCD as one that has been turned already, or not.
    #[must_use]
    pub fn with_dispersion(self, dispersion: Dispersion) -> Self {
        Self { dispersion, ..self }
    }

    /// The axis of dispersion of its file, as far as it is known: AlongX for a CCD that has been turned.
    pub fn dispersion(&self) -> Dispersion {
        self.dispersion
    }

    /// Returns image and ivar of some columns, `[ny, columns]`.
    pub fn columns(&self, columns: &Range<usize>) -> [Vec<f32>; 2] {
        let cut = |plane: &[f32]| plane.chunks_exact(self.nx).flat_map(|row| &row[columns.clone()]).copied().collect();
        [cut(&self.image), cut(&self.ivar)]
    }

    /// Rows.
    pub fn ny(&self) -> usize {
        self.ny
    }

    /// Columns.
    pub fn nx(&self) -> usize {
        self.nx
    }

    /// Pixel values, electron, `[ny, nx]`.
    pub fn image(&self) -> &[f32] {
        &self.image
    }

    /// Inverse variances, 1/electron^2, 0 = do not use, `[ny, nx]`.
    pub fn ivar(&self) -> &[f32] {
        &self.ivar
    }

    /// The weight of a dark pixel, 1/electron^2: 99 in 100 of the weights above 0 are smaller; 0 if there is none.
    pub fn dark_weight(&self) -> f32 {
        self.dark_weight
    }

    /// The largest weight of a spot of each fibre in the whole frame, where only some of its columns are here.
    pub fn largest_weights(&self) -> Option<&[f64]> {
        self.largest_weights.as_deref()
    }

    /// Returns image and ivar, `[ny, nx]`.
    pub fn into_planes(self) -> [Vec<f32>; 2] {
        [self.image.into_owned(), self.ivar.into_owned()]
    }

    /// Pixels that the border masked although no mask bit did.
    pub fn rejected(&self) -> Rejected {
        self.rejected
    }

    /// Returns the CCD with the count of an earlier border, which its planes have passed.
    pub fn having_rejected(self, rejected: Rejected) -> Self {
        Self { rejected, ..self }
    }

    /// Cuts out the pixels of a patch.
    pub fn cut(&self, patch: &Patch) -> PatchPixels {
        let take = |plane: &[f32]| -> Vec<f64> {
            let row = |y: usize| plane[y * self.nx..][patch.columns.clone()].iter().map(|&v| f64::from(v));
            patch.rows.clone().flat_map(row).collect()
        };
        PatchPixels { at: Rectangle::of(patch), image: take(&self.image), ivar: take(&self.ivar) }
    }
}

/// The pixels of a patch, cut out of the CCD.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PatchPixels {
    /// Where they lie.
    pub at: Rectangle,
    /// Pixel values, electron, `[ny, nx]`.
    pub image: Vec<f64>,
    /// Inverse variances, 0 = do not use, `[ny, nx]`.
    pub ivar: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_that_no_detector_gives_are_masked_at_the_border_and_counted() {
        let (mut image, mut ivar) = (vec![1.0; 1000], vec![0.1; 1000]);
        (image[3], ivar[5], ivar[7]) = (f32::NAN, -1.0, 1e30);
        let ccd = Ccd::new(10, 100, &image[..], &ivar[..]).unwrap();
        assert_eq!(ccd.rejected(), Rejected { unsound: 2, absurd: 1 });
        assert_eq!([3, 5, 7].map(|k| ccd.ivar()[k]), [0.0; 3]);
        assert_eq!([3, 5, 7].map(|k| ccd.image()[k]), [0.0, 0.0, 1.0]);
        let again = Ccd::new(10, 100, ccd.image(), ccd.ivar()).unwrap();
        assert!(again.rejected().total() == 0 && matches!(again.image, Cow::Borrowed(_)));
    }

    #[test]
    fn mask_bits_take_the_weight_of_a_pixel_and_are_not_counted() {
        let (image, ivar, mask) = (vec![1.0; 4], vec![0.5; 4], [0, 1, 2, 3]);
        let ccd = Ccd::with_mask(2, 2, image, ivar, (&mask, 1)).unwrap();
        assert_eq!((ccd.ivar(), ccd.rejected().total()), (&[0.5, 0.0, 0.5, 0.0][..], 0));
    }

    #[test]
    fn planes_of_another_shape_are_refused_by_name() {
        let error = Ccd::new(2, 2, vec![0.0; 4], vec![0.0; 3]).unwrap_err();
        assert_eq!(error, CcdError { plane: "ivar", found: 3, ny: 2, nx: 2 });
    }

    #[test]
    fn a_turned_ccd_has_its_pixels_in_the_other_order_and_says_so() {
        let ccd = Ccd::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN], vec![1.0; 6]).unwrap();
        let turned = ccd.clone().turned();
        assert_eq!((turned.ny(), turned.nx(), turned.dispersion()), (3, 2, Dispersion::AlongX));
        assert_eq!(turned.image(), [1.0, 4.0, 2.0, 5.0, 3.0, 0.0]);
        assert_eq!((turned.ivar()[5], turned.rejected()), (0.0, ccd.rejected()));
        assert_eq!(turned.turned(), ccd);
    }

    #[test]
    fn columns_make_the_same_ccd_with_the_others_masked() {
        let ccd = Ccd::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![1.0; 6]).unwrap();
        let [image, ivar] = ccd.columns(&(1..3));
        let part = Ccd::from_columns([2, 3], 1..3, [&image, &ivar], Some(vec![0.4])).unwrap();
        assert_eq!(part.image(), [0.0, 2.0, 3.0, 0.0, 5.0, 6.0]);
        assert_eq!(part.ivar(), [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!((part.largest_weights(), ccd.largest_weights()), (Some(&[0.4][..]), None));
    }
}
