//! The rule for outputs (`docs/trust.md`), for every option that names one.

use crate::run::{Folder, Run, bytes};

/// A command that writes a file of the name given, and would write others into `other.*`.
type Writer = fn(&Folder, &str, &[&str]) -> Run;

/// Every option that names a file to write, and whether it is one of an exposure's frames, which fail in a table.
const WRITERS: [(&str, Writer); 8] = [
    ("extract -o", |folder, name, more| folder.extract(&[&["-o", name], more].concat())),
    ("extract -m", |folder, name, more| folder.extract(&[&["-o", "other.fits", "-m", name], more].concat())),
    ("extract --trace", |folder, name, more| folder.extract(&[&["-o", "other.fits", "--trace", name], more].concat())),
    ("simulate -o", |folder, name, more| simulate(folder, &["-o", name], more)),
    ("simulate --truth", |folder, name, more| simulate(folder, &["-o", "other.fits", "--truth", name], more)),
    ("make-psf -o", |folder, name, more| {
        let words =
            ["make-psf", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120", "--loglevel", "warn", "-o", name];
        folder.run(&[&words[..], more].concat())
    }),
    ("exposure", |folder, name, more| exposure(folder, name, &[], more)),
    ("exposure --report", |folder, name, more| exposure(folder, "other.fits", &["--report", name], more)),
];

fn simulate(folder: &Folder, outputs: &[&str], more: &[&str]) -> Run {
    folder.run(&[&["simulate", "-p", "psf.fits", "--loglevel", "warn"], outputs, more].concat())
}

fn exposure(folder: &Folder, output: &str, accounts: &[&str], more: &[&str]) -> Run {
    let manifest = format!("input,psf,output\npreproc.fits,psf.fits,{output}\n");
    std::fs::write(folder.path("frames.csv"), manifest).unwrap();
    let words = [
        "exposure",
        "--manifest",
        "frames.csv",
        "-n",
        "2",
        "--bundlesize",
        "5",
        "--device",
        "cpu",
        "--loglevel",
        "error",
    ];
    folder.run(&[&words[..], accounts, more].concat())
}

/// It fails and says all of `parts`; where a frame of an exposure fails, the table says it.
#[track_caller]
fn fails(writer: &str, run: &Run, parts: &[&str]) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(run.code == Some(1) && parts.iter().all(|part| said.contains(part)), "{writer}: {parts:?} {said}");
}

#[test]
fn what_exists_is_replaced_only_when_told_and_never_where_it_is_protected() {
    for (writer, write) in WRITERS {
        let folder = Folder::new();
        let path = folder.path("there.fits");
        std::fs::write(&path, "precious").unwrap();
        fails(writer, &write(&folder, "there.fits", &[]), &["there.fits exists already", "--overwrite"]);
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        fails(writer, &write(&folder, "there.fits", &["--overwrite"]), &["there.fits", "write-protected"]);
        assert_eq!(bytes(&path), b"precious", "{writer}");
    }
}

#[test]
fn folders_are_never_written_over() {
    for (writer, write) in WRITERS {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("folder.fits")).unwrap();
        for more in [&[][..], &["--overwrite"]] {
            fails(writer, &write(&folder, "folder.fits", more), &["folder.fits", "no regular file"]);
        }
    }
}

#[test]
fn inputs_are_never_written_over_by_any_name_of_theirs() {
    for (writer, write) in WRITERS.iter().filter(|(name, _)| *name != "make-psf -o") {
        let folder = Folder::new();
        let before = bytes(&folder.path("psf.fits"));
        let absolute = folder.path("psf.fits").display().to_string();
        let mut names = vec!["psf.fits", "./psf.fits", &absolute];
        std::fs::create_dir(folder.path("sub")).unwrap();
        names.push("sub/../psf.fits");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("psf.fits", folder.path("link.fits")).unwrap();
            std::os::unix::fs::symlink(".", folder.path("here")).unwrap();
            names.extend(["link.fits", "here/psf.fits"]);
        }
        std::fs::hard_link(folder.path("psf.fits"), folder.path("twin.fits")).unwrap();
        if cfg!(unix) {
            names.push("twin.fits");
        }
        for name in names {
            fails(writer, &write(&folder, name, &["--overwrite"]), &["is the input"]);
        }
        assert!(bytes(&folder.path("psf.fits")) == before, "{writer}");
    }
}

/// Links are followed, and what is neither file nor link is left alone.
#[cfg(unix)]
#[test]
fn links_lead_to_what_is_replaced_and_pipes_and_links_to_nothing_are_refused() {
    use std::os::unix::fs::symlink;
    for (writer, write) in WRITERS {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("far")).unwrap();
        symlink("far/nothing.fits", folder.path("dangling.fits")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(folder.path("pipe.fits")).status().unwrap();
        assert!(pipe.success());
        for more in [&[][..], &["--overwrite"]] {
            fails(writer, &write(&folder, "dangling.fits", more), &["dangling.fits", "symbolic link to nothing"]);
            fails(writer, &write(&folder, "pipe.fits", more), &["pipe.fits", "no regular file"]);
        }
        std::fs::write(folder.path("far/there.fits"), "old").unwrap();
        symlink("far/there.fits", folder.path("link.fits")).unwrap();
        fails(writer, &write(&folder, "link.fits", &[]), &["link.fits exists already"]);
        assert_eq!(write(&folder, "link.fits", &["--overwrite"]).code, Some(0), "{writer}");
        assert!(folder.path("link.fits").is_symlink(), "{writer}: the link stays");
        assert!(bytes(&folder.path("far/there.fits")).len() > 100, "{writer}: what it points at is new");
        assert!(!folder.path("far/nothing.fits").exists());
    }
}

/// Files are as open as any new file, also where they replace a private one.
#[cfg(unix)]
#[test]
fn new_files_have_the_permissions_that_the_user_gives_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    std::fs::write(folder.path("made.fits"), "old").unwrap();
    std::fs::set_permissions(folder.path("made.fits"), PermissionsExt::from_mode(0o600)).unwrap();
    let words = ["make-psf", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120", "--overwrite", "-o", "made.fits"];
    for (umask, mode) in [("022", 0o644), ("027", 0o640)] {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        assert_eq!(folder.run_by("sh", &["-c", &script], &words).code, Some(0));
        assert_eq!(std::fs::metadata(folder.path("made.fits")).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_input_and_is_not_waited_for() {
    let folder = Folder::new();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path("pipe.fits")).status().unwrap();
    assert!(pipe.success());
    for option in ["-i", "-p", "-f"] {
        folder.extract(&[option, "pipe.fits"]).fails_saying(&["pipe.fits is not a FITS file", "a pipe or a device"]);
    }
}
