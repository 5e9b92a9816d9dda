//! `--json`: the object agrees with the files, and docs/json.md has every field.

use serde_json::Value;
use spextral::fits::{read_frame, read_headers, read_psf, write_preproc};
use std::collections::BTreeSet;
use testkit::{Folder, Run};

/// Fields of every object.
const COMMON: [&str; 3] = ["schema", "version", "commit"];
/// Fields that one row describes with all that is in them.
const IN_ONE_ROW: [&str; 8] =
    ["options", "stage_seconds", "fallbacks", "cpu.stages", "host.steps", "host.first_steps", "gpus", "refused"];

/// The object that a run has printed, which is all it has printed.
#[track_caller]
pub fn object(run: &Run, schema: &str) -> Value {
    let value: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", run.stdout, run.stderr));
    assert_eq!(value["schema"], format!("spextral.{schema}/1"));
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(value["commit"].is_string());
    check_fields(&value, schema);
    value
}

/// The fields that docs/json.md lists for a schema.
fn documented(schema: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with(&format!("spextral.{schema}/1\n"))).unwrap();
    let first_columns = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    first_columns.flat_map(|names| names.split("`, `")).map(|name| name.trim_end_matches('`').to_string()).collect()
}

/// Every field printed is documented, and every one documented is printed, or is in an object that is null.
#[track_caller]
fn check_fields(value: &Value, schema: &str) {
    let (documented, mut printed, mut null) = (documented(schema), BTreeSet::new(), BTreeSet::new());
    fields("", value, &mut printed, &mut null);
    for name in printed.iter().filter(|name| !COMMON.contains(&name.as_str())) {
        let is_parent = null.contains(name) && documented.iter().any(|other| other.starts_with(&format!("{name}.")));
        assert!(documented.contains(name) || is_parent, "docs/json.md has no {name} of {schema}");
    }
    for name in &documented {
        let in_null = null.iter().any(|other| name.starts_with(&format!("{other}.")));
        assert!(printed.contains(name) || in_null, "{schema} has no {name}, which docs/json.md has");
    }
}

fn fields(path: &str, value: &Value, printed: &mut BTreeSet<String>, null: &mut BTreeSet<String>) {
    let mut leaf = || printed.insert(path.to_string());
    match value {
        _ if IN_ONE_ROW.contains(&path) => {
            leaf();
        }
        Value::Object(inner) => inner.iter().for_each(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            fields(&path, value, printed, null);
        }),
        Value::Array(all) if all.first().is_some_and(Value::is_object) => {
            all.iter().for_each(|value| fields(path, value, printed, null));
        }
        other => {
            leaf();
            if other.is_null() {
                null.insert(path.to_string());
            }
        }
    }
}

#[test]
fn extract_prints_what_is_in_the_frame() {
    let folder = Folder::new();
    std::fs::copy(folder.path("preproc.fits"), folder.path("map.fits")).unwrap();
    let run = folder.extract(&["--json", "-f", "map.fits", "--barycentric-correction", "--loglevel", "info"]);
    assert!(run.code == Some(0) && run.stderr.contains("written to frame.fits"), "messages go on: {}", run.stderr);
    let (json, frame) = (object(&run, "extract"), read_frame(folder.path("frame.fits")).unwrap());
    let (header, s) = (&frame.header, &frame.spectra);
    assert_eq!((json["nspec"].as_u64(), json["nwave"].as_u64()), (Some(s.nspec as u64), Some(s.nwave as u64)));
    assert_eq!(json["bins_without_information"], s.ivar.iter().filter(|ivar| **ivar == 0.0).count());
    for (field, keyword) in [("device", "SPXDEV"), ("solver", "SPXSOLV"), ("commit", "SPXGIT")] {
        assert_eq!(json[field].as_str().map(String::from), header.get_str(keyword), "{field}");
    }
    for (file, keyword) in [("input", "SPXB3IMG"), ("psf", "SPXB3PSF"), ("fibermap", "SPXB3FMP")] {
        assert_eq!(json[file]["blake3"].as_str().map(String::from), header.get_str(keyword), "{file}");
    }
    let numbers = [("barycentric_factor", "HELIOCOR"), ("wave_min", "WAVEMIN"), ("wave_max", "WAVEMAX")];
    for (field, keyword) in [&numbers[..], &[("wave_step", "WAVESTEP")]].concat() {
        assert_eq!(json[field].as_f64(), header.get_f64(keyword), "{field}");
    }
    assert_eq!(json["barycentric_site"]["longitude"].as_f64(), Some(-111.59989));
    let source = json["barycentric_site"]["source"].as_str().unwrap();
    assert!(header.get_str("SPXSITE").unwrap().contains(source), "{source}");
    let card = header.get_str("SPXOPT").unwrap();
    for (name, value) in json["options"].as_object().unwrap() {
        let word = format!("{name}={}", value.as_str().unwrap_or("default"));
        assert!(card.split(' ').any(|other| other == word), "{word} is not in {card}");
    }
    assert!(json["like"].is_null() && json["stage_seconds"].as_object().unwrap().contains_key("traces"));
    assert_eq!(json["output"], "frame.fits");
}

#[test]
fn extract_tells_whether_a_frame_was_repeated() {
    let folder = Folder::new();
    folder.extract(&["--solver", "patches"]).succeeds();
    let like = |more: &[&str]| {
        let words =
            ["extract", "--like", "frame.fits", "-o", "again.fits", "--overwrite", "--json", "--loglevel", "error"];
        object(&folder.run(&[&words[..], more].concat()), "extract")
    };
    let same = like(&[]);
    assert_eq!(same["like"]["differing_hdus"], serde_json::json!([]));
    assert_eq!((&same["solver"], &same["bundles_in_patches"][0]), (&"patches".into(), &0.into()));
    let other = like(&["--regularize", "0.03"]);
    assert_eq!(other["like"]["options_overridden"], serde_json::json!(["regularize"]));
    assert!(other["like"]["differing_hdus"].as_array().unwrap().contains(&"FLUX".into()));
}

#[test]
fn compare_prints_its_table_and_whether_it_is_within() {
    let folder = Folder::new();
    folder.run(&["simulate", "-p", "psf.fits", "-o", "sim.fits", "--truth", "truth.fits"]).succeeds();
    folder.extract(&["-i", "sim.fits"]).succeeds();
    folder.extract(&["-i", "sim.fits", "-o", "other.fits", "--regularize", "1e-4"]).succeeds();
    let compare = |b, tolerance| folder.run(&["compare", "frame.fits", b, "--tolerance", tolerance, "--json"]);
    let same = object(&compare("frame.fits", "0"), "compare");
    let frame = read_frame(folder.path("frame.fits")).unwrap();
    let known = frame.spectra.ivar.iter().filter(|ivar| **ivar > 0.0).count();
    assert_eq!((same["within"].as_bool(), same["all_bins"]["flux"]["bins"].as_u64()), (Some(true), Some(known as u64)));
    assert_eq!((same["fibres"].as_u64(), same["wavelengths"].as_u64()), (Some(2), Some(frame.wave.len() as u64)));
    let run = compare("other.fits", "1e-9");
    let other = object(&run, "compare");
    assert_eq!((run.code, other["within"].as_bool(), other["tolerance"].as_f64()), (Some(1), Some(false), Some(1e-9)));
    let worst = other["good_bins"]["flux"]["worst"].as_f64().unwrap();
    assert!(worst > 0.0 && other["worst_bins"][0]["difference"].as_f64() == Some(worst), "{other}");
    let run = folder.run(&["compare", "frame.fits", "--truth", "truth.fits", "--json"]);
    let truth = object(&run, "compare-truth");
    assert_eq!(truth["bins"].as_u64().unwrap() + truth["left_out"].as_u64().unwrap(), frame.spectra.flux.len() as u64);
    assert!(truth["by_snr"][4]["snr_to"].is_null(), "what is not finite is null");
}

#[test]
fn devices_prints_all_of_them() {
    let run = Folder::new().run(&["devices", "--json"]);
    let json = object(&run, "devices");
    let cpu = &json["devices"][0];
    assert!(cpu["index"].is_null() && cpu["kind"] == "CPU" && cpu["usable"] == true && cpu["limits"].is_null());
    let text = Folder::new().run(&["devices"]).stdout;
    for device in json["devices"].as_array().unwrap() {
        assert!(text.contains(device["name"].as_str().unwrap()), "{text}");
    }
}

#[test]
fn exposure_prints_the_object_of_its_report() {
    let folder = Folder::new();
    let rows = "preproc.fits,psf.fits,a.fits\nnone.fits,psf.fits,b.fits\n";
    std::fs::write(folder.path("m.csv"), format!("input,psf,output\n{rows}")).unwrap();
    let options = ["--bundlesize", "5", "-n", "2", "--device", "cpu", "--report", "report.json", "--json"];
    let run = folder.run(&[&["exposure", "--manifest", "m.csv"], &options[..]].concat());
    let json = object(&run, "exposure");
    assert_eq!((run.code, &json["figures"]["done"], &json["figures"]["failed"]), (Some(1), &1.into(), &1.into()));
    let frame = read_frame(folder.path("a.fits")).unwrap();
    assert_eq!(json["frames"][0]["bins"].as_u64(), Some(frame.spectra.flux.len() as u64));
    assert!(json["frames"][1]["reason"].as_str().unwrap().contains("none.fits"));
    let report: Value = serde_json::from_slice(&std::fs::read(folder.path("report.json")).unwrap()).unwrap();
    assert!(report == json);
}

#[test]
fn what_makes_files_prints_what_is_in_them() {
    let folder = Folder::new();
    let words = ["make-psf", "-o", "made.fits", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120", "--json"];
    let (made, psf) = (object(&folder.run(&words), "make-psf"), read_psf(folder.path("made.fits")).unwrap());
    assert_eq!((made["nfibre"].as_u64(), made["npix_x"].as_u64()), (Some(5), Some(psf.npix_x as u64)));
    let run = folder.run(&["simulate", "-p", "made.fits", "-o", "sim.fits", "--truth", "truth.fits", "--json"]);
    let simulated = object(&run, "simulate");
    let shape = read_headers(folder.path("truth.fits")).unwrap().remove(0);
    assert_eq!(simulated["nwave"].as_i64(), shape.get_i64("NAXIS1"));
    assert_eq!(simulated["nspec"].as_i64(), shape.get_i64("NAXIS2"));
}

#[test]
fn errors_are_objects_too() {
    let folder = Folder::new();
    for words in [
        &["extract", "-i", "none.fits", "-p", "psf.fits", "-o", "x.fits", "--device", "cpu"][..],
        &["extract", "--like", "none.fits"],
        &["compare", "psf.fits", "none.fits"],
        &["exposure", "--manifest", "none.csv"],
        &["simulate", "-p", "none.fits", "-o", "x.fits"],
        &["make-psf", "-o", "psf.fits"],
        &["find-traces", "--flat", "preproc.fits", "--arc", "preproc.fits", "-o", "x.fits", "--lines", "none.txt"],
        &["fit-psf", "-i", "preproc.fits", "-p", "psf.fits", "-o", "x.fits", "--lines", "none.txt"],
        &["shift-psf", "-i", "preproc.fits", "-p", "psf.fits", "-o", "x.fits", "--lines", "none.txt"],
    ] {
        let run = folder.run(&[words, &["--json", "--loglevel", "error"]].concat());
        assert_eq!(run.code, Some(1), "{words:?}");
        let json = object(&run, "error");
        assert_eq!(run.stderr, format!("error: {}\n", json["error"].as_str().unwrap()), "{words:?}");
    }
}

#[test]
fn a_frame_of_which_nothing_is_left_is_told_by_a_warning_the_header_and_the_summary() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.mask.iter_mut().flatten().for_each(|bits| *bits = 1);
    write_preproc(folder.path("preproc.fits"), &preproc, true).unwrap().persist().unwrap();
    let run = folder.extract(&["--json", "-n", "3"]);
    let summary = object(&run, "extract");
    assert_eq!((run.code, summary["fibres_without_information"].to_string().as_str()), (Some(0), "[0,1,2]"));
    let said =
        "warning: preproc.fits with psf.fits: nothing is left to extract, the frame is empty: fibres 0-2 have no good";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let header = read_headers(folder.path("frame.fits")).unwrap().remove(0);
    assert_eq!(header.get_str("SPXDARK").as_deref(), Some("0-2"));
}
