//! A range of wavelengths per fibre: orders of an echelle of R = 100 000, end to end.

use spextral::fits::{read_frame, read_psf, read_truth};
use testkit::Folder;

const ORDERS: i64 = 12;
/// Rows of the CCD, and its columns.
const NPIX: [f64; 2] = [1500.0, 220.0];

/// First and last wavelength of an order on the CCD, Angstrom: three pixels per resolution element.
fn ends(order: i64) -> [f64; 2] {
    let centre = 570_000.0 / (110 + order) as f64;
    let half = 0.5 * NPIX[0] * centre / 3e5;
    [centre - half, centre + half]
}

/// Spots along bowed and tilted orders, 16 pixels apart.
fn spots() -> String {
    let mut text = "fibre,wavelength,x,y,sigma_x,sigma_y\n".to_string();
    for (order, k) in (0..ORDERS).flat_map(|order| (0..14).map(move |k| (order, k))) {
        let (u, [low, high]) = (f64::from(k) / 6.5 - 1.0, ends(order));
        let (x, y) = (18.0 + 16.0 * order as f64 + 3.0 * u + 4.0 * u * u, 749.5 + 748.0 * u + 6.0 * u * u);
        text += &format!("{order},{:.6},{x:.5},{y:.5},1.4,1.27\n", low + 0.5 * (u + 1.0) * (high - low));
    }
    text
}

fn json(folder: &Folder, words: &[&str]) -> serde_json::Value {
    let run = folder.run(words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn orders_of_an_echelle_are_fibres_with_a_range_each_and_true() {
    let folder = Folder::new();
    std::fs::write(folder.path("orders.csv"), spots()).unwrap();
    folder
        .run(&["make-psf", "--from", "orders.csv", "-o", "orders.fits", "--npix-x", "220", "--npix-y", "1500"])
        .succeeds();
    let psf = read_psf(folder.path("orders.fits")).unwrap();
    assert_eq!(psf.ranges.as_ref().map(Vec::len), Some(ORDERS as usize));
    let info = json(&folder, &["psf-info", "orders.fits", "--json"]);
    assert!((info["ranges"][1].as_f64().unwrap() - ends(0)[1]).abs() < 1e-3 && info["odd"] == serde_json::json!([]));
    folder.run(&["plot-psf", "orders.fits", "-o", "a.png"]).succeeds();
    folder
        .run(&["simulate", "-p", "orders.fits", "-o", "sim.fits", "--truth", "truth.fits", "--exptime", "20000"])
        .succeeds();
    let words = ["extract", "-i", "sim.fits", "-p", "orders.fits", "-o", "frame.fits", "--device", "cpu", "--json"];
    let done = json(&folder, &words);
    assert_eq!(done["nspec"].as_i64(), Some(ORDERS));
    let (frame, truth) =
        (read_frame(folder.path("frame.fits")).unwrap(), read_truth(folder.path("truth.fits")).unwrap());
    assert!(frame.has_own_waves() && frame.scores.is_none() && truth.wave.len() == truth.flux.len());
    assert_eq!(frame.header.get_f64("WAVEMAX"), frame.wave_of(0).last().copied());
    for order in 0..ORDERS as usize {
        let (wave, [low, high]) = (frame.wave_of(order), ends(order as i64));
        let inside = wave[0] > low - 0.1 && wave[wave.len() - 1] < high + 0.1;
        assert!(inside && wave[wave.len() - 1] - wave[0] > 0.95 * (high - low), "order {order}: {} to {low}", wave[0]);
    }
    let chi = json(&folder, &["compare", "frame.fits", "--truth", "truth.fits", "--json"]);
    let value = |name: &str| chi[name].as_f64().unwrap();
    assert!(value("bins") > 8000.0 && value("mean").abs() < 0.02 && (value("std") - 1.0).abs() < 0.02, "{chi}");
    folder.run(&["compare", "frame.fits", "frame.fits", "--tolerance", "0"]).succeeds();
    let report = folder.run(&["report", "frame.fits", "--truth", "truth.fits", "-o", "r.html"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
}

#[test]
fn light_and_corrections_that_ranges_do_not_have_are_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path("orders.csv"), spots()).unwrap();
    let make = ["make-psf", "--from", "orders.csv", "-o", "orders.fits", "--npix-x", "220", "--npix-y", "1500"];
    folder.run(&make).succeeds();
    std::fs::write(folder.path("lines.txt"), "# vacuum\n5180.0 Xx\n5181.0 Xx\n5182.0 Xx\n5183.0 Xx\n").unwrap();
    let arc = ["simulate", "-p", "orders.fits", "-o", "arc.fits", "--arc", "lines.txt"];
    folder.run(&arc).fails_saying(&["a range of wavelengths each"]);
    folder.run(&["simulate", "-p", "orders.fits", "-o", "flat.fits", "--flat"]).succeeds();
    let fit = ["fit-psf", "-i", "flat.fits", "-p", "orders.fits", "-o", "fit.fits", "--lines", "lines.txt"];
    folder
        .run(&[&fit[..], &["--loglevel", "warn"]].concat())
        .fails_saying(&["orders.fits", "a range of wavelengths each"]);
    let words = ["extract", "-i", "flat.fits", "-p", "orders.fits", "-o", "f.fits", "--barycentric-correction"];
    folder
        .run(&[&words[..], &["--loglevel", "warn", "--device", "cpu"]].concat())
        .fails_saying(&["leave out --barycentric-correction", "WAVELENGTH"]);
}
