//! A bundle in f64 on the CPU.

use super::BEYOND_ENDS;
use crate::engine::{Engine, EngineCcd, Stage};
use crate::extract::assemble::{FrameBuilder, PatchSpectra};
use crate::extract::{ExtractError, Options, patches};
use crate::plan::{Bundle, Patch, WaveGrid};
use crate::psf::Psf;
use crate::stages::banded::{
    BandFailure, BandedNormal, BandedSpectra, Choice, Coupling, banded_complements, banded_flux,
    banded_normal_equations, banded_roots, half_bandwidth,
};
use crate::stages::goodness::{Goodness, goodness, pixel_chi2};
use crate::stages::model::add_model;
use crate::stages::normal_equations::Prior;
use crate::stages::patch::{Ccd, PatchPixels, PatchSpots, Rectangle};
use rayon::prelude::*;
use std::ops::Range;

/// Extracts the selected fibres of one bundle into `frame`; a bundle whose numbers defy the bands goes through patches.
///
/// # Errors
/// The PSF couples bins or fibres over larger distances than the method allows; what a device reports that takes the
/// patches.
pub fn extract_bundle(
    psf: &Psf,
    ccd: &EngineCcd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundle: &Bundle,
    frame: &mut FrameBuilder,
) -> Result<(), ExtractError> {
    // All bands are f64 on the CPU so far, whatever the engine drives.
    let host = Engine::cpu();
    let padded = grid.padded(BEYOND_ENDS, BEYOND_ENDS);
    let traces = || host.traces(psf, bundle.fibres.clone(), &padded, options.psf_tails);
    let traces = engine.timed(Stage::Traces, traces)?;
    let bundle_spots = engine.timed(Stage::Spots, || host.spots(&traces, 0..traces.nbin))?;
    let spots = bundle_spots.view(&traces)?;
    let patch = whole(&spots, bundle, grid.nwave(), ccd.host);
    let pixels = ccd.host.cut(&patch);
    let half = half_bandwidth(&traces.positions());
    let coupling = Coupling::measure(&spots, half);
    coupling.check(options.tolerance)?;
    let prior = Prior::new(options.regularize);
    let normal = engine.timed(Stage::NormalEquations, || banded_normal_equations(&spots, &pixels, half, prior));
    let choice = Choice::measure(&normal, options.tolerance, grid.step())?;
    match decorrelate(&normal, &choice, engine, patch.core.clone(), psf.ndiag() / 2) {
        Ok(spectra) => {
            let psferr = options.psferr.unwrap_or(psf.psferr);
            report(bundle, &coupling, &choice, half, &spectra);
            let result =
                engine.timed(Stage::Goodness, || results(&spots, &pixels, &patch, &spectra, psferr, psf.ndiag() / 2));
            frame.add_patch(bundle, &patch, BEYOND_ENDS, &result);
            if options.model.is_some() {
                frame.add_model(bundle, &traces, &bundle_spots, BEYOND_ENDS, 0..grid.nwave())?;
            }
        }
        Err(failure) => {
            tracing::warn!("fibres {:?}: {failure}; the bundle is extracted in patches", bundle.fibres);
            patches::extract_bundle(psf, ccd, grid, options, engine, bundle, frame)?;
        }
    }
    Ok(())
}

fn decorrelate(
    normal: &BandedNormal,
    choice: &Choice,
    engine: &Engine,
    wanted: Range<usize>,
    half: usize,
) -> Result<BandedSpectra, BandFailure> {
    let (x, iterations) = engine.timed(Stage::Cholesky, || banded_flux(normal, choice))?;
    let s = engine.timed(Stage::Schur, || banded_complements(normal, &x, choice))?;
    let roots = engine.timed(Stage::Decorrelate, || banded_roots(&s.fibres, &x, wanted, half, choice));
    Ok(BandedSpectra { x, roots, iterations, bands: s.bands, residual: s.residual })
}

/// Says what the tolerance asked for.
fn report(bundle: &Bundle, coupling: &Coupling, choice: &Choice, half: usize, spectra: &BandedSpectra) {
    let bins: usize = spectra.roots.iter().map(|r| r.blocks).sum();
    let octets: usize = spectra.roots.iter().map(|r| r.octets).sum();
    tracing::debug!(
        "fibres {:?}: neighbours overlap by {:.1e}, others by {:.1e}; half bandwidths {half} of K, {} of its inverses, {} of \
         S (x leaves {:.1e} sigma in its equations); {} bins of overlap; {} iterations for x; {:.1} poles on average",
        bundle.fibres,
        coupling.neighbours,
        coupling.beyond,
        spectra.bands.inverse,
        spectra.bands.kept,
        spectra.residual,
        choice.overlap,
        spectra.iterations,
        8.0 * octets as f64 / bins as f64,
    );
}

/// The bundle as one patch: all fibres and bins, all pixels under them.
fn whole(spots: &PatchSpots, bundle: &Bundle, nwave: usize, ccd: Ccd) -> Patch {
    let first = bundle.fibres.start;
    let extent = |pixels: &[i32], size: usize, most: usize| {
        let low = pixels.iter().min().map_or(0, |&p| i64::from(p) - (size / 2) as i64);
        let high = pixels.iter().max().map_or(0, |&p| i64::from(p) + (size / 2) as i64 + 1);
        let low = low.clamp(0, most as i64) as usize;
        low..(high.clamp(0, most as i64) as usize).max(low)
    };
    Patch {
        fibres: 0..spots.nspec,
        core: bundle.selected.start - first..bundle.selected.end - first,
        bin0: 0,
        nbin: spots.nbin,
        core_bins: BEYOND_ENDS..BEYOND_ENDS + nwave,
        rows: extent(spots.pixel_y, spots.ny, ccd.ny),
        columns: extent(spots.pixel_x, spots.nx, ccd.nx),
    }
}

/// Flux, ivar, R and goodness of the selected fibres.
fn results(
    spots: &PatchSpots,
    pixels: &PatchPixels,
    patch: &Patch,
    spectra: &BandedSpectra,
    psferr: f64,
    half: usize,
) -> PatchSpectra {
    let mut model = vec![0.0; pixels.image.len()];
    let x: Vec<f64> = (0..spots.n()).map(|i| spectra.x[i % spots.nspec][i / spots.nspec]).collect();
    add_model(spots, &Rectangle::of(patch), &x, &mut model);
    let chi2 = pixel_chi2(pixels, &model, psferr);
    let of_fibre = |f: usize| -> Vec<Goodness> {
        patch.core_bins.clone().map(|b| goodness(spots, pixels, &chi2, b * spots.nspec + f)).collect()
    };
    let goodness: Vec<Vec<Goodness>> = patch.core.clone().into_par_iter().map(of_fibre).collect();
    PatchSpectra::of_bands(
        &spectra.x[patch.core.clone()],
        &spectra.roots,
        half,
        goodness.into_iter().flatten().collect(),
    )
}
