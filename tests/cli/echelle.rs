//! A range of wavelengths per fibre: orders of an echelle of R = 100 000, end to end.

use spextral::fits::{read_frame, read_psf, read_truth, write_psf};
use spextral::psf::Psf;
use spextral::stages::traces::legendre;
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

/// Makes the PSF of the orders.
fn orders() -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.path("orders.csv"), spots()).unwrap();
    let make = ["make-psf", "--from", "orders.csv", "-o", "orders.fits", "--npix-x", "220", "--npix-y", "1500"];
    folder.run(&make).succeeds();
    folder
}

#[test]
fn an_arc_and_the_spectra_of_a_truth_light_orders_at_their_own_wavelengths() {
    let folder = orders();
    // One line in each of two orders, and one in none.
    std::fs::write(folder.path("lines.txt"), "# vacuum\n5180.0 Xx 1\n4760.0 Xx 1\n9000.0 Xx 1\n").unwrap();
    let quiet = ["--cosmics", "0", "--bad-columns", "0", "--dead-patches", "0"];
    let arc = ["simulate", "-p", "orders.fits", "-o", "arc.fits", "--arc", "lines.txt", "--truth", "lines.fits"];
    folder.run(&[&arc[..], &quiet].concat()).succeeds();
    let truth = read_truth(folder.path("lines.fits")).unwrap();
    let nwave = truth.nwave();
    let lit = |row: usize| {
        let bins = (row * nwave..(row + 1) * nwave).filter(|&at| truth.flux[at] > 0.0);
        bins.map(|at| truth.wave[at]).collect::<Vec<f64>>()
    };
    for order in 0..ORDERS {
        let [low, high] = ends(order);
        let has = |line: f64| (low..high).contains(&line);
        let near = lit(order as usize);
        for line in [5180.0, 4760.0] {
            assert!(!has(line) || near.iter().any(|w| (w - line).abs() < 1e-6), "order {order}: {near:?}");
        }
        assert!(near.iter().all(|w| [5180.0, 4760.0].iter().any(|line| (w - line).abs() < 1e-6)));
    }
    folder.run(&["simulate", "-p", "orders.fits", "-o", "a.fits", "--truth", "a-truth.fits"]).succeeds();
    let again =
        ["simulate", "-p", "orders.fits", "-o", "b.fits", "--spectra", "a-truth.fits", "--truth", "b-truth.fits"];
    folder.run(&again).succeeds();
    let [a, b] = ["a-truth.fits", "b-truth.fits"].map(|name| read_truth(folder.path(name)).unwrap());
    assert_eq!(a.flux, b.flux);
    assert!(a.wave.iter().zip(&b.wave).all(|(a, b)| (a - b).abs() < 1e-8));
}

#[test]
fn orders_are_fitted_to_an_arc_and_follow_a_frame() {
    let folder = orders();
    let ends = [ends(ORDERS - 1)[0], ends(0)[1]];
    let line = |k: usize| ends[0] + (ends[1] - ends[0]) * (k as f64 + 0.4 * (2.3 * k as f64).sin()) / 900.0;
    let lines: String = (0..900).map(|k| format!("{:.4} Xx\n", line(k))).collect();
    std::fs::write(folder.path("lines.txt"), format!("# vacuum\n{lines}")).unwrap();
    let truth = read_psf(folder.path("orders.fits")).unwrap();
    let start = |name: &str, by: [f64; 2]| {
        let mut psf = truth.clone();
        psf.update(|parts| {
            for (trace, by) in [(&mut parts.trace_x, by[0]), (&mut parts.trace_y, by[1])] {
                trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += by);
            }
        })
        .unwrap();
        write_psf(folder.path(name), &psf, false).unwrap().persist().unwrap();
    };
    start("start.fits", [0.6, -1.4]);
    folder.run(&["simulate", "-p", "orders.fits", "-o", "arc.fits", "--arc", "lines.txt", "--seed", "3"]).succeeds();
    let fit = ["fit-psf", "-i", "arc.fits", "-p", "start.fits", "-o", "fitted.fits", "--lines", "lines.txt", "--json"];
    let fitted = json(&folder, &[&fit[..], &["--report", "fit.html"]].concat());
    let fits = fitted["bundles"].as_array().unwrap();
    assert!(fits.iter().all(|b| (0.9..1.1).contains(&b["reduced_chi2"].as_f64().unwrap())), "{fitted}");
    let psf = read_psf(folder.path("fitted.fits")).unwrap();
    assert_eq!(psf.ranges, truth.ranges);
    let at = |psf: &Psf, order: usize, axis: usize, u: f64| legendre([&psf.trace_x, &psf.trace_y][axis].of(order), u);
    for (order, axis) in (0..ORDERS as usize).flat_map(|order| [(order, 0), (order, 1)]) {
        let off = (-9..10).map(|k| f64::from(k) / 10.0).map(|u| at(&psf, order, axis, u) - at(&truth, order, axis, u));
        let off = off.fold(0.0, |most: f64, off| most.max(off.abs()));
        assert!(off < 0.06, "order {order}, axis {axis}: {off}");
    }
    // A frame of the same traces, seen by a PSF that is a tenth of a pixel off.
    start("night.fits", [-0.1, 0.1]);
    folder.run(&["simulate", "-p", "orders.fits", "-o", "sky.fits", "--exptime", "20000"]).succeeds();
    let words = ["shift-psf", "-i", "sky.fits", "-p", "night.fits", "-o", "moved.fits", "--no-lines", "--json"];
    let moved = json(&folder, &words);
    let dx = |name: &str| moved["dx"][name].as_f64().unwrap();
    assert!((dx("mean") - 0.1).abs() < 3.0 * dx("error") && dx("error") < 0.015 && moved["dy"].is_null(), "{moved}");
    let words = ["shift-psf", "-i", "arc.fits", "-p", "night.fits", "-o", "again.fits", "--lines", "lines.txt"];
    let moved = json(&folder, &[&words[..], &["--line-sigma", "0", "--json"]].concat());
    let mean = |name: &str| moved[name]["mean"].as_f64().unwrap();
    assert!((mean("dx") - 0.1).abs() < 0.01 && (mean("dy") + 0.1).abs() < 0.02, "{moved}");
    assert_eq!(read_psf(folder.path("again.fits")).unwrap().ranges, truth.ranges);
}

#[test]
fn a_barycentric_grid_of_orders_has_their_wavelengths_times_the_factor() {
    let folder = orders();
    folder.run(&["simulate", "-p", "orders.fits", "-o", "sim.fits", "--exptime", "20000"]).succeeds();
    let base = ["extract", "-i", "sim.fits", "-p", "orders.fits", "--device", "cpu", "--json", "-w", "4905,4920,0.05"];
    let plain = json(&folder, &[&base[..], &["-o", "plain.fits"]].concat());
    let moved = json(&folder, &[&base[..], &["-o", "moved.fits", "--barycentric-correction"]].concat());
    let factor = moved["barycentric_factor"].as_f64().unwrap();
    assert!((1e-6..2e-4).contains(&(factor - 1.0).abs()) && plain["barycentric_factor"].is_null());
    let [plain, moved] = ["plain.fits", "moved.fits"].map(|name| read_frame(folder.path(name)).unwrap());
    assert_eq!(moved.header.get_f64("HELIOCOR"), Some(factor));
    for order in 0..ORDERS as usize {
        for (a, b) in plain.wave_of(order).iter().zip(moved.wave_of(order)) {
            assert!((a - b).abs() < 1e-6, "bins are the same, the light in them is another: {a} {b}");
        }
    }
    // Neighbouring bins share the light of a line that is moved by less than a bin.
    let sums = [&plain, &moved].map(|frame| frame.spectra.flux.iter().sum::<f64>());
    assert!((sums[1] / sums[0] - 1.0).abs() < 0.01 && plain.spectra.flux != moved.spectra.flux, "{sums:?}");
}

#[test]
fn a_grid_per_fibre_is_extracted_on_and_recorded_and_true() {
    let folder = Folder::new();
    let make = ["make-psf", "-o", "six.fits", "--nfibre", "6", "--bundlesize", "6", "--npix-y", "600"];
    folder.run(&make).succeeds();
    let psf = read_psf(folder.path("six.fits")).unwrap();
    // Steps of ln(wavelength), others in every fibre: no two bins of neighbours are at one wavelength.
    let wave = |fibre: usize, bin: usize| {
        let first = psf.wave_min + 25.0 + 1.7 * fibre as f64;
        first * ((1.25e-4 + 1e-6 * fibre as f64) * bin as f64).exp()
    };
    let mut table = "fibre,wavelength\n".to_string();
    for (fibre, bin) in (0..6).flat_map(|fibre| (0..320).map(move |bin| (fibre, bin))) {
        table += &format!("{fibre},{}\n", wave(fibre, bin));
    }
    std::fs::write(folder.path("bins.csv"), table).unwrap();
    let simulate = ["simulate", "-p", "six.fits", "-o", "six-sim.fits", "--truth", "six-truth.fits"];
    folder.run(&[&simulate[..], &["--wavelength-table", "bins.csv", "--exptime", "3000"]].concat()).succeeds();
    let extract = ["extract", "-i", "six-sim.fits", "-p", "six.fits", "--device", "cpu", "--loglevel", "warn"];
    let table = ["-o", "six-frame.fits", "--wavelength-table", "bins.csv"];
    let done = json(&folder, &[&extract[..], &table, &["--json"]].concat());
    assert_eq!(done["wavelength_table"]["path"].as_str(), Some("bins.csv"));
    let frame = read_frame(folder.path("six-frame.fits")).unwrap();
    assert!(frame.has_own_waves() && frame.spectra.nwave == 320);
    assert!((0..6).all(|fibre| frame.wave_of(fibre).iter().enumerate().all(|(bin, w)| *w == wave(fibre, bin))));
    let chi = json(&folder, &["compare", "six-frame.fits", "--truth", "six-truth.fits", "--json"]);
    let value = |name: &str| chi[name].as_f64().unwrap();
    assert!(value("bins") > 1500.0 && value("mean").abs() < 0.05 && (value("std") - 1.0).abs() < 0.04, "{chi}");
    // Its own frame is a table, too; and the frame tells how it is made again.
    let own = ["-o", "again.fits", "--wavelength-table", "six-frame.fits"];
    folder.run(&[&extract[..], &own].concat()).succeeds();
    folder.run(&["compare", "six-frame.fits", "again.fits", "--tolerance", "0"]).succeeds();
    folder
        .run(&["extract", "--like", "six-frame.fits", "-o", "like.fits", "--device", "cpu", "--loglevel", "warn"])
        .succeeds();
    // One row for all is a plain grid.
    std::fs::write(
        folder.path("one.csv"),
        (0..300).fold("wavelength\n".into(), |all, k| format!("{all}{}\n", psf.wave_min + 40.0 + 0.8 * f64::from(k))),
    )
    .unwrap();
    folder.run(&[&extract[..], &["-o", "one.fits", "--wavelength-table", "one.csv"]].concat()).succeeds();
    let plain = format!("{},{},0.8", psf.wave_min + 40.0, psf.wave_min + 40.0 + 0.8 * 299.0);
    folder.run(&[&extract[..], &["-o", "plain.fits", "-w", &plain]].concat()).succeeds();
    folder.run(&["compare", "one.fits", "plain.fits", "--tolerance", "0.05"]).succeeds();
    for (name, text, expected) in [
        ("uneven.csv", "fibre,wavelength\n1,5000\n1,5001\n2,5000\n", "fibre 2 has 1 wavelengths, others 2"),
        ("skip.csv", "fibre,wavelength\n0,6000\n0,6001\n2,6000\n2,6001\n", "it has no row of fibre 1"),
        (
            "far.csv",
            "fibre,wavelength\n100,6000\n100,6001\n",
            "it has a row of fibre 100, but those of the PSF are 0 to 5",
        ),
        ("word.csv", "fibre,wavelength\n1,many\n", "wavelength is `many`: give a number"),
        ("none.csv", "a,b\n1,2\n", "no column is called wavelength"),
        ("back.csv", "wavelength\n6000\n5999\n", "bin 1 (from 0) is 5999 Angstrom"),
        ("beyond.csv", "wavelength\n100\n200\n", "has 100 Angstrom, but its fibre has a PSF from"),
    ] {
        std::fs::write(folder.path(name), text).unwrap();
        folder
            .run(&[&extract[..], &["-o", "no.fits", "--wavelength-table", name]].concat())
            .fails_saying(&[name, expected]);
    }
}
