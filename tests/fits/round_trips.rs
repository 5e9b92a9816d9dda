//! Files that we write come back number for number and card for card.

use spextral::WriteError;
use spextral::base::output_path::same_file;
use spextral::fits::{
    FitsError, Image, Pixels, PreprocOptions, read_frame, read_image_f64, read_preproc, read_psf, write_frame,
    write_images, write_model, write_preproc, write_psf,
};

use testkit::files::{files_in, folder, frame, preproc, psf, rich_header};

#[test]
fn preproc_comes_back_as_it_was_written() {
    let (dir, frame) = (folder(), preproc());
    for name in ["a.fits", "a.fits.gz"] {
        let path = dir.path().join(name);
        write_preproc(&path, &frame, false).unwrap().persist().unwrap();
        let mut back =
            read_preproc(&path, &PreprocOptions { mask_bits: 0, fibermap: None, ..PreprocOptions::default() }).unwrap();
        assert_eq!(back.header.get_str("BUNIT").as_deref(), Some("electron"));
        back.header.remove("BUNIT");
        assert_eq!(back, frame, "{name}");
    }
}

#[test]
fn mask_bits_choose_the_pixels_without_weight() {
    let (dir, frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let zeros = |mask_bits| {
        let ccd = read_preproc(&path, &PreprocOptions { mask_bits, fibermap: None, ..PreprocOptions::default() })
            .unwrap()
            .ccd;
        ccd.ivar().iter().enumerate().filter(|(_, v)| **v == 0.0).map(|(i, _)| i).collect::<Vec<usize>>()
    };
    assert!(zeros(0).is_empty());
    assert_eq!(zeros(1 << 2), [7]);
    assert_eq!(zeros(PreprocOptions::default().mask_bits), [7], "bit 8, BADREADNOISE, is no reason to mask");
    assert_eq!(zeros(u32::MAX), [7, 8]);
}

#[test]
fn pixels_that_are_no_numbers_are_masked_and_counted() {
    let (dir, frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    let shape = vec![frame.ccd.ny(), frame.ccd.nx()];
    let [mut image, mut ivar] = frame.ccd.into_planes();
    image[0] = f32::NAN;
    image[1] = f32::INFINITY;
    ivar[2] = f32::NAN;
    ivar[3] = f32::INFINITY;
    ivar[4] = -1.0;
    image[5] = f32::NAN;
    ivar[5] = -0.5;
    let plane = |name, pixels| Image { name, unit: "", shape: shape.clone(), pixels: Pixels::F32(pixels) };
    write_images(&path, &frame.header, &[plane("IMAGE", &image), plane("IVAR", &ivar)], false)
        .unwrap()
        .persist()
        .unwrap();
    let back = read_preproc(&path, &PreprocOptions::default()).unwrap();
    assert_eq!(back.ccd.rejected().total(), 6);
    assert_eq!(back.ccd.image()[..6], [0.0; 6]);
    assert_eq!(back.ccd.ivar()[..6], [0.0; 6]);
    assert_eq!(back.ccd.image()[6..], image[6..]);
}

#[test]
fn a_fibermap_of_its_own_replaces_the_frames() {
    let (dir, frame) = (folder(), preproc());
    let (path, other) = (dir.path().join("a.fits"), dir.path().join("map.fits"));
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let mut long = frame.clone();
    long.fibermap = Some(testkit::files::fibermap(9));
    write_preproc(&other, &long, false).unwrap().persist().unwrap();
    let back =
        read_preproc(&path, &PreprocOptions { mask_bits: 0, fibermap: Some(other), ..PreprocOptions::default() })
            .unwrap();
    assert_eq!(back.fibermap, long.fibermap);
}

#[test]
fn psf_comes_back_as_it_was_written() {
    let dir = folder();
    let path = dir.path().join("psf.fits");
    for tails in [true, false] {
        let mut psf = psf();
        if !tails {
            psf.update(|parts| (parts.tails, parts.camera) = (None, None)).unwrap();
        }
        write_psf(&path, &psf, true).unwrap().persist().unwrap();
        assert_eq!(read_psf(&path).unwrap(), psf);
    }
}

#[test]
fn psf_whose_rows_have_different_domains_is_not_written() {
    let dir = folder();
    let mut psf = psf();
    psf.update(|parts| parts.gh[3].domain[1] += 1.0).unwrap();
    let error = write_psf(dir.path().join("psf.fits"), &psf, false).unwrap_err().to_string();
    assert!(error.contains("GH-1-0"), "{error}");
    assert!(files_in(&dir).is_empty());
}

#[test]
fn frame_comes_back_as_it_was_written() {
    let (dir, frame) = (folder(), frame());
    let path = dir.path().join("frame.fits");
    write_frame(&path, &frame, false).unwrap().persist().unwrap();
    let mut back = read_frame(&path).unwrap();
    assert_eq!(back.spectra, frame.spectra);
    assert_eq!(back.wave, frame.wave);
    assert_eq!(back.fibermap, frame.fibermap);
    assert_eq!(back.scores, frame.scores);
    assert!(frame.scores.is_some());
    assert_eq!(back.header.get_str("BUNIT").as_deref(), Some("electron/Angstrom"));
    back.header.remove("BUNIT");
    assert_eq!(back.header, rich_header());
}

#[test]
fn frame_without_fibermap_and_scores_reads_too() {
    let (dir, mut frame) = (folder(), frame());
    (frame.fibermap, frame.scores) = (None, None);
    let path = dir.path().join("frame.fits");
    write_frame(&path, &frame, false).unwrap().persist().unwrap();
    let back = read_frame(&path).unwrap();
    assert_eq!((back.fibermap, back.scores), (None, None));
}

#[test]
fn same_frame_gives_the_same_bytes() {
    let dir = folder();
    for name in ["frame.fits", "frame.fits.gz"] {
        let (a, b) = (dir.path().join(format!("a-{name}")), dir.path().join(format!("b-{name}")));
        write_frame(&a, &frame(), false).unwrap().persist().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        write_frame(&b, &frame(), false).unwrap().persist().unwrap();
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap(), "{name}");
    }
}

#[test]
fn images_and_models_keep_type_shape_and_cards() {
    let dir = folder();
    let (model, other) = (dir.path().join("model.fits"), dir.path().join("truth.fits"));
    write_model(&model, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 2, &rich_header(), false).unwrap().persist().unwrap();
    assert_eq!(read_image_f64(&model, "model").unwrap(), (vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    let wave = [6000.1, 6000.9];
    let flux = Image { name: "FLUX", unit: "electron", shape: vec![1, 2], pixels: Pixels::F32(&[0.5, 1.5]) };
    let grid = Image { name: "WAVELENGTH", unit: "Angstrom", shape: vec![2], pixels: Pixels::F64(&wave) };
    write_images(&other, &rich_header(), &[flux, grid], false).unwrap().persist().unwrap();
    assert_eq!(read_image_f64(&other, "WAVELENGTH").unwrap(), (vec![2], wave.to_vec()));
}

#[test]
fn an_existing_file_is_replaced_only_when_allowed() {
    let (dir, frame) = (folder(), frame());
    let path = dir.path().join("frame.fits");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(write_frame(&path, &frame, false), Err(FitsError::Write(WriteError::Exists { .. }))));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    write_frame(&path, &frame, true).unwrap().persist().unwrap();
    assert!(read_frame(&path).is_ok());
    assert_eq!(files_in(&dir), ["frame.fits"]);
}

#[test]
fn a_folder_that_is_not_there_is_named_and_nothing_is_left() {
    let dir = folder();
    let path = dir.path().join("missing").join("frame.fits");
    let error = write_frame(&path, &frame(), false).unwrap_err().to_string();
    assert!(error.starts_with("cannot write") && error.contains("missing/frame.fits"), "{error}");
    assert!(!error.contains(".spextral-"), "{error}");
    assert!(files_in(&dir).is_empty());
}

#[cfg(unix)]
#[test]
fn links_are_written_through_and_devices_left_alone() {
    let dir = folder();
    let (file, link) = (dir.path().join("frame.fits"), dir.path().join("link.fits"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(same_file(&file, &link));
    write_frame(&link, &frame(), true).unwrap().persist().unwrap();
    assert!(link.is_symlink() && read_frame(&file).is_ok());
    assert!(write_frame("/dev/null", &frame(), true).unwrap_err().to_string().contains("no regular file"));
}

#[test]
fn same_file_sees_through_names_and_hard_links() {
    let dir = folder();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    std::fs::write(&a, "x").unwrap();
    std::fs::write(&b, "x").unwrap();
    assert!(same_file(&a, dir.path().join(".").join("a")));
    assert!(!same_file(&a, &b));
    assert!(!same_file(&a, dir.path().join("absent")));
    std::fs::remove_file(&b).unwrap();
    std::fs::hard_link(&a, &b).unwrap();
    assert!(cfg!(not(unix)) || same_file(&a, &b));
}
