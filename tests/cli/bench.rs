//! `spextral bench`: the table, the object, and the file to send.

use super::json::object;
use serde_json::Value;
use testkit::Folder;

/// One bundle of few bins, and no GPU.
const SMALL: [&str; 8] = ["bench", "--fibres", "25", "--bins", "40", "--frames", "1", "--quick"];

fn small(folder: &Folder, more: &[&str]) -> testkit::Run {
    folder.run(&[&SMALL[..], &["--device", "cpu"], more].concat())
}

#[test]
fn the_object_has_the_cpu_and_the_hosts_part_by_steps_and_is_the_file_to_send() {
    let folder = Folder::new();
    let run = small(&folder, &["--json", "--report", "bench.json"]);
    let json = object(&run, "bench");
    let file: Value = serde_json::from_slice(&std::fs::read(folder.path("bench.json")).unwrap()).unwrap();
    assert_eq!(file, json);
    assert_eq!((&json["size"]["fibres"], &json["size"]["bins"]), (&25.into(), &40.into()));
    let positive = |value: &Value| value.as_f64().is_some_and(|seconds| seconds > 0.0);
    assert!(positive(&json["cpu"]["seconds"]) && positive(&json["host"]["seconds"]));
    let steps: Vec<&str> =
        json["host"]["steps"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    for step in ["plan", "traces", "waiting for the GPU", "take results", "assemble", "scores"] {
        assert!(steps.contains(&step), "no {step} in {steps:?}");
    }
    let traffic = &json["host"]["traffic"];
    assert_eq!((&traffic["buffers"], &traffic["bind_groups"]), (&0.into(), &0.into()), "a later frame makes none");
    assert!(positive(&traffic["bytes_up"]) && positive(&traffic["bytes_down"]));
}

#[test]
fn the_table_names_what_was_measured_and_sizes_that_cannot_be_are_refused() {
    let folder = Folder::new();
    let run = small(&folder, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in ["CPU f64", "kernels that do nothing", "0 buffers and 0 bind groups made", "No GPU was measured"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    folder.run(&["bench", "--fibres", "0"]).fails_saying(&["0 fibres", "1 to 500 fibres"]);
    folder.run(&["bench", "--bins", "9999"]).fails_saying(&["9999 bins", "32 to 2326 bins"]);
    std::fs::write(folder.path("there.json"), "{}").unwrap();
    small(&folder, &["--report", "there.json"]).fails_saying(&["there.json", "--overwrite"]);
}

#[test]
fn the_hosts_part_can_be_measured_alone_with_processor_time_by_step() {
    let folder = Folder::new();
    let run = folder.run(&[&SMALL[..], &["--host", "--json"]].concat());
    let json = object(&run, "bench");
    assert!(json["cpu"].is_null() && json["gpus"] == Value::Array(vec![]));
    for steps in ["steps", "first_steps"] {
        let all = json["host"][steps].as_array().unwrap();
        assert!(all.iter().all(|step| step["cpu_seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0)));
        assert!(all.iter().any(|step| step["name"] == "assemble"), "{steps}");
    }
    assert!(json["host"]["copy_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0));
    folder.run(&["bench", "--host", "--device", "cpu"]).is_refused_saying(&["--host", "--device"]);
}

#[test]
fn a_device_that_is_not_there_is_told_and_the_rest_is_measured() {
    let folder = Folder::new();
    let run = folder.run(&[&SMALL[..], &["--device", "no such", "--json"]].concat());
    let json = object(&run, "bench");
    assert_eq!(json["refused"][0]["device"], "no such");
    assert!(json["refused"][0]["reason"].as_str().unwrap().contains("no such"));
}
