//! The standard output, and what a subcommand returns.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// An exit code, or an error that reads as one sentence.
pub type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Prints on the standard output; a reader that has gone (`| head`) is no error.
///
/// # Errors
/// An [`io::Error`] if the standard output cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Writes bytes on the standard output, as [`print`] does.
///
/// # Errors
/// An [`io::Error`] if the standard output cannot be written.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("the standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Turns SIGXFSZ off, so that a file-size limit (`ulimit -f`) is reported as a full disk. The signal would end the process
/// and leave temporary files behind.
pub fn report_full_disks_as_errors() {
    #[cfg(unix)]
    #[allow(unsafe_code)]
    // SAFETY: no other thread runs yet, and ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Returns a number of fibres with its noun: 1 fibre, 2 fibres.
pub(super) fn fibres(count: usize) -> String {
    if count == 1 { "1 fibre".into() } else { format!("{count} fibres") }
}
