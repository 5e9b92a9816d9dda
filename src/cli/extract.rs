//! `spextral extract`: the options of one extraction, turned into a checked request.

use super::common::{Common, Given};
use super::json::{Json, object, of_extraction, print_object};
use super::like::Like;
use super::value_parsers::{Bytes, MaskBits, Wavelength, stage};
use super::{Outcome, logging::Progress};
use clap::{Args, ValueEnum};
use spextral::backend::{Decorrelate, Engine, EngineError, Stage};
use spextral::base::output_path::check_outputs;
use spextral::base::trace::Trace;
use spextral::extract::{Done, ModelFlux, Options, Request, Solver, extract_file};
use spextral::gpu::fault_injection::Faults;
use spextral::gpu::{DeviceChoice, OpenOptions, Precision};
use spextral::plan::PatchOptions;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  spextral extract -i preproc-r0-00051060.fits.gz -p psf-r0-00051060.fits -o frame-r0-00051060.fits
  spextral extract -i preproc.fits -p psf.fits -o frame.fits -w 5760,7620,0.8 --barycentric-correction
  spextral extract -i preproc.fits -p psf.fits -o part.fits -s 25 -n 50 -m model.fits --device cpu
  spextral extract --like frame.fits -o again.fits

Outputs are written whole or not at all; a name that ends in .gz makes a gzipped file.";

/// Arguments of `spextral extract`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, mut_arg("model_flux", |model_flux| model_flux.requires("model")))]
pub struct Arguments {
    // First: it looks at what the others take away.
    #[command(flatten)]
    given: Given,
    /// The preprocessed frame: IMAGE, IVAR, MASK (.fits, .fits.gz or .fits.fz)
    #[arg(short, long, value_name = "PREPROC", required_unless_present = "like")]
    input: Option<PathBuf>,
    /// The Gauss-Hermite PSF of this camera
    #[arg(short, long, required_unless_present = "like")]
    psf: Option<PathBuf>,
    /// The frame to write: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, FIBERMAP, CHI2PIX, SCORES
    #[arg(short, long, value_name = "FRAME", required_unless_present = "like")]
    output: Option<PathBuf>,
    /// Make FRAME again: inputs, options and device are those its header records, but for what is given here, and the inputs
    /// must be the same by their checksums; OUTPUT is FRAME-again.fits by default. Exit code 1 where its data are others
    /// although nothing was given that changes them and version and device are the same
    #[arg(long, value_name = "FRAME")]
    like: Option<PathBuf>,
    /// Write the model of the CCD image, too [electron]
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Replace outputs that exist
    #[arg(long)]
    overwrite: bool,
    /// Write what ran when and on which thread: JSON that ui.perfetto.dev shows
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    how: Repeatable,
    #[command(flatten)]
    pub json: Json,
}

/// What a frame records of the command line.
#[derive(Args, Debug)]
pub struct Repeatable {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub device: DeviceArguments,
}

/// What, and how: the options that decide the numbers.
#[derive(Args, Clone, Debug)]
pub struct Method {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    patches: Patches,
    /// Memory that a GPU may give, in bytes or with K, M, G for powers of 1024: work is cut into parts that fit. Where that is too
    /// little for the smallest, the CPU serves if the GPU was not asked for by name
    #[arg(long, value_name = "SIZE", help_heading = "Device")]
    max_device_memory: Option<Bytes>,
}

/// Which spectra, on which grid, from which pixels.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What to extract")]
struct What {
    /// The grid [Angstrom]; by default the PSF's WAVEMIN to WAVEMAX by 0.8
    #[arg(short, long, value_name = "WMIN,WMAX,DW", allow_hyphen_values = true)]
    wavelength: Option<Wavelength>,
    /// First spectrum, counted on the PSF
    #[arg(short, long, default_value_t = 0)]
    specmin: usize,
    /// Number of spectra; by default all from SPECMIN on
    #[arg(short, long)]
    nspec: Option<usize>,
    /// Pixels with any of these MASK bits are not used: bits and ranges (0-7,9), a number in hexadecimal (0x2ff), or none
    #[arg(long, value_name = "BITS", default_value = "0-7,9")]
    mask_bits: MaskBits,
    /// Make the grid barycentric: extract on w/f by dw/f with the factor f at mid-exposure, and write HELIOCOR
    #[arg(long)]
    barycentric_correction: bool,
}

/// The model and the method.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "How to extract")]
struct How {
    /// How the problem is cut: whole bundles, exact to TOLERANCE (banded), the published divide and conquer (patches), or the
    /// one where it serves and else the other (auto)
    #[arg(long, default_value = "auto")]
    solver: SolverWord,
    /// Error of flux that the banded solver may make [sigma]; by default 1e-5 in f64, 1e-3 on a GPU in f32, which keeps to
    /// 3e-4 at best
    #[arg(long, value_name = "SIGMA", allow_hyphen_values = true)]
    tolerance: Option<f64>,
    /// What a GPU computes in: f32, f64 where it has it (see `spextral devices`), or f32 where that serves the grid and
    /// TOLERANCE, else f64, else the CPU (auto); the CPU computes in f64
    #[arg(long, default_value = "auto")]
    precision: PrecisionWord,
    /// What is decorrelated together: the bins of a fibre (signal), or all fibres of a patch (noise)
    #[arg(long, value_name = "KIND", default_value = "signal")]
    decorrelate: DecorrelateWord,
    /// Regularisation of the deconvolved flux
    #[arg(short, long, default_value_t = 0.0, allow_hyphen_values = true)]
    regularize: f64,
    /// Fractional error of the PSF, for chi2pix; by default the PSF's PSFERR, or 0.01
    #[arg(long, value_name = "F", allow_hyphen_values = true)]
    psferr: Option<f64>,
    /// Add the PSF's power-law tails
    #[arg(long)]
    psf_tails: bool,
}

/// How bundles are cut into patches.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Bundles, and patches (all below but --bundlesize)")]
struct Patches {
    /// Fibres of a bundle
    #[arg(long, value_name = "N", default_value_t = PatchOptions::default().bundlesize)]
    bundlesize: usize,
    /// Sub-bundles of a bundle; must divide BUNDLESIZE
    #[arg(long, value_name = "N", default_value_t = PatchOptions::default().nsubbundles)]
    nsubbundles: usize,
    /// Wavelength bins of a patch
    #[arg(long, value_name = "N", default_value_t = PatchOptions::default().nwavestep)]
    nwavestep: usize,
    /// Bins of padding at each end of a patch
    #[arg(long, value_name = "N", default_value_t = PatchOptions::default().wavepad)]
    wavepad: usize,
    /// Further padding, as a fraction of WAVEPAD
    #[arg(long, value_name = "F", default_value_t = PatchOptions::default().wavepad_frac, allow_hyphen_values = true)]
    wavepad_frac: f64,
    /// Fraction of the padding bins' pixel rows that are used
    #[arg(long, value_name = "F", default_value_t = PatchOptions::default().pixpad_frac, allow_hyphen_values = true)]
    pixpad_frac: f64,
}

/// Where to compute.
#[derive(Debug, Args)]
#[command(next_help_heading = "Device")]
pub struct DeviceArguments {
    /// auto (a discrete GPU, else an integrated one, else the CPU), cpu, an index, part of a name, or a PCI bus id
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Stages that the CPU does while the rest stays on the GPU (finds a wrong kernel): traces, spots,
    /// normal_equations, cholesky, schur, jacobi, decorrelate, model, goodness
    #[arg(long, value_name = "STAGE", value_delimiter = ',', value_parser = stage)]
    stage_on_cpu: Vec<Stage>,
}

/// Extracts one frame.
///
/// # Errors
/// No such device, a file that cannot be read or written, options that don't fit each other or the PSF.
pub fn run(mut arguments: Arguments) -> Outcome {
    let like = arguments.like.as_deref().map(Like::read).transpose()?;
    if let Some(like) = &like {
        like.set(&mut arguments.how, &arguments.given)?;
    }
    let trace = arguments.trace.clone().map(|path| (path, Arc::new(Trace::new())));
    let (device, needs_f64) = (&arguments.how.device, arguments.how.common.method.needs_f64());
    let engine = match &trace {
        Some((_, trace)) => trace.region("open the device", || device.open(needs_f64))?.with_trace(trace.clone()),
        None => device.open(needs_f64)?,
    };
    let json = arguments.json.is_wanted();
    let request = arguments.request(like.as_ref())?;
    if let Some((path, _)) = &trace {
        let others: Vec<&Path> = request.inputs().chain(request.outputs()).collect();
        check_outputs(&others, &[path], request.overwrite)?;
    }
    if let Some(like) = &like {
        let trace = trace.iter().map(|(path, _)| path.as_path());
        like.check_kept(&request.outputs().chain(trace).collect::<Vec<_>>())?;
        like.say_differences(&request, &engine.device());
    }
    tracing::info!("extracting {} on {}", request.input.display(), engine.device());
    let progress = Progress::new("bundles");
    let done = extract_file(&request, &engine, &|done, total| progress.report(done, total))?;
    drop(progress);
    report(&request, &done);
    if let Some((path, trace)) = &trace {
        trace.write(path, request.overwrite)?;
    }
    let verdict = like.map(|like| like.verdict(&request, &done)).transpose()?;
    let as_asked = verdict.as_ref().is_none_or(|verdict| verdict.as_asked);
    if json {
        print_object("extract", object(of_extraction(&request, &done, verdict.map(|verdict| verdict.json))))?;
    }
    // A frame without a single result is written, so that its masks tell why, but it is no success; nor is another frame
    // than the one to repeat.
    Ok(if done.summary.has_results() && as_asked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl DeviceArguments {
    /// All stages on one device.
    pub fn on(device: DeviceChoice) -> Self {
        Self { device, stage_on_cpu: Vec::new() }
    }

    /// Opens the device, which may have to have f64.
    ///
    /// # Errors
    /// There is none of that name, it has no f64, or it is refused.
    pub fn open(&self, needs_f64: bool) -> Result<Engine, EngineError> {
        self.open_choice(&self.device, needs_f64)
    }

    /// Opens the device of one of several processes of this machine.
    ///
    /// # Errors
    /// See [`DeviceArguments::open`].
    #[cfg(feature = "mpi")]
    pub fn open_for(&self, process: usize, needs_f64: bool) -> Result<Engine, EngineError> {
        self.open_choice(&self.device.for_process(process), needs_f64)
    }

    /// The stages left to the CPU, for the record.
    pub fn on_cpu(&self) -> Vec<Stage> {
        self.stage_on_cpu.clone()
    }

    fn open_choice(&self, device: &DeviceChoice, needs_f64: bool) -> Result<Engine, EngineError> {
        let options = OpenOptions { faults: Faults::of_environment(), needs_f64, ..OpenOptions::default() };
        let engine = Engine::open(device, &options, &self.stage_on_cpu)?;
        if !engine.is_gpu() && !self.stage_on_cpu.is_empty() {
            tracing::warn!("all stages are on the CPU");
        }
        // Times of stages are printed at this level; they cost waiting for the device.
        Ok(if tracing::enabled!(tracing::Level::DEBUG) { engine.with_exact_times() } else { engine })
    }
}

impl Arguments {
    /// The request, of which `like` gives what the command line does not.
    fn request(self, like: Option<&Like>) -> Result<Request, String> {
        let ([input, psf], output) = match (like, self.input, self.psf, self.output) {
            (Some(like), input, psf, output) => (like.inputs(input, psf)?, output.unwrap_or_else(|| like.output())),
            (None, Some(input), Some(psf), Some(output)) => ([input, psf], output),
            (None, ..) => return Err("--input, --psf and --output are needed where there is no --like".into()),
        };
        Ok(Request {
            overwrite: self.overwrite,
            on_cpu: self.how.device.on_cpu(),
            expected: like.map(|like| like.digests(&self.given)),
            ..self.how.common.of(Request::new(input, psf, output), self.model)
        })
    }
}

impl Method {
    /// Whether a GPU must have f64.
    pub fn needs_f64(&self) -> bool {
        matches!(self.how.precision, PrecisionWord::F64)
    }

    /// The request with these options in place of its own.
    pub fn of(self, request: Request) -> Request {
        let Self { what, how, patches, max_device_memory } = self;
        Request {
            wavelength: what.wavelength.map(|Wavelength(grid)| grid).or(request.wavelength),
            mask_bits: what.mask_bits.0,
            barycentric: what.barycentric_correction,
            options: Options {
                specmin: what.specmin,
                nspec: what.nspec,
                regularize: how.regularize,
                psferr: how.psferr.or(request.options.psferr),
                psf_tails: how.psf_tails,
                decorrelate: how.decorrelate.into(),
                solver: how.solver.into(),
                tolerance: how.tolerance,
                precision: how.precision.into(),
                max_device_memory: max_device_memory.map(|Bytes(bytes)| bytes),
                patches: PatchOptions {
                    bundlesize: patches.bundlesize,
                    nsubbundles: patches.nsubbundles,
                    nwavestep: patches.nwavestep,
                    wavepad: patches.wavepad,
                    wavepad_frac: patches.wavepad_frac,
                    pixpad_frac: patches.pixpad_frac,
                },
                ..Options::default()
            },
            ..request
        }
    }
}

fn report(request: &Request, done: &Done) {
    let summary = &done.summary;
    for (stage, time) in &summary.stage_time {
        tracing::debug!("{:>8.3} s in {}", time.as_secs_f64(), stage.name());
    }
    if let Some(memory) = summary.device_memory {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        tracing::info!("device memory: {:.1} MiB at most, {:.1} planned for", mib(memory.peak), mib(memory.planned));
    }
    if let Some(factor) = done.barycentric {
        tracing::info!("barycentric factor {factor:.10}");
    }
    if summary.redone > 0 {
        let (redone, all) = (summary.redone, summary.banded + summary.patches);
        tracing::warn!("{redone} of {all} bundles or patches were beyond the device's precision and done by the CPU");
    }
    if summary.failed > 0 {
        let (failed, patches) = (summary.failed, summary.patches);
        tracing::warn!("{failed} of {patches} patches have no solution; their bins have ivar 0 and mask bit BAD2DFIT");
    }
    tracing::info!(
        "{} spectra of {} bins ({} bins without information) written to {}: read {:.1} s, extracted {:.1} s, wrote {:.1} s",
        done.nspec,
        done.nwave,
        summary.no_information,
        request.output.display(),
        done.read.as_secs_f64(),
        done.compute.as_secs_f64(),
        done.write.as_secs_f64()
    );
}

/// [`Precision`] as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionWord {
    Auto,
    F32,
    F64,
}

impl From<PrecisionWord> for Option<Precision> {
    fn from(word: PrecisionWord) -> Self {
        match word {
            PrecisionWord::Auto => None,
            PrecisionWord::F32 => Some(Precision::F32),
            PrecisionWord::F64 => Some(Precision::F64),
        }
    }
}

/// [`Solver`] as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SolverWord {
    Auto,
    Patches,
    Banded,
}

impl From<SolverWord> for Solver {
    fn from(word: SolverWord) -> Self {
        match word {
            SolverWord::Auto => Self::Auto,
            SolverWord::Patches => Self::Patches,
            SolverWord::Banded => Self::Banded,
        }
    }
}

/// [`Decorrelate`] as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DecorrelateWord {
    Signal,
    Noise,
}

impl From<DecorrelateWord> for Decorrelate {
    fn from(word: DecorrelateWord) -> Self {
        match word {
            DecorrelateWord::Signal => Self::Signal,
            DecorrelateWord::Noise => Self::Noise,
        }
    }
}

/// [`ModelFlux`] as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ModelFluxWord {
    Deconvolved,
    Decorrelated,
}

impl From<ModelFluxWord> for ModelFlux {
    fn from(word: ModelFluxWord) -> Self {
        match word {
            ModelFluxWord::Deconvolved => Self::Deconvolved,
            ModelFluxWord::Decorrelated => Self::Decorrelated,
        }
    }
}
