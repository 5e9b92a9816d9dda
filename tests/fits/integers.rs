//! Integers of every size with any zero and scale mean the same, in masks, images and columns.

use fitsio_pure::compress::{TileCompression, compress_image_hdu as pack};
use spextral::fits::{PreprocOptions, read_fibermap, read_image_f64, read_preproc};
use std::path::PathBuf;
use testkit::files::{empty_primary, folder, header};

const SHAPE: [usize; 2] = [2, 3];

/// An image extension of these stored bytes, with more cards.
fn image(name: &str, bitpix: i64, more: &[&str], bytes: &[u8]) -> Vec<u8> {
    let cards = [
        "XTENSION= 'IMAGE   '".to_string(),
        format!("BITPIX  = {bitpix:>20}"),
        "NAXIS   =                    2".into(),
        format!("NAXIS1  = {:>20}", SHAPE[1]),
        format!("NAXIS2  = {:>20}", SHAPE[0]),
        "PCOUNT  =                    0".into(),
        "GCOUNT  =                    1".into(),
        format!("EXTNAME = '{name:<8}'"),
    ];
    let cards: Vec<&str> = cards.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let mut all = [header(&cards), bytes.to_vec()].concat();
    all.resize(all.len().next_multiple_of(2880), 0);
    all
}

/// The values as they are stored with a zero and a scale, big-endian.
fn stored(bitpix: i64, values: &[i128], zero: i128, scale: i128) -> Vec<u8> {
    let bytes = bitpix as usize / 8;
    values.iter().flat_map(|v| ((v - zero) / scale).to_be_bytes()[16 - bytes..].to_vec()).collect()
}

fn file(hdus: &[Vec<u8>]) -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    let path = dir.path().join("a.fits");
    std::fs::write(&path, [empty_primary(), hdus.concat()].concat()).unwrap();
    (dir, path)
}

/// Image and ivar of six pixels.
fn planes() -> Vec<u8> {
    let plane = |name| image(name, -32, &[], &[1.5f32; 6].map(f32::to_be_bytes).concat());
    [plane("IMAGE"), plane("IVAR")].concat()
}

/// BITPIX, BZERO and BSCALE with values that they can store.
const KINDS: [(i64, i128, i128); 10] = [
    (8, 0, 1),
    (8, -128, 1),
    (8, 0, 2),
    (16, 0, 1),
    (16, 1 << 15, 1),
    (16, 10, 2),
    (32, 0, 1),
    (32, 1 << 31, 1),
    (64, 0, 1),
    (64, 1 << 63, 1),
];

#[test]
fn a_mask_is_the_same_for_every_bitpix_zero_and_scale() {
    let bits = [0i128, 2, 4, 64, 100, 126];
    for (bitpix, zero, scale) in KINDS {
        let (zero_card, scale_card) = (format!("BZERO   = {zero:>20}"), format!("BSCALE  = {scale:>20}"));
        let mask = image("MASK", bitpix, &[&zero_card, &scale_card], &stored(bitpix, &bits, zero, scale));
        let (_dir, path) = file(&[planes(), mask]);
        let frame = read_preproc(&path, &PreprocOptions::default()).unwrap();
        assert_eq!(frame.mask.unwrap(), bits.map(|b| b as i32), "BITPIX {bitpix}, BZERO {zero}, BSCALE {scale}");
        assert_eq!(frame.ccd.ivar()[0], 1.5);
        assert!(frame.ccd.ivar()[1..].iter().all(|ivar| *ivar == 0.0));
    }
}

#[test]
fn a_compressed_mask_is_the_same_for_every_bitpix_and_zero() {
    let bits = [0i128, 2, 4, 64, 100, 126];
    let card =
        |key: &str, value: f64| fitsio_pure::header::Card::new(key, fitsio_pure::value::Value::Float(value)).unwrap();
    let gzip = TileCompression::gzip();
    for (bitpix, zero) in [(8, 0i128), (8, -128), (16, 1 << 15), (32, 1 << 31)] {
        let shift = |v: &i128| v - zero;
        let extra = [
            fitsio_pure::header::Card::new("EXTNAME", fitsio_pure::value::Value::String("MASK".into())).unwrap(),
            card("BZERO", zero as f64),
        ];
        let axes = [SHAPE[1], SHAPE[0]];
        let mask = match bitpix {
            8 => pack(&axes, &bits.each_ref().map(|v| shift(v) as u8), &gzip, &extra),
            16 => pack(&axes, &bits.each_ref().map(|v| shift(v) as i16), &gzip, &extra),
            _ => pack(&axes, &bits.each_ref().map(|v| shift(v) as i32), &gzip, &extra),
        };
        let (_dir, path) = file(&[planes(), mask.unwrap()]);
        let frame = read_preproc(&path, &PreprocOptions::default()).unwrap();
        assert_eq!(frame.mask.unwrap(), bits.map(|b| b as i32), "BITPIX {bitpix}, BZERO {zero}");
    }
}

#[test]
fn a_mask_of_whole_reals_is_read_and_one_with_fractions_refused() {
    let plane = |values: [f32; 6]| image("MASK", -32, &[], &values.map(f32::to_be_bytes).concat());
    let (_dir, path) = file(&[planes(), plane([0.0, 1.0, 2.0, 0.0, 0.0, f32::NAN])]);
    let mask = read_preproc(&path, &PreprocOptions::default()).unwrap().mask.unwrap();
    assert_eq!(mask, [0, 1, 2, 0, 0, -1], "what is no number has all bits");
    let (_dir, path) = file(&[planes(), plane([0.0, 0.5, 0.0, 0.0, 0.0, 0.0])]);
    let error = read_preproc(&path, &PreprocOptions::default()).unwrap_err().to_string();
    assert!(error.contains("MASK") && error.contains("fraction"), "{error}");
}

#[test]
fn blank_pixels_of_a_mask_are_masked_and_bits_beyond_31_are_told_of() {
    let values = [0i128, -7, 1 << 40, 0, 0, 0];
    let mask = image("MASK", 64, &["BLANK   =                   -7"], &stored(64, &values, 0, 1));
    let (_dir, path) = file(&[planes(), mask]);
    let frame = read_preproc(&path, &PreprocOptions::default()).unwrap();
    assert_eq!(frame.mask.unwrap()[..3], [0, -1, 0]);
    assert!(
        frame.notes.iter().any(|note| note.contains("MASK") && note.contains("bits above bit 31")),
        "{:?}",
        frame.notes
    );
}

#[test]
fn small_unsigned_integers_of_64_bits_keep_their_digits() {
    let values = [5i128, 6, 7, 1 << 20, (1 << 53) - 1, 1 << 63];
    let stored = stored(64, &values, 1 << 63, 1);
    let (_dir, path) = file(&[image("IMAGE", 64, &["BZERO   =  9223372036854775808"], &stored)]);
    assert_eq!(read_image_f64(&path, "IMAGE").unwrap().1, values.map(|v| v as f64));
}

#[test]
fn a_scale_that_is_no_number_is_refused() {
    let (_dir, path) = file(&[image("IMAGE", 16, &["BZERO   = 'many    '"], &[0; 12])]);
    let error = read_image_f64(&path, "IMAGE").unwrap_err().to_string();
    assert!(error.contains("BZERO has a value of the wrong kind"), "{error}");
}

#[test]
fn columns_of_integers_are_the_same_for_every_size_zero_and_scale() {
    let values = [0i128, 2, 4, 64, 100, 126];
    for (code, (bitpix, zero, scale)) in KINDS.map(|kind| (kind.0, kind)).map(|(bits, kind)| {
        let code = match bits {
            8 => 'B',
            16 => 'I',
            32 => 'J',
            _ => 'K',
        };
        (code, kind)
    }) {
        let cards = [
            "XTENSION= 'BINTABLE'".to_string(),
            "BITPIX  =                    8".into(),
            "NAXIS   =                    2".into(),
            format!("NAXIS1  = {:>20}", bitpix / 8),
            format!("NAXIS2  = {:>20}", values.len()),
            "PCOUNT  =                    0".into(),
            "GCOUNT  =                    1".into(),
            "TFIELDS =                    1".into(),
            "TTYPE1  = 'FIBER   '".into(),
            format!("TFORM1  = '1{code}      '"),
            format!("TZERO1  = {zero:>20}"),
            format!("TSCAL1  = {scale:>20}"),
        ];
        let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
        let mut table = [header(&cards), stored(bitpix, &values, zero, scale)].concat();
        table.resize(table.len().next_multiple_of(2880), 0);
        let (_dir, path) = file(&[table]);
        let table = read_fibermap(&path).unwrap();
        let what = format!("{code}, TZERO {zero}, TSCAL {scale}");
        assert_eq!(table.column_i64("FIBER").unwrap(), values.map(|v| v as i64), "{what}");
        assert_eq!(table.column_f64("FIBER").unwrap(), values.map(|v| v as f64), "{what}");
    }
}
