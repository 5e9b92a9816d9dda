//! Extracts with a PSF of your own: `cargo run --release --example own_psf`.
//!
//! A spectrograph is described by traces and widths, Legendre series in wavelength. Here they are made up for ten fibres; a
//! frame is simulated with them, extracted, and compared with its truth.

use spextral::compare::against_truth;
use spextral::low_level::frame::Frame;
use spextral::low_level::plan::PatchOptions;
use spextral::low_level::psf::{Dispersion, Form, LegendreSeries, PsfError, PsfParts};
use spextral::simulate::{Simulation, simulate};
use spextral::{Engine, Job, Options, Psf, WaveGrid, extract};
use std::error::Error;

const NFIBRE: usize = 10;
/// First and last wavelength of the CCD, Angstrom.
const DOMAIN: [f64; 2] = [5000.0, 5240.0];
/// Columns and rows of the CCD, pixels.
const NPIX: [usize; 2] = [120, 300];

/// One series per fibre: `value = c0 + c1 u + ...` in Legendre polynomials of u, which runs from -1 to 1 over [`DOMAIN`].
fn series<const N: usize>(coefficients: impl Fn(f64) -> [f64; N]) -> LegendreSeries {
    let coeff = (0..NFIBRE).flat_map(|fibre| coefficients(fibre as f64)).collect();
    LegendreSeries { domain: DOMAIN, ncoeff: N, coeff }
}

/// Returns a checked PSF of Gaussian spots on slightly bowed traces, 10 pixels apart. All lengths are in pixels.
fn own_psf() -> Result<Psf, PsfError> {
    let parts = PsfParts {
        nfibre: NFIBRE,
        fibermin: 0,
        dispersion: Dispersion::AlongY,
        trace_x: series(|fibre| [15.0 + 10.0 * fibre, 0.0, 1.5]),
        trace_y: series(|_| [149.5, 145.0]),
        form: Form::GaussHermite,
        sigma_x: series(|_| [1.1, 0.05]),
        sigma_y: series(|fibre| [1.2 + 0.01 * fibre]),
        // GH-0-0 is 1; further terms would bend the spots away from Gaussians.
        gh: vec![series(|_| [1.0])],
        gh_degree_x: 0,
        gh_degree_y: 0,
        tails: None,
        half_x: 6,
        half_y: 6,
        npix_x: NPIX[0],
        npix_y: NPIX[1],
        ranges: None,
        numbers: None,
        waves: None,
        wave_min: DOMAIN[0],
        wave_max: DOMAIN[1],
        psferr: 0.01,
        camera: None,
    };
    Psf::new(parts)
}

fn main() -> Result<(), Box<dyn Error>> {
    let psf = own_psf()?;
    // About one bin per sigma of the PSF along the dispersion.
    let [min, max, step] = [DOMAIN[0] + 10.0, DOMAIN[1] - 10.0, 1.0];
    let light = Simulation { seed: 5, wave: Some((min, max, step).into()), ..Simulation::default() };
    let simulated = simulate(&psf, &light)?;
    // Its mask is still to be applied: here no pixel with any bit counts.
    let preproc = simulated.preproc.masked_by(u32::MAX)?;

    let grid = WaveGrid::new(min, max, step)?;
    // All fibres are neighbours: one bundle of ten, in patches of two where the banded solver does not serve.
    let patches = PatchOptions { bundlesize: Some(NFIBRE), ..PatchOptions::default() };
    let options = Options { patches, ..Options::default() };
    let job = Job::new(&psf, &preproc.ccd, &grid, &options)?;
    let extraction = extract(&job, &Engine::cpu(), &|_, _| ())?;

    println!("{} bundles in bands, {} patches", extraction.summary.banded, extraction.summary.patches);
    let (wave, header) = (grid.wave().to_vec(), Default::default());
    let frame = Frame { spectra: extraction.spectra, wave, header, fibermap: None, scores: None };
    println!("{}", against_truth(&frame, &simulated.truth)?);
    Ok(())
}
