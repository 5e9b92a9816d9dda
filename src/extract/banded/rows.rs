//! What a GPU found of a bundle, fibre by fibre, and how far off each fibre may be.

use crate::extract::assemble::PatchSpectra;
use crate::geometry::Patch;
use crate::gpu::Precision;
use crate::gpu::banded::Found;
use crate::stages::goodness::Goodness;
use std::ops::Range;

/// In f32 what bands seem to cost is in part rounding, and flux is off by up to this many times as much: 1 to 3 on all scenes of
/// the tests.
const OVER_ESTIMATE_F32: f64 = 4.0;

/// The fraction of flux that f32's roundings are worth, which no band mends: 2e-6 in a star's own flux, whatever it is.
const ROUNDING_F32: f64 = 1.5e-6;

/// The spectra of all fibres of a bundle, one after another.
#[derive(Clone)]
pub(super) struct Rows {
    /// What the bands cost each fibre's flux at most where most of the spot is on good pixels, sigma.
    errors: Vec<f64>,
    /// x, flux, ivar, and R's rows.
    values: [Vec<f64>; 4],
    goodness: Vec<Goodness>,
}

impl Rows {
    /// Those of the k-th bundle.
    pub fn of(found: &Found, k: usize, patch: &Patch, precision: Precision) -> Self {
        let shape = &found.shape;
        let bins = shape.nfibre * shape.nbin;
        let fibres = k * shape.bundle..(k + 1) * shape.bundle;
        let all = |first: usize, of_bin: usize| -> Vec<f64> {
            let own = fibres.start * shape.nbin * of_bin..fibres.end * shape.nbin * of_bin;
            found.spectra[first..][own].to_vec()
        };
        let x = |f: usize| (0..shape.nbin).map(move |bin| found.x[(k * shape.nbin + bin) * shape.bundle + f]);
        let x = (0..shape.bundle).flat_map(x).collect();
        let wanted = patch.core_bins.len();
        let goodness = found.goodness[fibres.start * wanted..fibres.end * wanted].to_vec();
        let [flux, ivar, missed] = [0, 1, 2].map(|which| all(which * bins, 1));
        let error = |bin: usize| {
            let error = match precision {
                Precision::F32 => OVER_ESTIMATE_F32 * (missed[bin] - ROUNDING_F32 * flux[bin].abs() * ivar[bin].sqrt()),
                Precision::F64 => missed[bin],
            };
            // A number that is none is the largest of errors.
            if error.is_finite() { error.max(0.0) } else { f64::INFINITY }
        };
        let of_fibre = |f: usize| {
            let bins = patch.core_bins.clone().map(|bin| f * shape.nbin + bin);
            // Mostly masked bins may be off, they tell so themselves.
            let counted = bins.zip(&goodness[f * wanted..]).filter(|(_, g)| g.pixmask_fraction < 0.5);
            counted.map(|(bin, _)| error(bin)).fold(0.0, f64::max)
        };
        let errors = (0..fibres.len()).map(of_fibre).collect();
        Self { errors, values: [x, flux, ivar, all(3 * bins, 2 * shape.half + 1)], goodness }
    }

    /// The largest of the errors, those of fibres that are not wanted, too: what becomes of a bundle depends on the bundle.
    pub fn error(&self) -> f64 {
        self.errors.iter().copied().fold(0.0, f64::max)
    }

    /// These, but for the fibres that `narrower` bands served: so what a fibre gets does not depend on which others need more.
    pub fn after(mut self, narrower: Option<&Self>, tolerance: f64) -> Self {
        let Some(narrower) = narrower else { return self };
        let fibres = self.errors.len();
        for f in (0..fibres).filter(|&f| narrower.errors[f] <= tolerance) {
            self.errors[f] = narrower.errors[f];
            for (to, from) in self.values.iter_mut().zip(&narrower.values) {
                part_mut(to, f, fibres).copy_from_slice(part(from, f..f + 1, fibres));
            }
            part_mut(&mut self.goodness, f, fibres).copy_from_slice(part(&narrower.goodness, f..f + 1, fibres));
        }
        self
    }

    /// The spectra of the fibres `wanted`, of `nbin` bins each.
    pub fn spectra(&self, wanted: &Range<usize>, nbin: usize) -> PatchSpectra {
        let of = |values: &[f64]| part(values, wanted.clone(), self.errors.len()).to_vec();
        let [x, flux, ivar, resolution] = self.values.each_ref().map(|values| of(values));
        let goodness = part(&self.goodness, wanted.clone(), self.errors.len()).to_vec();
        PatchSpectra::of_rows(nbin, x, flux, ivar, resolution, goodness)
    }
}

/// What is of some of as many fibres.
fn part<T>(of_all: &[T], wanted: Range<usize>, fibres: usize) -> &[T] {
    let each = of_all.len() / fibres;
    &of_all[wanted.start * each..wanted.end * each]
}

fn part_mut<T>(of_all: &mut [T], fibre: usize, fibres: usize) -> &mut [T] {
    let each = of_all.len() / fibres;
    &mut of_all[fibre * each..(fibre + 1) * each]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fibre_keeps_what_the_first_bands_gave_that_serve_it() {
        // Three fibres of two bins, of which one is wanted, and rows of R of three.
        let rows = |errors: [f64; 3], value: f64| Rows {
            errors: errors.to_vec(),
            values: [6, 6, 6, 18].map(|len| vec![value; len]),
            goodness: vec![Goodness { chi2pix: value, ..Goodness::default() }; 3],
        };
        let after = rows([3.0, 3.0, 0.5], 2.0).after(Some(&rows([1.0, 2.0, f64::INFINITY], 1.0)), 1.0);
        assert_eq!((after.errors.clone(), after.error()), (vec![1.0, 3.0, 0.5], 3.0));
        for values in &after.values {
            let of_fibre: Vec<f64> = values.chunks_exact(values.len() / 3).flatten().copied().collect();
            let expected = [1.0, 2.0, 2.0].iter().flat_map(|&v| vec![v; values.len() / 3]).collect::<Vec<_>>();
            assert_eq!(of_fibre, expected);
        }
        assert_eq!(after.goodness.iter().map(|g| g.chi2pix).collect::<Vec<_>>(), [1.0, 2.0, 2.0]);
        let [x, flux, ivar] = [1.0; 3].map(|value| vec![value; 2]);
        let first = PatchSpectra::of_rows(2, x, flux, ivar, vec![1.0; 6], vec![after.goodness[0]]);
        assert_eq!(format!("{:?}", after.spectra(&(0..1), 2)), format!("{first:?}"));
    }
}
