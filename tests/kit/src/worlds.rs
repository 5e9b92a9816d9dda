//! Random worlds: a PSF, spectra, their frame, its defects, and the options of its extraction.

use crate::extracting::try_extract;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;
use spextral::backend::{Decorrelate, Engine};
use spextral::extract::{ExtractError, Extraction, Options, Solver};
use spextral::geometry::{Ccd, WaveGrid};
use spextral::psf::{Psf, PsfParts};
use spextral::simulate::project::project;
use spextral::simulate::synthetic::Synthetic;

/// Returns `cases` random cases, or PROPTEST_CASES, from a fixed seed, or PROPTEST_RNG_SEED. More cases begin with those
/// of fewer.
pub fn config(cases: u32) -> Config {
    config_of(1, cases)
}

/// Returns what [`config`] does, from a given seed.
pub fn config_of(seed: u64, cases: u32) -> Config {
    let set = |name: &str| std::env::var(name).ok();
    let cases = set("PROPTEST_CASES").and_then(|n| n.parse().ok()).unwrap_or(cases);
    let rng_seed = set("PROPTEST_RNG_SEED").and_then(|n| n.parse().ok()).unwrap_or(seed);
    Config { cases, rng_seed: RngSeed::Fixed(rng_seed), failure_persistence: None, ..Config::default() }
}

/// How the traces run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Traces {
    /// As the PSF was made, off the lower and the upper end of the CCD.
    Plain,
    /// Columns to the right.
    Shifted(f64),
    /// Rows up.
    Raised(f64),
    /// Columns to the right at the end of the range, to the left at its start: off both sides of the CCD.
    Slanted(f64),
    /// A fibre crosses its neighbour.
    Crossing(usize),
    /// A fibre runs a number of columns beside its neighbour, perhaps on it.
    Close(usize, f64),
}

/// The light in the fibres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Light {
    /// Nothing.
    Dark,
    /// Sky of some hundred electrons per bin, with lines.
    Sky,
    /// Every fibre brighter than the sky by a random factor up to 10 to this.
    Decades(f64),
    /// Sky, and a fibre that is brighter by a factor.
    Star(usize, f64),
}

/// Pixels without weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Defect {
    /// Columns from a fraction of the CCD's width on.
    Columns(f64, usize),
    /// Rows from a fraction of its height on.
    Rows(f64, usize),
    /// The quarter of an amplifier.
    Amplifier(usize),
    /// A fraction of all pixels.
    Pixels(f64),
    /// All pixels nearest to a fibre.
    Fibre(usize),
    /// The whole CCD.
    Everything,
}

/// A world in a few figures.
#[derive(Clone, Debug)]
pub struct World {
    pub seed: u64,
    pub psf: Synthetic,
    pub traces: Traces,
    pub light: Light,
    pub readnoise: f64,
    /// Decades by which ivar is spread at random; with 0 it is that of the noise.
    pub spread: f64,
    pub defects: Vec<Defect>,
    /// Lit bins beyond each end of the grid.
    pub lit: usize,
    /// Start of the grid as a fraction of the PSF's range, step in Angstrom, bins.
    pub grid: (f64, f64, usize),
    pub options: Options,
}

/// The frame of a world.
pub struct Sky {
    pub psf: Psf,
    pub image: Vec<f32>,
    pub ivar: Vec<f32>,
    pub grid: WaveGrid,
    pub options: Options,
    /// Electron per bin on the nodes of [`Self::truth_wave`], `[nfibre, nodes]`.
    pub truth: Vec<f64>,
    /// The nodes of the grid, from [`World::lit`] before its first to as many after its last.
    pub truth_wave: Vec<f64>,
}

/// Lit bins beyond each end of the grid, unless a world has more.
pub const BEYOND: usize = 40;

fn a_psf() -> impl Strategy<Value = Synthetic> {
    let sizes = (1usize..=7, 1usize..=7, 2usize..=8, 2usize..=6);
    let widths = (0.5..1.8f64, 0.6..1.8f64, 0.0..3.0f64, 0usize..=6);
    let tail = prop_oneof![3 => Just(0.0), 1 => 1e-4..1e-2f64];
    (sizes, widths, 5.0..9.0f64, tail, any::<u64>()).prop_map(|(sizes, widths, spacing, tail_amplitude, seed)| {
        let ((nfibre, bundlesize, half_x, half_y), (sigma_x, sigma_y, gh_amplitude, gh_degree)) = (sizes, widths);
        let npix_y = Some(110);
        Synthetic {
            nfibre,
            bundlesize,
            half_x,
            half_y,
            sigma_x,
            sigma_y,
            gh_amplitude,
            gh_degree,
            spacing,
            tail_amplitude,
            npix_y,
            seed,
            ..Synthetic::default()
        }
    })
}

fn traces() -> impl Strategy<Value = Traces> {
    prop_oneof![
        4 => Just(Traces::Plain),
        1 => (-60.0..60.0f64).prop_map(Traces::Shifted),
        1 => (-150.0..150.0f64).prop_map(Traces::Raised),
        1 => (-60.0..60.0f64).prop_map(Traces::Slanted),
        1 => (0usize..6).prop_map(Traces::Crossing),
        1 => (0usize..6, prop_oneof![Just(0.0), 0.0..4.0f64]).prop_map(|(f, d)| Traces::Close(f, d)),
    ]
}

fn defect() -> impl Strategy<Value = Defect> {
    prop_oneof![
        4 => (0.0..1.0f64, 1usize..12).prop_map(|(at, n)| Defect::Columns(at, n)),
        4 => (0.0..1.0f64, 1usize..40).prop_map(|(at, n)| Defect::Rows(at, n)),
        2 => (0usize..4).prop_map(Defect::Amplifier),
        4 => (0.0..1.0f64).prop_map(Defect::Pixels),
        2 => (0usize..7).prop_map(Defect::Fibre),
        1 => Just(Defect::Everything),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let regularize = prop_oneof![2 => Just(0.0), 1 => (-6.0..3.0f64).prop_map(|e| 10f64.powf(e))];
    let solver = prop_oneof![Just(Solver::Auto), Just(Solver::Patches), Just(Solver::Banded)];
    let decorrelate = prop_oneof![3 => Just(Decorrelate::Signal), 1 => Just(Decorrelate::Noise)];
    let cut = (1usize..=4, 1usize..=3, 1usize..30, 0usize..12);
    (regularize, solver, decorrelate, any::<bool>(), cut).prop_map(|(regularize, solver, decorrelate, tails, cut)| {
        let mut options = Options { regularize, solver, decorrelate, psf_tails: tails, ..Options::default() };
        (options.patches.bundlesize, options.patches.nsubbundles) = (Some(cut.0 * cut.1), Some(cut.1));
        (options.patches.nwavestep, options.patches.wavepad) = (cut.2, cut.3);
        if decorrelate == Decorrelate::Noise && solver == Solver::Banded {
            options.solver = Solver::Auto;
        }
        options
    })
}

/// Any world.
pub fn world() -> impl Strategy<Value = World> {
    let light = prop_oneof![Just(Light::Dark), Just(Light::Sky), (0.0..6.0f64).prop_map(Light::Decades)];
    let spread = prop_oneof![2 => Just(0.0), 1 => 0.0..8.0f64];
    let defects = proptest::collection::vec(defect(), 0..3);
    let grid =
        (-0.04..0.9f64, prop_oneof![2 => Just(0.8), 1 => 0.3..3.0f64], prop_oneof![1 => Just(1), 4 => 1usize..40]);
    let parts = (any::<u64>(), a_psf(), traces(), light, 1.0..10.0f64);
    (parts, spread, defects, grid, options()).prop_map(|(parts, spread, defects, grid, options)| {
        let (seed, psf, traces, light, readnoise) = parts;
        World { seed, psf, traces, light, readnoise, spread, defects, lit: BEYOND, grid, options }
    })
}

impl World {
    /// Worlds whose `--regularize` outweighs the data of bins that a CCD's edge, or masks, all but cover: of their rows of R
    /// rounding leaves nothing.
    pub fn outweighed() -> [Self; 2] {
        let plain = |seed| Synthetic { nfibre: 7, npix_y: Some(110), seed, ..Synthetic::default() };
        let mut at_the_edge = World {
            psf: Synthetic {
                half_x: 4,
                half_y: 6,
                spacing: 8.061755304997742,
                sigma_x: 0.5761314653196719,
                sigma_y: 1.5374719182497023,
                gh_amplitude: 1.231961828573399,
                gh_degree: 3,
                bundlesize: 6,
                ..plain(17666521163067360911)
            },
            light: Light::Dark,
            readnoise: 9.527705304978296,
            spread: 7.02394142768693,
            grid: (0.6716644277585028, 0.8, 38),
            ..World::plain(14300382483366571285, 110, 38)
        };
        let mut masked = World {
            psf: Synthetic {
                half_x: 6,
                half_y: 3,
                spacing: 6.624765857020144,
                sigma_x: 0.8070104476280682,
                sigma_y: 1.508865206468588,
                gh_amplitude: 2.4221248714858143,
                gh_degree: 4,
                tail_amplitude: 0.0037735946035450498,
                bundlesize: 5,
                ..plain(7592130313597504044)
            },
            traces: Traces::Shifted(56.651589858264444),
            light: Light::Dark,
            readnoise: 6.740060264709457,
            spread: 3.1451518165917975,
            defects: vec![Defect::Pixels(0.9077289446501544), Defect::Pixels(0.543878124784017)],
            grid: (0.22345857895703466, 0.8, 25),
            ..World::plain(5218839610916573100, 110, 25)
        };
        (at_the_edge.options.regularize, at_the_edge.options.psf_tails) = (276.64416167698306, false);
        (masked.options.regularize, masked.options.psf_tails) = (352.8277294110313, true);
        [at_the_edge, masked]
    }

    /// A plain world to start from: seven fibres in one bundle, the default PSF, sky, a grid within the CCD.
    pub fn plain(seed: u64, npix_y: usize, nwave: usize) -> Self {
        let psf = Synthetic { nfibre: 7, bundlesize: 7, npix_y: Some(npix_y), ..Synthetic::default() };
        let mut options = Options::default();
        (options.patches.bundlesize, options.patches.nsubbundles, options.patches.nwavestep) = (Some(7), Some(1), 40);
        // Rows are 0.553 Angstrom; the grid is in their middle.
        let range = 0.553 * npix_y as f64;
        let grid = (0.5 - 0.4 * nwave as f64 / range, 0.8, nwave);
        let (traces, light) = (Traces::Plain, Light::Sky);
        Self { seed, psf, traces, light, readnoise: 3.0, spread: 0.0, defects: vec![], lit: BEYOND, grid, options }
    }

    /// Makes the frame.
    pub fn make(&self) -> Sky {
        let mut rng = Pcg64::seed_from_u64(self.seed);
        let mut psf = self.psf.build().unwrap();
        self.traces.bend(&mut psf);
        let (start, step, nwave) = self.grid;
        let (low, high) = (psf.wave_min, psf.wave_max);
        // The PSF's series may not be extrapolated farther.
        let most = ((high + 0.04 * (high - low) - low - start * (high - low)) / step).max(0.0) as usize;
        let first = low + start * (high - low);
        let grid = WaveGrid::new(first, first + (nwave.min(most + 1) - 1) as f64 * step, step).unwrap();
        let truth_wave = grid.padded(self.lit, self.lit);
        let truth = self.light.spectra(psf.nfibre, truth_wave.len(), &mut rng);
        let tails = self.options.psf_tails;
        let expected = project(&psf, 0..psf.nfibre, &truth_wave, &truth, tails);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let variance: Vec<f64> = expected
            .iter()
            .map(|v| (self.readnoise.powi(2) + v) * 10f64.powf(self.spread * normal().abs().min(2.0) / 2.0))
            .collect();
        let image = expected.iter().zip(&variance).map(|(v, s2)| (v + s2.sqrt() * normal()) as f32).collect();
        let mut ivar: Vec<f32> = variance.iter().map(|s2| (1.0 / s2) as f32).collect();
        for defect in &self.defects {
            defect.mask(&psf, &mut ivar, &mut rng);
        }
        Sky { psf, image, ivar, grid, options: self.options.clone(), truth, truth_wave }
    }
}

impl Traces {
    fn bend(self, psf: &mut Psf) {
        psf.update(|parts| self.bend_parts(parts)).unwrap();
    }

    fn bend_parts(self, psf: &mut PsfParts) {
        let (nx, ny) = (psf.trace_x.ncoeff, psf.trace_y.ncoeff);
        match self {
            Self::Plain => {}
            Self::Shifted(by) => psf.trace_x.coeff.iter_mut().step_by(nx).for_each(|c| *c += by),
            Self::Raised(by) => psf.trace_y.coeff.iter_mut().step_by(ny).for_each(|c| *c += by),
            Self::Slanted(by) => psf.trace_x.coeff.iter_mut().skip(1).step_by(nx).for_each(|c| *c += by),
            Self::Crossing(fibre) if fibre + 1 < psf.nfibre => {
                let gap = psf.trace_x.of(fibre + 1)[0] - psf.trace_x.of(fibre)[0];
                psf.trace_x.coeff[fibre * nx] += gap;
                psf.trace_x.coeff[fibre * nx + 1] += 1.5 * gap;
            }
            Self::Close(fibre, distance) if fibre + 1 < psf.nfibre => {
                let (before, own) = psf.trace_x.coeff.split_at_mut((fibre + 1) * nx);
                own[..nx].copy_from_slice(&before[fibre * nx..]);
                own[0] += distance;
            }
            Self::Crossing(_) | Self::Close(..) => {}
        }
    }
}

impl Light {
    fn spectra(self, nfibre: usize, nodes: usize, rng: &mut Pcg64) -> Vec<f64> {
        let line = |k: usize| if k % 17 == 5 { 3000.0 } else { 0.0 };
        let mut of_fibre = |fibre: usize| match self {
            Self::Dark => 0.0,
            Self::Decades(decades) => 10f64.powf(decades * rng.random::<f64>()),
            Self::Star(star, times) if star == fibre => times,
            Self::Sky | Self::Star(..) => 1.0,
        };
        let factors: Vec<f64> = (0..nfibre).map(&mut of_fibre).collect();
        let sky = |k: usize| 150.0 + 50.0 * (0.3 * k as f64).sin() + line(k);
        factors.iter().flat_map(|f| (0..nodes).map(move |k| f * sky(k))).collect()
    }
}

impl Defect {
    fn mask(self, psf: &Psf, ivar: &mut [f32], rng: &mut Pcg64) {
        let (ny, nx) = (psf.npix_y, psf.npix_x);
        let span = |at: f64, n: usize, of: usize| {
            let first = (at * of as f64) as usize;
            first..(first + n).min(of)
        };
        let mut bad = |masked: &mut dyn FnMut(usize, usize) -> bool| {
            let pixels = ivar.iter_mut().enumerate();
            pixels.filter(|(k, _)| masked(k / nx, k % nx)).for_each(|(_, w)| *w = 0.0);
        };
        match self {
            Self::Columns(at, n) => bad(&mut |_, x| span(at, n, nx).contains(&x)),
            Self::Rows(at, n) => bad(&mut |y, _| span(at, n, ny).contains(&y)),
            Self::Amplifier(k) => bad(&mut |y, x| 2 * usize::from(y >= ny / 2) + usize::from(x >= nx / 2) == k),
            Self::Pixels(share) => bad(&mut |_, _| rng.random::<f64>() < share),
            Self::Fibre(f) => {
                let centre = psf.trace_x.of(f % psf.nfibre)[0];
                bad(&mut |_, x| (x as f64 - centre).abs() < 3.6);
            }
            Self::Everything => bad(&mut |_, _| true),
        }
    }
}

impl Sky {
    pub fn ccd(&self) -> Ccd<'_> {
        Ccd::new(self.psf.npix_y, self.psf.npix_x, &self.image, &self.ivar).unwrap()
    }

    pub fn try_extract(&self, options: &Options, engine: &Engine) -> Result<Extraction, ExtractError> {
        try_extract(&self.psf, &self.ccd(), &self.grid, options, engine)
    }

    pub fn extract(&self, engine: &Engine) -> Extraction {
        self.try_extract(&self.options, engine).unwrap()
    }
}
