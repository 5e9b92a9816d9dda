//! `spextral info` names the kind of any file and shows what it holds.

use testkit::Folder;

#[test]
fn every_file_of_an_extraction_is_named_by_its_kind() {
    let folder = Folder::new();
    let run = folder.extract(&["-o", "frame.fits", "-m", "model.fits"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let kind = |file: &str| {
        let run = folder.run(&["info", file, "--json"]);
        run.succeeds();
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(json["schema"], "spextral.info/1");
        json["files"][0].clone()
    };
    for (file, expected) in [
        ("preproc.fits", "preprocessed CCD frame"),
        ("psf.fits", "PSF"),
        ("frame.fits", "frame of spectra"),
        ("model.fits", "model image"),
    ] {
        assert_eq!(kind(file)["kind"], expected, "{file}");
    }
    let frame = kind("frame.fits");
    let hdu = |name: &str| frame["hdus"].as_array().unwrap().iter().find(|hdu| hdu["name"] == name).unwrap().clone();
    assert_eq!((&hdu("FLUX")["unit"], &hdu("FLUX")["kind"]), (&"electron/Angstrom".into(), &"image".into()));
    assert_eq!(hdu("RESOLUTION")["shape"].as_array().unwrap().len(), 3);
    assert_eq!(frame["inputs"].as_array().unwrap().len(), 2);

    let text = folder.run(&["info", "frame.fits", "psf.fits"]).stdout;
    assert!(text.contains("frame.fits: frame of spectra") && text.contains("[electron/Angstrom]"), "{text}");
    assert!(text.contains("made        by spextral") && text.contains("sigma x"), "{text}");
}

#[test]
fn inputs_have_the_names_of_their_files() {
    let folder = Folder::new();
    let name = "f\u{fc}r 5 %.fits";
    std::fs::copy(folder.path("preproc.fits"), folder.path(name)).unwrap();
    folder.extract(&["-i", name]).succeeds();
    let json: serde_json::Value = serde_json::from_str(&folder.run(&["info", "frame.fits", "--json"]).stdout).unwrap();
    assert_eq!(json["files"][0]["inputs"][0], name);
    let text = folder.run(&["info", "frame.fits"]).stdout;
    assert!(text.contains(&format!("from        {name}, psf.fits")), "{text}");
}

#[test]
fn what_is_no_fits_file_is_an_error() {
    let folder = Folder::new();
    std::fs::write(folder.path("text.fits"), "no FITS").unwrap();
    let run = folder.run(&["info", "text.fits"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("is not a FITS file"), "{}", run.stderr);
}
