//! Flags of the peers, desi_extract_spectra and spex, under their own names: command lines that have them still work.

use clap::Args;
use clap::error::ErrorKind;
use spextral::backend::{Decorrelate, Engine};
use spextral::extract::Request;
use spextral::gpu::DeviceChoice;

/// Flags that the help does not show.
#[derive(Args, Clone, Debug, Default)]
pub struct PeerFlags {
    /// As --device cpu
    #[arg(long, hide = true, conflicts_with_all = ["device", "use_gpu"])]
    no_gpu: bool,
    /// Require a GPU
    #[arg(long, hide = true, conflicts_with = "device")]
    use_gpu: bool,
    /// As --loglevel debug
    #[arg(short, long, hide = true)]
    verbose: bool,
    /// As --decorrelate noise
    #[arg(long, hide = true, conflicts_with = "decorrelate")]
    decorrelate_fibers: bool,
    /// Refused: `spextral exposure` runs over MPI
    #[arg(long, hide = true)]
    mpi: bool,
    /// Without effect, with a warning
    #[arg(long, hide = true)]
    use_specter: bool,
    /// Without effect
    #[arg(long, hide = true)]
    async_io: bool,
    /// Without effect, with a warning
    #[arg(long, hide = true, value_name = "N")]
    ranks_per_bundle: Option<usize>,
}

impl PeerFlags {
    /// Whether details are logged.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Returns the device that they choose.
    pub fn device(&self) -> Option<DeviceChoice> {
        self.no_gpu.then_some(DeviceChoice::Cpu)
    }

    /// Ends the process with exit code 2 where `extract` cannot do what a flag requests; warns of those without effect.
    pub fn check(&self) {
        if self.mpi {
            let sentence = "--mpi: `spextral extract` is one process; `spextral exposure` extracts frames over MPI, as in \
                            `mpirun -n 8 spextral exposure --manifest frames.csv` (built with --features mpi)";
            clap::Command::new("spextral extract").error(ErrorKind::ArgumentConflict, sentence).exit();
        }
        if self.use_specter {
            tracing::warn!("--use-specter has no effect: spextral extracts");
        }
        if self.ranks_per_bundle.is_some() {
            tracing::warn!("--ranks-per-bundle has no effect: one process extracts all bundles");
        }
    }

    /// Sets the options that they stand for.
    pub fn apply(&self, request: &mut Request) {
        if self.decorrelate_fibers {
            request.options.decorrelate = Decorrelate::Noise;
        }
    }

    /// Refuses a device that is not the one requested.
    ///
    /// # Errors
    /// A sentence, if a GPU is requested and there is none.
    pub fn check_device(&self, engine: &Engine) -> Result<(), String> {
        match self.use_gpu && !engine.is_gpu() {
            true => {
                Err("there is no GPU: leave out --use-gpu for the CPU, or name a device that `spextral devices` lists"
                    .into())
            }
            false => Ok(()),
        }
    }
}
