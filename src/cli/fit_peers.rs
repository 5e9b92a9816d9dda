//! Flags of desi_compute_psf and desi_compute_trace_shifts under their own names: their command lines still work.

use clap::Args;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// The folder of specex's files, and its line list there, whose wavelengths are those in vacuum.
const FOLDER: &str = "SPECEXDATA";
const LIST: &str = "specex_linelist_desi.txt";

/// Lines of the lamps of desi_compute_trace_shifts.
const LAMPS: &str = "builtin:HgCdNeArKrXe";

/// Ends the process with exit code 2 and a sentence.
fn refuse(command: &'static str, kind: ErrorKind, sentence: &str) -> ! {
    clap::Command::new(command).error(kind, sentence).exit()
}

/// Flags of desi_compute_psf that the help does not show.
#[derive(Args, Clone, Debug, Default)]
pub struct FitPeers {
    /// Without effect: ranks of a launcher share the bundles in any case
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

    /// Warns of flags without effect.
    pub fn check(&self) {
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
        let sentence =
            "there is no line list: give one of the lamp by --lines, or built-in lines, as --lines builtin:HgCdNe";
        refuse("spextral fit-psf", ErrorKind::MissingRequiredArgument, sentence)
    })
}

/// Flags of desi_compute_trace_shifts that the help does not show.
#[derive(Args, Clone, Debug, Default)]
pub struct ShiftPeers {
    /// As the default
    #[arg(long, hide = true, conflicts_with_all = ["lines", "no_lines", "continuum", "arc_lamps"])]
    sky: bool,
    /// As --lines with the built-in lines of the lamps
    #[arg(long, hide = true, conflicts_with_all = ["lines", "no_lines", "continuum"])]
    arc_lamps: bool,
    /// As --no-lines
    #[arg(long, hide = true, conflicts_with = "lines")]
    continuum: bool,
    /// As the default: frames without lines of the sky are measured without them
    #[arg(long, hide = true)]
    auto: bool,
    /// Refused: wavelengths are those of lines
    #[arg(long, hide = true, value_name = "FILE")]
    spectrum: Option<PathBuf>,
    /// Refused: the PSF file has the offsets
    #[arg(long, hide = true, value_name = "FILE")]
    outoffsets: Option<PathBuf>,
    /// Without effect, with a warning: degrees are fixed and priors hold what the frame does not give
    #[arg(long, hide = true, value_name = "DEGREE")]
    degxx: Option<u32>,
    #[arg(long, hide = true, value_name = "DEGREE")]
    degxy: Option<u32>,
    #[arg(long, hide = true, value_name = "DEGREE")]
    degyx: Option<u32>,
    #[arg(long, hide = true, value_name = "DEGREE")]
    degyy: Option<u32>,
    #[arg(long, hide = true, value_name = "PIXELS")]
    max_error: Option<f64>,
    /// Without effect, with a warning: all fibres are measured, by all pixels of their spots
    #[arg(long, hide = true, value_name = "N")]
    nfibers: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    width: Option<u32>,
    #[arg(long, hide = true, value_name = "N")]
    ccd_rows_rebin: Option<u32>,
    /// Without effect: the search takes no time
    #[arg(long, hide = true)]
    no_large_shift_scan: bool,
}

impl ShiftPeers {
    /// Whether lines are left aside.
    pub fn is_continuum(&self) -> bool {
        self.continuum
    }

    /// Returns the line list that a flag asks for.
    pub fn lines(&self) -> Option<PathBuf> {
        self.arc_lamps.then(|| LAMPS.into())
    }

    /// Ends the process with exit code 2 where a flag asks for what there is not; warns of those without effect.
    pub fn check(&self) {
        let refuse = |sentence: &str| refuse("spextral shift-psf", ErrorKind::ArgumentConflict, sentence);
        if self.spectrum.is_some() {
            refuse("--spectrum: wavelengths are those of lines: give a line list by --lines");
        }
        if self.outoffsets.is_some() {
            refuse("--outoffsets: the table SHIFTS of the PSF file has the offsets and their errors; leave it out");
        }
        let degrees = [self.degxx, self.degxy, self.degyx, self.degyy];
        if degrees.iter().any(Option::is_some) || self.max_error.is_some() {
            tracing::warn!(
                "--degxx, --degxy, --degyx, --degyy and --max-error have no effect: shifts are linear across a bundle and quadratic along wavelength, as far as the frame tells"
            );
        }
        if [self.nfibers, self.width, self.ccd_rows_rebin].iter().any(Option::is_some) {
            tracing::warn!(
                "--nfibers, --width and --ccd-rows-rebin have no effect: all fibres are measured, by all pixels of their spots"
            );
        }
    }
}
