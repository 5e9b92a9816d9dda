//! Outputs, report and messages of a run.

use crate::night::{Night, Run, begin, wait_for};
use spextral::fits::read_headers;
use std::time::Duration;
use testkit::binary;

#[test]
fn frames_are_those_of_extract_in_any_order_and_with_or_without_overlap() {
    let night = Night::new();
    let all = Night::undisturbed();
    assert_eq!(all.len(), 9, "six frames and three models");
    night.manifest("backwards.csv", "backwards", &[5, 4, 3, 2, 1, 0]);
    night.exposure("backwards.csv", &["--no-overlap"]).succeeds();
    assert!(night.data("backwards") == all);
    std::fs::create_dir(night.path("alone")).unwrap();
    night
        .run(&["extract", "-i", "in2.fits.gz", "-p", "psf0.fits", "-o", "alone/2.fits", "-m", "alone/2-model.fits.gz"])
        .succeeds();
    let alone = night.data("alone");
    assert!(alone.len() == 2 && alone.iter().all(|(name, data)| all[name] == *data));
}

#[test]
fn a_run_reports_progress_and_figures_and_writes_its_report_and_timeline() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1, 2]);
    let run = night.exposure("m.csv", &["--report", "report.json", "--timeline", "timeline"]);
    run.succeeds();
    assert!(run.stderr.contains("3 of 3 frames done after"), "{run:?}");
    assert!(run.stderr.is_ascii() && run.stderr.lines().count() <= 6, "few lines, no control characters: {run:?}");
    assert!(run.stdout.contains("3 of 3 frames done in") && run.stdout.contains("frames per node-hour"), "{run:?}");
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("out/")).count(), 3);
    let report = night.report("report.json");
    assert_eq!((&report["figures"]["done"], &report["figures"]["failed"]), (&3.into(), &0.into()));
    assert_eq!(report["frames"][1]["bins"], 1000);
    let csv = std::fs::read_to_string(night.path("timeline.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 * 3);
    assert!(std::fs::read_to_string(night.path("timeline.svg")).unwrap().starts_with("<svg"));
    let trace = night.report("timeline.trace.json");
    let spans = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    assert_eq!(spans.count(), 3 * 3);
}

#[test]
fn a_psf_that_is_missing_is_said_with_both_places_and_costs_no_other_frame() {
    let night = Night::new();
    for folder in ["preproc/20200314/00051060", "exposures/20200314/00051060"] {
        std::fs::create_dir_all(night.path(folder)).unwrap();
    }
    let copy = |from: &str, to: &str| std::fs::copy(night.path(from), night.path(to)).unwrap();
    copy("in0.fits.gz", "preproc/20200314/00051060/preproc-r0-00051060.fits.gz");
    copy("in1.fits.gz", "preproc/20200314/00051060/preproc-r1-00051060.fits.gz");
    copy("psf0.fits", "exposures/20200314/00051060/psf-r0-00051060.fits");
    let run = night.run(&["exposure", "--reduxdir", ".", "--night", "20200314", "--expid", "51060"]);
    let places = [
        "neither ./exposures/20200314/00051060/psf-r1-00051060.fits",
        "nor ./calibnight/20200314/psfnight-r1-20200314.fits",
    ];
    run.ends_with(1, &[&places[..], &["1 of 2 frames done, 1 failed"]].concat());
}

#[test]
fn a_manifest_without_rows_or_with_other_separators_is_an_error() {
    let night = Night::new();
    for (table, part) in [
        ("input,psf,output\n", "m.csv names no frame: give one row per frame"),
        ("input;psf;output\nin0.fits.gz;psf0.fits;x.fits\n", "columns are separated by commas, not by semicolons"),
    ] {
        std::fs::write(night.path("m.csv"), table).unwrap();
        night.exposure("m.csv", &[]).ends_with(1, &[part]);
    }
}

#[test]
fn a_tree_is_extracted_with_the_psf_of_exposure_or_night_on_the_survey_s_wavelengths() {
    let night = Night::new();
    for folder in ["preproc/20200314/00051060", "exposures/20200314/00051060", "calibnight/20200314"] {
        std::fs::create_dir_all(night.path(folder)).unwrap();
    }
    let copy = |from: &str, to: &str| std::fs::copy(night.path(from), night.path(to)).unwrap();
    copy("in0.fits.gz", "preproc/20200314/00051060/preproc-r0-00051060.fits.gz");
    copy("in1.fits.gz", "preproc/20200314/00051060/preproc-r1-00051060.fits.gz");
    copy("psf0.fits", "exposures/20200314/00051060/psf-r0-00051060.fits");
    copy("psf1.fits", "calibnight/20200314/psfnight-r1-20200314.fits");
    let words = ["exposure", "--reduxdir", ".", "--night", "20200314", "--expid", "51060"];
    night.run(&words).succeeds();
    for (camera, psf) in [("r0", "psf-r0-00051060.fits"), ("r1", "psfnight-r1-20200314.fits")] {
        let frame = night.path(&format!("exposures/20200314/00051060/frame-{camera}-00051060-no-badcolumn-mask.fits"));
        let header = read_headers(frame).unwrap().remove(0);
        assert!(header.get_str("IN_PSF").unwrap().ends_with(psf));
    }
    // The wavelengths of the r cameras reach beyond these small PSFs, which fails each frame.
    let mut survey = std::process::Command::new(binary());
    survey.args(words).args(["--device", "cpu", "--overwrite", "--cameras", "r1"]).current_dir(night.path("."));
    Run::of(survey).ends_with(1, &["5760.00 to 7620.00", "frame-r1-00051060-no-badcolumn-mask.fits"]);
}

#[test]
fn a_night_is_listed_by_a_dry_run_and_final_frames_are_left_out() {
    let night = Night::new();
    for folder in ["redux/daily/preproc/20200314/00051060", "redux/daily/exposures/20200314/00051060"] {
        std::fs::create_dir_all(night.path(folder)).unwrap();
    }
    for camera in ["r0", "r1"] {
        let name = format!("redux/daily/preproc/20200314/00051060/preproc-{camera}-00051060.fits.gz");
        std::fs::copy(night.path("in0.fits.gz"), night.path(&name)).unwrap();
    }
    std::fs::write(night.path("redux/daily/exposures/20200314/00051060/frame-r1-00051060.fits"), "").unwrap();
    let mut list = std::process::Command::new(binary());
    list.args(["exposure", "--night", "20200314", "--dry-run"]).current_dir(night.path("."));
    list.env("DESI_SPECTRO_REDUX", "redux").env("SPECPROD", "daily");
    let run = Run::of(list);
    run.succeeds();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.stdout);
    assert!(lines[0].starts_with("input,psf,output,wavelength,"), "{}", run.stdout);
    assert!(lines[1].contains("frame-r0-00051060-no-badcolumn-mask.fits") && lines[1].contains("\"5760,7620,0.8\""));
    assert!(run.stderr.contains("frame-r1-00051060.fits exists already"), "{}", run.stderr);
}

#[test]
fn two_frames_with_one_output_are_refused_before_any_work() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    night.add_row("m.csv", "in3.fits.gz,psf1.fits,out/../out/1.fits,");
    night.exposure("m.csv", &[]).ends_with(1, &["out/../out/1.fits", "are one file"]);
    assert!(night.names("out").is_empty());
}

#[test]
fn inputs_of_any_frame_are_never_overwritten() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    let before = std::fs::read(night.path("m.csv")).unwrap();
    night.exposure("m.csv", &["--report", "m.csv"]).ends_with(1, &["m.csv", "is the input"]);
    night.exposure("m.csv", &["--timeline", "m"]).ends_with(1, &["m.csv", "is the input"]);
    night.exposure("m.csv", &["--report", "out/1.fits"]).ends_with(1, &["out/1.fits", "are one file"]);
    assert_eq!(std::fs::read(night.path("m.csv")).unwrap(), before);
    night.add_row("m.csv", "in3.fits.gz,psf1.fits,in1.fits.gz,");
    night.exposure("m.csv", &["--resume"]).ends_with(1, &["in1.fits.gz", "is the input"]);
    assert!(night.names("out").is_empty());
}

#[test]
fn a_report_created_by_another_process_during_the_run_is_kept() {
    let night = Night::new();
    night.manifest("m.csv", "out", &(0..40).collect::<Vec<_>>());
    let child = begin(night.command("m.csv", &["--report", "report.json", "--timeline", "timeline"]));
    wait_for(&night.path("out/1.fits"));
    std::fs::write(night.path("report.json"), "precious").unwrap();
    let run = Run::within(Duration::from_secs(60), child);
    run.ends_with(1, &["40 of 40 frames done", "report.json exists already", "--overwrite"]);
    assert_eq!(std::fs::read(night.path("report.json")).unwrap(), b"precious");
    assert!(!night.path("timeline.csv").exists(), "report and timeline are written together or not at all");
}

#[test]
fn one_frame_ends_well() {
    let night = Night::new();
    night.manifest("one.csv", "out", &[1]);
    night.exposure("one.csv", &[]).ends_with(0, &["1 of 1 frames done"]);
    assert_eq!(night.names("out"), ["1.fits"]);
}

#[test]
fn a_run_makes_a_page_of_each_frame_and_an_index_with_links_to_all() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    let run = night.exposure("m.csv", &["--pages", "pages"]);
    run.ends_with(0, &["2 of 2 frames done", "index.html: 2 frames"]);
    assert_eq!(night.names("pages"), ["0.html", "1.html", "index.html"]);
    let index = std::fs::read_to_string(night.path("pages/index.html")).unwrap();
    assert!(index.contains("href=\"0.html\"") && index.contains("href=\"1.html\""), "{index}");
    let page = std::fs::read_to_string(night.path("pages/0.html")).unwrap();
    assert!(page.contains("Where the model is worst"), "the residual is there");
    night
        .exposure("m.csv", &["--pages", "pages", "--resume"])
        .ends_with(0, &["2 already complete", "index.html: 2 frames"]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_over_fifty_frames() {
    let night = Night::new();
    night.manifest("m.csv", "out", &(0..50).collect::<Vec<_>>());
    night.exposure("m.csv", &["--report", "report.json"]).succeeds();
    let report = night.report("report.json");
    let memory: Vec<u64> = (0..50).map(|i| report["frames"][i]["memory_bytes"].as_u64().unwrap()).collect();
    let most = |part: &[u64]| part.iter().max().copied().unwrap() as f64;
    assert!(most(&memory[40..]) < 1.1 * most(&memory[5..15]), "{memory:?}");
}
