//! Frames that fail are reported with their reason, and the others go on.

use crate::night::{Night, Run, begin, wait_for};
use std::time::Duration;

#[test]
fn a_truncated_input_and_a_missing_psf_fail_their_frames_and_no_others() {
    let night = Night::new();
    let all = Night::undisturbed();
    night.manifest("m.csv", "out", &[0, 1, 2, 3, 4, 5]);
    let bytes = std::fs::read(night.path("in3.fits.gz")).unwrap();
    std::fs::write(night.path("in3.fits.gz"), &bytes[..bytes.len() / 2]).unwrap();
    night.add_row("m.csv", "in0.fits.gz,no-psf.fits,out/none.fits,");
    let run = night.exposure("m.csv", &["--report", "report.json"]);
    run.ends_with(
        1,
        &["error: out/3.fits is not made: cannot unpack in3.fits.gz", "no-psf.fits", "5 of 7 frames done, 2 failed"],
    );
    let mut expected = all;
    expected.remove("3.fits");
    assert!(night.data("out") == expected);
    let report = night.report("report.json");
    let status = |i: usize| report["frames"][i]["status"].as_str().unwrap().to_string();
    assert_eq!((0..7).map(status).collect::<Vec<_>>(), ["done", "done", "done", "failed", "done", "done", "failed"]);
    assert!(report["frames"][3]["reason"].as_str().unwrap().contains("in3.fits.gz"));
    assert!(report["frames"][6]["reason"].as_str().unwrap().contains("no-psf.fits"));
}

#[test]
fn an_output_folder_that_becomes_unwritable_fails_its_frame_and_no_others() {
    let night = Night::new();
    let frames: Vec<usize> = (0..20).collect();
    night.manifest("m.csv", "out", &frames);
    std::fs::create_dir(night.path("gone")).unwrap();
    std::fs::write(
        night.path("m.csv"),
        std::fs::read_to_string(night.path("m.csv")).unwrap().replace("out/18.fits", "gone/18.fits"),
    )
    .unwrap();
    let child = begin(night.command("m.csv", &[]));
    wait_for(&night.path("out/0.fits"));
    std::fs::remove_dir(night.path("gone")).unwrap();
    let run = Run::within(Duration::from_secs(60), child);
    run.ends_with(1, &["error: gone/18.fits is not made: cannot write gone/18.fits", "19 of 20 frames done, 1 failed"]);
    assert!(!night.names("out").contains(&"18-model.fits.gz".into()), "a model without its frame is no output");
}

#[test]
fn existing_outputs_are_kept_without_overwrite() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    std::fs::write(night.path("out/1.fits"), "precious").unwrap();
    night.exposure("m.csv", &[]).ends_with(1, &["out/1.fits exists already", "1 of 2 frames done"]);
    assert_eq!(std::fs::read(night.path("out/1.fits")).unwrap(), b"precious");
    night.exposure("m.csv", &["--overwrite"]).ends_with(0, &["2 of 2 frames done"]);
}
