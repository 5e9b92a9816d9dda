//! Frames of other programs: weights under other names or none, units, HDUs that are missing, cut or lossy.

use fitsio_pure::compress::{Dither, Quantize, TileCompression};
use spextral::fits::{FitsError, Image, Pixels, Preproc, PreprocOptions, read_preproc, write_images, write_preproc};
use spextral::frame::Header;
use std::path::PathBuf;
use testkit::files::{empty_primary, folder, preproc, tiled};
use testkit::psf_kinds::image;

const SHAPE: [usize; 2] = [2, 3];
const PIXELS: [f32; 6] = [10.0, -4.0, 0.0, 7.0, 100.0, 1.0];

/// A file of images under these names, the first with a unit.
fn file(unit: &str, images: &[(&str, [f32; 6])]) -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    let path = dir.path().join("a.fits");
    let mut planes: Vec<Image> = Vec::new();
    for (name, pixels) in images {
        let unit = if planes.is_empty() { unit } else { "" };
        planes.push(Image { name, unit, shape: SHAPE.to_vec(), pixels: Pixels::F32(pixels) });
    }
    write_images(&path, &Header::new(), &planes, false).unwrap().persist().unwrap();
    (dir, path)
}

fn read(path: &PathBuf, options: PreprocOptions) -> Result<Preproc, FitsError> {
    read_preproc(path, &options)
}

#[test]
fn weights_are_found_under_the_names_of_other_programs() {
    let noise = [2.0f32, 4.0, 1.0, 0.0, 0.5, 1.0];
    let of_variance = noise.map(|v| if v > 0.0 { 1.0 / v } else { 0.0 });
    let of_stddev = noise.map(|v| if v > 0.0 { 1.0 / (v * v) } else { 0.0 });
    for (name, expected) in [
        ("IVAR", noise),
        ("VAR", of_variance),
        ("variance", of_variance),
        ("STDDEV", of_stddev),
        ("err", of_stddev),
        ("UNCERT", of_stddev),
        ("SIGMA", of_stddev),
        ("NOISE", of_stddev),
    ] {
        let (_dir, path) = file("electron", &[("IMAGE", PIXELS), (name, noise)]);
        let frame = read(&path, PreprocOptions::default()).unwrap();
        assert_eq!(frame.ccd.ivar(), expected, "{name}");
        assert_eq!(frame.ccd.rejected().total(), 0, "no noise is no weight, and no fault");
        let told = frame.notes.iter().any(|note| note.contains("has no IVAR HDU"));
        assert_eq!(told, name != "IVAR", "{:?}", frame.notes);
    }
}

#[test]
fn a_frame_without_weights_takes_them_from_the_read_noise_or_is_refused_with_the_remedy() {
    let (_dir, path) = file("", &[("IMAGE", PIXELS)]);
    let error = read(&path, PreprocOptions::default()).unwrap_err().to_string();
    assert!(error.contains("has no IVAR HDU") && error.contains("readnoise") && error.contains("gain"), "{error}");
    let options = PreprocOptions { readnoise: Some(3.0), gain: Some(2.0), ..PreprocOptions::default() };
    let frame = read(&path, options).unwrap();
    assert_eq!(frame.ccd.image(), PIXELS.map(|v| 2.0 * v));
    let variances = PIXELS.map(|v| 9.0 + f64::from(2.0 * v).max(0.0));
    assert_eq!(frame.ccd.ivar(), variances.map(|v| (1.0 / v) as f32));
    let (_dir, both) = file("", &[("IMAGE", PIXELS), ("VAR", [1.0; 6])]);
    let error = read(&both, PreprocOptions { readnoise: Some(3.0), ..Default::default() }).unwrap_err().to_string();
    assert!(error.contains("VAR") && error.contains("leave out readnoise"), "{error}");
}

#[test]
fn an_image_that_is_not_in_electron_needs_its_gain_and_its_weights_follow() {
    for unit in ["ADU", "DN", "counts", "electron/s"] {
        let (_dir, path) = file(unit, &[("IMAGE", PIXELS), ("IVAR", [0.5; 6])]);
        let error = read(&path, PreprocOptions::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("BUNIT is {unit}")) && error.contains("give gain"), "{error}");
        let frame = read(&path, PreprocOptions { gain: Some(2.0), ..Default::default() }).unwrap();
        assert_eq!((frame.ccd.image()[0], frame.ccd.ivar()[0]), (20.0, 0.125));
    }
    let (_dir, path) = file("electrons", &[("IMAGE", PIXELS), ("IVAR", [0.5; 6])]);
    read(&path, PreprocOptions::default()).unwrap();
    let error = read(&path, PreprocOptions { gain: Some(2.0), ..Default::default() }).unwrap_err().to_string();
    assert!(error.contains("electrons already; leave out gain"), "{error}");
}

#[test]
fn the_image_is_taken_by_name_or_number_or_from_a_primary_hdu_without_name() {
    let (_dir, path) = file("", &[("FIRST", [0.0; 6]), ("SCI", PIXELS), ("ERR", [1.0; 6])]);
    for hdu in ["sci", "1"] {
        let options = PreprocOptions { image_hdu: Some(hdu.into()), ..PreprocOptions::default() };
        assert_eq!(read(&path, options).unwrap().ccd.image(), PIXELS, "{hdu}");
    }
    let error = read(&path, PreprocOptions::default()).unwrap_err().to_string();
    assert!(error.contains("has no IMAGE HDU") && error.contains("SCI") && error.contains("image-hdu"), "{error}");
    // Our writer names every HDU.
    let (_dir, path) = file("", &[("NOBODY", PIXELS), ("IVAR", [1.0; 6])]);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"EXTNAME ").unwrap();
    bytes[at..at + 8].copy_from_slice(b"OTHERKEY");
    std::fs::write(&path, bytes).unwrap();
    let frame = read(&path, PreprocOptions::default()).unwrap();
    assert_eq!(frame.ccd.image(), PIXELS);
    assert!(frame.notes[0].contains("primary HDU is taken for it"), "{:?}", frame.notes);
}

#[test]
fn hdus_that_are_missing_are_told_of_and_a_whole_file_says_nothing() {
    let (dir, mut frame) = (folder(), preproc());
    // DESI uses pixels of bit 8.
    frame.header.set("DOSVER", "trunk", "");
    let path = dir.path().join("a.fits");
    let notes = |frame: &Preproc| {
        write_preproc(&path, frame, true).unwrap().persist().unwrap();
        read(&path, PreprocOptions::default()).unwrap().notes
    };
    assert_eq!(notes(&frame), Vec::<String>::new());
    let without = notes(&Preproc { mask: None, fibermap: None, ..frame });
    assert!(without.len() == 2 && without[0].contains("no MASK HDU") && without[1].contains("no FIBERMAP HDU"));
}

#[test]
fn of_two_hdus_with_one_name_the_first_counts_and_the_other_is_told_of() {
    let (_dir, path) = file("", &[("IMAGE", PIXELS), ("IVAR", [4.0; 6]), ("IVAR", [1.0; 6]), ("MASK", [0.0; 6])]);
    let frame = read(&path, PreprocOptions::default()).unwrap();
    assert_eq!(frame.ccd.ivar(), [4.0; 6]);
    assert!(frame.notes[0].contains("second IVAR in HDU 2 (IVAR)"), "{:?}", frame.notes);
}

/// A file of these images, each with its EXTVER where that is not 0.
fn versions(images: &[(&str, i64, f32)]) -> (tempfile::TempDir, PathBuf) {
    let (dir, mut bytes) = (folder(), empty_primary());
    let path = dir.path().join("a.fits");
    for (name, version, value) in images {
        let extver = format!("EXTVER  = {version:>20}");
        let more = if *version > 0 { &[extver][..] } else { &[] };
        bytes.extend(image(name, &SHAPE, &[f64::from(*value); 6], more));
    }
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn of_several_detectors_the_image_has_its_own_weights_and_mask() {
    let by_version =
        [("SCI", 1, 10.0), ("SCI", 2, 20.0), ("VAR", 2, 0.5), ("VAR", 1, 0.25), ("MASK", 1, 0.0), ("MASK", 2, 0.0)];
    let by_place =
        [("A", 0, 10.0), ("VAR", 0, 0.25), ("MASK", 0, 0.0), ("B", 0, 20.0), ("VAR", 0, 0.5), ("MASK", 0, 0.0)];
    let astropy = [("A", 1, 10.0), ("VAR", 0, 0.25), ("B", 1, 20.0), ("VAR", 2, 0.5)];
    for (images, wanted, expected) in [
        (&by_version[..], "1", [10.0, 4.0]),
        (&by_version, "2", [20.0, 2.0]),
        (&by_version, "SCI", [10.0, 4.0]),
        (&by_place, "A", [10.0, 4.0]),
        (&by_place, "B", [20.0, 2.0]),
        (&astropy, "A", [10.0, 4.0]),
        (&astropy, "B", [20.0, 2.0]),
    ] {
        let (_dir, path) = versions(images);
        let options = PreprocOptions { image_hdu: Some(wanted.into()), ..PreprocOptions::default() };
        let frame = read(&path, options).unwrap();
        assert_eq!([frame.ccd.image()[0], frame.ccd.ivar()[0]], expected, "{wanted} of {images:?}");
        let second = frame.notes.iter().find(|note| note.contains("a second VAR")).unwrap();
        assert!(second.contains("VAR), which does not count; HDU "), "{second}");
    }
    let (_dir, path) = versions(&by_version);
    let options = PreprocOptions { image_hdu: Some("2".into()), ..PreprocOptions::default() };
    let notes = read(&path, options).unwrap().notes;
    let said = "a second SCI in HDU 1 (SCI), which does not count; HDU 2 (SCI) does";
    assert!(notes.iter().any(|note| note.contains(said)), "{notes:?}");
}

#[test]
fn weights_that_may_belong_to_either_of_two_images_are_refused() {
    let images = [("VAR", 0, 0.25), ("VAR", 0, 0.5), ("A", 0, 10.0), ("B", 0, 20.0)];
    let (_dir, path) = versions(&images);
    let options = PreprocOptions { image_hdu: Some("B".into()), ..PreprocOptions::default() };
    let error = read(&path, options).unwrap_err().to_string();
    assert!(error.contains("HDU 1 (VAR), HDU 2 (VAR) may belong to it") && error.contains("EXTVER"), "{error}");
}

#[test]
fn an_image_without_its_unit_is_taken_as_electrons_and_that_is_said() {
    for (unit, gain, told) in [("", None, true), ("electron", None, false), ("", Some(2.0), false)] {
        let (_dir, path) = file(unit, &[("IMAGE", PIXELS), ("IVAR", [4.0; 6])]);
        let frame = read(&path, PreprocOptions { gain, ..PreprocOptions::default() }).unwrap();
        assert_eq!(frame.notes.iter().any(|note| note.contains("has no BUNIT")), told, "{:?}", frame.notes);
    }
}

#[test]
fn mask_bits_that_exclude_no_pixel_are_said_but_for_desis_own() {
    let mask = [256, 256, 1024, 1, 0, 256];
    let ivar = vec![1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    let (dir, bits) = (folder(), PreprocOptions::default().mask_bits);
    let path = dir.path().join("a.fits");
    let notes = |mask: &[i32], dosver: bool| {
        let mut frame = Preproc::new(SHAPE, PIXELS.to_vec(), ivar.clone(), Some(mask.to_vec()), bits).unwrap();
        if dosver {
            frame.header.set("DOSVER", "trunk", "");
        }
        write_preproc(&path, &frame, true).unwrap().persist().unwrap();
        let notes = read(&path, PreprocOptions::default()).unwrap().notes;
        notes.into_iter().find(|note| note.contains("of its MASK")).unwrap_or_default()
    };
    let said = notes(&mask, false);
    assert!(said.contains("bit 8 is set in 2 pixels, bit 10 is set in 1 pixels that are used"), "{said}");
    assert!(notes(&mask, true).contains("bit 10"), "DESI has no bit 10");
    assert_eq!(notes(&[256; 6], true), "", "DESI uses pixels of high read noise");
}

#[test]
fn hdus_that_nextend_promises_are_missed() {
    let (dir, mut frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    frame.header.set("NEXTENX", 9i64, "");
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == b"NEXTENX ").unwrap();
    bytes[at..at + 8].copy_from_slice(b"NEXTEND ");
    std::fs::write(&path, bytes).unwrap();
    let back = read(&path, PreprocOptions::default()).unwrap();
    assert!(back.notes[0].contains("NEXTEND promises 9 extensions, it has 4"), "{:?}", back.notes);
    assert!(!back.header.contains("NEXTEND"), "another file has other extensions");
}

#[test]
fn a_last_block_without_its_fill_is_read_and_a_cut_into_the_data_is_not() {
    let (_dir, path) = file("", &[("IMAGE", PIXELS), ("IVAR", [1.0; 6])]);
    let whole = std::fs::read(&path).unwrap();
    let data = whole.len() - 2880 + 24;
    let gzipped = path.with_extension("gz");
    for end in [data, data + 1, whole.len() - 1] {
        std::fs::write(&path, &whole[..end]).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, &whole[..end]).unwrap();
        std::fs::write(&gzipped, packed.finish().unwrap()).unwrap();
        for path in [&path, &gzipped] {
            let frame = read(path, PreprocOptions::default()).unwrap();
            assert_eq!(frame.ccd.image(), PIXELS);
            assert!(frame.notes[0].contains("last block is not filled"), "{:?}", frame.notes);
        }
    }
    std::fs::write(&path, &whole[..data - 1]).unwrap();
    assert!(matches!(read(&path, PreprocOptions::default()), Err(FitsError::Truncated { .. })));
}

#[test]
fn weights_that_were_rounded_to_integers_lose_no_masked_pixel() {
    let (ny, nx) = (24, 40);
    let wave = |k: usize| 0.05 + 0.01 * ((k % nx) as f32 * 0.7).sin() + 0.002 * ((k * 7919) % 13) as f32;
    let ivar: Vec<f32> = (0..ny * nx).map(|k| if (k / nx) % 3 == 1 && k % nx < 12 { 0.0 } else { wave(k) }).collect();
    let image = vec![1.0f32; ny * nx];
    let lossless = TileCompression::gzip().lossless();
    let dithered = TileCompression::rice().quantize(Quantize::new().step(0.004).dither(Dither::Subtractive));
    let dir = folder();
    let path = dir.path().join("a.fits.fz");
    let bytes =
        [empty_primary(), tiled("IMAGE", [ny, nx], &image, &lossless), tiled("IVAR", [ny, nx], &ivar, &dithered)];
    std::fs::write(&path, bytes.concat()).unwrap();
    let frame = read(&path, PreprocOptions::default()).unwrap();
    let zeros = |pixels: &[f32]| pixels.iter().map(|v| *v == 0.0).collect::<Vec<bool>>();
    assert!(zeros(frame.ccd.ivar()) == zeros(&ivar), "masked pixels stay masked, and no others");
    let told =
        |frame: &Preproc| frame.notes.iter().any(|n| n.contains("rounded to integers") && n.contains("fpack -qz"));
    assert!(told(&frame), "{:?}", frame.notes);
    let bytes =
        [empty_primary(), tiled("IMAGE", [ny, nx], &image, &dithered), tiled("IVAR", [ny, nx], &ivar, &lossless)];
    std::fs::write(&path, bytes.concat()).unwrap();
    assert!(!told(&read(&path, PreprocOptions::default()).unwrap()), "of the image alone noise is lost");
}

#[test]
fn a_wrong_datasum_of_what_decides_no_number_can_be_ignored() {
    let (dir, frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let sound = std::fs::read(&path).unwrap();
    let damaged = |name: &str| {
        let mut bytes = sound.clone();
        let title = format!("EXTNAME = '{name:<8}'").into_bytes();
        let at = bytes.windows(title.len()).position(|w| w == title).unwrap();
        let sum = at + bytes[at..].windows(8).position(|w| w == b"DATASUM ").unwrap();
        bytes[sum + 11] = if bytes[sum + 11] == b'1' { b'2' } else { b'1' };
        std::fs::write(&path, bytes).unwrap();
        read(&path, PreprocOptions::default()).unwrap_err().to_string()
    };
    let ignoring = || read(&path, PreprocOptions { ignore_checksum: true, ..PreprocOptions::default() });
    for name in ["FIBERMAP", "READNOISE"] {
        let error = damaged(name);
        assert!(error.contains(name) && error.contains("ignore-checksum"), "{error}");
        assert_eq!(ignoring().unwrap().fibermap, frame.fibermap);
    }
    for name in ["IMAGE", "IVAR", "MASK"] {
        let error = damaged(name);
        assert!(error.contains(name) && !error.contains("ignore-checksum") && error.contains("sums anew"), "{error}");
        assert!(ignoring().is_err(), "{name} decides numbers");
    }
}

#[test]
fn cards_that_are_not_standard_are_mended_with_a_word() {
    let (dir, frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let sound = std::fs::read(&path).unwrap();
    let end = sound.chunks(80).position(|card| card.starts_with(b"END ")).unwrap() * 80;
    let mut cards = sound[..end].to_vec();
    for card in
        ["DUSTA   =                  NAN / as IDL writes it", "naxis1  =                   77", "EXTVER  = 'one'"]
    {
        cards.extend(format!("{card:<80}").into_bytes());
    }
    let data = sound.len().min((end + 80).next_multiple_of(2880));
    cards.extend(format!("{:<80}", "END").into_bytes());
    cards.resize(cards.len().next_multiple_of(2880), b' ');
    std::fs::write(&path, [&cards[..], &sound[data..]].concat()).unwrap();
    let back = read(&path, PreprocOptions::default()).unwrap();
    assert_eq!(back.header.get_str("DUSTA").as_deref(), Some("NAN"));
    assert!(!back.header.contains("NAXIS1") && !back.header.contains("EXTVER"));
    assert!(back.notes[0].contains("not standard FITS and mended: DUSTA"), "{:?}", back.notes);
}
