//! Extracts one frame: `cargo run --release --example extract_frame [PREPROC PSF FRAME]`.
//!
//! With three names it goes from files to files, as `spextral extract` does. Without any it simulates a frame and extracts it
//! in memory.

use spextral::extract::{Request, extract_file};
use spextral::simulate::{Simulation, simulate, synthetic::Synthetic};
use spextral::{DeviceChoice, Engine, Job, Options, WaveGrid, extract};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    // The best GPU that passes its self-test, else the CPU.
    let engine = Engine::open(&DeviceChoice::Auto, &Default::default(), &[])?;
    println!("on {}", engine.device());
    match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => in_memory(&engine),
        [preproc, psf, frame] => from_files(preproc, psf, frame, &engine),
        _ => Err("give PREPROC PSF FRAME, or nothing".into()),
    }
}

/// Reads, extracts and writes the frame, atomically.
fn from_files(preproc: &str, psf: &str, frame: &str, engine: &Engine) -> Result<(), Box<dyn Error>> {
    let done =
        extract_file(&Request::new(preproc, psf, frame), engine, &|done, of| println!("{done} of {of} bundles"))?;
    println!("{frame}: {} spectra of {} bins in {:.1} s", done.nspec, done.nwave, done.compute.as_secs_f64());
    Ok(())
}

/// Extracts a simulated frame and compares it with the truth.
fn in_memory(engine: &Engine) -> Result<(), Box<dyn Error>> {
    let psf = Synthetic { nfibre: 25, npix_y: Some(300), ..Synthetic::default() }.build()?;
    // A frame's mask is still to be applied: here no pixel with any bit counts.
    let frame = simulate(&psf, &Simulation { seed: 1, ..Simulation::default() })?.preproc.masked_by(u32::MAX)?;
    let grid = WaveGrid::new(psf.wave_min + 10.0, psf.wave_max - 10.0, 0.8)?;
    let options = Options::default();
    let job = Job::new(&psf, &frame.ccd, &grid, &options)?;
    let spectra = extract(&job, engine, &|_, _| ())?.spectra;
    for (fibre, flux) in spectra.flux.chunks_exact(spectra.nwave).enumerate().step_by(5) {
        let ivar = &spectra.ivar[fibre * spectra.nwave..][..spectra.nwave];
        let mut snr: Vec<f64> = flux.iter().zip(ivar).map(|(flux, ivar)| flux * ivar.sqrt()).collect();
        snr.sort_by(f64::total_cmp);
        println!("fibre {fibre:2}: median S/N per bin {:.2}", snr[snr.len() / 2]);
    }
    Ok(())
}
