//! Files written whole or not at all: into a temporary file of the same folder, synced, then renamed. All that is written
//! goes through here; the rule of what may be replaced (`docs/trust.md`) is [`place_of`].
//!
//! A temporary file is called `.spextral-RUN-PID-HOST-RANDOM.tmp`, RUN being the batch job's number where there is one,
//! and is locked by its owner: what a dead run has left behind is told from what a live one is writing.

use super::option_name::OptionName::Overwrite;
use crate::base::process::{self, host, run};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

const PREFIX: &str = ".spextral-";
const SUFFIX: &str = ".tmp";
/// A file of another machine is taken for left behind only when it has not grown for so long: not every network file
/// system shows locks to all machines, and a frame is written within a minute.
const REST: Duration = Duration::from_secs(600);

/// Why a file is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is there already.
    #[error("{} exists already; choose another name, or allow it to be replaced with {Overwrite}", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It was not there when the work began.
    #[error(
        "{} has come to be while it was being made here: it is left as it is, and what was made is dropped; choose another name, or allow it to be replaced with {Overwrite}",
        path.display()
    )]
    Appeared {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written, or must not be.
    #[error("cannot write {}: {source}; check the folder, its permissions and the space left on the disk", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file written whole and synced beside its place, which it takes by [`PendingFile::persist`]; dropped, it goes.
#[derive(Debug)]
#[must_use = "a file that is not persisted goes"]
pub struct PendingFile {
    path: PathBuf,
    place: PathBuf,
    overwrite: bool,
    temp: NamedTempFile,
}

impl PendingFile {
    /// Begins a file, with the permissions of any new one.
    ///
    /// # Errors
    /// It may not be replaced; its folder does not exist or is not ours to write.
    pub(crate) fn begin(path: &Path, overwrite: bool) -> Result<Self, WriteError> {
        let place = place_of(path, overwrite)?;
        let temp = beside(&place).map_err(|source| WriteError::System { path: path.into(), source })?;
        Ok(Self { path: path.into(), place, overwrite, temp })
    }

    /// The same with its content, synced.
    ///
    /// # Errors
    /// The content is not to be had, or the disk is full.
    pub(crate) fn filled(self, content: impl FnOnce(&File) -> io::Result<()>) -> Result<Self, WriteError> {
        let file = self.temp.as_file();
        match content(file).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(self),
            Err(source) => Err(WriteError::System { path: self.path, source }),
        }
    }

    /// Takes its place.
    ///
    /// # Errors
    /// Something has taken it meanwhile and may not be replaced, or the name cannot be taken.
    pub fn persist(self) -> Result<(), WriteError> {
        let Self { path, place, overwrite, temp } = self;
        let taken = match overwrite {
            true => temp.persist(&place),
            false => temp.persist_noclobber(&place).or_else(|refused| match refused.error.kind() {
                io::ErrorKind::AlreadyExists => Err(refused),
                // Some file systems can neither rename without replacing nor link.
                _ if is_there(&place) => Err(refused),
                _ => refused.file.persist(&place),
            }),
        };
        taken.map(drop).map_err(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Appeared { path },
            _ => WriteError::System { path, source: refused.error },
        })
    }

    /// Files that belong together take their places in this order: what can fail for want of space has succeeded, and
    /// where a place is taken already no file moves.
    ///
    /// # Errors
    /// See [`PendingFile::persist`].
    pub fn persist_all(files: Vec<Self>) -> Result<(), WriteError> {
        match files.iter().find(|file| !file.overwrite && is_there(&file.place)) {
            Some(taken) => Err(WriteError::Appeared { path: taken.path.clone() }),
            None => files.into_iter().try_for_each(Self::persist),
        }
    }
}

fn is_there(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok()
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`WriteError`] with its name.
pub fn write_atomic(
    path: impl AsRef<Path>,
    overwrite: bool,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    pending_atomic(path, overwrite, content)?.persist()
}

/// As [`write_atomic`], but for [`PendingFile::persist`].
///
/// # Errors
/// See [`write_atomic`].
pub fn pending_atomic(
    path: impl AsRef<Path>,
    overwrite: bool,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<PendingFile, WriteError> {
    PendingFile::begin(path.as_ref(), overwrite)?.filled(|file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()
    })
}

/// Where a file goes: through links to what they point at; never over a file that may not be replaced or is
/// write-protected, nor over a folder, a pipe, a device, or a link to nothing.
fn place_of(path: &Path, overwrite: bool) -> Result<PathBuf, WriteError> {
    let system = |source| WriteError::System { path: path.into(), source };
    let no = |what: &str| Err(system(io::Error::other(what.to_string())));
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(_) if path.is_symlink() => return no("it is a symbolic link to nothing that can be reached"),
        // What keeps it from being made is for the temporary file to find.
        Err(_) => return Ok(path.to_path_buf()),
    };
    if !there.is_file() {
        return no("it is no regular file");
    }
    if !overwrite {
        return Err(WriteError::Exists { path: path.into() });
    }
    if there.permissions().readonly() {
        return no("it is write-protected");
    }
    fs::canonicalize(path).map_err(system)
}

/// A temporary file in the folder of `target`, with the permissions of any new file. It goes when dropped.
///
/// # Errors
/// The folder does not exist or is not ours to write.
fn beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(io::Error::other("its folder does not exist"));
    }
    let prefix = format!("{PREFIX}{}-{}-{}-", run(), std::process::id(), host());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // Temporary files are private unless told otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Only the kind of the error: its text names the temporary file, which means nothing to a user.
    let file = builder.tempfile_in(folder).map_err(|e| io::Error::from(e.kind()))?;
    // Some file systems have no locks; there the process's number has to do.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// The folder that a path names a file of.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the temporary files that dead runs have left in a folder; those removed. What cannot be looked at stays.
pub(crate) fn sweep(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let left = entries.map(|entry| entry.path()).filter(|path| is_left_behind(path));
    left.filter(|path| fs::remove_file(path).is_ok()).collect()
}

fn is_left_behind(path: &Path) -> bool {
    let Some((pid, owner)) = path.file_name().and_then(|name| name.to_str()).and_then(owner) else {
        return false;
    };
    let unlocked = OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok());
    let age = || fs::metadata(path).and_then(|m| m.modified()).ok()?.elapsed().ok();
    unlocked && if owner == host() { !process::lives(pid) } else { age().is_some_and(|age| age > REST) }
}

/// The process and the host of a temporary file, by its name.
fn owner(name: &str) -> Option<(u32, &str)> {
    let words = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let mut parts = words.splitn(3, '-').skip(1);
    let pid = parts.next()?.parse().ok()?;
    Some((pid, parts.next()?.rsplit_once('-')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        assert_eq!(owner(".spextral-4711-12-nid-001-aB3.tmp"), Some((12, "nid-001")));
        for other in ["frame.fits", ".spextral-aB3.tmp", ".spextral-1-x-host-aB3.tmp", ".spextral-1-2-host"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn what_appears_while_a_file_is_made_stays_unless_it_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let fill = |name, overwrite| pending_atomic(at(name), overwrite, |out| out.write_all(b"new")).unwrap();
        let (unasked, asked) = (fill("unasked", false), fill("asked", true));
        let together = ["first", "second"].map(|name| fill(name, false));
        for name in ["unasked", "asked", "second"] {
            fs::write(at(name), "precious").unwrap();
        }
        let error = unasked.persist().unwrap_err();
        assert!(matches!(&error, WriteError::Appeared { path } if *path == at("unasked")), "{error}");
        asked.persist().unwrap();
        assert!(
            matches!(PendingFile::persist_all(together.into()), Err(WriteError::Appeared { path }) if path == at("second"))
        );
        let content = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(["unasked", "asked", "second"].map(content), ["precious", "new", "precious"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_appears_while_a_file_is_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, far) = (folder.path().join("frame.fits"), folder.path().join("far.fits"));
        let filled = pending_atomic(&path, false, |out| out.write_all(b"new")).unwrap();
        std::os::unix::fs::symlink(&far, &path).unwrap();
        assert!(matches!(filled.persist(), Err(WriteError::Appeared { .. })));
        assert!(path.is_symlink() && !far.exists());
    }

    #[test]
    fn what_a_dead_run_left_goes_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let live = beside(&folder.path().join("frame.fits")).unwrap();
        // No process has this number: it is beyond what Linux gives.
        let named = |pid: u32, host: &str| folder.path().join(format!("{PREFIX}7-{pid}-{host}-aB3{SUFFIX}"));
        let (dead, lives, elsewhere) = (named(9_999_999, host()), named(1, host()), named(9_999_999, "elsewhere"));
        let frame = folder.path().join("frame.fits");
        for path in [&dead, &lives, &elsewhere, &frame] {
            fs::write(path, "bytes").unwrap();
        }
        assert_eq!(sweep(folder.path()), vec![dead.clone()]);
        assert!(!dead.exists() && lives.exists() && elsewhere.exists() && frame.exists() && live.path().exists());
        let old = File::options().write(true).open(&elsewhere).unwrap();
        old.set_modified(std::time::SystemTime::now() - 2 * REST).unwrap();
        drop(old);
        assert_eq!(sweep(folder.path()), vec![elsewhere]);
    }
}
