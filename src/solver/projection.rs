//! The projection of a bundle's spectra onto the CCD.

use super::{BundleSpectra, Job, ModelFlux, Stripe};
use crate::stages::banded::add_banded_model;
use crate::stages::spots::SpotSource;

impl Stripe {
    /// Projects the spectra of a bundle, with flux 0 in bins without information: the image that the fit believes in.
    pub(super) fn project(job: &Job, spectra: &BundleSpectra, which: ModelFlux) -> Self {
        let bundle = spectra.bundle();
        let columns = job.columns(bundle.fibres.clone());
        let (padding, wave) = (job.beyond_ends(), job.padded());
        let spots = SpotSource::new(job.psf, bundle.fibres.clone(), &wave, job.options.psf_tails);
        let flux_of = |at: usize| match (spectra.without_information(at), which) {
            (true, _) => 0.0,
            (false, ModelFlux::Deconvolved) => spectra.x[at],
            (false, ModelFlux::Decorrelated) => spectra.flux[at],
        };
        let flux: Vec<f64> = (0..spectra.x.len()).map(flux_of).collect();
        let mut pixels = vec![0.0; job.ccd.ny() * columns.len()];
        let fibres = bundle.selected.start - bundle.fibres.start..bundle.selected.end - bundle.fibres.start;
        let bins = padding..padding + job.grid.nwave();
        add_banded_model(&spots, job.ccd, &flux, fibres, bins, &columns, &mut pixels);
        Self { x0: columns.start, nx: columns.len(), pixels }
    }
}
