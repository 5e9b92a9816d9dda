//! Frames whose right spectra are known: by another solution, by another program, or as truth.

use crate::errors::Solution;
use crate::runs::Method;
use spextral::extract::{Options, Solver};
use spextral::fits::{PreprocOptions, read_image_f64, read_preproc, read_psf};
use spextral::fits::{Truth, read_truth};
use spextral::frame::Spectra;
use spextral::geometry::{Ccd, WaveGrid};
use spextral::plan::WeightScale;
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Light, Simulation, simulate};
use testkit::{Engine, cpu, masked_planes, try_extract, try_shared};

/// The default frame, below a sky whose lines are computed.
fn under_a_model_sky() -> Simulation {
    Simulation { light: Light::ModelSky, ..Simulation::default() }
}

/// A frame, and known solutions of it.
pub struct Scene {
    pub name: &'static str,
    /// One line for the reader.
    pub what: String,
    psf: Psf,
    image: Vec<f32>,
    ivar: Vec<f32>,
    pub grid: WaveGrid,
    /// Fibres, and how bundles are cut into patches.
    options: Options,
    /// The solution of whole bundles, and its author.
    pub exact: Option<(Solution, &'static str)>,
    /// How far that may be off, sigma.
    pub exact_to: f64,
    /// The published patches, by another program.
    pub published: Option<Solution>,
    /// The simulated spectra.
    pub truth: Option<Truth>,
    /// Whether a software GPU is spared the patches, which take it minutes.
    pub long: bool,
    /// Whether it is one of a series, by bands alone: a row of a table.
    pub of_series: bool,
}

/// Names of the scenes, the quick ones first.
pub const NAMES: [&str; 30] = [
    "small",
    "edge",
    "dead",
    "fine",
    "noise-2",
    "noise-1",
    "noise-3",
    "coarse",
    "r0-low",
    "r0-high",
    "v2",
    "sim11",
    "pitch-6.4",
    "pitch-5.5",
    "pitch-5.0",
    "pitch-4.0",
    "r0-by-1.2",
    "r0-by-1.0",
    "r0-by-0.8",
    "r0-by-0.6",
    "r0-by-0.5",
    "r0-by-0.45",
    "r0-by-0.4",
    "short-by-1.2",
    "short-by-1.0",
    "short-by-0.9",
    "short-by-0.8",
    "short-by-0.7",
    "short-by-0.65",
    "short-by-0.6",
];

/// A step of a series, Angstrom, or a pitch, pixels, at the end of a scene's name.
fn number(name: &str) -> f64 {
    let digits = name.rsplit('-').next().expect("a name has an end");
    digits.parse().expect("a scene of a series ends in its number")
}

/// Makes a scene; None if the shared files it wants are absent.
pub fn make(name: &'static str) -> Option<Scene> {
    Some(match name {
        "small" => {
            small(name, 21, 0.8, "a synthetic r camera: two bundles of 5 fibres, a bad column, cosmics, a dead patch")
        }
        "fine" => small(name, 22, 0.6, "the same by 0.6 Angstrom"),
        "coarse" => small(name, 23, 1.2, "the same by 1.2 Angstrom"),
        "edge" => off_the_ccd(name),
        "dead" => dead_rows_and_bright_fibre(name),
        "noise-1" | "noise-2" | "noise-3" => against_truth(name),
        "r0-low" => real(name, "psf/psf-r0-00051060.fits", 5560.0)?,
        "r0-high" => real(name, "psf/psf-r0-00051060.fits", 7700.0)?,
        "v2" => real(name, "psf/psf-gausshermite-v2.fits", 6000.0)?,
        "sim11" => sim11(name)?,
        _ if name.starts_with("pitch-") => pitch(name),
        _ if name.starts_with("r0-by-") => real_by(name)?,
        _ if name.starts_with("short-by-") => short_by(name),
        _ => return None,
    })
}

impl Scene {
    fn ccd(&self) -> Ccd<'_> {
        Ccd::new(self.psf.npix_y, self.psf.npix_x, &self.image, &self.ivar).unwrap()
    }

    /// Extracts it; the error is the reason why another solver would have to.
    ///
    /// # Errors
    /// The extraction fails.
    pub fn extract(&self, Method { solver, tolerance }: Method, engine: &Engine) -> Result<Spectra, String> {
        let options = Options { solver, tolerance, ..self.options.clone() };
        let out = try_extract(&self.psf, &self.ccd(), &self.grid, &options, engine).map_err(|e| e.to_string())?;
        match out.summary.redone {
            0 => Ok(out.spectra),
            n => {
                let reasons: Vec<&str> =
                    out.summary.fallbacks.iter().map(|fallback| fallback.reason.as_str()).collect();
                Err(format!("{n} bundles or patches went to the CPU: {}", reasons.join(", ")))
            }
        }
    }

    /// Whole bundles as one patch each, all pixels, with 64 Angstrom beyond both ends: dense elimination.
    fn solve_exactly(&mut self) {
        let mut options = Options { solver: Solver::Patches, ..self.options.clone() };
        options.patches.bundlesize = options.patches.bundlesize.or(Some(self.psf.nfibre));
        options.patches.nsubbundles = Some(1);
        options.patches.nwavestep = self.grid.nwave();
        options.patches.wavepad = (64.0 / self.grid.step()) as usize;
        options.patches.wavepad_frac = 0.0;
        options.patches.pixpad_frac = 1.0;
        options.patches.weight_scale = WeightScale::Group;
        let out = try_extract(&self.psf, &self.ccd(), &self.grid, &options, &cpu());
        let spectra = out.expect("dense elimination serves every scene").spectra;
        self.exact = Some((spectra.into(), "dense elimination of whole bundles, in f64"));
    }

    /// Makes it a row of a table: its dense solution is all that it is compared with.
    fn as_one_of_a_series(&mut self) {
        (self.truth, self.of_series) = (None, true);
        self.solve_exactly();
    }

    fn on(name: &'static str, what: String, psf: Psf, simulation: &Simulation) -> Self {
        let sim = simulate(&psf, simulation).expect("a frame can be simulated");
        let [image, ivar] = masked_planes(&sim.preproc);
        let (wave, middle) = (&sim.truth.wave, sim.truth.wave.len() / 2);
        let reach = middle.min(50);
        let grid = WaveGrid::new(wave[middle - reach], wave[middle + reach], 0.8).expect("a grid");
        let mut options = Options::default();
        options.patches.bundlesize = Some(5);
        options.patches.nsubbundles = Some(5);
        let truth = Some(sim.truth);
        Self {
            name,
            what,
            psf,
            image,
            ivar,
            grid,
            options,
            exact: None,
            exact_to: 0.0,
            published: None,
            truth,
            long: false,
            of_series: false,
        }
    }
}

fn bundles_of_five(nfibre: usize, npix_y: usize) -> Psf {
    Synthetic { nfibre, bundlesize: 5, npix_y: Some(npix_y), ..Synthetic::default() }.build().expect("a PSF")
}

fn small(name: &'static str, seed: u64, step: f64, what: &str) -> Scene {
    let simulation = Simulation { seed, ..under_a_model_sky() };
    let mut scene = Scene::on(name, what.into(), bundles_of_five(10, 300), &simulation);
    let middle = scene.grid.wave()[50];
    scene.grid = WaveGrid::new(middle - 45.0 * step, middle + 45.0 * step, step).expect("a grid");
    // The simulated bins coincide with those by 0.8 Angstrom only.
    scene.truth = None;
    scene.solve_exactly();
    scene
}

fn off_the_ccd(name: &'static str) -> Scene {
    let what = "the same PSF where its traces leave the CCD at the lower end".into();
    let mut scene = Scene::on(name, what, bundles_of_five(5, 1000), &Simulation { seed: 25, ..under_a_model_sky() });
    let start = scene.psf.wave_min;
    scene.grid = WaveGrid::new(start, start + 80.0, 0.8).expect("a grid");
    scene.truth = None;
    scene.solve_exactly();
    scene
}

fn dead_rows_and_bright_fibre(name: &'static str) -> Scene {
    let what = "sixty dead rows, a dead amplifier, and a fibre beside pixels 300 times as bright as the sky".into();
    let mut scene = Scene::on(name, what, bundles_of_five(5, 300), &Simulation { seed: 31, ..under_a_model_sky() });
    let nx = scene.psf.npix_x;
    for (k, w) in scene.ivar.iter_mut().enumerate() {
        let (row, column) = (k / nx, k % nx);
        if (120..180).contains(&row) || (row > 240 && column < nx / 2) {
            *w = 0.0;
        }
    }
    let x = scene.psf.trace_x.of(4)[0] as usize;
    for (k, (value, w)) in scene.image.iter_mut().zip(&mut scene.ivar).enumerate() {
        if k % nx + 2 >= x && k % nx <= x + 2 {
            *value *= 300.0;
            *w /= 300.0;
        }
    }
    scene.truth = None;
    scene.solve_exactly();
    scene
}

/// Noise and truth: enough bins for the scatter of chi to be known to half a percent.
fn against_truth(name: &'static str) -> Scene {
    let seed = name.bytes().last().map_or(0, |digit| u64::from(digit - b'0'));
    let psf = Synthetic { nfibre: 25, npix_y: Some(1500), ..Synthetic::default() }.build().expect("a PSF");
    let what =
        format!("25 fibres over a third of the synthetic r camera, simulated with seed {seed}, against what went in");
    let mut scene = Scene::on(name, what, psf, &Simulation { seed, ..under_a_model_sky() });
    let wave = &scene.truth.as_ref().expect("it was simulated").wave;
    scene.grid = WaveGrid::new(wave[30], wave[wave.len() - 31], 0.8).expect("a grid");
    scene.options = Options::default();
    scene.long = true;
    scene
}

/// The first fibres of a real PSF as a bundle; the r camera's with pixels of sim11, the older with a frame of our own.
fn real(name: &'static str, file: &str, start: f64) -> Option<Scene> {
    let psf = read_psf(try_shared(file)?).expect("the shared PSF");
    let mut scene = if name == "v2" {
        let what = "an older real PSF, with spots of 29 x 17 pixels".to_string();
        Scene::on(name, what, psf, &Simulation { nspec: Some(8), ..under_a_model_sky() })
    } else {
        let p =
            read_preproc(try_shared("frames/preproc-r0-sim11.fits.gz")?, &PreprocOptions::default()).expect("sim11");
        let what = format!("8 fibres of a real r camera from {start} Angstrom, where traces leave the CCD");
        let (grid, options) = (WaveGrid::new(start, start + 96.0, 0.8).expect("a grid"), Options::default());
        let [image, ivar] = p.ccd.into_planes();
        Scene {
            name,
            what,
            psf,
            image,
            ivar,
            grid,
            options,
            exact: None,
            exact_to: 0.0,
            published: None,
            truth: None,
            long: true,
            of_series: false,
        }
    };
    scene.grid = WaveGrid::new(start, start + 80.0, 0.8).expect("a grid");
    scene.options = Options { nspec: Some(8), ..Options::default() };
    scene.options.patches.bundlesize = Some(8);
    scene.options.patches.nsubbundles = Some(2);
    (scene.truth, scene.long) = (None, true);
    scene.solve_exactly();
    Some(scene)
}

/// Fibres without gaps: 20 of a width of 1.3 pixels; by 4 pixels 48 of 1.1.
fn pitch(name: &'static str) -> Scene {
    let spacing = number(name);
    let (nfibre, sigma) = if spacing < 5.0 { (48, 1.1) } else { (20, 1.3) };
    let what = format!("{nfibre} fibres of a width of {sigma} pixels, {spacing} pixels apart");
    let psf = Synthetic {
        nfibre,
        bundlesize: nfibre,
        spacing,
        sigma_x: sigma,
        sigma_y: sigma,
        npix_y: Some(400),
        ..Synthetic::default()
    };
    let psf = psf.build().expect("a PSF");
    let mut scene = Scene::on(name, what, psf, &Simulation { seed: 41, ..under_a_model_sky() });
    scene.options.patches.bundlesize = None;
    scene.as_one_of_a_series();
    scene
}

/// Five fibres x 150 bins of a real r camera by any step.
fn real_by(name: &'static str) -> Option<Scene> {
    let mut scene = real(name, "psf/psf-r0-00051060.fits", 6000.0)?;
    let step = number(name);
    scene.what = format!("5 fibres x 150 bins of a real r camera by {step} Angstrom");
    scene.grid = WaveGrid::new(6000.0, 6000.0 + 149.0 * step, step).expect("a grid");
    scene.options.nspec = Some(5);
    scene.options.patches.bundlesize = Some(5);
    scene.as_one_of_a_series();
    Some(scene)
}

/// Five fibres on 150 rows from end to end, by any step.
fn short_by(name: &'static str) -> Scene {
    let psf = Synthetic {
        nfibre: 5,
        bundlesize: 5,
        spacing: 7.5,
        sigma_x: 1.05,
        sigma_y: 1.12,
        npix_y: Some(150),
        wave_min: Some(6000.0),
        wave_max: Some(6100.0),
        ..Synthetic::default()
    };
    let step = number(name);
    let what = format!("5 fibres on 150 rows of 0.67 Angstrom, from end to end by {step} Angstrom");
    let psf = psf.build().expect("a PSF");
    let mut scene = Scene::on(name, what, psf, &Simulation { seed: 43, ..under_a_model_sky() });
    scene.grid = WaveGrid::new(6004.0, 6004.0 + (92.0 / step).floor() * step, step).expect("a grid");
    scene.as_one_of_a_series();
    scene
}

/// Bins at each end of sim11 that do not count. Its exact solution has 30 bins beyond the ends: the last bin is 3e-5 sigma
/// off, and each before it by a factor of 1.5 less. Ours has more, and a longer range does not move it.
const ENDS_OF_SIM11: usize = 30;
const NWAVE_OF_SIM11: usize = 2326;

/// A simulated bundle on a real PSF, with its exact solution and its published patches made by other programs.
fn sim11(name: &'static str) -> Option<Scene> {
    let psf = read_psf(try_shared("psf/psf-r0-00051060.fits")?).expect("the shared PSF");
    let p = read_preproc(try_shared("frames/preproc-r0-sim11.fits.gz")?, &PreprocOptions::default()).expect("sim11");
    let solution = |file: &str| {
        let path = try_shared(file)?;
        let array = |name: &str| read_image_f64(&path, name).expect("a reference has its arrays").1;
        let (flux, ivar) = (array("FLUX"), array("IVAR"));
        Some(Solution { flux, ivar, pixmask_fraction: array("PIXMASK_FRACTION"), resolution: array("RDIAGS") })
    };
    let mut exact = solution("reference/sim11-exact.fits.gz")?;
    for fibre in exact.pixmask_fraction.chunks_exact_mut(NWAVE_OF_SIM11) {
        fibre[..ENDS_OF_SIM11].fill(1.0);
        fibre[NWAVE_OF_SIM11 - ENDS_OF_SIM11..].fill(1.0);
    }
    let [image, ivar] = p.ccd.into_planes();
    let mut truth = read_truth(try_shared("frames/truth-r0-sim11.fits")?).expect("the truth of sim11");
    truth.fibres = (0..truth.fibres.len() as i64).collect();
    Some(Scene {
        name,
        what: "25 fibres x 2326 bins of a real r camera, simulated by another program: sky, stars, galaxies, dark fibres, \
               cosmics, a bad column, dead patches"
            .into(),
        psf,
        image,
        ivar,
        grid: WaveGrid::new(5760.0, 7620.0, 0.8).expect("a grid"),
        options: Options { nspec: Some(25), ..Options::default() },
        exact: Some((exact, "block elimination in numpy, with 30 bins beyond the ends; the 30 bins at either end do not count")),
        // By another program, whose bins are 1e-9 off in ivar.
        exact_to: 1e-7,
        published: solution("reference/sim11-patches50.fits.gz"),
        truth: Some(truth),
        long: true,
        of_series: false,
    })
}
