//! Which rows the table has.

use crate::FRAME;
use crate::case::{Case, solver};
use spextral::extract::Options;

/// Bins at which the fewest fibres are extracted, and fibres at which [`FEW_BINS`] are: four sizes each, to see how cost
/// grows.
const BINS: [usize; 4] = [291, 582, 1163, 2326];
const FIBRES: [usize; 4] = [25, 50, 100, 200];
/// Enough that what comes once a bundle is little.
const FEW_BINS: usize = BINS[1];

/// The options of the command line.
pub struct Wanted {
    solvers: Vec<String>,
    devices: Vec<String>,
    /// The only size, where one is asked for.
    size: [Option<usize>; 2],
    repeat: usize,
    scan: bool,
    /// Whether the patches extract a whole frame, too, which takes minutes.
    full: bool,
    /// CPU threads of the sizes; None for as many as rayon takes.
    threads: Vec<Option<usize>>,
    /// The PSF, where it is not the synthetic one.
    pub psf: Option<String>,
    /// Another program to time beside this one.
    pub beside: Option<String>,
    pub json: Option<String>,
}

impl Wanted {
    /// The options of the command line.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let words = |text: &str| -> Vec<String> { text.split(',').map(String::from).collect() };
        let mut wanted = Self {
            solvers: words("banded,patches"),
            devices: words("cpu"),
            size: [None; 2],
            repeat: 3,
            scan: true,
            full: false,
            threads: vec![None],
            psf: None,
            beside: None,
            json: None,
        };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().cloned().ok_or(format!("{option} needs a value"));
            let number = |text: String| match text.parse::<usize>() {
                Ok(n) if n > 0 => Ok(n),
                _ => Err(format!("{option} is {text}: give a whole number above 0")),
            };
            match option.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--solver" => wanted.solvers = words(&value()?),
                "--device" => wanted.devices = words(&value()?),
                "--nspec" => wanted.size[0] = Some(number(value()?)?.min(FRAME[0])),
                "--nwave" => wanted.size[1] = Some(number(value()?)?.min(2 * FRAME[1])),
                "--repeat" => wanted.repeat = number(value()?)?,
                "--threads" => {
                    let counts = words(&value()?).into_iter().map(|text| number(text).map(Some));
                    wanted.threads = counts.collect::<Result<_, _>>()?;
                }
                "--psf" => wanted.psf = Some(value()?),
                "--beside" => wanted.beside = Some(value()?),
                "--json" => wanted.json = Some(value()?),
                "--no-scan" => wanted.scan = false,
                "--full" => wanted.full = true,
                other => return Err(format!("no option {other}")),
            }
        }
        wanted.solvers.iter().try_for_each(|word| solver(word).map(|_| ()))?;
        Ok(wanted)
    }

    /// The rows, sizes first.
    pub fn cases(&self) -> Vec<Case> {
        let pairs = || self.devices.iter().flat_map(|device| self.solvers.iter().map(move |solver| (solver, device)));
        let mut cases = Vec::new();
        for (solver, device) in pairs() {
            let sizes: Vec<[usize; 2]> = match self.size {
                [None, None] => {
                    let whole = (solver == "banded" || self.full).then_some(FRAME);
                    let bins = BINS.into_iter().map(|nwave| [FIBRES[0], nwave]);
                    let fibres = FIBRES.into_iter().skip(1).map(|nspec| [nspec, FEW_BINS]);
                    bins.chain(fibres).chain(whole).collect()
                }
                [nspec, nwave] => vec![[nspec.unwrap_or(FIBRES[0]), nwave.unwrap_or(FRAME[1])]],
            };
            let with = |size: [usize; 2], &threads: &Option<usize>| Case { threads, ..self.case(solver, device, size) };
            cases.extend(sizes.into_iter().flat_map(|size| self.threads.iter().map(move |n| with(size, n))));
        }
        if self.scan {
            for (solver, device) in pairs() {
                let fibres = if solver == "banded" { FIBRES[2] } else { FIBRES[1] };
                let size = [self.size[0].unwrap_or(fibres), self.size[1].unwrap_or(FEW_BINS)];
                cases.extend(settings(&self.case(solver, device, size)));
            }
        }
        cases
    }

    /// Some bundles on one thread by bands, to be compared with another program.
    pub fn beside_case(&self) -> Case {
        let size = [self.size[0].unwrap_or(FIBRES[2]), self.size[1].unwrap_or(FRAME[1])];
        Case { repeat: 1, threads: Some(1), ..self.case("banded", "cpu", size) }
    }

    /// Rounds in which the two programs take turns.
    pub fn rounds(&self) -> usize {
        self.repeat
    }

    fn case(&self, solver: &str, device: &str, [nspec, nwave]: [usize; 2]) -> Case {
        let defaults = Options::default();
        Case {
            solver: solver.into(),
            device: device.into(),
            nspec,
            nwave,
            // Long runs are their own average.
            repeat: if [nspec, nwave] == FRAME { self.repeat.min(2) } else { self.repeat },
            threads: None,
            batch: None,
            tolerance: defaults.tolerance,
            nwavestep: defaults.patches.nwavestep,
            nsubbundles: defaults.patches.nsubbundles,
            bundlesize: defaults.patches.bundlesize,
            setting: String::new(),
        }
    }
}

/// Builds the scan over all settings: one row per value, all else by default.
fn settings(base: &Case) -> Vec<Case> {
    let with = |setting: String, change: &dyn Fn(&mut Case)| {
        let mut case = Case { setting, ..base.clone() };
        change(&mut case);
        case
    };
    let all = std::thread::available_parallelism().map_or(1, |n| n.get());
    let powers = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|&n| n < all).chain([all]);
    let mut cases: Vec<Case> = powers.map(|n| with(format!("threads {n}"), &|c| c.threads = Some(n))).collect();
    if base.solver == "banded" {
        let tolerances = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7];
        // Nothing couples two bundles: taken as one they give the same numbers in larger pieces.
        cases.extend([25, 50, 100].map(|n| with(format!("bundles of {n}"), &|c| c.bundlesize = Some(n))));
        cases.extend(tolerances.map(|t| with(format!("tolerance {t:e}"), &|c| c.tolerance = Some(t))));
    } else {
        cases.extend([1, 4, 16, 64].map(|n| with(format!("batch of {n}"), &|c| c.batch = Some(n))));
        cases.extend([25, 50, 100].map(|n| with(format!("patch of {n} bins"), &|c| c.nwavestep = n)));
        cases.extend([25, 5, 1].map(|n| with(format!("patch of {} fibres", 25 / n), &|c| c.nsubbundles = Some(n))));
    }
    cases
}
