//! The commands around an extraction: make-psf, simulate, compare, demo.

use spextral::fits::{read_headers, read_psf};
use testkit::{Folder, bytes};

const MAKE_PSF: [&str; 8] = ["make-psf", "-o", "made.fits", "--nfibre", "5", "--bundlesize", "5", "--npix-y=120"];

#[test]
fn a_made_psf_can_be_simulated_on_extracted_with_and_compared_with_the_truth() {
    let folder = Folder::new();
    folder.run(&MAKE_PSF).succeeds();
    folder.run(&["simulate", "-p", "made.fits", "-o", "sim.fits", "--truth", "truth.fits"]).succeeds();
    folder.extract(&["-i", "sim.fits", "-p", "made.fits"]).succeeds();
    let run = folder.run(&["compare", "frame.fits", "--truth", "truth.fits"]);
    run.succeeds();
    assert!(run.stdout.contains("chi = (flux - R truth) sqrt(ivar)"), "{}", run.stdout);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let folder = Folder::new();
    let simulate = |seed, output| {
        folder.run(&["simulate", "-p", "psf.fits", "-o", output, "--seed", seed]).succeeds();
        bytes(&folder.path(output))
    };
    let (one, again, other) = (simulate("1", "a.fits"), simulate("1", "b.fits"), simulate("2", "c.fits"));
    assert!(one == again && one != other);
}

#[test]
fn compare_tells_equal_frames_from_different_ones_by_its_exit_code() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    folder.extract(&["-o", "same.fits"]).succeeds();
    folder.extract(&["-o", "other.fits", "--regularize", "1e-4"]).succeeds();
    let compare = |b, tolerance| folder.run(&["compare", "frame.fits", b, "--tolerance", tolerance]);
    compare("same.fits", "0").succeeds();
    let beyond = compare("other.fits", "1e-5");
    assert_eq!((beyond.code, beyond.stderr.as_str()), (Some(1), ""), "a difference is a result, not an error");
    assert!(beyond.stdout.contains("beyond the tolerance of 0.00001"), "{}", beyond.stdout);
    compare("none.fits", "1").fails_saying(&["none.fits", "No such file"]);
    compare("same.fits", "nan").fails_saying(&["tolerance", "NaN"]);
}

#[test]
fn what_makes_files_keeps_existing_ones_and_refuses_what_cannot_be() {
    let folder = Folder::new();
    let before = folder.names();
    let simulate = |more: &[&str]| folder.run(&[&["simulate", "-p", "psf.fits"], more].concat());
    folder.run(&["make-psf", "-o", "psf.fits"]).fails_saying(&["psf.fits exists already", "--overwrite"]);
    folder.run(&["make-psf", "-o", "new.fits", "--nfibre", "0"]).fails_saying(&["0"]);
    simulate(&["-o", "preproc.fits"]).fails_saying(&["preproc.fits exists already"]);
    simulate(&["-o", "psf.fits", "--overwrite"]).fails_saying(&["psf.fits"]);
    simulate(&["-o", "new.fits", "-s", "7", "-n", "2"]).fails_saying(&["8", "--specmin"]);
    simulate(&["-o", "new.fits", "-w", "6000,5000,0.8"]).fails_saying(&["6000,5000,0.8"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn simulated_bytes_do_not_depend_on_the_number_of_threads() {
    let folder = Folder::new();
    let simulate = |threads, output, truth| {
        let words = ["simulate", "-p", "psf.fits", "-o", output, "--truth", truth, "--seed", "3"];
        folder.run_on_threads(threads, &words).succeeds();
        (bytes(&folder.path(output)), bytes(&folder.path(truth)))
    };
    assert!(simulate("1", "one.fits.gz", "truth1.fits") == simulate("2", "two.fits.gz", "truth2.fits"));
}

#[test]
fn demo_leaves_its_files_agrees_with_its_truth_and_can_be_run_again() {
    let folder = Folder::new();
    for _ in 0..2 {
        let run = folder.run(&["demo", "-o", "shown", "--device", "cpu", "--loglevel", "warn"]);
        run.succeeds();
        assert!(run.stdout.contains("differ from the truth by noise alone"), "{}", run.stdout);
        assert!(run.stdout.contains("spextral extract -i shown"), "the commands are shown: {}", run.stdout);
    }
    for name in ["psf.fits", "preproc.fits.gz", "truth.fits", "frame.fits", "model.fits", "picture.png"] {
        assert!(folder.path("shown").join(name).is_file(), "{name}");
    }
    let unknown = folder.run(&["demo", "-o", "other", "--device", "no such device"]);
    unknown.fails_saying(&["no such device"]);
}

/// Makes a PSF, its lines and an arc: `true.fits`, `lines.txt`, `arc.fits`.
fn arc(folder: &Folder) {
    let psf = "make-psf -o true.fits --nfibre 5 --bundlesize 5 --npix-y 300 --ghdeg 2 --legdeg 1";
    folder.run(&psf.split(' ').collect::<Vec<_>>()).succeeds();
    let middle = read_psf(folder.path("true.fits")).map(|psf| 0.5 * (psf.wave_min + psf.wave_max)).unwrap();
    let line = |k: i32| format!("{} Xx\n", middle + 9.3 * f64::from(k) + 2.0 * f64::from(k * k % 3));
    std::fs::write(folder.path("lines.txt"), format!("# vacuum\n{}", (-8..9).map(line).collect::<String>())).unwrap();
    folder.run(&["simulate", "-p", "true.fits", "-o", "arc.fits", "--arc", "lines.txt", "--seed", "3"]).succeeds();
}

#[test]
fn a_psf_fitted_to_an_arc_is_a_psf_that_extracts_and_tells_what_it_was_made_of() {
    let folder = Folder::new();
    arc(&folder);
    let fit = "fit-psf -i arc.fits -p true.fits -o fitted.fits --lines lines.txt --loglevel error";
    let fit: Vec<&str> = fit.split(' ').collect();
    let run = folder.run(&[&fit[..], &["--json", "--degree-across", "2"]].concat());
    run.succeeds();
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let bundle = &json["bundles"][0];
    assert_eq!((json["schema"].as_str(), json["lines"].as_u64()), (Some("spextral.fit-psf/1"), Some(17)));
    assert!((0.9..1.15).contains(&bundle["reduced_chi2"].as_f64().unwrap()), "{bundle}");
    let headers = read_headers(folder.path("fitted.fits")).unwrap();
    let names: Vec<String> = headers.iter().filter_map(|header| header.get_str("EXTNAME")).collect();
    assert_eq!(names, ["XTRACE", "YTRACE", "PSF", "BUNDLES", "LINES", "TRACEERR"]);
    // By their text: serde_json may read a number one digit off.
    let card = headers[2].get_f64("B00RCHI2").unwrap();
    assert!(run.stdout.contains(&format!("\"reduced_chi2\": {card:?}")), "{card:?}: {bundle}");
    folder.run(&["simulate", "-p", "true.fits", "-o", "sky.fits"]).succeeds();
    folder.extract(&["-i", "sky.fits", "-p", "fitted.fits", "-o", "spectra.fits", "--loglevel", "error"]).succeeds();
    folder.run(&fit).fails_saying(&["fitted.fits exists already"]);

    // As desi_compute_psf is called.
    let of_desi = "fit-psf --input-image arc.fits --input-psf true.fits --output-psf part.fits --bundlesize 5 -s 1 -n 4 \
                   --broken-fibers 4 --mpi --dont-merge-with-input --lines lines.txt --json";
    let run = folder.run(&of_desi.split_whitespace().collect::<Vec<_>>());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let bundle = &json["bundles"][0];
    let of_bundle = serde_json::json!([bundle["first"], bundle["last"], bundle["dead"]]);
    assert_eq!(of_bundle, serde_json::json!([1, 4, [4]]));
    assert!(run.stderr.contains("--dont-merge-with-input have no effect"), "{}", run.stderr);
    let run = folder.run(&["fit-psf", "-i", "arc.fits", "-p", "true.fits", "-o", "x.fits"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
}

#[test]
fn a_fit_that_cannot_be_leaves_no_file_and_says_why() {
    let folder = Folder::new();
    arc(&folder);
    let before = folder.names();
    let fit = |more: &[&str]| {
        let words = ["fit-psf", "-p", "true.fits", "-o", "fitted.fits", "--loglevel", "error"];
        folder.run(&[&words, more].concat())
    };
    fit(&["-i", "none.fits", "--lines", "lines.txt"]).fails_saying(&["none.fits", "No such file"]);
    fit(&["-i", "arc.fits", "--lines", "arc.fits"]).fails_saying(&["arc.fits", "no column WAVELENGTH"]);
    fit(&["-i", "preproc.fits", "--lines", "lines.txt"]).fails_saying(&["true.fits", "rows and columns"]);
    fit(&["-i", "arc.fits", "--lines", "lines.txt", "--broken-fibres", "2,99"])
        .fails_saying(&["true.fits: there is no fibre 99 that could be broken"]);
    let unknown = fit(&["-i", "arc.fits", "--lines", "builtin:HgUx"]);
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("`Ux`, of which there are no built-in lines"),
        "{}",
        unknown.stderr
    );
    std::fs::write(folder.path("lines.txt"), "6000\n6010\n").unwrap();
    fit(&["-i", "arc.fits", "--lines", "lines.txt"]).fails_saying(&["lines.txt", "air or in vacuum", "--lines-in"]);
    fit(&["-i", "arc.fits", "--lines", "lines.txt", "--lines-in", "air"]).fails_saying(&["true.fits", "at least 4"]);
    folder.run(&["simulate", "-p", "true.fits", "-o", "dark.fits", "-n", "1", "--exptime", "0.01"]).succeeds();
    let wave = read_psf(folder.path("true.fits")).map(|psf| 0.5 * (psf.wave_min + psf.wave_max)).unwrap();
    let list: String = (0..9).map(|k| format!("{}\n", wave + 10.0 * f64::from(k))).collect();
    std::fs::write(folder.path("lines.txt"), list).unwrap();
    fit(&["-i", "dark.fits", "--lines", "lines.txt", "--lines-in", "vacuum"])
        .fails_saying(&["no bundle can be fitted", "no fibre has light"]);
    std::fs::remove_file(folder.path("dark.fits")).unwrap();
    assert_eq!(folder.names(), before);
}

#[test]
fn traces_fitted_to_a_frame_give_spectra_of_the_truth_and_stand_in_header_and_json() {
    let folder = Folder::new();
    folder.run(&["make-psf", "-o", "day.fits", "--nfibre", "6", "--bundlesize", "6", "--npix-y=700"]).succeeds();
    let mut psf = read_psf(folder.path("day.fits")).unwrap();
    let shift = |parts: &mut spextral::psf::PsfParts| {
        parts.trace_x.coeff.iter_mut().step_by(parts.trace_x.ncoeff).for_each(|c| *c += 0.1);
        parts.sigma_x.coeff.iter_mut().for_each(|c| *c *= 1.02);
    };
    psf.update(shift).unwrap();
    spextral::fits::write_psf(folder.path("night.fits"), &psf, false).unwrap().persist().unwrap();
    folder
        .run(&["simulate", "-p", "night.fits", "-o", "sky.fits", "--truth", "sky-truth.fits", "--seed", "2"])
        .succeeds();
    let json = |run: &testkit::Run| -> serde_json::Value { serde_json::from_str(&run.stdout).expect("it is JSON") };

    let run = folder.run(&["shift-psf", "-i", "sky.fits", "-p", "day.fits", "-o", "shifted.fits", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = json(&run);
    let dx = found["dx"]["mean"].as_f64().unwrap();
    assert!((dx - 0.1).abs() < 0.02 && found["sentence"].as_str().unwrap().contains("pixels off in x"), "{found}");
    let headers = read_headers(folder.path("shifted.fits")).unwrap();
    let names: Vec<String> = headers.iter().filter_map(|header| header.get_str("EXTNAME")).collect();
    assert_eq!(names, ["XTRACE", "YTRACE", "PSF", "INTOFF", "EXTOFF", "SHIFTS"]);
    assert!((headers[2].get_f64("MEANDX").unwrap() - dx).abs() < 1e-9 && headers[2].contains("MAXDY"));

    let words = ["extract", "-i", "sky.fits", "-p", "day.fits", "-o", "frame.fits", "--device", "cpu"];
    let run = folder.run(&[&words[..], &["--fit-traces", "--json"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(json(&run)["traces"]["dx"]["mean"].as_f64(), Some(dx));
    let header = read_headers(folder.path("frame.fits")).unwrap().remove(0);
    let of_header = (header.get_f64("SPXDX").unwrap(), header.get_str("SPXTRACE").unwrap());
    assert!((of_header.0 - dx).abs() < 1e-9 && of_header.1.contains("off in x"), "{of_header:?} {dx}");
    let chi = json(&folder.run(&["compare", "frame.fits", "--truth", "sky-truth.fits", "--json"]));
    let [mean, std] = ["mean", "std"].map(|name| chi[name].as_f64().unwrap());
    assert!(mean.abs() < 0.05 && (std - 1.0).abs() < 0.05, "{mean} {std}");
    let words = ["shift-psf", "-i", "sky.fits", "-p", "psf.fits", "-o", "x.fits", "--loglevel", "error"];
    folder.run(&words).fails_saying(&["sky.fits with psf.fits", "rows and columns"]);

    // As desi_compute_trace_shifts is called.
    for flag in ["--spectrum", "--outoffsets"] {
        let run = folder.run(&[&words[..], &[flag, "x.txt"]].concat());
        assert!(run.code == Some(2) && run.stderr.contains(&format!("{flag}: ")), "{}", run.stderr);
    }
    let flags = "--arc-lamps --nfibers 3 --max-error 0.1 --width 7 --ccd-rows-rebin 4 --no-large-shift-scan --degxx 1";
    let run = folder.run(&[&words[..], &flags.split(' ').collect::<Vec<_>>()].concat());
    run.fails_saying(&["sky.fits with psf.fits", "rows and columns"]);
}

#[test]
fn built_in_lines_light_an_arc_and_fit_it_blends_included() {
    let folder = Folder::new();
    let psf = "make-psf -o true.fits --nfibre 6 --bundlesize 6 --npix-y 1400 --ghdeg 2 --legdeg 1";
    folder.run(&psf.split(' ').collect::<Vec<_>>()).succeeds();
    let lamps = "builtin:HgCdNeArKrXe";
    folder.run(&["simulate", "-p", "true.fits", "-o", "arc.fits", "--arc", lamps, "--seed", "3"]).succeeds();
    let words = ["fit-psf", "-i", "arc.fits", "-p", "true.fits", "-o", "fitted.fits", "--lines", lamps, "--json"];
    let run = folder.run(&words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let chi2 = json["bundles"][0]["reduced_chi2"].as_f64().unwrap();
    assert!((0.9..1.15).contains(&chi2) && json["lines"].as_u64() > Some(30), "{json}");
    // Lines of up to 10^6 electron: shapes are more than linear across the bundle, which the fit notices.
    assert_eq!(json["bundles"][0]["degree_across"], 2, "{json}");
    assert!(read_headers(folder.path("fitted.fits")).unwrap()[2].get_str("IN_LINES").unwrap() == lamps);
}
