//! Random instruments, grids and defects: flux is exact to the tolerance, or the result reports by how much it may be off.

use crate::extracting::cpu;
use crate::small::dense;
use crate::worlds::{Defect, Light, Sky, World, config};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::backend::Engine;
use spextral::extract::{Extraction, Job, Options, Solver};
use spextral::gpu::Precision;
use spextral::plan::PatchOptions;
use spextral::simulate::synthetic::Synthetic;
use std::cell::Cell;

/// A tolerance, sigma, and how far the reference may be off: relative to the signal to noise, and sigma.
#[derive(Clone, Copy)]
pub struct Aim {
    tolerance: f64,
    rounding: [f64; 2],
}

/// The default; with files in f4.
pub const DEFAULT: Aim = Aim { tolerance: 1e-5, rounding: [1.2e-7, 2e-6] };

/// The finest that there is.
pub const FINEST: Aim = Aim { tolerance: 1e-8, rounding: [3e-11, 3e-9] };

/// Angstrom per CCD row of a synthetic PSF.
const ROW: f64 = 0.553;

/// Bins of the grid, in the middle of the CCD.
const BINS: usize = 30;

/// Any spectrograph with traces next to each other, by a step of 0.3 to 3 times 1.3 sigma of its PSF. Its CCD has 35 to 100
/// bins beyond each end of the grid, all of them lit.
fn world() -> impl Strategy<Value = World> {
    let psf = (2usize..=8, 0.8..1.6f64, 0.8..1.6f64, 2.0..8.0f64, 0.0..2.0f64);
    let step = (0.3f64.ln()..3f64.ln()).prop_map(f64::exp);
    let light = prop_oneof![
        2 => Just(Light::Sky),
        1 => (0.0..3.0f64).prop_map(Light::Decades),
        1 => (0usize..4, 10.0..1e3f64).prop_map(|(fibre, times)| Light::Star(fibre, times)),
    ];
    let defect = prop_oneof![
        (0.2..0.8f64, 1usize..4).prop_map(|(at, n)| Defect::Columns(at, n)),
        (0.2..0.8f64, 1usize..40).prop_map(|(at, n)| Defect::Rows(at, n)),
        (0usize..4).prop_map(Defect::Amplifier),
        (0.0..0.1f64).prop_map(Defect::Pixels),
        (0usize..8).prop_map(Defect::Fibre),
    ];
    let defects = prop::collection::vec(defect, 0..3);
    (any::<u64>(), psf, (step, 35usize..=100), light, defects).prop_map(
        |(seed, psf, (step, beyond), light, defects)| {
            let (nfibre, sigma_x, sigma_y, pitch, gh_amplitude) = psf;
            let rows_per_bin = step * 1.3 * sigma_y;
            spectrograph(
                seed,
                (nfibre, [sigma_x, sigma_y], pitch * sigma_x, gh_amplitude),
                (rows_per_bin, beyond),
                light,
                defects,
            )
        },
    )
}

/// Number of fibres, widths along x and y, pixels from fibre to fibre, and the size of the Hermite terms.
pub type Spots = (usize, [f64; 2], f64, f64);

/// The world of a spectrograph, with CCD rows per bin and bins beyond each end of the grid.
pub fn spectrograph(
    seed: u64,
    (nfibre, [sigma_x, sigma_y], spacing, gh_amplitude): Spots,
    (rows_per_bin, beyond): (f64, usize),
    light: Light,
    defects: Vec<Defect>,
) -> World {
    let rows = (rows_per_bin * (BINS + 2 * beyond) as f64) as usize;
    let spots = Synthetic {
        nfibre,
        bundlesize: nfibre,
        sigma_x,
        sigma_y,
        half_x: 8,
        half_y: 6,
        spacing,
        gh_amplitude,
        npix_y: Some(rows),
        seed,
        ..Synthetic::default()
    };
    let mut options = Options::default();
    (options.patches.bundlesize, options.patches.nsubbundles) = (Some(nfibre), Some(1));
    let start = 0.5 - 0.5 * BINS as f64 * rows_per_bin / rows as f64;
    let grid = (start, rows_per_bin * ROW, BINS);
    World { psf: spots, light, defects, lit: beyond, grid, options, ..World::plain(seed, rows, BINS) }
}

/// By elimination of all fibres at once, with all bins that reach the CCD. With fewer, fine steps were 2e-3 sigma off.
fn exact(sky: &Sky) -> Extraction {
    let lit = (sky.truth_wave.len() - sky.grid.nwave()) / 2;
    let off_the_ccd = 2.0 * sky.psf.half_y as f64 * ROW / sky.grid.step();
    let mut options = dense(sky.grid.nwave(), lit + off_the_ccd as usize);
    options.patches = PatchOptions { bundlesize: Some(sky.psf.nfibre), ..options.patches };
    sky.try_extract(&Options { solver: Solver::Patches, ..options }, &cpu()).unwrap()
}

/// The outcome of a world.
enum Outcome {
    /// The largest error, sigma.
    Kept(f64),
    Told,
    /// Flux is right, but the CPU has done what a device left.
    Redone,
    InPatches,
}

/// Extracts a world in f64, and compares with an exact solution.
fn check(
    world: &World,
    Aim { tolerance, rounding: [of_signal, sigma] }: Aim,
    engine: &Engine,
) -> Result<Outcome, String> {
    let mut world = world.clone();
    (world.options.tolerance, world.options.precision) = (Some(tolerance), Some(Precision::F64));
    let sky = world.make();
    let ours = sky.try_extract(&sky.options, engine).map_err(|e| e.to_string())?;
    if ours.summary.solver() != "banded" {
        let said = ours.summary.fallbacks.iter().all(|fallback| fallback.reason.len() > 20);
        return if said && !ours.summary.fallbacks.is_empty() {
            Ok(Outcome::InPatches)
        } else {
            Err("not a word".into())
        };
    }
    let (ccd, exact) = (sky.ccd(), exact(&sky).spectra);
    let gain = Job::new(&sky.psf, &ccd, &sky.grid, &sky.options).unwrap().noise_gain();
    let spectra = &ours.spectra;
    let good = |k: &usize| exact.pixmask_fraction[*k] < 0.5 && exact.ivar[*k] > 0.0;
    let (mut worst, mut told) = (0.0f64, false);
    for k in (0..spectra.flux.len()).filter(good) {
        let fibre = k / spectra.nwave;
        let signal = exact.flux[k].abs() * exact.ivar[k].sqrt();
        // The reference rounds the more the nearer K is to singular.
        let rounding = of_signal * signal + sigma + 1e-15 * gain * gain * signal.max(1.0);
        let error = (spectra.flux[k] - exact.flux[k]).abs() * exact.ivar[k].sqrt();
        let above = ours.summary.above_tolerance.iter().find(|excess| excess.fibre == fibre);
        let allowed = above.map_or(tolerance, |excess| 2.0 * excess.error);
        told |= above.is_some();
        if error > allowed + rounding {
            let bin = k % spectra.nwave;
            return Err(format!(
                "fibre {fibre}, bin {bin}: {error:.1e} sigma, allowed {allowed:.1e}, noise gain {gain:.0}"
            ));
        }
        worst = worst.max(error - rounding);
    }
    Ok(match (ours.summary.redone, told) {
        (1.., _) => Outcome::Redone,
        (0, true) => Outcome::Told,
        (0, false) => Outcome::Kept(worst),
    })
}

/// Checks random worlds, and returns what became of them.
///
/// # Panics
/// Flux is off without a word, or no world was extracted in bands without the help of the CPU.
pub fn check_worlds(count: u32, aim: Aim, engine: &Engine) -> String {
    let counts = Cell::new([0usize; 4]);
    let worst = Cell::new(0.0f64);
    TestRunner::new(config(count))
        .run(&world(), |world| {
            let outcome = check(&world, aim, engine).map_err(|why| {
                let World { psf, defects, light, grid, .. } = &world;
                TestCaseError::fail(format!("{why}: {defects:?}, {light:?}, {:.2} rows per bin, {psf:?}", grid.1 / ROW))
            })?;
            let mut all = counts.get();
            let kind = match outcome {
                Outcome::Kept(error) => {
                    worst.set(worst.get().max(error));
                    0
                }
                Outcome::Told => 1,
                Outcome::InPatches => 2,
                Outcome::Redone => 3,
            };
            all[kind] += 1;
            counts.set(all);
            Ok(())
        })
        .unwrap();
    let [kept, told, in_patches, redone] = counts.get();
    assert!(kept > 0, "no world in bands");
    let worst = worst.get();
    format!(
        "{kept} worlds to the tolerance (at worst {worst:.1e} sigma), {told} told, {in_patches} in patches, {redone} done again"
    )
}

/// Returns what is wrong with some worlds, extracted to the default tolerance.
pub fn faults(worlds: &[World], engine: &Engine) -> Vec<String> {
    let fault = |(k, world)| Some(format!("world {k}: {}", check(world, DEFAULT, engine).err()?));
    worlds.iter().enumerate().filter_map(fault).collect()
}
