//! Paths of outputs, checked before the work: writable, and neither an input nor another output.

use super::atomic_file::{PendingFile, WriteError, folder_of};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks that every output can be created, and that none is an input or another output.
///
/// # Errors
/// [`WriteError`] of the first output that cannot be written or is refused by [`check_apart`].
pub fn check_outputs(inputs: &[&Path], outputs: &[&Path], overwrite: bool) -> Result<(), WriteError> {
    check_apart(inputs, outputs)?;
    outputs.iter().try_for_each(|output| PendingFile::create(output, overwrite).map(drop))
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
