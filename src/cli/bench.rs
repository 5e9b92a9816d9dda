//! `spextral bench`: how fast the devices of this machine extract.

use super::json::{Json, object, print_object, with_schema};
use super::output::{Outcome, print};
use serde_json::json;
use spextral::base::atomic_file::PendingFile;
use spextral::base::output_path::{Format, check_outputs};
use spextral::bench::{self, Settings, Size};
use spextral::gpu::DeviceChoice;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure how fast the devices of this machine extract, and what the host takes of it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A simulated DESI r frame is extracted by the CPU and by each GPU. Times are those of the fastest frame, without files.
The host's part is measured on a device whose kernels do nothing. A file of `--report` has the machine, but no names of
users, hosts or folders: the project is glad to get it.

Examples:
  spextral bench --quick                         # within 30 s
  spextral bench --report gpu.json               # the CPU and every GPU
  spextral bench --device cpu --fibres 100 --frames 5")]
pub struct Arguments {
    /// A device as `extract` takes it; may be repeated [default: the CPU and all GPUs but software]
    #[arg(long)]
    pub device: Vec<DeviceChoice>,
    /// Measure the host's part of a frame on a GPU alone, which needs no GPU, but 4 GB of memory
    #[arg(long, conflicts_with = "device")]
    pub host: bool,
    /// Extract two bundles of fewer bins, within 30 s
    #[arg(long)]
    pub quick: bool,
    /// Fibres of the frame
    #[arg(long, value_name = "N")]
    pub fibres: Option<usize>,
    /// Bins of the frame
    #[arg(long, value_name = "N")]
    pub bins: Option<usize>,
    /// Frames in a row
    #[arg(long, value_name = "N")]
    pub frames: Option<usize>,
    /// Write the results as JSON to this file, too
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub json: Json,
}

/// Measures and prints a table, or JSON.
///
/// # Errors
/// A [`bench::BenchError`] if nothing can be measured, a [`spextral::WriteError`] if the report cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let outputs: Vec<_> = args.report.iter().map(|path| (path.as_path(), Format::Json)).collect();
    check_outputs(&[], &outputs, args.overwrite)?;
    let default = if args.quick { Size::QUICK } else { Size::FRAME };
    let size = Size { fibres: args.fibres.unwrap_or(default.fibres), bins: args.bins.unwrap_or(default.bins) };
    let settings = Settings {
        devices: args.device.clone(),
        host: args.host,
        quick: args.quick,
        size: Some(size),
        frames: args.frames,
    };
    let report = bench::run(&settings, &|what| tracing::info!("{what}"))?;
    let fields = || object(json!(report));
    if let Some(path) = &args.report {
        let whole = with_schema("bench", fields());
        PendingFile::write(path, args.overwrite, |out| Ok(serde_json::to_writer_pretty(out, &whole)?))?.persist()?;
        tracing::info!("written to {}", path.display());
    }
    if args.json.is_wanted() {
        print_object("bench", fields())?;
    } else {
        print(report.to_string().trim_end())?;
    }
    if let Some(verdict) = report.verdict() {
        tracing::info!("{verdict}");
    }
    Ok(ExitCode::SUCCESS)
}
