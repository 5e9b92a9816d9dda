//! Options that make no sense, alone (exit code 2) or for the files at hand (exit code 1).

use spextral::fits::{read_headers, write_preproc, write_psf};
use testkit::{Folder, fails_and_leaves_nothing as fails, small_psf};

/// Checks that the command line is refused with a message that has all of `parts`, before any file is made.
#[track_caller]
fn refused(folder: &Folder, more: &[&str], parts: &[&str]) {
    let before = folder.names();
    folder.extract(more).is_refused_saying(parts);
    assert_eq!(folder.names(), before);
}

#[test]
fn a_wavelength_range_outside_the_psfs_is_said_with_both() {
    fails(&Folder::new(), &["-w", "3000,3100,0.8"], &["3000", "3100", "outside the PSF's", "within the PSF's"]);
}

#[test]
fn an_empty_wavelength_range_is_said() {
    refused(&Folder::new(), &["-w", "6100,6000,0.8"], &["6100 to 6000", "empty"]);
}

#[test]
fn a_wavelength_step_that_is_not_positive_is_said() {
    let folder = Folder::new();
    for (range, step) in [("6000,6100,0", "step 0.0 "), ("6000,6100,-0.8", "step -0.8"), ("6000,6100,nan", "step NaN")]
    {
        refused(&folder, &["-w", range], &[step, "above 0"]);
    }
}

#[test]
fn fibres_beyond_the_psf_are_said_with_its_number() {
    let folder = Folder::new();
    let beyond = "is beyond the PSF's 8 fibres: give";
    fails(&folder, &["-s", "8"], &["specmin 8", beyond, "below 8"]);
    fails(&folder, &["-s", "4", "-n", "5"], &["specmin 4 plus nspec 5", beyond, "nspec at most 4"]);
    refused(&folder, &["-n", "0"], &["nspec is 0: give at least 1"]);
    fails(&folder, &["-s", "18446744073709551615"], &["specmin 18446744073709551615", beyond]);
}

#[test]
fn counts_of_no_fibres_are_said_with_their_option() {
    let folder = Folder::new();
    refused(&folder, &["--bundlesize", "0"], &["bundlesize is 0: give at least 1"]);
    refused(&folder, &["--nsubbundles", "0"], &["nsubbundles is 0: give at least 1"]);
}

#[test]
fn a_size_that_cuts_overlapping_fibres_apart_is_a_warning_with_the_one_that_fits_and_stands_in_the_header() {
    let folder = Folder::new();
    let run = folder.extract(&["--bundlesize", "4", "--nsubbundles", "3"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = [
        "bundles of 4 cut between fibres 3 and 4, whose spots overlap by",
        "--bundlesize 5 fits, or --bundlesize auto",
    ];
    assert!(said.iter().all(|text| run.stderr.contains(text)), "{}", run.stderr);
    let header = &read_headers(folder.path("frame.fits")).unwrap()[0];
    assert_eq!(header.get_str("SPXBUND").as_deref(), Some("2x4"));
    assert!(header.get_str("SPXCUT").unwrap().contains("fibres 3 and 4"));
}

#[test]
fn groups_of_the_psf_and_a_step_that_does_not_suit_it_are_said() {
    let folder = Folder::new();
    let run = folder.extract(&["--bundlesize", "auto", "--loglevel", "info", "-w", "6660,6700,2"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = [
        "bundles of 5,3 fibres; 6660 to 6700 Angstrom by 2; solver banded, f64",
        "a step of 2 Angstrom is",
        "0.8 Angstrom suits",
    ];
    assert!(said.iter().all(|text| run.stderr.contains(text)), "{}", run.stderr);
}

#[test]
fn numbers_out_of_range_are_said_with_their_option() {
    let folder = Folder::new();
    refused(&folder, &["--psferr", "-0.1"], &["psferr is -0.1"]);
    refused(&folder, &["--regularize", "nan"], &["regularize is NaN"]);
    refused(&folder, &["--tolerance", "0"], &["tolerance is 0e0 sigma", "from 1e-8"]);
    refused(&folder, &["--nwavestep", "0"], &["nwavestep"]);
    refused(&folder, &["--pixpad-frac", "1.5"], &["pixpad-frac", "1.5"]);
}

#[test]
fn a_device_that_is_not_there_is_said_with_those_there_are() {
    fails(&Folder::new(), &["--device", "Babbage"], &["Babbage", "cpu", "spextral devices"]);
}

#[test]
fn a_demonstration_without_its_device_makes_nothing() {
    let folder = Folder::new();
    let before = folder.names();
    folder.run(&["demo", "--device", "Babbage"]).fails_saying(&["Babbage", "spextral devices"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn simulations_that_cannot_be_are_refused_at_once_with_the_psf_at_fault() {
    let folder = Folder::new();
    let before = folder.names();
    let simulate = |more: &[&str]| folder.run(&[&["simulate", "-p", "psf.fits", "-o", "x.fits"], more].concat());
    simulate(&["-s", "8"]).fails_saying(&["psf.fits: --specmin 8 leaves the PSF's 8 fibres (0 to 7)", "choose"]);
    simulate(&["-w", "3000,3100,0.8"]).fails_saying(&["psf.fits: the wavelength grid 3000 to 3100", "choose"]);
    let huge = "18446744073709551615";
    simulate(&["--bad-columns", huge]).fails_saying(&["number of bad columns is 1.8", "columns of the CCD"]);
    simulate(&["--dead-patches", huge]).fails_saying(&["number of dead patches is 1.8", "0 to 10000"]);
    let far = format!("1{}", "0".repeat(300));
    simulate(&["-w", &format!("6000,{far},0.8")]).fails_saying(&["the wavelength grid 6000,1e300,0.8"]);
    folder.run(&["make-psf", "-o", "x.fits", "--spacing", &far]).fails_saying(&["spacing of fibres is 1e300"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn tails_that_the_psf_does_not_have_are_refused() {
    let folder = Folder::new();
    let mut psf = small_psf();
    psf.update(|parts| parts.tails = None).unwrap();
    write_psf(folder.path("psf.fits"), &psf, true).unwrap().persist().unwrap();
    let said = ["psf.fits", "no power-law tails", "TAILAMP", "leave out --psf-tails"];
    fails(&folder, &["--psf-tails"], &said);
    folder.run(&["simulate", "-p", "psf.fits", "-o", "x.fits", "--psf-tails"]).fails_saying(&said);
    folder.extract(&[]).succeeds();
}

#[test]
fn a_barycentric_grid_needs_the_exposure_time() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.header.remove("EXPTIME");
    write_preproc(folder.path("preproc.fits"), &preproc, true).unwrap().persist().unwrap();
    let said = ["preproc.fits", "no EXPTIME (in seconds; 0 if MJD-OBS is the middle of the exposure)"];
    fails(&folder, &["--barycentric-correction"], &said);
    folder.extract(&[]).succeeds();
    preproc.header.set("EXPTIME", "nan", "");
    write_preproc(folder.path("preproc.fits"), &preproc, true).unwrap().persist().unwrap();
    fails(&folder, &["--barycentric-correction", "--overwrite"], &["EXPTIME = nan is not a number of seconds"]);
}

#[test]
fn flags_of_the_peers_work_without_standing_in_the_help() {
    let folder = Folder::new();
    let words =
        ["extract", "-i", "preproc.fits", "-p", "psf.fits", "--bundlesize", "5", "-n", "2", "--loglevel", "warn"];
    let run = |more: &[&str]| folder.run(&[&words[..], more].concat());
    run(&["-o", "a.fits", "--no-gpu", "--async-io"]).succeeds();
    for (flag, said) in [("--use-specter", "--use-specter has no effect"), ("--ranks-per-bundle=4", "one process")] {
        let warned = run(&["-o", "a.fits", "--overwrite", "--no-gpu", flag]);
        assert!(warned.code == Some(0) && warned.stderr.contains(said), "{flag}: {}", warned.stderr);
    }
    let detailed = run(&["-o", "a.fits", "--overwrite", "--no-gpu", "-v"]);
    assert!(detailed.code == Some(0) && detailed.stderr.contains("DEBUG"), "{}", detailed.stderr);
    run(&["-o", "b.fits", "--no-gpu", "--decorrelate-fibers", "--nwavestep", "20"]).succeeds();
    run(&["-o", "c.fits", "--device", "cpu", "--decorrelate", "noise", "--nwavestep", "20"]).succeeds();
    folder.run(&["compare", "b.fits", "c.fits", "--tolerance", "0"]).succeeds();
    let told = run(&["-o", "d.fits", "--mpi"]);
    assert!(told.code == Some(2) && told.stderr.contains("`spextral exposure`"), "{}", told.stderr);
    run(&["-o", "d.fits", "--no-gpu", "--device", "cpu"]).is_refused_saying(&["--no-gpu", "--device"]);
    assert!(!folder.path("d.fits").exists());
    assert!(!folder.run(&["extract", "--help"]).stdout.contains("specter"));
}

#[test]
fn what_is_no_command_line_ends_with_exit_code_2() {
    let folder = Folder::new();
    let before = folder.names();
    folder.run(&[]).is_refused_saying(&["Usage"]);
    folder.run(&["extract"]).is_refused_saying(&["--input", "--psf", "--output"]);
    folder.run(&["extrude"]).is_refused_saying(&["extrude", "extract"]);
    folder.extract(&["--nspek", "3"]).is_refused_saying(&["--nspek", "--nspec"]);
    folder.extract(&["-w", "6000,6100"]).is_refused_saying(&["WMIN,WMAX,DW"]);
    folder.extract(&["--mask-bits", "40"]).is_refused_saying(&["0-7,9"]);
    folder.extract(&["--solver", "magic"]).is_refused_saying(&["magic", "patches"]);
    folder.extract(&["--stage-on-cpu", "magic"]).is_refused_saying(&["magic", "jacobi"]);
    folder.extract(&["--model-flux", "decorrelated"]).is_refused_saying(&["--model"]);
    assert_eq!(folder.names(), before);
}
