//! Places of new files: checked before the work, and taken once all files of a run are filled.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::atomic_file::{PendingFile, folder_of};

use super::error::FitsError;
use super::writer::Writer;

/// Fills a file beside its place. A name ending in `.gz` makes it gzipped.
pub(crate) fn fill(
    path: &Path,
    overwrite: bool,
    content: impl FnOnce(&mut Writer) -> io::Result<()>,
) -> Result<PendingFile, FitsError> {
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let write = |file: &File| {
        let mut writer = Writer::new(file, gzipped)?;
        content(&mut writer)?;
        writer.finish()
    };
    Ok(PendingFile::begin(path, overwrite)?.filled(write)?)
}

/// Says before any work whether files can be written: whether each can be begun, and none is an input or another one.
///
/// # Errors
/// [`FitsError`] where an output exists and may not be replaced, its folder is missing or not ours to write, it is an
/// input, or two outputs are one file, whatever links or spellings lead there.
pub fn check_outputs(inputs: &[&Path], outputs: &[&Path], overwrite: bool) -> Result<(), FitsError> {
    check_apart(inputs, outputs)?;
    outputs.iter().try_for_each(|output| Ok(PendingFile::begin(output, overwrite).map(drop)?))
}

/// Says whether no output is an input or another output, whatever links or spellings lead there.
///
/// # Errors
/// [`FitsError::OutputIsInput`], [`FitsError::SameOutputs`].
pub fn check_apart(inputs: &[&Path], outputs: &[&Path]) -> Result<(), FitsError> {
    let read: HashMap<Identity, &Path> = inputs.iter().filter_map(|&input| Some((identity(input)?, input))).collect();
    let mut written: HashMap<Identity, &Path> = HashMap::new();
    for &output in outputs {
        let Some(place) = identity(output) else { continue };
        if let Some(&input) = read.get(&place) {
            return Err(FitsError::OutputIsInput { output: output.into(), input: input.into() });
        }
        if let Some(other) = written.insert(place, output) {
            return Err(FitsError::SameOutputs { outputs: [other.into(), output.into()] });
        }
    }
    Ok(())
}

/// Whether two paths lead to the same file, whatever links they go through; also where it is still to be made.
pub fn same_file(a: impl AsRef<Path>, b: impl AsRef<Path>) -> bool {
    identity(a.as_ref()).is_some_and(|a| Some(a) == identity(b.as_ref()))
}

/// What two paths of one file have in common.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// Device and number of a file that is there: hard links share them.
    #[cfg(unix)]
    Inode(u64, u64),
    /// The path without links and dots; of a file that does not exist, its name in its folder's.
    Path(PathBuf),
}

/// None where not even the folder is there.
fn identity(path: &Path) -> Option<Identity> {
    #[cfg(unix)]
    if let Ok(there) = fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        return Some(Identity::Inode(there.dev(), there.ino()));
    }
    let of_folder = || Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(of_folder).map(Identity::Path)
}
