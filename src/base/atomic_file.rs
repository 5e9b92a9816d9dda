//! Atomic writes: into a temporary file of the same folder, synced, then renamed. Every output goes through here.
//! One function, `resolve`, has the rule of what may be replaced (`docs/trust.md`).
//!
//! A temporary file is called `.spextral-RUN-PID-HOST-RANDOM.tmp`, RUN being the number of the batch job if there is one.
//! Its owner locks it. The lock distinguishes files in flight from leftovers of dead runs.

use super::option_name::{OptionName, Remedy};
use super::process::{self, host, run};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

const PREFIX: &str = ".spextral-";
const SUFFIX: &str = ".tmp";
/// Age from which a temporary file of another machine counts as left over. Not every network file system shows locks to
/// all machines, and a frame is written within a minute.
const LEFTOVER_AGE: Duration = Duration::from_secs(600);

/// Permission to replace a file.
const REPLACE: Remedy = Remedy::Switch(OptionName::Overwrite);

/// Errors of writing a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file exists and may not be replaced.
    #[error("{path} exists already; choose another name, or allow it to be replaced with {remedy}", remedy = REPLACE)]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file came into being during the run and may not be replaced.
    #[error(
        "{path} was created by another process during this run; it was left untouched and this result discarded; choose another name, or allow it to be replaced with {remedy}",
        remedy = REPLACE
    )]
    Appeared {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written, or must not be.
    #[error("cannot write {path}: {source}; check the folder, its permissions and the space left on the disk")]
    System {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// An output would replace an input.
    #[error("output {output} is the input {input}; give another name")]
    OutputIsInput {
        /// The output.
        output: PathBuf,
        /// The input it is.
        input: PathBuf,
    },
    /// The name of an output promises another format.
    #[error("{path} promises another format than {format}, which is written: give a name that ends in {advised}")]
    Format {
        /// The output.
        path: PathBuf,
        /// The format that is written.
        format: &'static str,
        /// Ends of names to give.
        advised: &'static str,
    },
    /// Outputs are files.
    #[error("- is the standard output, and outputs are files: name a file, or ./- for one of this name")]
    StandardOutput,
    /// Two outputs are one file.
    #[error("outputs {} and {} are one file; give another name for one", outputs[0].display(), outputs[1].display())]
    SameOutputs {
        /// Their names.
        outputs: [PathBuf; 2],
    },
}

/// A new file, written whole and synced beside its target; [`PendingFile::persist`] renames it. Dropped, it is deleted.
#[derive(Debug)]
#[must_use = "a file that is not persisted is deleted"]
pub struct PendingFile {
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
    temp: NamedTempFile,
}

impl PendingFile {
    /// Writes a file beside its target, through a buffer.
    ///
    /// # Errors
    /// [`WriteError::Exists`] if it exists and `overwrite` is false. [`WriteError::System`] if `content` fails, its folder
    /// does not exist or is not writable, or the disk is full.
    pub fn write(
        path: impl AsRef<Path>,
        overwrite: bool,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self, WriteError> {
        Self::create(path.as_ref(), overwrite)?.fill(|file| {
            let mut out = BufWriter::new(file);
            content(&mut out)?;
            out.flush()
        })
    }

    /// Creates the temporary file, empty, with the permissions of any new file.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, WriteError> {
        let target = resolve(path, overwrite)?;
        let temp = temporary_beside(&target).map_err(|source| WriteError::System { path: path.into(), source })?;
        Ok(Self { path: path.into(), target, overwrite, temp })
    }

    /// Writes the content and syncs it.
    pub(crate) fn fill(self, content: impl FnOnce(&File) -> io::Result<()>) -> Result<Self, WriteError> {
        let file = self.temp.as_file();
        match content(file).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(self),
            Err(source) => Err(WriteError::System { path: self.path, source }),
        }
    }

    /// Renames the file to its target.
    ///
    /// # Errors
    /// [`WriteError::Appeared`] if the target came into being meanwhile and may not be replaced; [`WriteError::System`] if
    /// the system cannot rename it.
    pub fn persist(self) -> Result<(), WriteError> {
        let Self { path, target, overwrite, temp } = self;
        let renamed = match overwrite {
            true => temp.persist(&target),
            false => temp.persist_noclobber(&target).or_else(|refused| match refused.error.kind() {
                io::ErrorKind::AlreadyExists => Err(refused),
                // Some file systems can neither rename without replacing nor link.
                _ if exists(&target) => Err(refused),
                _ => refused.file.persist(&target),
            }),
        };
        renamed.map(drop).map_err(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Appeared { path },
            _ => WriteError::System { path, source: refused.error },
        })
    }

    /// Renames files that belong together, in this order. All of them are on the disk already, so space cannot run out
    /// halfway. If one target exists and may not be replaced, no file moves.
    ///
    /// # Errors
    /// [`WriteError`] of the first file that [`PendingFile::persist`] refuses.
    pub fn persist_all(files: impl IntoIterator<Item = Self>) -> Result<(), WriteError> {
        let files: Vec<Self> = files.into_iter().collect();
        match files.iter().find(|file| !file.overwrite && exists(&file.target)) {
            Some(taken) => Err(WriteError::Appeared { path: taken.path.clone() }),
            None => files.into_iter().try_for_each(Self::persist),
        }
    }
}

fn exists(target: &Path) -> bool {
    fs::symlink_metadata(target).is_ok()
}

/// Follows links to the file that is to be written. Refuses an existing file that may not be replaced or is
/// write-protected, and always a folder, a pipe, a device, or a link to nothing.
fn resolve(path: &Path, overwrite: bool) -> Result<PathBuf, WriteError> {
    let system = |source| WriteError::System { path: path.into(), source };
    let refuse = |what: &str| Err(system(io::Error::other(what.to_string())));
    let existing = match fs::metadata(path) {
        Ok(existing) => existing,
        Err(_) if path.is_symlink() => return refuse("it is a symbolic link to nothing that can be reached"),
        // Creating the temporary file finds any other reason.
        Err(_) => return Ok(path.to_path_buf()),
    };
    if !existing.is_file() {
        return refuse("it is no regular file");
    }
    if !overwrite {
        return Err(WriteError::Exists { path: path.into() });
    }
    if existing.permissions().readonly() {
        return refuse("it is write-protected");
    }
    fs::canonicalize(path).map_err(system)
}

/// Creates a temporary file in the folder of `target`; it is deleted when dropped.
fn temporary_beside(target: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(io::Error::other("its folder does not exist"));
    }
    let prefix = format!("{PREFIX}{}-{}-{}-", run(), std::process::id(), host());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(SUFFIX);
    // The default of `tempfile` is private.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // Only the kind of the error is kept: its text names the temporary file, which means nothing to a user.
    let file = builder.tempfile_in(folder).map_err(|e| io::Error::from(e.kind()))?;
    // On file systems without locks the process number must do.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Returns the folder of the file that a path names.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes the temporary files that dead runs left in a folder, and returns their names. Unreadable ones stay.
pub(crate) fn sweep(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let left = entries.map(|entry| entry.path()).filter(|path| is_left_over(path));
    left.filter(|path| fs::remove_file(path).is_ok()).collect()
}

fn is_left_over(path: &Path) -> bool {
    let Some((pid, owner)) = path.file_name().and_then(|name| name.to_str()).and_then(owner) else {
        return false;
    };
    let unlocked = OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok());
    let age = || fs::metadata(path).and_then(|m| m.modified()).ok()?.elapsed().ok();
    unlocked && if owner == host() { !process::lives(pid) } else { age().is_some_and(|age| age > LEFTOVER_AGE) }
}

/// Returns the process number and the host in the name of a temporary file.
fn owner(name: &str) -> Option<(u32, &str)> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let mut parts = middle.splitn(3, '-').skip(1);
    let pid = parts.next()?.parse().ok()?;
    Some((pid, parts.next()?.rsplit_once('-')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_temporary_file_holds_its_owner() {
        assert_eq!(owner(".spextral-4711-12-nid-001-aB3.tmp"), Some((12, "nid-001")));
        for other in ["frame.fits", ".spextral-aB3.tmp", ".spextral-1-x-host-aB3.tmp", ".spextral-1-2-host"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_appears_during_a_write_stays_unless_it_may_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let fill = |name, overwrite| PendingFile::write(at(name), overwrite, |out| out.write_all(b"new")).unwrap();
        let (unasked, asked) = (fill("unasked", false), fill("asked", true));
        let together = ["first", "second"].map(|name| fill(name, false));
        for name in ["unasked", "asked", "second"] {
            fs::write(at(name), "precious").unwrap();
        }
        let error = unasked.persist().unwrap_err();
        assert!(matches!(&error, WriteError::Appeared { path } if *path == at("unasked")), "{error}");
        asked.persist().unwrap();
        assert!(
            matches!(PendingFile::persist_all(together), Err(WriteError::Appeared { path }) if path == at("second"))
        );
        let content = |name: &str| fs::read_to_string(at(name)).unwrap();
        assert_eq!(["unasked", "asked", "second"].map(content), ["precious", "new", "precious"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_appears_during_a_write_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, far) = (folder.path().join("frame.fits"), folder.path().join("far.fits"));
        let filled = PendingFile::write(&path, false, |out| out.write_all(b"new")).unwrap();
        std::os::unix::fs::symlink(&far, &path).unwrap();
        assert!(matches!(filled.persist(), Err(WriteError::Appeared { .. })));
        assert!(path.is_symlink() && !far.exists());
    }

    #[test]
    fn leftovers_of_dead_runs_go_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let live = temporary_beside(&folder.path().join("frame.fits")).unwrap();
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
        old.set_modified(std::time::SystemTime::now() - 2 * LEFTOVER_AGE).unwrap();
        drop(old);
        assert_eq!(sweep(folder.path()), vec![elsewhere]);
    }
}
