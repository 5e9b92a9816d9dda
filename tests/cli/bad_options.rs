//! Options that make no sense, alone (exit code 2) or for the files at hand (exit code 1).

use testkit::{Folder, fails_and_leaves_nothing as fails};

#[test]
fn a_wavelength_range_outside_the_psfs_is_said_with_both() {
    fails(&Folder::new(), &["-w", "3000,3100,0.8"], &["3000", "3100", "outside the PSF's", "within the PSF's"]);
}

#[test]
fn an_empty_wavelength_range_is_said() {
    fails(&Folder::new(), &["-w", "6100,6000,0.8"], &["6100 to 6000", "empty"]);
}

#[test]
fn a_wavelength_step_that_is_not_positive_is_said() {
    let folder = Folder::new();
    for (range, step) in [("6000,6100,0", "step 0.0 "), ("6000,6100,-0.8", "step -0.8"), ("6000,6100,nan", "step NaN")]
    {
        fails(&folder, &["-w", range], &[step, "above 0"]);
    }
}

#[test]
fn fibres_beyond_the_psf_are_said_with_its_number() {
    let folder = Folder::new();
    let beyond = "is beyond the PSF's 8 fibres: give";
    fails(&folder, &["-s", "8"], &["specmin 8", beyond, "below 8"]);
    fails(&folder, &["-s", "4", "-n", "5"], &["specmin 4 plus nspec 5", beyond, "nspec at most 4"]);
    fails(&folder, &["-n", "0"], &["nspec is 0: give at least 1"]);
    fails(&folder, &["-s", "18446744073709551615"], &["specmin 18446744073709551615", beyond]);
}

#[test]
fn sub_bundles_that_do_not_divide_a_bundle_are_said_with_both() {
    fails(&Folder::new(), &["--nsubbundles", "3"], &["3 sub-bundles do not divide bundles of 5 fibres"]);
}

#[test]
fn numbers_out_of_range_are_said_with_their_option() {
    let folder = Folder::new();
    fails(&folder, &["--psferr", "-0.1"], &["psferr is -0.1"]);
    fails(&folder, &["--regularize", "nan"], &["regularize is NaN"]);
    fails(&folder, &["--nwavestep", "0"], &["nwavestep"]);
    fails(&folder, &["--pixpad-frac", "1.5"], &["pixpad-frac", "1.5"]);
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
