//! Runs of each solver on the CPU and on the GPU, and the bounds that each must keep.

use crate::errors::{Distance, Kind, Solution, distance};
use crate::scenes::Scene;
use spextral::compare::{ChiReport, TrueSpectra, against_truth, resolve_truth};
use spextral::extract::Solver;
use spextral::frame::Header;
use spextral::frame::{Frame, Spectra};
use spextral::gpu::{DeviceChoice, Gpu, OpenOptions, Precision};
use std::fmt;
use testkit::{Engine, cpu, device_name, on};

/// A device by its precision, and the backend on it.
pub type Device = (&'static str, Engine);

/// The CPU, and a GPU in each precision it has.
pub struct Devices(Vec<Device>);

/// Returns the CPU.
pub fn the_cpu() -> Device {
    ("CPU f64", cpu())
}

/// Returns a GPU in each precision it has.
pub fn precisions(gpu: &Gpu) -> Vec<Device> {
    let f64 = gpu.has_f64().then(|| gpu.with_f64().expect("a device that has f64 computes in it"));
    [Some(("GPU f32", on(gpu))), f64.map(|gpu| ("GPU f64", on(&gpu)))].into_iter().flatten().collect()
}

impl Devices {
    /// Opens the GPU of that name, or else the test device. Without it the CPU is alone, which the standard error reports.
    pub fn open(name: Option<&str>) -> Self {
        let Ok(choice) = name.map_or_else(device_name, String::from).parse::<DeviceChoice>();
        let mut devices = vec![the_cpu()];
        match spextral::gpu::Device::open(&choice, &OpenOptions::default()) {
            Ok(spextral::gpu::Device::Gpu(gpu)) => devices.extend(precisions(&gpu)),
            Ok(spextral::gpu::Device::Cpu) => {}
            Err(error) => eprintln!("on the CPU alone: {error}"),
        }
        Self(devices)
    }

    /// Their names and descriptions.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|(name, engine)| format!("{name}: {}", engine.device())).collect()
    }
}

/// One extraction of a scene, judged.
pub struct Outcome {
    /// Solver and device.
    pub run: String,
    pub method: Method,
    /// The precision of the GPU; None for the CPU.
    pub gpu: Option<Precision>,
    /// Why there is none.
    pub declined: Option<String>,
    /// How far the exact solution may be off, sigma.
    pub exact_to: f64,
    pub from_exact: Option<Distance>,
    pub from_published: Option<Distance>,
    /// A GPU's distance from the CPU by the same method.
    pub from_twin: Option<Distance>,
    pub chi: Option<ChiReport>,
    /// Each bin's chi; empty without truth.
    pub chis: Vec<f64>,
}

/// Outcomes of a scene.
#[derive(Default)]
pub struct Runs {
    pub outcomes: Vec<Outcome>,
    /// Spectra of the CPU by each method.
    twins: Vec<(Method, Solution)>,
}

/// Extracts a scene on every device, and reports each outcome as it comes.
pub fn all(scene: &Scene, devices: &Devices, report: impl Fn(&Outcome)) -> Vec<Outcome> {
    let mut runs = Runs::on_cpu(scene, &report);
    for device in &devices.0[1..] {
        runs.outcomes.extend(runs.on_gpu(scene, device, &report));
    }
    runs.outcomes
}

impl Runs {
    /// Extracts a scene on the CPU by each method.
    pub fn on_cpu(scene: &Scene, report: impl Fn(&Outcome)) -> Self {
        let mut runs = Self::default();
        let cpu = the_cpu();
        for method in methods(scene, &cpu.1) {
            let (outcome, spectra) = judge(scene, method, &cpu);
            runs.twins.extend(spectra.map(|spectra| (method, spectra.into())));
            report(&outcome);
            runs.outcomes.push(outcome);
        }
        runs
    }

    /// Extracts it on a GPU by each method, and compares with the CPU.
    pub fn on_gpu(&self, scene: &Scene, device: &Device, report: impl Fn(&Outcome)) -> Vec<Outcome> {
        let run = |method: Method| {
            let (mut outcome, spectra) = judge(scene, method, device);
            if let (Some((_, twin)), Some(spectra)) = (self.twins.iter().find(|(twin, _)| *twin == method), spectra) {
                outcome.from_twin = Some(distance(&spectra, twin));
            }
            report(&outcome);
            outcome
        };
        methods(scene, &device.1).map(run).collect()
    }
}

/// Options of one extraction on every device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Method {
    pub solver: Solver,
    /// Sigma; None for the default of a device.
    pub tolerance: Option<f64>,
}

/// The tolerance at which the bands that each device chooses hardly show.
const FINE: f64 = 1e-8;

const METHODS: [Method; 3] = [
    Method { solver: Solver::Banded, tolerance: None },
    Method { solver: Solver::Banded, tolerance: Some(FINE) },
    Method { solver: Solver::Patches, tolerance: None },
];

/// Returns how a scene is extracted on a device.
fn methods(scene: &Scene, engine: &Engine) -> impl Iterator<Item = Method> {
    let (of_series, long) = (scene.of_series, scene.long);
    let is_software = engine.is_gpu() && engine.gpu_id().is_none();
    let is_f32 = engine.is_gpu() && engine.precision() == Precision::F32;
    METHODS.into_iter().filter(move |method| match (method.solver, method.tolerance) {
        (Solver::Banded, None) => true,
        // A GPU in software takes minutes for the eigenmodes of long patches, and has no buffers for long wide bands.
        _ if of_series || long && is_software => false,
        (_, tolerance) => tolerance.is_none() || !is_f32,
    })
}

fn judge(scene: &Scene, method: Method, (device, engine): &Device) -> (Outcome, Option<Spectra>) {
    let Method { solver, tolerance } = method;
    let words = if solver == Solver::Banded { "banded" } else { "patches" };
    let to = tolerance.map_or(String::new(), |tolerance| format!(" to {tolerance:.0e}"));
    let mut outcome = Outcome {
        run: format!("{words}{to}, {device}"),
        method,
        gpu: engine.is_gpu().then(|| engine.precision()),
        declined: None,
        exact_to: scene.exact_to,
        from_exact: None,
        from_published: None,
        from_twin: None,
        chi: None,
        chis: Vec::new(),
    };
    let spectra = match scene.extract(method, engine) {
        Ok(spectra) => spectra,
        Err(reason) => {
            // Without the places.
            outcome.declined = Some(reason.split(": ").take(2).collect::<Vec<_>>().join(": "));
            return (outcome, None);
        }
    };
    outcome.from_exact = scene.exact.as_ref().map(|(exact, _)| distance(&spectra, exact));
    let published = scene.published.as_ref().filter(|_| solver == Solver::Patches);
    outcome.from_published = published.map(|published| distance(&spectra, published));
    // Against noise no tolerance shows.
    let Some(truth) = scene.truth.as_ref().filter(|_| tolerance.is_none()) else { return (outcome, Some(spectra)) };
    let wave = scene.grid.wave().to_vec();
    let frame = Frame { spectra, wave, header: Header::new(), fibermap: None, scores: None };
    outcome.chi = Some(against_truth(&frame, truth).expect("the truth is of this frame"));
    let TrueSpectra { chi, .. } = resolve_truth(&frame, truth).expect("the truth is of this frame");
    outcome.chis = chi.into_iter().filter(|chi| !chi.is_nan()).collect();
    (outcome, Some(frame.spectra))
}

/// Largest errors of flux (sigma), of ivar (relative) and of R.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub flux: f64,
    pub ivar: f64,
    pub resolution: f64,
}

impl Outcome {
    /// Returns the distances from other solutions, with their bounds. Bands are compared with the exact solution, patches
    /// with the published ones, GPUs with the CPU as well.
    pub fn bounded(&self) -> Vec<(&'static str, &Distance, Bounds)> {
        let bounds = |flux, ivar, resolution| Bounds { flux, ivar, resolution };
        let solver = self.method.solver;
        let (exact, published, twin) = match (self.gpu, solver) {
            _ if self.method.tolerance == Some(FINE) => {
                (bounds(3e-8 + self.exact_to, 1e-8, 1e-9), bounds(0.0, 0.0, 0.0), bounds(3e-8, 1e-8, 1e-9))
            }
            (None, _) => (bounds(3e-5, 1e-5, 1e-6), bounds(1e-5, 1e-6, 1e-6), bounds(0.0, 0.0, 0.0)),
            (Some(Precision::F32), Solver::Patches) => {
                (bounds(1e-3, 1e-4, 1e-4), bounds(1e-3, 1e-4, 1e-4), bounds(1e-3, 1e-4, 1e-4))
            }
            (Some(Precision::F64), Solver::Patches) => {
                (bounds(1e-6, 1e-6, 1e-6), bounds(1e-5, 1e-6, 1e-6), bounds(1e-6, 1e-6, 1e-6))
            }
            (Some(Precision::F32), _) => (bounds(1e-3, 1e-4, 1e-4), bounds(1e-3, 1e-4, 1e-4), bounds(1e-3, 1e-4, 1e-4)),
            // CPU and GPU each choose their bands, to a tolerance of 1e-5.
            (Some(Precision::F64), _) => (bounds(3e-5, 1e-5, 1e-6), bounds(1e-5, 1e-6, 1e-6), bounds(1e-5, 1e-6, 1e-6)),
        };
        let exactly = self.from_exact.as_ref().filter(|_| solver == Solver::Banded);
        let each = [("exact", exactly, exact), ("published", self.from_published.as_ref(), published)];
        let each = each.into_iter().chain([("the CPU", self.from_twin.as_ref(), twin)]);
        each.filter_map(|(against, distance, bounds)| Some((against, distance?, bounds))).collect()
    }
}

/// Bound of patches against the exact solution, which differ by the error of the method itself, sigma.
pub const METHOD: f64 = 0.2;

/// Returns one line per bound that was passed.
pub fn beyond(scene: &Scene, outcomes: &[Outcome]) -> Vec<String> {
    let mut lines = Vec::new();
    for outcome in outcomes {
        let mut check = |what: &str, value: f64, bound: f64| {
            if value.is_nan() || value > bound {
                lines.push(format!("{}, {}: {what} {value:.2e}, at most {bound:.0e}", scene.name, outcome.run));
            }
        };
        for (against, distance, bounds) in outcome.bounded() {
            check(&format!("flux against {against} (sigma)"), distance.of(Kind::All).worst(), bounds.flux);
            check(&format!("ivar against {against}"), distance.ivar, bounds.ivar);
            check(&format!("R against {against}"), distance.resolution, bounds.resolution);
        }
        if let (Solver::Patches, Some(distance)) = (outcome.method.solver, &outcome.from_exact) {
            check("flux of patches against exact (sigma)", distance.of(Kind::All).worst(), METHOD);
        }
        if let Some(chi) = &outcome.chi {
            // Four standard errors, and a hundredth for the rounding of simulated pixels to whole electrons.
            let error = 4.0 / (chi.bins as f64).sqrt() + 0.01;
            check("mean of chi", chi.mean.abs(), error);
            check("scatter of chi less 1", (chi.std - 1.0).abs(), error);
        }
        // f32 may not serve; the same numbers as the CPU's do.
        // There eight times the estimate of the widest bands of a device is 4e-5 sigma.
        let may_decline = outcome.gpu == Some(Precision::F32) || outcome.gpu.is_some() && scene.name == "pitch-4.0";
        if let Some(reason) = outcome.declined.as_ref().filter(|_| !may_decline) {
            lines.push(format!("{}, {}: declined: {reason}", scene.name, outcome.run));
        }
    }
    lines
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<25}", self.run)?;
        if let Some(reason) = &self.declined {
            return write!(f, " declined: {reason}");
        }
        for (name, distance) in
            [("exact", &self.from_exact), ("published", &self.from_published), ("the CPU", &self.from_twin)]
        {
            if let Some(d) = distance {
                let all = d.of(Kind::All);
                write!(
                    f,
                    " from {name}: flux {:.1e} sigma at worst, {:.1e} for 99.9 %,",
                    all.worst(),
                    all.quantile(0.999)
                )?;
                write!(f, " ivar {:.1e}, R {:.1e};", d.ivar, d.resolution)?;
            }
        }
        if let Some(chi) = &self.chi {
            write!(f, " chi of {} bins: mean {:+.4}, scatter {:.4}", chi.bins, chi.mean, chi.std)?;
        }
        Ok(())
    }
}
