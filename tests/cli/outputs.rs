//! The rule for outputs (`docs/trust.md`), for every option that names one.

use spextral::fits::write_truth;
use testkit::{Folder, Run, bytes};

/// An option that names a file to write.
struct Writer {
    name: &'static str,
    /// A file that the command reads: none of its names may be written over. Outputs of the tests have its extension.
    input: &'static str,
    /// Gives the command, which writes a file of the name given, and would write others into `other.*`.
    write: fn(&Folder, &str, &[&str]) -> Run,
}

/// All of them.
const WRITERS: [Writer; 13] = [
    Writer { name: "extract -o", input: "psf.fits", write: |folder, name, more| extract(folder, &["-o", name], more) },
    Writer {
        name: "extract -m",
        input: "preproc.fits",
        write: |folder, name, more| extract(folder, &["-o", "other.fits", "-m", name], more),
    },
    Writer {
        name: "extract --trace",
        input: "psf.fits",
        write: |folder, name, more| extract(folder, &["-o", "other.fits", "--trace", name], more),
    },
    Writer {
        name: "extract --like",
        input: "frame.fits",
        write: |folder, name, more| {
            has_frame(folder);
            let words = ["extract", "--like", "frame.fits", "--loglevel", "warn", "-o", name];
            folder.run(&[&words[..], more].concat())
        },
    },
    Writer {
        name: "simulate -o",
        input: "psf.fits",
        write: |folder, name, more| simulate(folder, &["-o", name], more),
    },
    Writer {
        name: "simulate --truth",
        input: "psf.fits",
        write: |folder, name, more| simulate(folder, &["-o", "other.fits", "--truth", name], more),
    },
    Writer {
        name: MAKE_PSF,
        input: "nothing.fits",
        write: |folder, name, more| {
            let words = ["make-psf", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120", "--loglevel", "warn"];
            folder.run(&[&words[..], &["-o", name], more].concat())
        },
    },
    Writer {
        name: "plot-psf -o",
        input: "psf.fits",
        write: |folder, name, more| folder.run(&[&["plot-psf", "psf.fits", "-o", name], more].concat()),
    },
    Writer { name: "report -o", input: "frame.fits", write: |folder, name, more| report(folder, &["-o", name], more) },
    Writer {
        name: "report --png",
        input: "truth.fits",
        write: |folder, name, more| report(folder, &["-o", "other.html", "--png", name], more),
    },
    Writer { name: "exposure", input: "psf.fits", write: |folder, name, more| exposure(folder, name, &[], more) },
    Writer {
        name: "exposure --report",
        input: "preproc.fits",
        write: |folder, name, more| exposure(folder, "other.fits", &["--report", name], more),
    },
    Writer {
        name: "exposure --timeline",
        input: "frames.csv",
        write: |folder, name, more| exposure(folder, "other.fits", &["--timeline", name], more),
    },
];

/// The one that reads nothing.
const MAKE_PSF: &str = "make-psf -o";

impl Writer {
    /// A name of the extension that the command's outputs have.
    fn named(&self, stem: &str) -> String {
        format!("{stem}.{}", self.input.rsplit('.').next().unwrap())
    }
}

fn extract(folder: &Folder, outputs: &[&str], more: &[&str]) -> Run {
    folder.extract(&[outputs, more].concat())
}

/// The folder has `frame.fits` and `truth.fits`.
fn has_frame(folder: &Folder) {
    if !folder.path("frame.fits").exists() {
        folder.extract(&[]).succeeds();
        write_truth(folder.path("truth.fits"), &Folder::simulated().truth, false).unwrap().persist().unwrap();
    }
}

fn report(folder: &Folder, outputs: &[&str], more: &[&str]) -> Run {
    has_frame(folder);
    folder.run(&[&["report", "frame.fits", "--truth", "truth.fits"], outputs, more].concat())
}

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

/// Checks that a run failed with a message that has all of `parts`; of an exposure, its table has them.
#[track_caller]
fn fails(writer: &str, run: &Run, parts: &[&str]) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(run.code == Some(1) && parts.iter().all(|part| said.contains(part)), "{writer}: {parts:?} {said}");
}

#[test]
fn what_exists_is_replaced_only_when_told_and_never_where_it_is_protected() {
    for Writer { name: writer, write, .. } in &WRITERS {
        let folder = Folder::new();
        let path = folder.path("there.csv");
        std::fs::write(&path, "precious").unwrap();
        fails(writer, &write(&folder, "there.csv", &[]), &["there.csv exists already", "--overwrite"]);
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        fails(writer, &write(&folder, "there.csv", &["--overwrite"]), &["there.csv", "write-protected"]);
        assert_eq!(bytes(&path), b"precious", "{writer}");
    }
}

#[test]
fn folders_are_never_written_over() {
    for Writer { name: writer, write, .. } in &WRITERS {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("folder.csv")).unwrap();
        for more in [&[][..], &["--overwrite"]] {
            fails(writer, &write(&folder, "folder.csv", more), &["folder.csv", "no regular file"]);
        }
    }
}

#[test]
fn inputs_are_never_written_over_by_any_name_of_theirs() {
    for of in WRITERS.iter().filter(|of| of.name != MAKE_PSF) {
        let Writer { name: writer, input, write } = *of;
        let folder = Folder::new();
        // Makes the inputs that are not there yet.
        assert_eq!(write(&folder, &of.named("first"), &[]).code, Some(0), "{writer}");
        let before = bytes(&folder.path(input));
        let absolute = folder.path(input).display().to_string();
        std::fs::create_dir(folder.path("sub")).unwrap();
        let mut names = vec![input.to_string(), format!("./{input}"), absolute, format!("sub/../{input}")];
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(input, folder.path(&of.named("link"))).unwrap();
            std::os::unix::fs::symlink(".", folder.path("here")).unwrap();
            names.extend([of.named("link"), format!("here/{input}")]);
        }
        std::fs::hard_link(folder.path(input), folder.path(&of.named("twin"))).unwrap();
        if cfg!(unix) {
            names.push(of.named("twin"));
        }
        for name in names {
            fails(writer, &write(&folder, &name, &["--overwrite"]), &["is the input"]);
        }
        assert!(bytes(&folder.path(input)) == before, "{writer}");
    }
}

/// Links are followed; neither pipes nor devices are replaced.
#[cfg(unix)]
#[test]
fn links_lead_to_what_is_replaced_and_pipes_and_links_to_nothing_are_refused() {
    use std::os::unix::fs::symlink;
    for Writer { name: writer, write, .. } in &WRITERS {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("far")).unwrap();
        symlink("far/nothing.csv", folder.path("dangling.csv")).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(folder.path("pipe.csv")).status().unwrap();
        assert!(pipe.success());
        for more in [&[][..], &["--overwrite"]] {
            fails(writer, &write(&folder, "dangling.csv", more), &["dangling.csv", "symbolic link to nothing"]);
            fails(writer, &write(&folder, "pipe.csv", more), &["pipe.csv", "no regular file"]);
        }
        std::fs::write(folder.path("far/there.csv"), "old").unwrap();
        symlink("far/there.csv", folder.path("link.csv")).unwrap();
        fails(writer, &write(&folder, "link.csv", &[]), &["link.csv exists already"]);
        assert_eq!(write(&folder, "link.csv", &["--overwrite"]).code, Some(0), "{writer}");
        assert!(folder.path("link.csv").is_symlink(), "{writer}: the link stays");
        assert!(bytes(&folder.path("far/there.csv")).len() > 100, "{writer}: what it points at is new");
        assert!(!folder.path("far/nothing.csv").exists());
    }
}

/// Files have the permissions of any new file, even if they replace a private one.
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
