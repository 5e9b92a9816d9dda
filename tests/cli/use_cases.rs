//! Use cases: files appear, options have their effect, help is complete.

use spextral::barycentric;
use spextral::fits::{Header, PsfExtras, read_frame, read_psf, write_preproc, write_psf_with};
use testkit::Folder;

#[test]
fn an_extraction_writes_its_outputs_and_nothing_else() {
    let folder = Folder::new();
    folder.extract(&["-m", "model.fits"]).succeeds();
    assert_eq!(folder.names(), ["frame.fits", "model.fits", "preproc.fits", "psf.fits"]);
    let frame = read_frame(folder.path("frame.fits")).unwrap();
    assert_eq!(frame.spectra.nspec, 2);
    assert!(frame.spectra.ivar.iter().any(|&ivar| ivar > 0.0));
}

#[test]
fn a_frame_names_the_psf_before_its_shift_and_the_programs_that_made_it() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let header = read_frame(folder.path("frame.fits")).unwrap().header;
    assert!(!header.contains("ORIG_PSF"), "the PSF was not shifted");
    assert!(header.get_str("SPECTER").is_some_and(|program| program.starts_with("spextral ")));
    let psf = read_psf(folder.path("psf.fits")).unwrap();
    let mut cards = Header::new();
    cards.set("IN_PSF", "SPECPROD/calibnight/20200314/psfnight-r0-20200314.fits", "");
    let extras = PsfExtras { cards, ..PsfExtras::default() };
    write_psf_with(folder.path("shifted.fits"), &psf, &extras, false).unwrap().persist().unwrap();
    folder.extract(&["-p", "shifted.fits", "-o", "second.fits"]).succeeds();
    let header = read_frame(folder.path("second.fits")).unwrap().header;
    let text = |keyword: &str| header.get_str(keyword).unwrap_or_default();
    assert_eq!(text("ORIG_PSF"), "SPECPROD/calibnight/20200314/psfnight-r0-20200314.fits");
    assert_eq!((text("DEPNAM00"), text("DEPVER00")), ("spextral".into(), env!("CARGO_PKG_VERSION").into()));
}

#[test]
fn a_trace_is_written_when_asked_for_and_replaces_nothing_unasked() {
    let folder = Folder::new();
    folder.extract(&["--trace", "trace.json"]).succeeds();
    assert_eq!(folder.names(), ["frame.fits", "preproc.fits", "psf.fits", "trace.json"]);
    let trace: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path("trace.json")).unwrap()).expect("it is JSON");
    let names: Vec<&str> = trace["traceEvents"].as_array().unwrap().iter().filter_map(|e| e["name"].as_str()).collect();
    for name in ["open the device", "read", "fibres 0 to 1", "traces", "banded_solve", "write"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let again = ["--trace", "trace.json", "-o", "again.fits"];
    folder.extract(&again).fails_saying(&["trace.json exists already"]);
    folder.extract(&["--trace", "again.fits", "-o", "again.fits"]).fails_saying(&["again.fits"]);
    folder.extract(&["--trace", "psf.fits", "--overwrite"]).fails_saying(&["output psf.fits is the input psf.fits"]);
    assert_eq!(folder.names(), ["frame.fits", "preproc.fits", "psf.fits", "trace.json"]);
}

#[test]
fn scores_are_left_out_when_told_so() {
    let folder = Folder::new();
    folder.extract(&["--no-scores"]).succeeds();
    assert!(read_frame(folder.path("frame.fits")).unwrap().scores.is_none());
}

#[test]
fn mask_bits_none_uses_pixels_that_the_default_leaves_out() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    folder.extract(&["--mask-bits", "none", "-o", "all.fits"]).succeeds();
    let information = |name| read_frame(folder.path(name)).unwrap().spectra.ivar.iter().sum::<f64>();
    assert!(information("all.fits") > information("frame.fits"));
}

#[test]
fn a_barycentric_frame_keeps_its_grid_and_says_its_factor() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    folder.extract(&["--barycentric-correction", "-o", "moved.fits"]).succeeds();
    let [plain, moved] = ["frame.fits", "moved.fits"].map(|name| read_frame(folder.path(name)).unwrap());
    let preproc = &Folder::simulated().preproc;
    let factor =
        barycentric::factor_of_exposure(&preproc.header, preproc.fibermap.as_ref().map(|t| t.header())).unwrap().factor;
    assert_eq!(moved.header.get_f64("HELIOCOR"), Some(factor));
    assert!(plain.header.get_f64("HELIOCOR").is_none() && plain.header.get_str("SPXSITE").is_none());
    let site = moved.header.get_str("SPXSITE").unwrap();
    assert!(site.contains("longitude -111.59989") && site.contains("Kitt Peak, as there is DESI's DOSVER"), "{site}");
    assert!(plain.wave == moved.wave && plain.spectra.flux != moved.spectra.flux);
}

#[test]
fn a_barycentric_frame_names_the_site_of_its_input_and_is_repeated() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    for (keyword, metre) in [("OBSGEO-X", 1946404.3), ("OBSGEO-Y", -5467644.3), ("OBSGEO-Z", -2642728.2)] {
        preproc.header.set(keyword, metre, "");
    }
    write_preproc(folder.path("paranal.fits"), &preproc, false).unwrap().persist().unwrap();
    let run = folder.extract(&["-i", "paranal.fits", "--barycentric-correction", "--loglevel", "info"]);
    assert!(run.stderr.contains(" at longitude -70.40") && run.stderr.contains("(OBSGEO-X"), "{}", run.stderr);
    let card = |name: &str| read_frame(folder.path(name)).unwrap().header.get_str("SPXSITE").unwrap_or_default();
    assert!(card("frame.fits").starts_with("longitude -70.40"), "{}", card("frame.fits"));
    let again = folder.run(&["extract", "--like", "frame.fits", "-o", "again.fits"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_eq!(card("again.fits"), card("frame.fits"));

    ["OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z", "DOSVER"].iter().for_each(|keyword| preproc.header.remove(keyword));
    write_preproc(folder.path("nowhere.fits"), &preproc, false).unwrap().persist().unwrap();
    let run = folder.extract(&["-i", "nowhere.fits", "--barycentric-correction", "-o", "supposed.fits"]);
    assert!(run.code == Some(0) && run.stderr.contains("is that of Kitt Peak"), "{}", run.stderr);
    let header = read_frame(folder.path("supposed.fits")).unwrap().header;
    assert!(header.get_str("SPXNOT1").is_some_and(|note| note.contains("is that of Kitt Peak")));
}

#[test]
fn what_is_being_done_is_said_in_plain_lines_off_a_terminal() {
    let folder = Folder::new();
    let run = folder.extract(&["--loglevel", "info"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    assert!(run.stderr.contains("1 of 1 bundles done"), "{}", run.stderr);
    assert!(run.stderr.contains("2 spectra of") && run.stderr.contains("written to frame.fits"), "{}", run.stderr);
    assert!(run.stderr.is_ascii(), "no control characters: {}", run.stderr);
}

#[test]
fn devices_lists_the_cpu() {
    let run = Folder::new().run(&["devices"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.trim_start().starts_with("cpu"), "{}", run.stdout);
}

#[test]
fn help_has_every_option_of_extract_with_its_default() {
    let run = Folder::new().run(&["extract", "--help"]);
    assert_eq!(run.code, Some(0));
    for option in [
        "--input",
        "--psf",
        "--output",
        "--fibermap",
        "--model",
        "--wavelength",
        "--specmin",
        "--nspec",
        "--regularize",
        "--bundlesize",
        "--nsubbundles",
        "--nwavestep",
        "--wavepad",
        "--wavepad-frac",
        "--pixpad-frac",
        "--psferr",
        "--psf-tails",
        "--decorrelate",
        "--solver",
        "--device",
        "--stage-on-cpu",
        "--mask-bits",
        "--model-flux",
        "--barycentric-correction",
        "--no-scores",
        "--overwrite",
        "--loglevel",
        "Examples:",
        "[default: auto]",
        "[default: 0-7,9]",
        "Angstrom",
    ] {
        assert!(run.stdout.contains(option), "{option} is not in the help");
    }
}
