//! Random instruments, grids and defects: flux is exact to the tolerance, or the result reports by how much it may be off.

use crate::extracting::cpu;
use crate::numbers::largest;
use crate::small::dense;
use crate::worlds::{Defect, Light, Sky, World, config_of};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rayon::prelude::*;
use spextral::backend::Engine;
use spextral::extract::{Extraction, Job, Options, Solver};
use spextral::frame::specmask;
use spextral::gpu::Precision;
use spextral::plan::PatchOptions;
use spextral::simulate::synthetic::Synthetic;
use std::fmt::{self, Display, Formatter};

/// A precision, its tolerance, sigma, and how far results or their reference may be off by rounding: relative to the signal to
/// noise, and sigma.
#[derive(Clone, Copy)]
pub struct Aim {
    precision: Precision,
    tolerance: f64,
    rounding: [f64; 2],
}

impl Aim {
    /// Whether results are of f64.
    pub fn is_f64(&self) -> bool {
        self.precision == Precision::F64
    }
}

/// The default; with files in f4.
pub const DEFAULT: Aim = Aim { precision: Precision::F64, tolerance: 1e-5, rounding: [1.2e-7, 2e-6] };

/// The finest that there is.
pub const FINEST: Aim = Aim { precision: Precision::F64, tolerance: 1e-8, rounding: [3e-11, 3e-9] };

/// The default in f32.
pub const SINGLE: Aim = Aim { precision: Precision::F32, tolerance: 1e-3, rounding: [3e-6, 0.0] };

/// Angstrom per CCD row of a synthetic PSF.
const ROW: f64 = 0.553;

/// Bins of the grid, in the middle of the CCD.
const BINS: usize = 30;

/// Inverse variance over the largest of the fibre below which a bin may be given up, with a mask bit.
const LEAST_INFORMATION: f64 = 1e-9;

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

/// The outcome of a world whose flux is right, or as far off as was reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// In bands, to the tolerance.
    Kept,
    /// In bands, with errors above the tolerance reported.
    Reported,
    /// The CPU did part of it, as a device did not serve.
    Redone,
    /// By patches, with a reason. Flux is not looked at.
    InPatches,
}

/// Extracts a world, and compares with an exact solution. Returns the largest error, sigma, 0 of patches.
fn check(
    world: &World,
    Aim { precision, tolerance, rounding: [of_signal, sigma] }: Aim,
    engine: &Engine,
) -> Result<(Outcome, f64), String> {
    let mut world = world.clone();
    (world.options.tolerance, world.options.precision) = (Some(tolerance), Some(precision));
    let sky = world.make();
    let ours = sky.try_extract(&sky.options, engine).map_err(|e| e.to_string())?;
    if ours.summary.solver() != "banded" {
        let said = ours.summary.fallbacks.iter().all(|fallback| fallback.reason.len() > 20);
        return if said && !ours.summary.fallbacks.is_empty() {
            Ok((Outcome::InPatches, 0.0))
        } else {
            Err("not a word".into())
        };
    }
    let (ccd, exact) = (sky.ccd(), exact(&sky).spectra);
    let gain = Job::new(&sky.psf, &ccd, &sky.grid, &sky.options).unwrap().noise_gain();
    let spectra = &ours.spectra;
    let good = |k: &usize| exact.pixmask_fraction[*k] < 0.5 && exact.ivar[*k] > 0.0;
    let (mut worst, mut reported) = (0.0f64, false);
    for k in (0..spectra.flux.len()).filter(good) {
        let fibre = k / spectra.nwave;
        let is_given_up = spectra.ivar[k] == 0.0 && spectra.mask[k] & specmask::BAD2DFIT != 0;
        let of_fibre = &exact.ivar[fibre * spectra.nwave..][..spectra.nwave];
        if is_given_up && exact.ivar[k] < LEAST_INFORMATION * largest(of_fibre) {
            continue;
        }
        let signal = exact.flux[k].abs() * exact.ivar[k].sqrt();
        // The reference rounds the more the nearer K is to singular.
        let rounding = of_signal * signal + sigma + 1e-15 * gain * gain * signal.max(1.0);
        let error = (spectra.flux[k] - exact.flux[k]).abs() * exact.ivar[k].sqrt();
        let above = ours.summary.above_tolerance.iter().find(|excess| excess.fibre == fibre);
        let allowed = above.map_or(tolerance, |excess| 2.0 * excess.error);
        reported |= above.is_some();
        // Written so that a NaN is wrong.
        let is_right = error <= allowed + rounding;
        if !is_right {
            let bin = k % spectra.nwave;
            return Err(format!(
                "fibre {fibre}, bin {bin}: {error:.1e} sigma, allowed {allowed:.1e}, noise gain {gain:.0}"
            ));
        }
        worst = worst.max(error - rounding);
    }
    let outcome = match (ours.summary.redone, reported) {
        (1.., _) => Outcome::Redone,
        (0, true) => Outcome::Reported,
        (0, false) => Outcome::Kept,
    };
    Ok((outcome, worst))
}

/// The outcomes of random worlds.
#[derive(Default)]
pub struct Survey {
    outcomes: Vec<Outcome>,
    /// The largest error of the worlds kept to the tolerance, sigma.
    worst: f64,
    /// Worlds whose flux is off by more than the tolerance and more than was reported.
    pub faults: Vec<String>,
}

impl Survey {
    fn add(&mut self, world: &World, outcome: Result<(Outcome, f64), String>) {
        match outcome {
            Ok((outcome, error)) => {
                self.outcomes.push(outcome);
                self.worst = if outcome == Outcome::Kept { self.worst.max(error) } else { self.worst };
            }
            Err(why) => self.faults.push(format!("{why}; {world:?}")),
        }
    }

    fn count(&self, of: Outcome) -> usize {
        self.outcomes.iter().filter(|outcome| **outcome == of).count()
    }

    /// Panics if flux was off unreported, or if fewer than a quarter of the worlds were kept to the tolerance: errors that are
    /// reported everywhere say nothing.
    #[track_caller]
    pub fn passed(self) -> String {
        assert!(self.faults.is_empty(), "{self}");
        assert!(4 * self.count(Outcome::Kept) >= self.outcomes.len(), "few are kept: {self}");
        self.to_string()
    }
}

impl Display for Survey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        let [kept, reported, redone, in_patches] =
            [Outcome::Kept, Outcome::Reported, Outcome::Redone, Outcome::InPatches].map(|of| self.count(of));
        write!(
            f,
            "{kept} worlds to the tolerance (at worst {:.1e} sigma), {reported} reported, {redone} in part by the CPU, \
             {in_patches} in patches, {} off unreported",
            self.worst,
            self.faults.len()
        )
    }
}

/// Extracts `count` random worlds, or PROPTEST_CASES, and compares with exact solutions. The worlds are those of a seed, or of
/// PROPTEST_RNG_SEED.
pub fn survey(seed: u64, count: u32, aim: Aim, engine: &Engine) -> Survey {
    let config = config_of(seed, count);
    let count = config.cases;
    let mut runner = TestRunner::new(config);
    let worlds: Vec<World> = (0..count).map(|_| world().new_tree(&mut runner).unwrap().current()).collect();
    let outcomes: Vec<_> = worlds.par_iter().map(|world| check(world, aim, engine)).collect();
    let mut survey = Survey::default();
    for (world, outcome) in worlds.iter().zip(outcomes) {
        survey.add(world, outcome);
    }
    survey
}

/// Returns the outcomes of some worlds, or what is wrong with their flux.
pub fn outcomes(worlds: &[World], aim: Aim, engine: &Engine) -> Vec<Result<Outcome, String>> {
    worlds.iter().map(|world| check(world, aim, engine).map(|(outcome, _)| outcome)).collect()
}
