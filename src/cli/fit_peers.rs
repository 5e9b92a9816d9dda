//! Flags of desi_compute_psf under their own names: its command lines still work.

use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// The folder of specex's files, and its line list there, whose wavelengths are those in vacuum.
const FOLDER: &str = "SPECEXDATA";
const LIST: &str = "specex_linelist_desi.txt";

/// Flags that the help does not show.
#[derive(Args, Clone, Debug, Default)]
pub struct FitPeers {
    /// Refused: threads serve one machine
    #[arg(long, hide = true)]
    mpi: bool,
    /// As --loglevel debug
    #[arg(long, hide = true)]
    debug: bool,
    /// Without effect, with a warning
    #[arg(long, hide = true, value_name = "WORDS", allow_hyphen_values = true)]
    extra: Option<String>,
    /// Without effect: bundles are written to one file
    #[arg(long, hide = true)]
    disable_merge: bool,
    /// Without effect: fibres that are not fitted are as in the start, with STATUS 2
    #[arg(long, hide = true)]
    dont_merge_with_input: bool,
}

impl FitPeers {
    /// Whether details are logged.
    pub fn is_verbose(&self) -> bool {
        self.debug
    }

    /// Ends the process with exit code 2 where a flag asks for what there is not; warns of those without effect.
    pub fn check(&self) {
        if self.mpi {
            let sentence = "--mpi: `spextral fit-psf` is one process, whose threads fit the bundles; leave it out";
            clap::Command::new("spextral fit-psf").error(ErrorKind::ArgumentConflict, sentence).exit();
        }
        if let Some(words) = &self.extra {
            tracing::warn!("--extra has no effect: `{words}` are options of specex");
        }
        if self.disable_merge || self.dont_merge_with_input {
            tracing::warn!(
                "--disable-merge and --dont-merge-with-input have no effect: one file has all fibres; STATUS is 2 of those as in the start"
            );
        }
    }
}

/// Returns the line list of a DESI installation; ends the process with exit code 2 where there is none.
pub fn installed_list() -> PathBuf {
    let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty());
    folder.map(|folder| PathBuf::from(folder).join(LIST)).filter(|list| list.is_file()).unwrap_or_else(|| {
        let sentence = "there is no line list: give one of the lamp by --lines";
        clap::Command::new("spextral fit-psf").error(ErrorKind::MissingRequiredArgument, sentence).exit()
    })
}
