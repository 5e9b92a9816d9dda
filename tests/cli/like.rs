//! The header of a frame records how it was made, and `--like` repeats the extraction from it.

use spextral::fits::{Preproc, read_frame, read_headers, write_frame};
use testkit::{Folder, Run, binary, bytes};

/// Repeats `frame.fits` as `again.fits`.
fn repeat(folder: &Folder, more: &[&str]) -> Run {
    let words = [&["extract", "--like", "frame.fits", "-o", "again.fits", "--overwrite", "--loglevel", "warn"], more];
    folder.run(&words.concat())
}

#[test]
fn a_frame_is_made_again_byte_for_byte_by_its_header_alone() {
    let folder = Folder::new();
    std::fs::copy(folder.path("preproc.fits"), folder.path("a map.fits")).unwrap();
    for options in [
        &[][..],
        &["--solver", "banded", "--tolerance", "1e-7", "--barycentric-correction", "--psferr", "0.02"],
        &[
            "--solver",
            "patches",
            "--nsubbundles",
            "5",
            "--wavepad",
            "7",
            "--wavepad-frac",
            "0.3",
            "--regularize",
            "1e-4",
        ],
        &["-w", "6655.1,6700.35,0.7", "-s", "3", "-n", "4", "--mask-bits", "1-3,9", "--psf-tails", "--no-scores"],
        &["-f", "a map.fits", "--decorrelate", "noise", "--nwavestep", "10", "--pixpad-frac", "0.9", "--wavepad", "4"],
    ] {
        folder.extract(&[options, &["--overwrite"]].concat()).succeeds();
        repeat(&folder, &[]).succeeds();
        assert!(bytes(&folder.path("frame.fits")) == bytes(&folder.path("again.fits")), "{options:?}");
    }
}

#[test]
fn the_number_of_threads_and_the_way_it_was_run_leave_no_trace() {
    let folder = Folder::new();
    std::fs::write(folder.path("m.csv"), "input,psf,output\npreproc.fits,psf.fits,frame.fits\n").unwrap();
    let options = ["--bundlesize", "5", "--device", "cpu", "--loglevel", "warn"];
    folder.run(&[&["exposure", "--manifest", "m.csv"], &options[..]].concat()).succeeds();
    let frame = bytes(&folder.path("frame.fits"));
    for threads in ["1", "2", "8"] {
        let words = ["extract", "--like", "frame.fits", "-o", "again.fits", "--overwrite", "--loglevel", "warn"];
        folder.run_on_threads(threads, &words).succeeds();
        assert!(bytes(&folder.path("again.fits")) == frame, "{threads} threads");
    }
}

#[test]
fn a_model_shows_again_what_it_showed() {
    let folder = Folder::new();
    folder.extract(&["-m", "model.fits", "--model-flux", "decorrelated"]).succeeds();
    repeat(&folder, &["-m", "model-again.fits"]).succeeds();
    assert!(bytes(&folder.path("model.fits")) == bytes(&folder.path("model-again.fits")));
}

#[test]
fn inputs_may_move_and_be_packed_but_not_change() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let again = |more: &[&str]| repeat(&folder, more);
    spextral::fits::write_preproc(folder.path("packed.fits.gz"), &Folder::simulated().preproc, false)
        .unwrap()
        .persist()
        .unwrap();
    std::fs::remove_file(folder.path("preproc.fits")).unwrap();
    again(&[]).fails_saying(&["frame.fits was made of preproc.fits, which is not there", "-i"]);
    again(&["-i", "packed.fits.gz"]).succeeds();
    let data = |name: &str| {
        let parts = read_frame(folder.path(name)).unwrap().spectra.into_parts();
        (parts.flux, parts.ivar, parts.resolution, parts.chi2pix, parts.mask)
    };
    assert!(data("frame.fits") == data("again.fits"));
    // Only the card of the moved file differs.
    let [then, now] = ["frame.fits", "again.fits"].map(|name| read_headers(folder.path(name)).unwrap().remove(0));
    let lasting = then.keywords().filter(|keyword| !["CHECKSUM", "IN_IMG"].contains(keyword));
    lasting.for_each(|keyword| assert_eq!(then.get(keyword), now.get(keyword), "{keyword}"));
    let preproc = Folder::simulated().preproc.clone();
    let (shape, [mut image, ivar]) = ([preproc.ccd.ny(), preproc.ccd.nx()], preproc.ccd.into_planes());
    image[0] += 1.0;
    let planes = Preproc::new(shape, image, ivar, preproc.mask, 0).unwrap();
    let other = Preproc { header: preproc.header, fibermap: preproc.fibermap, ..planes };
    spextral::fits::write_preproc(folder.path("other.fits"), &other, false).unwrap().persist().unwrap();
    let before = folder.names();
    again(&["-i", "other.fits"]).fails_saying(&["other.fits is not what the frame to repeat was made of", "BLAKE3"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn inputs_that_moved_with_their_frame_are_found_beside_it() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    std::fs::create_dir(folder.path("night")).unwrap();
    for name in ["frame.fits", "preproc.fits", "psf.fits"] {
        std::fs::rename(folder.path(name), folder.path("night").join(name)).unwrap();
    }
    folder.run(&["extract", "--like", "night/frame.fits", "-o", "again.fits", "--loglevel", "warn"]).succeeds();
    folder.run(&["report", "night/frame.fits"]).succeeds();
    assert!(std::fs::read_to_string(folder.path("night/frame.html")).unwrap().contains("Where the model is worst"));
}

#[test]
fn what_is_given_beside_it_counts_and_is_said() {
    let folder = Folder::new();
    folder.extract(&["--regularize", "1e-4"]).succeeds();
    let run = repeat(&folder, &["-n", "3", "--regularize", "1e-4"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("warning: nspec is 3 here, 2 in frame.fits"), "{}", run.stderr);
    assert!(run.stderr.contains("again.fits differ from those of frame.fits in FLUX, IVAR"), "{}", run.stderr);
    assert!(!run.stderr.contains("regularize"), "it is as it was: {}", run.stderr);
    assert_eq!(read_frame(folder.path("again.fits")).unwrap().spectra.nspec, 3);
}

/// The frame to repeat has numbers that no extraction returns.
#[test]
fn a_frame_that_comes_out_otherwise_for_no_reason_is_no_success() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let mut frame = read_frame(folder.path("frame.fits")).unwrap();
    frame.spectra.update(|s| s.flux[3] += 1.0).unwrap();
    write_frame(folder.path("frame.fits"), &frame, true).unwrap().persist().unwrap();
    let run = repeat(&folder, &[]);
    run.fails_saying(&[
        "frame.fits is not repeated",
        "again.fits, which is kept",
        "in FLUX, although",
        "it is unknown",
    ]);
    assert!(folder.path("again.fits").exists());
    let run = repeat(&folder, &["--json"]);
    let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &object["like"]["differing_hdus"]), (Some(1), &serde_json::json!(["FLUX"])));
    assert!(object["like"]["same_build"].is_null(), "{object}");
    // The message has the reason: an option, another fibermap, another device.
    for more in [&["--psferr", "0.5"][..], &["-f", "preproc.fits"]] {
        let run = repeat(&folder, more);
        assert_eq!(run.code, Some(0), "{more:?} {}", run.stderr);
        assert!(run.stderr.contains("warning: the data of again.fits differ"), "{}", run.stderr);
    }
}

#[test]
fn inputs_are_found_again_by_any_name() {
    let folder = Folder::new();
    let names = ["café frame.fits", "50%25 psf.fits ", "größe&"];
    for (from, to) in ["preproc.fits", "psf.fits", "preproc.fits"].into_iter().zip(names) {
        std::fs::copy(folder.path(from), folder.path(to)).unwrap();
    }
    folder.extract(&["-i", names[0], "-p", names[1], "-f", names[2]]).succeeds();
    let header = read_headers(folder.path("frame.fits")).unwrap().remove(0);
    let cards = ["IN_IMG", "IN_PSF", "IN_FMAP"].map(|keyword| header.get_str(keyword).unwrap());
    assert_eq!(cards, ["caf%C3%A9 frame.fits", "50%2525 psf.fits%20", "gr%C3%B6%C3%9Fe%26"]);
    repeat(&folder, &[]).succeeds();
    assert!(bytes(&folder.path("frame.fits")) == bytes(&folder.path("again.fits")));
    // Manifests lose blanks at the end of a name.
    let row = format!("{},psf.fits,resumed.fits,{}", names[0], names[2]);
    std::fs::write(folder.path("m.csv"), format!("input,psf,output,fibermap\n{row}\n")).unwrap();
    let words =
        ["exposure", "--manifest", "m.csv", "--bundlesize", "5", "-n", "2", "--device", "cpu", "--loglevel", "warn"];
    for said in ["1 of 1 frames done", "1 already complete"] {
        let run = folder.run(&[&words[..], &["--resume"]].concat());
        assert!(run.code == Some(0) && run.stdout.contains(said), "{} {}", run.stdout, run.stderr);
    }
}

#[test]
fn another_version_or_device_is_said() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let version = format!("'{:<8}'", env!("CARGO_PKG_VERSION"));
    folder.patch("frame.fits", &format!("SPXVER  = {version}"), &format!("SPXVER  = '{:<8}'", "0.0.0"));
    folder.patch("frame.fits", "'CPU f64, ", "'CPU f64; ");
    let run = repeat(&folder, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in ["may not be those of frame.fits to the last bit: version 0.0.0 then", "device CPU f64; "] {
        assert!(run.stderr.contains(part), "{part} is not in {}", run.stderr);
    }
}

#[test]
fn a_frame_that_does_not_say_how_it_was_made_is_refused_by_the_card_it_lacks() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let mut frame = read_frame(folder.path("frame.fits")).unwrap();
    folder.patch("frame.fits", " nspec=2 ", " nspek=2 ");
    repeat(&folder, &[]).fails_saying(&["frame.fits was made with nspek=2", "no option", "use version"]);
    frame.header.remove("SPXB3PSF");
    write_frame(folder.path("frame.fits"), &frame, true).unwrap().persist().unwrap();
    repeat(&folder, &[]).fails_saying(&["frame.fits, primary HDU: there is no card SPXB3PSF"]);
}

#[test]
fn the_new_frame_stands_beside_the_old_one_by_default() {
    let folder = Folder::new();
    folder.extract(&["-o", "a.fits.gz"]).succeeds();
    folder.run(&["extract", "--like", "a.fits.gz", "--loglevel", "warn"]).succeeds();
    assert!(bytes(&folder.path("a.fits.gz")) == bytes(&folder.path("a-again.fits.gz")));
}

#[test]
fn the_frame_that_is_repeated_is_never_written_over() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let frame = bytes(&folder.path("frame.fits"));
    let mut names = vec!["frame.fits", "./frame.fits"];
    if cfg!(unix) {
        #[cfg(unix)]
        std::os::unix::fs::symlink("frame.fits", folder.path("link.fits")).unwrap();
        names.push("link.fits");
    }
    let words = ["extract", "--like", "frame.fits", "--overwrite", "--loglevel", "warn"];
    for name in names {
        for option in ["-o", "-m", "--trace"] {
            let output: &[&str] = if option == "-o" { &[] } else { &["-o", "again.fits"] };
            folder.run(&[&words[..], output, &[option, name]].concat()).fails_saying(&["is the input", "frame.fits"]);
            assert!(bytes(&folder.path("frame.fits")) == frame, "{option} {name}");
        }
    }
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_unicode_serve_and_are_printed_as_well_as_can_be() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let [input, output] = [&b"in\xff.fits"[..], b"out\xff.fits"].map(OsStr::from_bytes);
    let home = folder.path("");
    std::fs::rename(home.join("preproc.fits"), home.join(input)).unwrap();
    let spextral = || {
        let mut command = std::process::Command::new(binary());
        command.current_dir(&home).args(["extract", "--json", "--loglevel", "error"]);
        command
    };
    let options = ["-p", "psf.fits", "--bundlesize", "5", "-n", "1", "--device", "cpu"];
    let first = spextral().arg("-i").arg(input).arg("-o").arg(output).args(options).output().unwrap();
    let again = spextral().arg("--like").arg(output).output().unwrap();
    for run in [first, again] {
        assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
        let object: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert!(object["output"].as_str().unwrap().starts_with("out\u{fffd}"), "{object}");
    }
}

#[test]
fn a_model_is_no_frame_and_a_fibermap_that_has_gone_is_asked_for() {
    let folder = Folder::new();
    std::fs::copy(folder.path("preproc.fits"), folder.path("map.fits")).unwrap();
    folder.extract(&["-f", "map.fits", "-m", "model.fits"]).succeeds();
    let words = ["extract", "--loglevel", "warn", "--like"];
    folder.run(&[&words[..], &["model.fits"]].concat()).fails_saying(&["model.fits: has no HDU FLUX"]);
    std::fs::remove_file(folder.path("map.fits")).unwrap();
    repeat(&folder, &[]).fails_saying(&["was made of map.fits, which is not there; give its new place with -f"]);
}
