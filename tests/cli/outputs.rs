//! The rule for outputs (`docs/trust.md`), for every option that names one.

use spextral::fits::write_truth;
use testkit::{Folder, Run, bytes};

/// The log is lost, not the spectra.
#[cfg(target_os = "linux")]
#[test]
fn a_log_that_cannot_be_written_does_not_end_the_work() {
    let folder = Folder::new();
    // Neither a full disk nor a reader that has gone.
    for shell in ["exec \"$0\" \"$@\" 2>/dev/full", "{ \"$0\" \"$@\"; echo $? > code; } 2>&1 | true; exit $(cat code)"]
    {
        let extract =
            ["extract", "-i", "preproc.fits", "-p", "psf.fits", "-o", "log.fits", "-n", "2", "--loglevel", "debug"];
        let run = folder.run_by_shell(shell, &extract);
        assert_eq!(run.code, Some(0), "{shell}");
        std::fs::remove_file(folder.path("log.fits")).unwrap();
        let none = folder.run_by_shell(shell, &["extract", "-i", "none.fits", "-p", "psf.fits", "-o", "log.fits"]);
        assert_eq!(none.code, Some(1), "{shell}");
    }
    let run = folder.run_by_shell("exec \"$0\" \"$@\" >/dev/full", &["info", "preproc.fits"]);
    run.fails_saying(&["the standard output cannot be written: No space left on device"]);
}

/// An option that names a file to write.
struct Writer {
    name: &'static str,
    /// The extension of what it writes.
    kind: &'static str,
    /// A file that the command reads: none of its names may be written over.
    input: &'static str,
    /// Gives the command, which writes a file of the name given, and would write others into `other.*`.
    write: fn(&Folder, &str, &[&str]) -> Run,
}

/// All of them.
const WRITERS: [Writer; 13] = [
    Writer {
        name: "extract -o",
        kind: "fits",
        input: "psf.fits",
        write: |folder, name, more| extract(folder, &["-o", name], more),
    },
    Writer {
        name: "extract -m",
        kind: "fits",
        input: "preproc.fits",
        write: |folder, name, more| extract(folder, &["-o", "other.fits", "-m", name], more),
    },
    Writer {
        name: "extract --trace",
        kind: "json",
        input: "psf.fits",
        write: |folder, name, more| extract(folder, &["-o", "other.fits", "--trace", name], more),
    },
    Writer {
        name: "extract --like",
        kind: "fits",
        input: "frame.fits",
        write: |folder, name, more| {
            has_frame(folder);
            let words = ["extract", "--like", "frame.fits", "--loglevel", "warn", "-o", name];
            folder.run(&[&words[..], more].concat())
        },
    },
    Writer {
        name: "simulate -o",
        kind: "fits",
        input: "psf.fits",
        write: |folder, name, more| simulate(folder, &["-o", name], more),
    },
    Writer {
        name: "simulate --truth",
        kind: "fits",
        input: "psf.fits",
        write: |folder, name, more| simulate(folder, &["-o", "other.fits", "--truth", name], more),
    },
    Writer {
        name: MAKE_PSF,
        kind: "fits",
        input: "nothing.fits",
        write: |folder, name, more| {
            let words = ["make-psf", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120", "--loglevel", "warn"];
            folder.run(&[&words[..], &["-o", name], more].concat())
        },
    },
    Writer {
        name: "plot-psf -o",
        kind: "png",
        input: "psf.fits",
        write: |folder, name, more| folder.run(&[&["plot-psf", "psf.fits", "-o", name], more].concat()),
    },
    Writer {
        name: "report -o",
        kind: "html",
        input: "frame.fits",
        write: |folder, name, more| report(folder, &["-o", name], more),
    },
    Writer {
        name: "report --png",
        kind: "png",
        input: "truth.fits",
        write: |folder, name, more| report(folder, &["-o", "other.html", "--png", name], more),
    },
    Writer {
        name: "exposure",
        kind: "fits",
        input: "psf.fits",
        write: |folder, name, more| exposure(folder, name, &[], more),
    },
    Writer {
        name: "exposure --report",
        kind: "json",
        input: "preproc.fits",
        write: |folder, name, more| exposure(folder, "other.fits", &["--report", name], more),
    },
    Writer {
        name: "exposure --timeline",
        kind: "csv",
        input: "frames.csv",
        write: |folder, name, more| exposure(folder, "other.fits", &["--timeline", name], more),
    },
];

/// The one that reads nothing.
const MAKE_PSF: &str = "make-psf -o";

impl Writer {
    /// A name of the extension that the command's output has.
    fn named(&self, stem: &str) -> String {
        format!("{stem}.{}", self.kind)
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
    for of in &WRITERS {
        let Writer { name: writer, write, .. } = of;
        let folder = Folder::new();
        let name = of.named("there");
        let path = folder.path(&name);
        std::fs::write(&path, "precious").unwrap();
        let exists = format!("{name} exists already");
        fails(writer, &write(&folder, &name, &[]), &[&exists, "--overwrite"]);
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        fails(writer, &write(&folder, &name, &["--overwrite"]), &[&name, "write-protected"]);
        assert_eq!(bytes(&path), b"precious", "{writer}");
    }
}

#[test]
fn folders_are_never_written_over() {
    for of in &WRITERS {
        let folder = Folder::new();
        let name = of.named("folder");
        std::fs::create_dir(folder.path(&name)).unwrap();
        for more in [&[][..], &["--overwrite"]] {
            fails(of.name, &(of.write)(&folder, &name, more), &[&name, "no regular file"]);
        }
    }
}

#[test]
fn inputs_are_never_written_over_by_any_name_of_theirs() {
    for of in WRITERS.iter().filter(|of| of.name != MAKE_PSF) {
        let Writer { name: writer, input, write, .. } = *of;
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

#[test]
fn names_that_promise_another_format_are_refused_before_the_work() {
    for of in &WRITERS {
        let folder = Folder::new();
        // Makes the inputs.
        assert_eq!((of.write)(&folder, &of.named("first"), &[]).code, Some(0), "{}", of.name);
        let before = folder.names();
        for name in ["x.jpg", "x.pdf", "x.fits.fz", "x.fits.bz2", "X.ZIP"] {
            let advice = format!("give a name that ends in .{}", of.kind);
            fails(of.name, &(of.write)(&folder, name, &["--overwrite"]), &[name, "promises another format", &advice]);
        }
        fails(of.name, &(of.write)(&folder, "-", &["--overwrite"]), &["- is the standard output", "name a file"]);
        assert_eq!(folder.names(), before, "{}", of.name);
    }
    let folder = Folder::new();
    extract(&folder, &["-o", "frame.FITS.GZ"], &[]).succeeds();
    assert!(bytes(&folder.path("frame.FITS.GZ")).starts_with(&[0x1f, 0x8b]), "it is gzipped");
    extract(&folder, &["-o", "frame"], &[]).succeeds();
}

#[test]
fn the_standard_input_is_no_input_and_is_said_to_be_none() {
    let folder = Folder::new();
    for option in ["-i", "-p", "-f", "--like"] {
        folder.extract(&[option, "-"]).fails_saying(&["- is not a FITS file", "standard input", "give a .fits"]);
    }
    folder.run(&["compare", "-", "-"]).fails_saying(&["standard input"]);
    folder.run(&["exposure", "--manifest", "-"]).fails_saying(&["cannot read -", "standard input"]);
}

/// Links are followed; neither pipes nor devices are replaced.
#[cfg(unix)]
#[test]
fn links_lead_to_what_is_replaced_and_pipes_and_links_to_nothing_are_refused() {
    use std::os::unix::fs::symlink;
    for of in &WRITERS {
        let Writer { name: writer, write, .. } = of;
        let [dangling, pipe, link] = ["dangling", "pipe", "link"].map(|stem| of.named(stem));
        let folder = Folder::new();
        std::fs::create_dir(folder.path("far")).unwrap();
        symlink("far/nothing.csv", folder.path(&dangling)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.path(&pipe)).status().unwrap();
        assert!(made.success());
        for more in [&[][..], &["--overwrite"]] {
            fails(writer, &write(&folder, &dangling, more), &[&dangling, "symbolic link to nothing"]);
            fails(writer, &write(&folder, &pipe, more), &[&pipe, "no regular file"]);
        }
        std::fs::write(folder.path("far/there.csv"), "old").unwrap();
        symlink("far/there.csv", folder.path(&link)).unwrap();
        let exists = format!("{link} exists already");
        fails(writer, &write(&folder, &link, &[]), &[&exists]);
        assert_eq!(write(&folder, &link, &["--overwrite"]).code, Some(0), "{writer}");
        assert!(folder.path(&link).is_symlink(), "{writer}: the link stays");
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
