//! What a GPU found of a bundle, fibre by fibre, and how far off each fibre may be.

use crate::extract::assemble::PatchSpectra;
use crate::gpu::Precision;
use crate::gpu::banded::Found;
use crate::plan::Patch;
use crate::stages::goodness::Goodness;

/// In f32 what bands seem to cost is in part rounding, and flux is off by up to this many times as much: 1 to 3 on all scenes of
/// the tests.
const OVER_ESTIMATE_F32: f64 = 4.0;

/// The fraction of flux that f32's roundings are worth, which no band mends: 2e-6 in a star's own flux, whatever it is.
const ROUNDING_F32: f64 = 1.5e-6;

/// The spectra of a bundle's selected fibres, fibre by fibre.
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
        let fibres = k * shape.bundle + patch.core.start..k * shape.bundle + patch.core.end;
        let part = |first: usize, of_bin: usize| -> Vec<f64> {
            let own = fibres.start * shape.nbin * of_bin..fibres.end * shape.nbin * of_bin;
            found.spectra[first..][own].to_vec()
        };
        let x = |f: usize| (0..shape.nbin).map(move |bin| found.x[(k * shape.nbin + bin) * shape.bundle + f]);
        let x = patch.core.clone().flat_map(x).collect();
        let wanted = patch.core_bins.len();
        let goodness = found.goodness[fibres.start * wanted..fibres.end * wanted].to_vec();
        let [flux, ivar, missed] = [0, 1, 2].map(|which| part(which * bins, 1));
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
        Self { errors, values: [x, flux, ivar, part(3 * bins, 2 * shape.half + 1)], goodness }
    }

    /// The largest of the errors.
    pub fn error(&self) -> f64 {
        self.errors.iter().copied().fold(0.0, f64::max)
    }

    /// These, but for the fibres that `narrower` bands served: so what a fibre gets does not depend on which others are wanted.
    pub fn after(mut self, narrower: Option<&Self>, tolerance: f64) -> Self {
        let Some(narrower) = narrower else { return self };
        let fibres = self.errors.len();
        for f in (0..fibres).filter(|&f| narrower.errors[f] <= tolerance) {
            self.errors[f] = narrower.errors[f];
            for (to, from) in self.values.iter_mut().zip(&narrower.values) {
                let own = f * to.len() / fibres..(f + 1) * to.len() / fibres;
                to[own.clone()].copy_from_slice(&from[own]);
            }
            let own = f * self.goodness.len() / fibres..(f + 1) * self.goodness.len() / fibres;
            self.goodness[own.clone()].copy_from_slice(&narrower.goodness[own]);
        }
        self
    }

    pub fn spectra(self, nbin: usize) -> PatchSpectra {
        let [x, flux, ivar, resolution] = self.values;
        PatchSpectra::of_rows(nbin, x, flux, ivar, resolution, self.goodness)
    }
}
