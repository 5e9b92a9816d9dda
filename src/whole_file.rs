//! Files written whole or not at all: into a temporary file of the same folder, synced, then renamed.

use std::io;
use std::path::Path;
use tempfile::NamedTempFile;

/// A temporary file in the folder of `target`, with the permissions of any new file. It goes when dropped.
///
/// # Errors
/// The folder does not exist or is not ours to write.
pub(crate) fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(io::Error::other("its folder does not exist"));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".spextral-").suffix(".tmp");
    // Temporary files are private unless told otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Only the kind of the error: its text names the temporary file, which means nothing to a user.
    builder.tempfile_in(folder).map_err(|e| e.kind().into())
}

/// Gives the file, which has been synced, its final name.
///
/// # Errors
/// The name cannot be taken.
pub(crate) fn persist(file: NamedTempFile, target: &Path) -> io::Result<()> {
    file.persist(target).map(|_| ()).map_err(|e| e.error)
}

/// The folder that a path names a file of.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
