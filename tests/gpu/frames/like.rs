//! Frames by the real binary: the same device repeats the same bits, another device is near them.

use serde_json::Value;
use testkit::{Folder, bytes, gpu};

/// Largest differences between two devices, of flux (sigma), of sigma (relative) and of R: the bounds of shaders in f32.
const ACROSS_DEVICES: &str = "1e-3";

#[test]
fn a_frame_is_made_again_byte_for_byte_on_its_device_and_within_1e_3_sigma_on_the_cpu() {
    let gpu = gpu();
    let folder = Folder::new();
    for solver in ["patches", "banded"] {
        let options = ["--solver", solver, "--device", gpu.name(), "--overwrite"];
        folder.extract(&options).succeeds();
        let like = ["extract", "--like", "frame.fits", "--overwrite", "--loglevel", "warn"];
        folder.run(&[&like[..], &["-o", "again.fits"]].concat()).succeeds();
        assert!(bytes(&folder.path("frame.fits")) == bytes(&folder.path("again.fits")), "{solver}");
        let on_cpu = folder.run(&[&like[..], &["-o", "cpu.fits", "--device", "cpu"]].concat());
        assert!(on_cpu.code == Some(0) && on_cpu.stderr.contains("now"), "the other device is said: {}", on_cpu.stderr);
        let compared = folder.run(&["compare", "frame.fits", "cpu.fits", "--tolerance", ACROSS_DEVICES, "--json"]);
        let json: Value = serde_json::from_str(&compared.stdout).unwrap();
        let worst = |what: &str| json["good_bins"][what]["worst"].as_f64().unwrap();
        note!(
            "{solver}: flux {:.1e} sigma, sigma {:.1e}, R {:.1e}",
            worst("flux"),
            worst("sigma"),
            worst("resolution")
        );
        assert!(compared.code == Some(0) && worst("flux") > 0.0, "{solver}: {json}");
    }
}

#[test]
fn stages_left_to_the_cpu_are_left_to_it_again() {
    let gpu = gpu();
    let folder = Folder::new();
    folder.extract(&["--solver", "patches", "--device", gpu.name(), "--stage-on-cpu", "jacobi,spots"]).succeeds();
    folder.run(&["extract", "--like", "frame.fits", "--loglevel", "warn"]).succeeds();
    assert!(bytes(&folder.path("frame.fits")) == bytes(&folder.path("frame-again.fits")));
}
