//! The projection of a bundle's spectra onto the CCD.

use super::bundle_places::is_number;
use super::{BundleSpectra, Job, ModelFlux, Stripe};
use crate::geometry::{Ccd, Patch};
use crate::stages::aligned::AlignedSpots;
use crate::stages::banded::add_banded_model;
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::ops::Range;

/// The deconvolved flux of one patch.
#[derive(Clone, Debug)]
pub(super) struct PatchFlux {
    /// The patch.
    pub patch: Patch,
    /// Electron per bin, `[core fibre, nbin]`, padding bins included.
    pub x: Vec<f64>,
}

impl Stripe {
    /// Projects the spectra of a bundle: on good pixels the image that the fit believes in, on others without the bins that have
    /// no information.
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
        let mut light = Light { columns, pixels };
        if which == ModelFlux::Deconvolved {
            light.add_uncovered(job, &spots, spectra);
        }
        Self { x0: light.columns.start, nx: light.columns.len(), pixels: light.pixels }
    }

    /// Projects the deconvolved flux of a bundle's patches. Along a fibre, each CCD row shows the fit of one patch, its padding
    /// bins included: the patch whose core lies there.
    ///
    /// Beside dead rows, the pixels hardly constrain single bins of the deconvolved flux; only the sum of their light fits. So
    /// bins of two patches, each from its own fit, make no model together.
    pub(super) fn project_patches(job: &Job, spectra: &BundleSpectra, patches: &[PatchFlux]) -> Self {
        let bundle = spectra.bundle();
        let (columns, ny) = (job.columns(bundle.fibres.clone()), job.ccd.ny());
        let spots = SpotSource::new(job.psf, bundle.fibres.clone(), &job.padded(), job.options.psf_tails);
        let of_fibre = |fibre: usize| Light::of(job, &spots, spectra, patches, fibre, &columns);
        let lights: Vec<Light> = bundle.selected.clone().into_par_iter().map(of_fibre).collect();
        let mut pixels = vec![0.0; ny * columns.len()];
        for light in lights.iter().filter(|light| !light.columns.is_empty()) {
            let first = light.columns.start - columns.start;
            let rows = pixels.chunks_exact_mut(columns.len()).zip(light.pixels.chunks_exact(light.columns.len()));
            rows.for_each(|(to, from)| {
                to[first..][..from.len()].iter_mut().zip(from).for_each(|(sum, new)| *sum += new)
            });
        }
        Self { x0: columns.start, nx: columns.len(), pixels }
    }
}

/// The light of fibres.
struct Light {
    /// The columns that it reaches.
    columns: Range<usize>,
    /// Electron, `[ny, columns]`.
    pixels: Vec<f64>,
}

impl Light {
    /// Projects the patches that extract `fibre`, a row of the PSF.
    fn of(
        job: &Job,
        spots: &SpotSource,
        spectra: &BundleSpectra,
        patches: &[PatchFlux],
        fibre: usize,
        columns: &Range<usize>,
    ) -> Self {
        let bundle = spectra.bundle();
        let (of_bundle, nwave, padding) = (fibre - bundle.fibres.start, job.grid.nwave(), job.beyond_ends());
        let first = (fibre - bundle.selected.start) * nwave;
        let shape = spots.shape();
        let corner = |bin: usize| spots.corner(of_bundle, padding + bin);
        let reach = (0..nwave).map(|bin| corner(bin).1).fold((i64::MAX, i64::MIN), |(l, h), x| (l.min(x), h.max(x)));
        let inside = |x: i64| x.clamp(columns.start as i64, columns.end as i64) as usize;
        let columns = inside(reach.0)..inside(reach.1.saturating_add(shape.nx() as i64));
        let mut light = Self { pixels: vec![0.0; job.ccd.ny() * columns.len()], columns };
        // Rows rise with the bins, or fall.
        let sign = if corner(nwave - 1).0 < corner(0).0 { -1 } else { 1 };
        let edge = |bin: usize| match bin {
            0 => i64::MIN,
            bin if bin >= nwave => i64::MAX,
            bin => sign * (corner(bin).0 + shape.half_y as i64),
        };
        let pad = job.options.patches.padding();
        let mut stamps = AlignedSpots::default();
        for PatchFlux { patch, x } in patches {
            let Some(core) = of_bundle.checked_sub(patch.fibres.start + patch.core.start) else { continue };
            if core >= patch.core.len() {
                continue;
            }
            // Bins of the grid: of the core, and of the whole patch.
            let [start, end] = [patch.core_bins.start, patch.core_bins.end].map(|bin| edge(patch.bin0 + bin - pad));
            let bins = patch.bin0.saturating_sub(pad)..(patch.bin0 + patch.nbin).saturating_sub(pad).min(nwave);
            let around = (padding + bins.start) / 8 * 8..padding + bins.end;
            spots.evaluate(of_bundle, around.clone(), &mut stamps);
            for bin in bins {
                let flux = x[core * patch.nbin + bin + pad - patch.bin0];
                let covered = spectra.is_covered(first + bin);
                let wanted =
                    |y: i64, x: usize| (start..end).contains(&(sign * y)) && (covered || is_good(job.ccd, y, x));
                if is_number(flux) {
                    light.add(&stamps, padding + bin - around.start, flux, wanted);
                }
            }
        }
        light
    }

    /// Adds the bins of a bundle whose spots are almost all masked, on good pixels only. The little light that they have there
    /// is part of the fit, as their flux may be huge.
    fn add_uncovered(&mut self, job: &Job, spots: &SpotSource, spectra: &BundleSpectra) {
        let (bundle, nwave, padding) = (spectra.bundle(), job.grid.nwave(), job.beyond_ends());
        let mut stamps = AlignedSpots::default();
        let has_some = |&at: &usize| !spectra.is_covered(at) && spectra.pixmask_fraction[at] < 1.0;
        for at in (0..spectra.x.len()).filter(has_some).filter(|&at| !spectra.without_result(at)) {
            let (fibre, bin) = (bundle.selected.start - bundle.fibres.start + at / nwave, padding + at % nwave);
            let first = bin / 8 * 8;
            spots.evaluate(fibre, first..bin + 1, &mut stamps);
            self.add(&stamps, bin - first, spectra.x[at], |y, x| is_good(job.ccd, y, x));
        }
    }

    /// Adds `flux` times stamp `k` at the pixels, row and column of the CCD, that are `wanted`.
    fn add(&mut self, stamps: &AlignedSpots, k: usize, flux: f64, wanted: impl Fn(i64, usize) -> bool) {
        let (width, x0) = (self.columns.len(), 8 * stamps.octet[k] - self.columns.start as i64);
        let ny = self.pixels.len().checked_div(width).unwrap_or(0) as i64;
        for (x0, octets) in (x0..).step_by(8).zip(stamps.columns(k)) {
            for (y, octet) in (stamps.y[k]..).zip(octets) {
                if !(0..ny).contains(&y) {
                    continue;
                }
                let (first, line) = (self.columns.start, &mut self.pixels[y as usize * width..][..width]);
                for (x, value) in (x0..).zip(octet.0) {
                    let Some(x) = usize::try_from(x).ok().filter(|&x| x < width && wanted(y, first + x)) else {
                        continue;
                    };
                    line[x] += flux * value;
                }
            }
        }
    }
}

/// Returns whether the fit uses a pixel of the CCD.
fn is_good(ccd: &Ccd, y: i64, x: usize) -> bool {
    ccd.ivar()[y as usize * ccd.nx() + x] > 0.0
}
