//! Defects of files: a warning, in the header and in `--json`, and no other number moves.

use spextral::fits::{Header, Preproc, read_frame, read_headers, read_psf, write_preproc, write_psf, write_truth};
use spextral::frame::{ColumnData, specmask};
use spextral::psf::PsfParts;
use testkit::{Folder, fails_and_leaves_nothing as fails};

/// Writes the folder's PSF with a change.
fn change_psf(folder: &Folder, name: &str, change: impl FnOnce(&mut PsfParts)) {
    let mut psf = read_psf(folder.path("psf.fits")).unwrap();
    psf.update(change).unwrap();
    write_psf(folder.path(name), &psf, false).unwrap().persist().unwrap();
}

#[test]
fn a_fibre_that_is_not_usable_stays_so_in_a_psf_of_another_kind() {
    let folder = Folder::new();
    change_psf(&folder, "bad.fits", |parts| {
        let n = parts.sigma_x.ncoeff;
        parts.sigma_x.coeff[2 * n..3 * n].fill(0.0);
    });
    for kind in ["gauss-hermite", "spotgrid"] {
        let convert = ["psf-convert", "bad.fits", "-o", "other.fits", "--to", kind, "--overwrite", "--json"];
        let run = folder.run(&convert);
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["bad_fibres"], serde_json::json!([2]), "{kind}: {}", run.stderr);
        let run = folder.extract(&["-n", "5", "-p", "other.fits", "-o", "other-frame.fits", "--overwrite", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["bad_fibres"], serde_json::json!([2]), "{kind}: {}", run.stderr);
        let frame = read_frame(folder.path("other-frame.fits")).unwrap();
        let nwave = frame.spectra.nwave;
        assert!(frame.spectra.ivar[2 * nwave..3 * nwave].iter().all(|ivar| *ivar == 0.0), "{kind}");
        assert!(frame.spectra.mask[2 * nwave..3 * nwave].iter().all(|mask| mask & specmask::BAD2DFIT != 0), "{kind}");
    }
}

#[test]
fn a_fibre_without_a_psf_costs_no_other_fibre() {
    let folder = Folder::new();
    let all = ["-n", "5"];
    folder.extract(&all).succeeds();
    change_psf(&folder, "bad.fits", |parts| {
        let (n, m) = (parts.sigma_x.ncoeff, parts.trace_x.ncoeff);
        parts.sigma_x.coeff[2 * n..3 * n].fill(-1.0);
        parts.trace_x.coeff[2 * m..3 * m].fill(-1.0);
    });
    let run = folder.extract(&["-n", "5", "-p", "bad.fits", "-o", "bad-frame.fits", "--json"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("bad.fits: 1 of its fibres") && run.stderr.contains("fibre 2: XTRACE"),
        "{}",
        run.stderr
    );
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["bad_fibres"], serde_json::json!([2]));
    assert!(json["notes"][0].as_str().unwrap().contains("fibre 2"));
    let [whole, frame] = ["frame.fits", "bad-frame.fits"].map(|name| read_frame(folder.path(name)).unwrap());
    assert!(frame.header.get_str("SPXNOT1").unwrap().contains("fibre 2: XTRACE"));
    let nwave = frame.spectra.nwave;
    for (at, (flux, ivar)) in frame.spectra.flux.iter().zip(&frame.spectra.ivar).enumerate() {
        let sigma = (flux - whole.spectra.flux[at]).abs() * whole.spectra.ivar[at].sqrt();
        match at / nwave {
            2 => {
                assert_eq!((*flux, *ivar), (0.0, 0.0));
                assert_ne!(frame.spectra.mask[at] & specmask::BAD2DFIT, 0);
            }
            // The stand-in is not quite the fibre that it stands for.
            fibre => assert!(sigma < 0.05 && *ivar > 0.0, "fibre {fibre}, bin {}: {sigma} sigma", at % nwave),
        }
    }
}

#[test]
fn a_regularisation_that_pulls_flux_is_told_of() {
    let folder = Folder::new();
    write_truth(folder.path("truth.fits"), &Folder::simulated().truth, false).unwrap().persist().unwrap();
    for (given, is_said) in [("0", false), ("1e-6", false), ("0.03", true), ("0.1", true)] {
        let run = folder.extract(&["-n", "5", "--overwrite", "--regularize", given]);
        assert_eq!(
            (run.code, run.stderr.contains("it pulls bright bins toward 0")),
            (Some(0), is_said),
            "{}",
            run.stderr
        );
        let chi = folder.run(&["compare", "frame.fits", "--truth", "truth.fits", "--json"]);
        let chi: serde_json::Value = serde_json::from_str(&chi.stdout).unwrap();
        assert_eq!(chi["largest"].as_f64().unwrap() > 6.0, is_said, "{given}: {chi}");
    }
}

#[test]
fn weights_that_do_not_fit_the_scatter_of_the_pixels_are_told_of_in_log_header_and_json() {
    let folder = Folder::new();
    let chi2pix = |factor: f32, name: &str| {
        let right = &Folder::simulated().preproc;
        let ivar = right.ccd.ivar().iter().map(|ivar| factor * ivar).collect();
        let shape = [right.ccd.ny(), right.ccd.nx()];
        let mut scaled = Preproc::new(shape, right.ccd.image().to_vec(), ivar, right.mask.clone(), 0).unwrap();
        scaled.header = right.header.clone();
        write_preproc(folder.path(name), &scaled, false).unwrap().persist().unwrap();
        let run = folder.extract(&["-n", "5", "-i", name, "-o", &format!("frame-{name}"), "--psferr", "0", "--json"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let header = &read_headers(folder.path(&format!("frame-{name}"))).unwrap()[0];
        let value = json["fit"]["chi2pix"].as_f64().unwrap();
        let card: f64 = header.get_str("SPXCHI2").unwrap().parse().unwrap();
        assert!((card / value - 1.0).abs() < 1e-3, "{card} of {value}");
        let is_odd = json["fit"]["is_odd"].as_bool().unwrap();
        assert_eq!(run.stderr.contains("the median chi2pix is"), is_odd, "{}", run.stderr);
        (value, is_odd)
    };
    let (right, is_odd) = chi2pix(1.0, "right.fits");
    assert!((0.6..1.2).contains(&right) && !is_odd, "{right}");
    for (factor, name) in [(10.0, "large.fits"), (0.1, "small.fits")] {
        let (value, is_odd) = chi2pix(factor, name);
        assert!((value / right / f64::from(factor) - 1.0).abs() < 0.1 && is_odd, "{value} of {right}");
    }
}

#[test]
fn a_psf_without_any_usable_fibre_is_refused() {
    let folder = Folder::new();
    change_psf(&folder, "none.fits", |parts| parts.sigma_y.coeff.fill(-1.0));
    fails(&folder, &["-p", "none.fits"], &["none.fits", "none of its fibres is usable", "GHSIGY is"]);
}

#[test]
fn a_psf_of_another_camera_is_told_of_in_log_and_header() {
    let folder = Folder::new();
    change_psf(&folder, "other.fits", |parts| parts.camera = Some("z7".into()));
    let run = folder.extract(&["-p", "other.fits"]);
    assert!(run.code == Some(0) && run.stderr.contains("other.fits of z7"), "{}", run.stderr);
    let header = read_frame(folder.path("frame.fits")).unwrap().header;
    assert!(header.get_str("SPXNOT1").unwrap().contains("of z7"));
}

#[test]
fn rows_of_the_fibermap_are_those_of_the_fibres_in_any_order() {
    let folder = Folder::new();
    folder.extract(&["-s", "1"]).succeeds();
    let mut preproc = Folder::simulated().preproc.clone();
    let rows: Vec<usize> = (0..preproc.fibermap.as_ref().unwrap().nrows()).rev().collect();
    preproc.fibermap = preproc.fibermap.map(|table| table.take_rows(&rows));
    write_preproc(folder.path("reversed.fits"), &preproc, false).unwrap().persist().unwrap();
    folder.extract(&["-s", "1", "-i", "reversed.fits", "-o", "again.fits"]).succeeds();
    let [first, second] = ["frame.fits", "again.fits"].map(|name| read_frame(folder.path(name)).unwrap());
    assert_eq!(first.fibermap, second.fibermap);
    assert_eq!(first.scores, second.scores);
    fails(
        &folder,
        &["-o", "x.fits", "-f", "psf.fits"],
        &["psf.fits", "no column FIBER", "give the FIBERMAP of this frame"],
    );
    preproc.fibermap = preproc.fibermap.map(|table| {
        let fibres = ColumnData::I32((1000..1000 + table.nrows() as i32).collect());
        spextral::frame::Table::new(table.nrows()).with_column("FIBER", "", &fibres)
    });
    write_preproc(folder.path("other.fits"), &preproc, false).unwrap().persist().unwrap();
    fails(
        &folder,
        &["-o", "x.fits", "-i", "other.fits"],
        &["other.fits", "no row of fibres 0, 1", "of fibres 1000 to 1007"],
    );
}

#[test]
fn world_coordinates_of_the_ccd_go_to_the_model_alone() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.header.set("CTYPE1", "LINEAR", "");
    preproc.header.set("CRVAL1", 1.0, "");
    preproc.header.set("LTV1", -50.0, "");
    write_preproc(folder.path("wcs.fits"), &preproc, false).unwrap().persist().unwrap();
    folder.extract(&["-i", "wcs.fits", "-m", "model.fits"]).succeeds();
    let of_axes = |name: &str| {
        let headers = read_headers(folder.path(name)).unwrap();
        let text = |header: &Header, keyword: &str| header.get(keyword).map(|value| value.to_string());
        let of = |header: &Header| ["CTYPE1", "CRVAL1", "LTV1"].map(|keyword| text(header, keyword));
        headers.iter().map(of).find(|cards| cards[0].is_some()).unwrap()
    };
    assert_eq!(of_axes("model.fits"), ["LINEAR", "1.0", "-50.0"].map(|value| Some(value.to_string())));
    // Those of the frame are of its own wavelengths.
    let [kind, first, pixels] = of_axes("frame.fits");
    let wave = read_frame(folder.path("frame.fits")).unwrap().wave;
    assert_eq!((kind.as_deref(), first, pixels), (Some("WAVE"), Some(format!("{:?}", wave[0])), None));
}

#[test]
fn a_frame_in_adu_without_weights_is_extracted_with_its_gain_and_repeated_by_its_record() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.header.set("BUNIT", "ADU", "");
    write_preproc(folder.path("raw.fits"), &preproc, false).unwrap().persist().unwrap();
    // Our writer has IVAR, and electrons.
    folder.patch("raw.fits", "'IVAR    '", "'OTHER   '");
    folder.patch("raw.fits", "'electron'", "'ADU     '");
    let input = ["-i", "raw.fits"];
    fails(&folder, &input, &["raw.fits", "BUNIT is ADU", "--gain"]);
    fails(&folder, &[&input[..], &["--gain", "1.5"]].concat(), &["raw.fits has no IVAR HDU", "--readnoise"]);
    let run = folder.extract(&[&input[..], &["--gain", "1.5", "--readnoise", "3"]].concat());
    assert!(run.code == Some(0) && run.stderr.contains("read noise of 3 electron"), "{}", run.stderr);
    let header = read_frame(folder.path("frame.fits")).unwrap().header;
    let options = header.get_str("SPXOPT").unwrap();
    assert!(options.contains("readnoise=3 gain=1.5"), "{options}");
    let again = folder.run(&["extract", "--like", "frame.fits", "-o", "again.fits", "--device", "cpu", "--json"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let json: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(json["like"]["differing_hdus"], serde_json::json!([]));
    folder.extract(&[&input[..], &["--gain", "-1"]].concat()).is_refused_saying(&["--gain", "no number above 0"]);
}
