//! `compare` returns agreement as its exit code, and never agrees on nothing.

use spextral::fits::write_truth;
use spextral::fits::{read_frame, write_frame};
use testkit::Folder;

/// A folder with `frame.fits`, and `empty.fits`, the same without information in any bin.
fn two_frames() -> Folder {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let mut frame = read_frame(folder.path("frame.fits")).unwrap();
    frame.spectra.update(|s| s.ivar.fill(0.0)).unwrap();
    write_frame(folder.path("empty.fits"), &frame, false).unwrap().persist().unwrap();
    write_truth(folder.path("truth.fits"), &Folder::simulated().truth, false).unwrap().persist().unwrap();
    folder
}

#[test]
fn a_frame_agrees_with_itself_and_not_with_one_without_information() {
    let folder = two_frames();
    folder.run(&["compare", "frame.fits", "frame.fits", "--tolerance", "0"]).succeeds();
    let run = folder.run(&["compare", "frame.fits", "empty.fits", "--tolerance", "1e9"]);
    run.fails_saying(&["no bin is usable in both files", "nothing was compared"]);
}

#[test]
fn a_frame_of_which_no_bin_can_be_judged_fails_against_the_truth() {
    let folder = two_frames();
    folder.run(&["compare", "frame.fits", "--truth", "truth.fits"]).succeeds();
    let run = folder.run(&["compare", "empty.fits", "--truth", "truth.fits"]);
    run.fails_saying(&["no bin of empty.fits can be judged by truth.fits", "without information"]);
}
