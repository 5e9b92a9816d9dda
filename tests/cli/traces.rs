//! From a flat and an arc of an unknown instrument to spectra.

use spextral::fits::{read_psf, read_truth};
use testkit::Folder;

/// Makes flat, arc and science frame of an instrument with spectra along x, and the list of its lamp.
fn night(folder: &Folder) {
    let words = "make-psf -o secret.fits --dispaxis 1 --nfibre 12 --bundlesize 12 --npix-x 420 --spacing 6.3 --ghdeg 2 --legdeg 1";
    folder.run(&words.split(' ').collect::<Vec<_>>()).succeeds();
    let psf = read_psf(folder.path("secret.fits")).unwrap();
    const PLACES: [f64; 14] = [0.04, 0.09, 0.15, 0.25, 0.29, 0.36, 0.44, 0.47, 0.55, 0.66, 0.69, 0.78, 0.87, 0.95];
    let line = |place: &f64| format!("{} Xx\n", psf.wave_min + place * (psf.wave_max - psf.wave_min));
    let list: String = PLACES.iter().map(line).collect();
    std::fs::write(folder.path("lines.txt"), format!("# vacuum\n{list}")).unwrap();
    for words in [
        "simulate -p secret.fits -o flat.fits --flat --seed 9",
        "simulate -p secret.fits -o arc.fits --arc lines.txt --seed 9",
        "simulate -p secret.fits -o science.fits --truth truth.fits --seed 9",
    ] {
        folder.run(&words.split(' ').collect::<Vec<_>>()).succeeds();
    }
}

#[test]
fn a_flat_an_arc_and_a_list_lead_to_spectra_that_agree_with_the_truth() {
    let folder = Folder::new();
    night(&folder);
    let run = |words: &str| {
        let run = folder.run(&words.split(' ').collect::<Vec<_>>());
        run.succeeds();
        run.stdout
    };
    let found = run(
        "find-traces --flat flat.fits --arc arc.fits --lines lines.txt -o start.fits --nfibre 12 --ghdeg 2 --legdeg 1 --json",
    );
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["schema"].as_str(), Some("spextral.find-traces/1"));
    assert_eq!((found["nfibre"].as_u64(), found["dispaxis"].as_i64()), (Some(12), Some(1)));
    assert!(found["lines"].as_array().unwrap().len() >= 10 && found["rms"].as_f64().unwrap() < 0.1, "{found}");
    let start = read_psf(folder.path("start.fits")).unwrap();
    assert_eq!((start.gh_degree_x, start.sigma_x.ncoeff, start.trace_x.ncoeff), (2, 2, 7));
    run("fit-psf -i arc.fits -p start.fits -o own.fits --lines lines.txt --degree-across 2 --loglevel error");
    // Bins of the truth within the range that the start has.
    let truth = read_truth(folder.path("truth.fits")).unwrap();
    let within = |wave: &&f64| (start.wave_min + 8.0..start.wave_max - 8.0).contains(*wave);
    let bins: Vec<f64> = truth.wave.iter().filter(within).copied().collect();
    let grid = format!("{:.4},{:.4},{:.4}", bins[0], bins[bins.len() - 1], bins[1] - bins[0]);
    run(&format!("extract -i science.fits -p own.fits -o frame.fits --device cpu --loglevel error -w {grid}"));
    let chi: serde_json::Value = serde_json::from_str(&run("compare frame.fits --truth truth.fits --json")).unwrap();
    let [mean, std] = ["mean", "std"].map(|name| chi[name].as_f64().unwrap());
    assert!(mean.abs() < 0.08 && (std - 1.0).abs() < 0.08 && chi["bins"].as_u64() > Some(1500), "{chi}");
}

#[test]
fn frames_that_show_no_traces_leave_no_file_and_say_why() {
    let folder = Folder::new();
    night(&folder);
    let before = folder.names();
    let find = |words: &str| {
        let words = format!("find-traces -o start.fits --loglevel error {words}");
        folder.run(&words.split(' ').collect::<Vec<_>>())
    };
    find("--flat flat.fits --arc arc.fits --lines lines.txt --nfibre 40").fails_saying(&["flat.fits: ", "not 40"]);
    find("--flat flat.fits --arc flat.fits --lines lines.txt").fails_saying(&["flat.fits: ", "the arc shows"]);
    find("--flat flat.fits --arc arc.fits --lines lines.txt --range 3000,3500").fails_saying(&["lines.txt: "]);
    find("--flat flat.fits --arc preproc.fits --lines lines.txt").fails_saying(&["preproc.fits: ", "of one camera"]);
    find("--flat none.fits --arc arc.fits --lines lines.txt").fails_saying(&["none.fits", "No such file"]);
    assert_eq!(folder.names(), before);
    assert_eq!(find("--flat flat.fits --arc arc.fits --lines lines.txt --range 5,6").code, Some(2));
}
