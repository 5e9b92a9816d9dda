//! PSFs from anywhere: of measured spots, of every kind, converted, described; and GH-0-0 of specex.

use spextral::fits::{read_frame, read_psf, write_psf};
use testkit::Folder;

/// A table of spots of three fibres.
fn spots() -> String {
    let mut text = "# of a ray trace\nfiber, lambda, x, y, sigma_x, sigma_y, gh-1-0\n".to_string();
    for (fibre, k) in (0..3).flat_map(|fibre| (0..12).map(move |k| (fibre, k))) {
        let u = f64::from(k) / 5.5 - 1.0;
        let row = [5100.0 + 100.0 * u, f64::from(12 + 9 * fibre) + u * u, 60.0 + 58.0 * u, 1.1, 1.2 + 0.1 * u, 0.01];
        let cells: Vec<String> = row.iter().map(|v| format!("{v:.6}")).collect();
        text += &format!("{fibre}, {}\n", cells.join(", "));
    }
    text
}

#[test]
fn gh_0_0_with_terms_of_another_row_is_told_taken_as_1_on_request_and_recorded() {
    let folder = Folder::new();
    let mut psf = read_psf(folder.path("psf.fits")).unwrap();
    psf.update(|parts| {
        let n = parts.sigma_y.ncoeff;
        for (gh00, sigma) in parts.gh[0].coeff.chunks_mut(n).zip(parts.sigma_y.coeff.chunks(n)) {
            gh00[1..].copy_from_slice(&sigma[1..]);
        }
    })
    .unwrap();
    write_psf(folder.path("flaw.fits"), &psf, false).unwrap().persist().unwrap();
    let frame = |output: &str, more: &[&str]| {
        let run = folder.extract(&[&["-o", output], more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        (run.stderr, read_frame(folder.path(output)).unwrap())
    };
    let (told, as_it_is) = frame("file.fits", &["-p", "flaw.fits"]);
    let (taken, as_one) = frame("one.fits", &["-p", "flaw.fits", "--psf-gh00", "one"]);
    let (quiet, sound) = frame("sound.fits", &[]);
    assert!(
        told.contains("its GH-0-0 has the higher terms of GHSIGY") && told.contains("--psf-gh00 one takes it as 1")
    );
    assert!(taken.contains("it is taken as 1") && !quiet.contains("GH-0-0"), "{taken}{quiet}");
    // The PSF of the folder has 1 itself.
    assert!(as_one.spectra.flux == sound.spectra.flux && as_it_is.spectra.flux != sound.spectra.flux);
    let card = |frame: &spextral::frame::Frame, name: &str| frame.header.get_str(name).unwrap_or_default();
    assert!(card(&as_it_is, "SPXOPT").contains("psf-gh00=file") && card(&as_one, "SPXOPT").contains("psf-gh00=one"));
    assert!(card(&as_it_is, "SPXNOT1").contains("GH-0-0") && card(&sound, "SPXNOT1").is_empty());
}

#[test]
fn a_psf_of_measured_spots_is_made_with_residuals_extracted_with_converted_and_described() {
    let folder = Folder::new();
    std::fs::write(folder.path("spots.csv"), spots()).unwrap();
    let ccd = ["--npix-x", "45", "--npix-y", "120"];
    let made = folder.run(&[&["make-psf", "--from", "spots.csv", "-o", "own.fits"][..], &ccd].concat());
    made.succeeds();
    assert!(
        made.stdout.contains("3 fibres on 45 x 120 pixels") && made.stdout.contains("y: off the spots by "),
        "{}",
        made.stdout
    );
    let psf = read_psf(folder.path("own.fits")).unwrap();
    assert_eq!((psf.nfibre, psf.half_x, psf.gh_degree_x, psf.gh.len()), (3, 6, 1, 2));
    assert!((psf.gh[1].of(0)[0] - 0.01).abs() < 1e-12);
    folder.run(&["simulate", "-p", "own.fits", "-o", "sim.fits"]).succeeds();
    folder.run(&["psf-convert", "own.fits", "-o", "grid.fits", "--to", "spotgrid", "--positions", "3"]).succeeds();
    for (psf, kind) in [("own.fits", "GAUSS-HERMITE"), ("grid.fits", "SPOTGRID")] {
        let output = format!("frame-{psf}");
        folder.extract(&["-i", "sim.fits", "-p", psf, "-o", &output]).succeeds();
        let info = folder.run(&["psf-info", psf, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
        assert_eq!((json["kind"].as_str(), json["nfibre"].as_u64()), (Some(kind), Some(3)), "{}", info.stdout);
        assert!((json["sigma_y"]["median"].as_f64().unwrap() - 1.2).abs() < 0.1, "{}", info.stdout);
        assert!((json["pitch"]["median"].as_f64().unwrap() - 9.0).abs() < 0.01, "{}", info.stdout);
    }
    let [own, grid] = ["frame-own.fits", "frame-grid.fits"].map(|name| read_frame(folder.path(name)).unwrap().spectra);
    let sigmas = own.flux.iter().zip(&grid.flux).zip(&own.ivar).map(|((a, b), ivar)| (a - b).abs() * ivar.sqrt());
    assert!(sigmas.fold(0.0, f64::max) < 1.0, "the same light through the same spots");
    let back =
        ["psf-convert", "grid.fits", "-o", "back.fits", "--to", "gauss-hermite", "--ghdeg", "2", "--check", "--json"];
    let json: serde_json::Value = serde_json::from_str(&folder.run(&back).stdout).unwrap();
    let difference = &json["difference"];
    assert!(difference["most_of_peak"].as_f64().unwrap() < 0.02, "{json}");
    assert!(
        difference["centroid_y"].as_f64().unwrap() < 0.02 && difference["width_y"].as_f64().unwrap() < 0.02,
        "{json}"
    );
    assert!(folder.run(&["psf-info", "own.fits"]).stdout.contains("sigma x     1.100 ("));
}

#[test]
fn spots_that_are_none_are_refused_with_line_and_column() {
    let folder = Folder::new();
    let ccd = ["--npix-x", "45", "--npix-y", "120"];
    let make = |text: &str| {
        std::fs::write(folder.path("spots.csv"), text).unwrap();
        folder.run(&[&["make-psf", "--from", "spots.csv", "-o", "own.fits"][..], &ccd].concat())
    };
    let nm = "fibre,wavelength,x,y,sigma_x,sigma_y\n0,400,9,1,1,1\n0,440,9,9,1,1\n";
    make(nm).fails_saying(&["spots.csv", "wavelength 400 is not within 1000 to 100000; give Angstrom"]);
    make("fibre,wavelength,x\n1,2,3\n").fails_saying(&["spots.csv", "line 1", "no column is called y"]);
    make(&spots().replacen("1.100000", "twelve", 1)).fails_saying(&["spots.csv", "line", "sigma_x is `twelve`"]);
    make(&spots().replace(", 1.100000,", ", -1.1,"))
        .fails_saying(&["spots.csv", "sigma_x -1.1: give a positive number"]);
    let words = ["make-psf", "--from", "spots.csv", "-o", "own.fits"];
    assert_eq!(folder.run(&words).code, Some(2), "the size of the CCD is needed");
    let both = [&words[..], &ccd, &["--nfibre", "4"]].concat();
    assert_eq!(folder.run(&both).code, Some(2), "fibres are those of the spots");
}

#[test]
fn traces_are_drawn_over_an_image_of_their_ccd_alone() {
    let folder = Folder::new();
    folder.run(&["plot-psf", "psf.fits", "--image", "preproc.fits", "-o", "a.png"]).succeeds();
    folder.run(&["plot-psf", "psf.fits", "-o", "b.png"]).succeeds();
    let [over, alone] = ["a.png", "b.png"].map(|name| std::fs::read(folder.path(name)).unwrap());
    assert!(over.starts_with(b"\x89PNG") && over != alone);
    let other = ["make-psf", "-o", "other.fits", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "130"];
    folder.run(&other).succeeds();
    let words = ["plot-psf", "other.fits", "--image", "preproc.fits", "-o", "c.png"];
    folder.run(&words).fails_saying(&["give a frame of this camera"]);
}

#[test]
fn traces_that_turn_back_are_named_and_their_frame_is_extracted() {
    let folder = Folder::new();
    let mut psf = read_psf(folder.path("psf.fits")).unwrap();
    psf.update(|parts| {
        // Straight along y, as parabolas that turn in the middle of the range.
        for (trace, parabola) in [(&mut parts.trace_x, 0.0), (&mut parts.trace_y, 30.0)] {
            let n = trace.ncoeff;
            trace.coeff.chunks_mut(n).for_each(|terms| {
                terms[1..].fill(0.0);
                terms[2] = parabola;
            });
        }
    })
    .unwrap();
    write_psf(folder.path("turned.fits"), &psf, false).unwrap().persist().unwrap();
    let run = folder.extract(&["-p", "turned.fits", "-w", "6670,6690,1"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("the traces of 2 fibres turn back along the dispersion"), "{}", run.stderr);
}

#[test]
fn a_grid_of_images_beyond_memory_is_refused_with_its_size() {
    let folder = Folder::new();
    let huge = ["psf-convert", "psf.fits", "-o", "grid.fits", "--to", "spotgrid", "--oversampling", "1001"];
    folder.run(&huge).fails_saying(&["GB, more than 4 GB: take fewer samples per pixel"]);
}
