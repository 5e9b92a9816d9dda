//! Spectra along x: a whole instrument, and the same numbers as of files that were turned by hand.

use spextral::fits::{PreprocOptions, read_frame, read_image_f64, read_preproc, read_psf, write_preproc, write_psf};
use spextral::psf::Dispersion;
use testkit::Folder;

/// Words of an extraction that reports warnings alone.
const QUIET: [&str; 4] = ["--device", "cpu", "--loglevel", "warn"];

/// Spots of an IFU of 48 fibres on 780 x 280 pixels, 5.4 pixels apart, whose spectra run along x.
fn ifu() -> String {
    let mut text = "fibre,wavelength,x,y,sigma_x,sigma_y\n".to_string();
    for (fibre, k) in (0..48).flat_map(|fibre| (0..16).map(move |k| (fibre, k))) {
        let u = f64::from(k) / 7.5 - 1.0;
        let (x, y) = (389.0 + 392.0 * u + 0.02 * f64::from(fibre), 12.0 + 5.4 * f64::from(fibre) + 1.5 * u * u);
        text += &format!("{fibre},{:.4},{x:.5},{y:.5},{:.4},{:.4}\n", 5000.0 + 375.0 * u, 1.3 + 0.05 * u, 1.15);
    }
    text
}

fn json(folder: &Folder, words: &[&str]) -> serde_json::Value {
    let run = folder.run(words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

/// A folder with `ifu.fits`, a frame of it `sim.fits`, and `truth.fits`.
fn simulated() -> Folder {
    let folder = Folder::new();
    std::fs::write(folder.path("spots.csv"), ifu()).unwrap();
    let words = ["make-psf", "--from", "spots.csv", "-o", "ifu.fits", "--npix-x", "780", "--npix-y", "280"];
    folder.run(&words).succeeds();
    folder
        .run(&["simulate", "-p", "ifu.fits", "-o", "sim.fits", "--truth", "truth.fits", "-w", "4640,5360,1.5"])
        .succeeds();
    folder
}

#[test]
fn an_ifu_with_spectra_along_x_is_described_drawn_extracted_and_true() {
    let folder = simulated();
    let info = json(&folder, &["psf-info", "ifu.fits", "--json"]);
    assert_eq!((info["dispaxis"].as_i64(), info["npix"].as_array().unwrap()[0].as_u64()), (Some(1), Some(780)));
    assert_eq!(info["groups"].as_str(), Some("48"), "neighbours share light");
    for (name, value) in [("sigma_x", 1.3), ("sigma_y", 1.15), ("pitch", 5.4)] {
        assert!((info[name]["median"].as_f64().unwrap() - value).abs() < 0.02, "{name}: {info}");
    }
    folder.run(&["plot-psf", "ifu.fits", "--image", "sim.fits", "-o", "a.png"]).succeeds();
    let words = ["extract", "-i", "sim.fits", "-p", "ifu.fits", "-o", "frame.fits", "-m", "model.fits", "--json"];
    let done = json(&folder, &[&words[..], &["-w", "4640,5360,1.5", "--device", "cpu"]].concat());
    assert_eq!((done["dispaxis"].as_i64(), done["bundles"]["sizes"].as_str()), (Some(1), Some("48")));
    let frame = read_frame(folder.path("frame.fits")).unwrap();
    assert_eq!(frame.header.get_str("SPXDISP").as_deref(), Some("x"));
    let chi = json(&folder, &["compare", "frame.fits", "--truth", "truth.fits", "--json"]);
    let value = |name: &str| chi[name].as_f64().unwrap();
    assert!(value("mean").abs() < 0.02 && (value("std") - 1.0).abs() < 0.01, "{chi}");
    // The model lies on the image as the file has it.
    let (shape, model) = read_image_f64(folder.path("model.fits"), "MODEL").unwrap();
    let image = read_preproc(folder.path("sim.fits"), &PreprocOptions::default()).unwrap().ccd;
    assert_eq!((shape.as_slice(), image.nx()), (&[280, 780][..], 780));
    // Light beyond the grid is on the outer columns.
    let inner =
        (0..model.len()).filter(|k| (40..740).contains(&(k % 780)) && image.ivar()[*k] > 0.0 && model[*k] > 0.0);
    let chi2 = inner.map(|k| (f64::from(image.image()[k]) - model[k]).powi(2) * f64::from(image.ivar()[k]));
    let chi2: Vec<f64> = chi2.collect();
    let mean = chi2.iter().sum::<f64>() / chi2.len() as f64;
    assert!((0.8..1.0).contains(&mean), "noise alone is left, but for what the spectra took: {mean}");
    folder.run(&["report", "frame.fits", "--image", "sim.fits", "--model", "model.fits", "-o", "r.html"]).succeeds();
}

#[test]
fn spectra_along_x_are_those_of_the_files_turned_by_hand() {
    let folder = simulated();
    let mut psf = read_psf(folder.path("ifu.fits")).unwrap();
    assert_eq!((psf.dispersion, psf.npix_x, psf.npix_y), (Dispersion::AlongX, 280, 780));
    psf.update(|parts| parts.dispersion = Dispersion::AlongY).unwrap();
    write_psf(folder.path("ordinary.fits"), &psf, false).unwrap().persist().unwrap();
    assert_eq!(read_psf(folder.path("ordinary.fits")).unwrap(), psf);
    let mut frame = read_preproc(folder.path("sim.fits"), &PreprocOptions::default()).unwrap().turned();
    frame.header.remove("DISPAXIS");
    write_preproc(folder.path("turned.fits"), &frame, false).unwrap().persist().unwrap();
    let extract = |input: &str, psf: &str, output: &str, model: &str| {
        let words = ["extract", "-i", input, "-p", psf, "-o", output, "-m", model, "-w", "4900,5000,1.5"];
        let run = folder.run(&[&words[..], &QUIET].concat());
        run.succeeds();
        (read_frame(folder.path(output)).unwrap(), read_image_f64(folder.path(model), "MODEL").unwrap())
    };
    let (along_x, (_, model)) = extract("sim.fits", "ifu.fits", "a.fits", "ma.fits");
    let (along_y, (shape, turned)) = extract("turned.fits", "ordinary.fits", "b.fits", "mb.fits");
    assert_eq!(along_x.spectra, along_y.spectra);
    assert!(shape == [780, 280] && (0..model.len()).all(|k| model[k] == turned[k % 780 * 280 + k / 780]));
    assert!(along_y.header.get_str("SPXDISP").is_none());
    // The frame's own card and the PSF's traces disagree.
    let words = ["extract", "-i", "sim.fits", "-p", "ordinary.fits", "-o", "c.fits", "--loglevel", "error"];
    let mixed = folder.run(&words);
    mixed.fails_saying(&["the image is 780 x 280 pixels", "a CCD of 280 x 780"]);
}

#[test]
fn a_card_that_contradicts_the_traces_is_refused_and_the_axis_of_a_file_is_kept() {
    let folder = Folder::new();
    let make = ["make-psf", "-o", "x.fits", "--nfibre", "5", "--bundlesize", "5", "--npix-x", "120", "--dispaxis", "1"];
    folder.run(&[&make[..], &["--hsizey", "7"]].concat()).succeeds();
    let psf = read_psf(folder.path("x.fits")).unwrap();
    assert_eq!((psf.dispersion, psf.npix_y, psf.half_x, psf.half_y), (Dispersion::AlongX, 120, 7, 5));
    folder.run(&["psf-convert", "x.fits", "-o", "grid.fits", "--to", "spotgrid", "--positions", "2"]).succeeds();
    let grid = read_psf(folder.path("grid.fits")).unwrap();
    assert_eq!((grid.dispersion, grid.npix_y), (Dispersion::AlongX, 120));
    folder.patch("x.fits", "DISPAXIS=                    1", "DISPAXIS=                    2");
    folder.run(&["psf-info", "x.fits"]).fails_saying(&[
        "DISPAXIS is 2",
        "5 of 5 traces run along x",
        "correct the card",
    ]);
    folder.patch("x.fits", "DISPAXIS=                    2", "DISPAXIS=                    3");
    folder.run(&["psf-info", "x.fits"]).fails_saying(&["DISPAXIS is 3: it is 1 for dispersion along x"]);
}

#[test]
fn an_arc_along_x_gives_the_psf_that_it_gives_along_y() {
    let folder = Folder::new();
    let lines: String = (0..20).map(|k| format!("{:.2} Xx\n", 5762.0 + 2.7 * f64::from(k))).collect();
    std::fs::write(folder.path("lines.txt"), format!("# vacuum\n{lines}")).unwrap();
    let fit = |axis: &str, size: &str| {
        let name = |what: &str| format!("{what}{axis}.fits");
        let make = ["make-psf", "--nfibre", "5", "--bundlesize", "5", "--ghdeg", "2", "--dispaxis", axis, size, "120"];
        let range = ["--wave-min", "5760", "--wave-max", "5816"];
        let (psf, arc, start, fitted) = (name("psf"), name("arc"), name("start"), name("fit"));
        folder.run(&[&make[..], &range, &["-o", &psf]].concat()).succeeds();
        folder.run(&[&make[..], &range, &["-o", &start, "--seed", "0"]].concat()).succeeds();
        folder.run(&["simulate", "-p", &psf, "-o", &arc, "--arc", "lines.txt"]).succeeds();
        let words = ["fit-psf", "-i", &arc, "-p", &start, "-o", &fitted, "--lines", "lines.txt", "--json"];
        let run = folder.run(&words);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let shifts = serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["bundles"][0]["shifts"].clone();
        (read_psf(folder.path(&fitted)).unwrap(), shifts)
    };
    let ((mut along_x, shifts_x), (along_y, shifts_y)) = (fit("1", "--npix-x"), fit("2", "--npix-y"));
    assert_eq!(along_x.dispersion, Dispersion::AlongX);
    along_x.update(|parts| parts.dispersion = Dispersion::AlongY).unwrap();
    assert_eq!(along_x, along_y);
    assert_eq!(shifts_x[0][0], shifts_y[0][1]);
}

#[test]
fn a_logarithmic_grid_is_true_and_is_repeated_by_its_record() {
    let folder = simulated();
    let grid = "4640,5360,95km/s";
    folder.run(&["simulate", "-p", "ifu.fits", "-o", "log.fits", "--truth", "t.fits", "-w", grid]).succeeds();
    let words = ["extract", "-i", "log.fits", "-p", "ifu.fits", "-o", "frame.fits", "-w", grid, "--device", "cpu"];
    let done = json(&folder, &[&words[..], &["--json"]].concat());
    let (step, log_step) = (done["wave_step"].as_f64().unwrap(), done["wave_dln"].as_f64().unwrap());
    assert!((log_step - 95.0 / 299_792.458).abs() < 1e-15 && (step / log_step / 5000.0 - 1.0).abs() < 0.01, "{done}");
    let frame = read_frame(folder.path("frame.fits")).unwrap();
    assert!(frame.wave.windows(2).all(|w| ((w[1] / w[0]).ln() - log_step).abs() < 1e-13));
    assert_eq!(frame.header.get_f64("WAVEDLN"), Some(log_step));
    let chi = json(&folder, &["compare", "frame.fits", "--truth", "t.fits", "--json"]);
    let value = |name: &str| chi[name].as_f64().unwrap();
    assert!(value("mean").abs() < 0.02 && (value("std") - 1.0).abs() < 0.01, "{chi}");
    let again = json(&folder, &["extract", "--like", "frame.fits", "-o", "again.fits", "--json", "--device", "cpu"]);
    assert_eq!(again["options"]["wavelength"].as_str(), Some(grid));
    assert_eq!(read_frame(folder.path("again.fits")).unwrap().spectra, frame.spectra);
    for (step, what) in [("R0", "in ln(wavelength)"), ("R-5", "in ln(wavelength)"), ("R1e9", "has")] {
        let range = format!("4640,5360,{step}");
        let words = ["extract", "-i", "log.fits", "-p", "ifu.fits", "-o", "c.fits", "-w", &range];
        folder.run(&[&words[..], &QUIET].concat()).is_refused_saying(&[what]);
    }
}
