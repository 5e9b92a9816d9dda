//! `spextral extract`: one frame, from files to files.

use super::device_arguments::{DeviceArguments, open};
use super::json::{Json, extraction_fields, object, print_object};
use super::like::Like;
use super::logging::Progress;
use super::output::Outcome;
use super::peer_flags::PeerFlags;
#[cfg(feature = "plot")]
use super::report_files::{Files, MODEL};
use super::request_options::RequestOptions;
use clap::Args;
use spextral::base::option_name::OptionName;
use spextral::base::output_path::{Format, check_outputs};
use spextral::base::trace::Trace;
use spextral::extract::{Done, ModelFlux, Request, extract_file};
use spextral::gpu::{DeviceChoice, Precision};
#[cfg(feature = "plot")]
use spextral::report::{Model, Sources};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

const USAGE: &str = "\
spextral extract -i PREPROC -p PSF -o FRAME [OPTIONS]
       spextral extract --like FRAME [OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  spextral extract -i preproc-r0-00051060.fits.gz -p psf-r0-00051060.fits -o frame-r0-00051060.fits
  spextral extract -i preproc.fits -p psf.fits -o frame.fits -w 5760,7620,0.8
  spextral extract -i preproc.fits -p psf.fits -o part.fits -s 25 -n 50 -m model.fits --device cpu
  spextral extract --like frame.fits -o again.fits

Outputs are written whole or not at all; a name that ends in .fits.gz makes a gzipped file.

Exit codes: 0 done, 1 failed, or `--solver banded` did not serve all bundles (the frame is written), 2 wrong command line.";

/// Arguments of `spextral extract`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE, mut_arg("model-flux", |model_flux| model_flux.requires("model")))]
pub struct Arguments {
    /// The preprocessed frame: IMAGE, IVAR, MASK (.fits, .fits.gz or .fits.fz)
    #[arg(short, long, value_name = "PREPROC", required_unless_present = "like")]
    input: Option<PathBuf>,
    /// The PSF of this camera
    #[arg(short, long, required_unless_present = "like")]
    psf: Option<PathBuf>,
    /// The frame to write: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, FIBERMAP, CHI2PIX, SCORES
    #[arg(short, long, value_name = "FRAME", required_unless_present = "like")]
    output: Option<PathBuf>,
    /// Repeat FRAME: inputs, options and device are those its header records, except for those given here. The inputs must
    /// have the recorded checksums; OUTPUT is FRAME-again.fits by default. Exit code 1 if the data differ although no option
    /// given changes them and version and device are the same
    #[arg(long, value_name = "FRAME")]
    like: Option<PathBuf>,
    /// Also write the model of the CCD image here [electron]
    #[arg(short, long)]
    model: Option<PathBuf>,
    /// Replace outputs that exist
    #[arg(long)]
    overwrite: bool,
    /// Write what ran when and on which thread: JSON that ui.perfetto.dev shows
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Also write a page about the frame, as `spextral report` makes it (.html)
    #[cfg(feature = "plot")]
    #[arg(long, value_name = "PAGE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    options: RequestOptions,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    pub peers: PeerFlags,
    #[command(flatten)]
    pub json: Json,
}

/// Extracts one frame.
///
/// # Errors
/// A file that cannot be read or written, options that do not fit each other or the PSF, no such device.
pub fn run(arguments: Arguments) -> Outcome {
    arguments.peers.check();
    let like = arguments.like.as_deref().map(Like::read).transpose()?;
    #[cfg_attr(not(feature = "plot"), allow(unused_mut))]
    let mut request = arguments.request(like.as_ref())?;
    #[cfg(feature = "plot")]
    let page = arguments.page(&mut request)?;
    let trace = arguments.trace.as_ref().map(|path| (path, Arc::new(Trace::new())));
    if let Some(like) = &like {
        let trace = trace.iter().map(|(path, _)| path.as_path());
        like.check_kept(&request.outputs().chain(trace).collect::<Vec<_>>())?;
    }
    if let Some((path, _)) = &trace {
        let others: Vec<&Path> = request.inputs().chain(request.outputs()).collect();
        check_outputs(&others, &[(path, Format::Json)], request.overwrite)?;
    }
    let (device, needs_f64) = (arguments.device(like.as_ref()), request.options.precision == Some(Precision::F64));
    let engine = || open(&device, &request.on_cpu, needs_f64);
    let engine = match &trace {
        Some((_, trace)) => trace.region("open the device", engine)?.with_trace(trace.clone()),
        None => engine()?,
    };
    arguments.peers.check_device(&engine)?;
    if let Some(like) = &like {
        like.log_differences(&request, &engine.device());
    }
    tracing::info!("extracting {} on {}", request.input.display(), engine.device());
    let progress = Progress::new("bundles");
    let done = extract_file(&request, &engine, &|done, total| progress.report(done, total))?;
    drop(progress);
    report(&request, &done);
    #[cfg(feature = "plot")]
    if let Some((page, files)) = page {
        let made = super::report::write(files, &page, None, request.overwrite)?;
        if !arguments.json.is_wanted() {
            super::report::say(&made, [page.as_path()])?;
        }
    }
    if let Some((path, trace)) = &trace {
        trace.write(path, request.overwrite)?;
    }
    let verdict = like.map(|like| like.verdict(&request, &done)).transpose()?;
    let as_asked = verdict.as_ref().is_none_or(|verdict| verdict.as_asked);
    if arguments.json.is_wanted() {
        print_object("extract", object(extraction_fields(&request, &done, verdict.map(|verdict| verdict.json))))?;
    }
    // A frame without any result is written, as its masks tell why, but it is no success; nor is one that repeats another
    // and differs from it, or one by another solver than the one requested.
    let by_another = done.summary.is_by(request.options.solver);
    if let Some(clause) = &by_another {
        tracing::error!("{clause}; {} is kept", request.output.display());
    }
    let done_as_asked = done.summary.has_results() && as_asked && by_another.is_none();
    Ok(if done_as_asked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Arguments {
    /// Returns the request: the defaults, what `like` records, what the command line gives.
    pub(super) fn request(&self, like: Option<&Like>) -> Result<Request, Box<dyn Error>> {
        let ([input, psf], output) = match (like, &self.input, &self.psf, &self.output) {
            (Some(like), input, psf, output) => {
                (like.inputs(input.as_deref(), psf.as_deref())?, output.clone().unwrap_or_else(|| like.output()))
            }
            (None, Some(input), Some(psf), Some(output)) => ([input.clone(), psf.clone()], output.clone()),
            (None, ..) => return Err("--input, --psf and --output are needed without --like".into()),
        };
        let mut request = Request {
            overwrite: self.overwrite,
            model: self.model.clone().map(|path| (path, ModelFlux::default())),
            on_cpu: self.device.stage_on_cpu.clone(),
            ..Request::new(input, psf, output)
        };
        if let Some(like) = like {
            let given = |name| match name {
                OptionName::StageOnCpu => !self.device.stage_on_cpu.is_empty(),
                name => self.options.given.has(name),
            };
            like.set(&mut request, given, self.options.fibermap.is_some())?;
        }
        self.options.apply(&mut request)?;
        self.peers.apply(&mut request);
        Ok(request)
    }

    /// Returns the page that is wanted and its files; the request then makes a model, which goes with them unless it is wanted, too.
    #[cfg(feature = "plot")]
    fn page(&self, request: &mut Request) -> Result<Option<(PathBuf, Files)>, Box<dyn Error>> {
        let Some(page) = &self.report else { return Ok(None) };
        let others: Vec<&Path> = request.inputs().chain(request.outputs()).collect();
        check_outputs(&others, &[(page, Format::Html)], request.overwrite)?;
        let (frame, [image, psf]) = (&request.output, [&request.input, &request.psf]);
        let files = match &request.model {
            Some((model, _)) => {
                let ccd = Some((image.clone(), Model::File(model.clone())));
                Files::given(Sources { frame: frame.clone(), ccd, psf: Some(psf.clone()), truth: None })
            }
            None => {
                let folder = tempfile::tempdir()?;
                let model = folder.path().join(MODEL);
                let files = Files::in_folder(frame, [image, psf], folder);
                request.model = Some((model, ModelFlux::default()));
                files
            }
        };
        Ok(Some((page.clone(), files)))
    }

    /// Returns the device: the one given, the recorded one where it is there, or the best.
    fn device(&self, like: Option<&Like>) -> DeviceChoice {
        let given = self.device.device.clone().or_else(|| self.peers.device());
        given.or_else(|| like?.device()).unwrap_or_default()
    }
}

fn report(request: &Request, done: &Done) {
    let summary = &done.summary;
    for (stage, time) in &summary.stage_time {
        tracing::debug!("{:>8.3} s in {}", time.as_secs_f64(), stage.name());
    }
    tracing::info!("{}", summary.decisions(done.grid, done.log_step));
    if let Some(memory) = summary.device_memory {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        tracing::info!("device memory: {:.1} MiB at most, {:.1} planned for", mib(memory.peak), mib(memory.planned));
    }
    if let Some(correction) = &done.barycentric {
        tracing::info!("barycentric factor {:.10} at {}", correction.factor, correction.site);
    }
    if summary.redone > 0 {
        let redone = summary.redone;
        tracing::warn!("{redone} bundles or patches are beyond the device's precision; the CPU did them");
    }
    if summary.failed > 0 {
        let (failed, patches) = (summary.failed, summary.patches);
        tracing::warn!("{failed} of {patches} patches have no solution; their bins have ivar 0 and mask bit BAD2DFIT");
    }
    if let Some(least) = summary.cut_rows.iter().map(|cut| cut.least).reduce(f64::min) {
        let (fibres, first) = (summary.cut_rows.len(), summary.cut_rows[0].fibre);
        tracing::warn!(
            "rows of R sum to less than 0.99 in {fibres} fibres, the first is {first}, at least to {least:.3}: they reach beyond \
             its diagonals or the ends of the grid"
        );
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
