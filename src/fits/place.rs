//! Places of new files: checked before the work, and taken once all files of a run are filled.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::whole_file;

use super::error::FitsError;
use super::output::Writer;

/// A file written whole and synced beside its place, which it takes by [`Filled::persist`]; dropped, it goes.
#[derive(Debug)]
#[must_use = "a file that is not persisted goes"]
pub struct Filled {
    path: PathBuf,
    target: PathBuf,
    temp: NamedTempFile,
}

impl Filled {
    /// Takes its place. Where several files belong together, fill all of them first: what can fail for want of space
    /// has succeeded then, and no earlier file has been replaced in vain.
    ///
    /// # Errors
    /// [`FitsError`] where the name cannot be taken.
    pub fn persist(self) -> Result<(), FitsError> {
        let Self { path, target, temp } = self;
        whole_file::persist(temp, &target).map_err(|source| FitsError::Write { path, source })
    }
}

/// Fills a file beside its place. A name ending in `.gz` makes it gzipped.
pub(crate) fn fill(
    path: &Path,
    overwrite: bool,
    content: impl FnOnce(&mut Writer) -> io::Result<()>,
) -> Result<Filled, FitsError> {
    let (target, temp) = begin(path, overwrite)?;
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let write = || {
        let mut writer = Writer::new(temp.as_file(), gzipped)?;
        content(&mut writer)?;
        writer.finish()?;
        temp.as_file().sync_all()
    };
    write().map_err(|source| FitsError::Write { path: path.into(), source })?;
    Ok(Filled { path: path.into(), target, temp })
}

/// Says before any work whether files can be written: whether each can be begun, and none is an input or another one.
///
/// # Errors
/// [`FitsError`] where an output exists and may not be replaced, its folder is missing or not ours to write, it is an
/// input, or two outputs are one file, whatever links or spellings lead there.
pub fn check_outputs(inputs: &[&Path], outputs: &[&Path], overwrite: bool) -> Result<(), FitsError> {
    for (i, &output) in outputs.iter().enumerate() {
        if let Some(&input) = inputs.iter().find(|input| same_file(input, output)) {
            return Err(FitsError::OutputIsInput { output: output.into(), input: input.into() });
        }
        if let Some(&other) = outputs[..i].iter().find(|other| same_file(other, output)) {
            return Err(FitsError::SameOutputs { outputs: [other.into(), output.into()] });
        }
        begin(output, overwrite)?;
    }
    Ok(())
}

/// Whether two paths lead to the same file, whatever links they go through; also where it is still to be made.
pub fn same_file(a: impl AsRef<Path>, b: impl AsRef<Path>) -> bool {
    let (Some(a), Some(b)) = (resolved(a.as_ref()), resolved(b.as_ref())) else {
        return false;
    };
    a == b || same_inode(&a, &b)
}

/// The path without links and dots; of a file that does not exist, its name in its folder's.
pub(crate) fn resolved(path: &Path) -> Option<PathBuf> {
    let of_folder = || Some(fs::canonicalize(whole_file::folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(of_folder)
}

#[cfg(unix)]
fn same_inode(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |p: &Path| fs::metadata(p).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

#[cfg(not(unix))]
fn same_inode(_: &Path, _: &Path) -> bool {
    false
}

/// The file's final place and the temporary file beside it.
fn begin(path: &Path, overwrite: bool) -> Result<(PathBuf, NamedTempFile), FitsError> {
    let target = target_of(path, overwrite)?;
    let temp = whole_file::beside(&target).map_err(|source| FitsError::Write { path: path.into(), source })?;
    Ok((target, temp))
}

/// Where the file goes: through links, never over a file that may not be replaced, nor over a device or folder.
fn target_of(path: &Path, overwrite: bool) -> Result<PathBuf, FitsError> {
    let Ok(there) = fs::metadata(path) else {
        return Ok(path.to_path_buf());
    };
    if !there.is_file() {
        let source = io::Error::other("it is no regular file");
        return Err(FitsError::Write { path: path.into(), source });
    }
    if !overwrite {
        return Err(FitsError::Exists { path: path.into() });
    }
    fs::canonicalize(path).map_err(|source| FitsError::Write { path: path.into(), source })
}
