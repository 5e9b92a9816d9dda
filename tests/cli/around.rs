//! The commands around an extraction: make-psf, simulate, compare, demo.

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
    folder.extract(&["-o", "other.fits", "--regularize", "1"]).succeeds();
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
