//! Values that the errors of bins are judged by, in the precision that they were computed in.

use crate::base::real_array::RealSlice;

/// Values that the errors of some bins are judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimates<'a> {
    /// Estimate of flux's truncation error, sigma.
    pub truncation_error: RealSlice<'a>,
    /// Decorrelated flux.
    pub flux: RealSlice<'a>,
    /// Its inverse variance.
    pub ivar: RealSlice<'a>,
    /// Fraction of the PSF on masked or absent pixels.
    pub pixmask_fraction: RealSlice<'a>,
}

impl Estimates<'_> {
    /// Returns the number of bins.
    pub fn len(&self) -> usize {
        self.flux.len()
    }

    /// Whether there is no bin.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all truncation errors are known to be at most `most`, flux to be finite, and ivar finite and at least 0.
    pub fn are_within(&self, most: f64) -> bool {
        match (self.truncation_error, self.flux, self.ivar) {
            (RealSlice::F32(error), RealSlice::F32(flux), RealSlice::F32(ivar)) => {
                are_within([error, flux, ivar], most)
            }
            (RealSlice::F64(error), RealSlice::F64(flux), RealSlice::F64(ivar)) => {
                are_within([error, flux, ivar], most)
            }
            _ => false,
        }
    }
}

fn are_within<T: Copy + Into<f64>>([error, flux, ivar]: [&[T]; 3], most: f64) -> bool {
    // `&` leaves lanes to the compiler.
    error.iter().zip(flux).zip(ivar).fold(true, |all, ((error, flux), ivar)| {
        let [error, flux, ivar]: [f64; 3] = [(*error).into(), (*flux).into(), (*ivar).into()];
        all & (error <= most) & (flux.abs() < f64::INFINITY) & (0.0..f64::INFINITY).contains(&ivar)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::real_array::RealArray;

    #[test]
    fn estimates_are_within_a_bound_if_all_are_and_flux_and_ivar_are_numbers() {
        fn found<T: Copy + Into<f64> + From<f32>>(of: impl Fn(&[T]) -> RealArray) -> Vec<bool> {
            let value = |v: f32| T::from(v);
            let arrays = |error: f32, flux: f32, ivar: f32| {
                [[0.5, error], [-3.0, flux], [0.0, ivar]].map(|values| of(&values.map(value)))
            };
            let is_within = |(error, flux, ivar): (f32, f32, f32)| {
                let [error, flux, ivar] = arrays(error, flux, ivar);
                let pixmask_fraction = of(&[value(0.0); 2]);
                Estimates {
                    truncation_error: error.all(),
                    flux: flux.all(),
                    ivar: ivar.all(),
                    pixmask_fraction: pixmask_fraction.all(),
                }
                .are_within(1.0)
            };
            let (nan, infinity) = (f32::NAN, f32::INFINITY);
            let cases = [
                (1.0, f32::MAX, 2.0),
                (1.1, 0.0, 2.0),
                (nan, 0.0, 2.0),
                (0.0, -infinity, 2.0),
                (0.0, nan, 2.0),
                (0.0, 0.0, -1.0),
                (0.0, 0.0, infinity),
                (0.0, 0.0, nan),
            ];
            cases.into_iter().map(is_within).collect()
        }
        let expected = [true, false, false, false, false, false, false, false];
        assert_eq!(found::<f32>(|values| values.to_vec().into()), expected);
        assert_eq!(found::<f64>(|values| values.to_vec().into()), expected);
    }
}
