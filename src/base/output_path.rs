//! Paths of outputs, checked before the work: writable, named as what they are, and neither an input nor another output.

use super::atomic_file::{PendingFile, WriteError, folder_of};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The format of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FITS, plain or gzipped.
    Fits,
    /// A page.
    Html,
    /// A picture.
    Png,
    /// JSON.
    Json,
    /// A timeline, in files of several formats.
    Timeline,
}

impl Format {
    /// Returns the name of the format, the ends of names that promise it, and which of them to advise.
    fn ends(self) -> (&'static str, &'static [&'static str], &'static str) {
        match self {
            Self::Fits => ("FITS", &["fits", "fit", "fts"], ".fits or .fits.gz"),
            Self::Html => ("HTML", &["html", "htm"], ".html"),
            Self::Png => ("PNG", &["png"], ".png"),
            Self::Json => ("JSON", &["json"], ".json"),
            Self::Timeline => ("CSV, JSON and SVG", &["csv", "json", "svg"], ".csv"),
        }
    }
}

/// Checks that the name of an output promises its format, or none: a name without an extension.
///
/// # Errors
/// [`WriteError::Format`] for another extension, [`WriteError::StandardOutput`] for `-`.
pub fn check_name(path: &Path, format: Format) -> Result<(), WriteError> {
    if path.as_os_str() == "-" {
        return Err(WriteError::StandardOutput);
    }
    let (format_name, known, advised) = format.ends();
    let extension = |path: &Path| path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
    let end = match extension(path) {
        Some(end) if end == "gz" && format == Format::Fits => {
            extension(Path::new(path.file_stem().unwrap_or_default()))
        }
        end => end,
    };
    // A name such as `run-1.5` has a number after its dot, not a format.
    match end.filter(|end| !known.contains(&end.as_str()) && !end.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(_) => Err(WriteError::Format { path: path.into(), format: format_name, advised }),
        None => Ok(()),
    }
}

/// Checks that every output can be created and is named as what it is, and that none is an input or another output.
///
/// # Errors
/// [`WriteError`] of the first output that cannot be written or is refused by [`check_apart`] or [`check_name`].
pub fn check_outputs(inputs: &[&Path], outputs: &[(&Path, Format)], overwrite: bool) -> Result<(), WriteError> {
    check_apart(inputs, &outputs.iter().map(|(path, _)| *path).collect::<Vec<_>>())?;
    outputs.iter().try_for_each(|(path, format)| check_name(path, *format))?;
    outputs.iter().try_for_each(|(path, _)| PendingFile::create(path, overwrite).map(drop))
}

/// Checks that no output is an input or another output, through any link or spelling.
///
/// # Errors
/// [`WriteError::OutputIsInput`], [`WriteError::SameOutputs`].
pub fn check_apart(inputs: &[&Path], outputs: &[&Path]) -> Result<(), WriteError> {
    let read: HashMap<Identity, &Path> = inputs.iter().filter_map(|&input| Some((identity(input)?, input))).collect();
    let mut written: HashMap<Identity, &Path> = HashMap::new();
    for &output in outputs {
        let Some(file) = identity(output) else { continue };
        if let Some(&input) = read.get(&file) {
            return Err(WriteError::OutputIsInput { output: output.into(), input: input.into() });
        }
        if let Some(other) = written.insert(file, output) {
            return Err(WriteError::SameOutputs { outputs: [other.into(), output.into()] });
        }
    }
    Ok(())
}

/// Returns whether two paths lead to one file, through any link, also if it does not exist yet.
pub fn same_file(a: impl AsRef<Path>, b: impl AsRef<Path>) -> bool {
    identity(a.as_ref()).is_some_and(|a| Some(a) == identity(b.as_ref()))
}

/// Identity of a file, common to all paths that lead to it.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// Device and inode of an existing file, which hard links share.
    #[cfg(unix)]
    Inode(u64, u64),
    /// Path without links and dots; for a file that does not exist, its name in its folder.
    Path(PathBuf),
}

/// Returns None if not even the folder exists.
fn identity(path: &Path) -> Option<Identity> {
    #[cfg(unix)]
    if let Ok(file) = fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        return Some(Identity::Inode(file.dev(), file.ino()));
    }
    let in_folder = || Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(in_folder).map(Identity::Path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_promise_the_format_of_the_file_or_none() {
        let is = |name: &str, format| check_name(Path::new(name), format).is_ok();
        for name in
            ["a.fits", "a.FITS", "a.fit", "a.fts", "a.fits.gz", "a.Fits.GZ", "a.gz", "a", "d.pdf/a", "a-1.5", ".fits"]
        {
            assert!(is(name, Format::Fits), "{name}");
        }
        for name in
            ["a.jpg", "a.pdf", "a.fits.fz", "a.fits.bz2", "a.fits.xz", "a.h5", "a.txt", "a.tar.gz", "a.fits.tmp", "-"]
        {
            assert!(!is(name, Format::Fits), "{name}");
        }
        assert!(is("a.png", Format::Png) && !is("a.pdf", Format::Png) && !is("a.png.gz", Format::Png));
        assert!(is("a.html", Format::Html) && is("a.htm", Format::Html) && !is("a.fits", Format::Html));
        assert!(is("a.json", Format::Json) && is("a", Format::Json) && !is("a.csv", Format::Json));
        assert!(is("a.svg", Format::Timeline) && !is("a.xlsx", Format::Timeline));
        let message = check_name(Path::new("a.fits.fz"), Format::Fits).unwrap_err().to_string();
        assert_eq!(
            message,
            "a.fits.fz promises another format than FITS, which is written: give a name that ends in .fits or .fits.gz"
        );
    }
}
