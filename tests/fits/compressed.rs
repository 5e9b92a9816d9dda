//! Tile-compressed images, as fpack makes them (`.fits.fz`), and gzipped files.

use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fitsio_pure::compress::{TileCompression, compress_image_hdu};
use fitsio_pure::header::Card;
use fitsio_pure::value::Value;
use spextral::fits::{PreprocOptions, read_image_f64, read_preproc, write_preproc};

use testkit::files::{empty_primary, folder, preproc, tiled, tiled_preproc};

/// The test frame with all images compressed, as a file.
fn packed_preproc(dir: &Path, floats: &TileCompression, bits: &TileCompression) -> PathBuf {
    let path = dir.join("preproc.fits.fz");
    std::fs::write(&path, tiled_preproc(floats, bits)).unwrap();
    path
}

#[test]
fn every_compression_gives_the_same_pixels() {
    let (dir, frame) = (folder(), preproc());
    let all = [
        (TileCompression::gzip().lossless(), TileCompression::rice()),
        (TileCompression::gzip2().lossless(), TileCompression::gzip()),
        (TileCompression::gzip().lossless().tile_dims(&[4, 3]), TileCompression::gzip2().tile_dims(&[4, 3])),
        (TileCompression::gzip2().lossless().tile_rows(2), TileCompression::rice().tile_rows(5)),
    ];
    for (floats, bits) in all {
        let path = packed_preproc(dir.path(), &floats, &bits);
        let back =
            read_preproc(path, &PreprocOptions { mask_bits: 0, fibermap: None, ..PreprocOptions::default() }).unwrap();
        assert_eq!(back.ccd, frame.ccd, "{floats:?}");
        assert_eq!(back.mask, frame.mask, "{bits:?}");
    }
}

#[test]
fn cards_of_the_compression_are_not_carried() {
    let dir = folder();
    let path = packed_preproc(dir.path(), &TileCompression::gzip().lossless(), &TileCompression::rice());
    let header = read_preproc(path, &PreprocOptions::default()).unwrap().header;
    assert_eq!(header.get_str("CAMERA").as_deref(), Some("b7"));
    let strays: Vec<&str> =
        header.keywords().filter(|k| k.starts_with('Z') || k.starts_with("TFORM") || k.starts_with("TTYPE")).collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn a_compressed_image_is_read_whatever_its_datasum_says() {
    let dir = folder();
    let card = |key: &str, text: &str| Card::new(key, Value::String(text.into())).unwrap();
    let cards = [card("EXTNAME", "IMAGE"), card("DATASUM", "1")];
    let mut bytes = empty_primary();
    bytes.extend(compress_image_hdu(&[3, 2], &[7i32; 6], &TileCompression::rice(), &cards).unwrap());
    let path = dir.path().join("image.fits.fz");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_image_f64(&path, "IMAGE").unwrap().1, [7.0; 6]);
}

#[test]
fn quantized_floats_are_within_their_step() {
    let dir = folder();
    let pixels: Vec<f32> = (0..64 * 32).map(|i| (i as f32 * 0.37).sin() * 100.0).collect();
    let step = 0.01;
    let by = TileCompression::rice().quantize(fitsio_pure::compress::Quantize::new().step(step));
    let mut bytes = empty_primary();
    bytes.extend(tiled("IMAGE", [32, 64], &pixels, &by));
    let path = dir.path().join("image.fits.fz");
    std::fs::write(&path, bytes).unwrap();
    let (shape, back) = read_image_f64(&path, "IMAGE").unwrap();
    assert_eq!(shape, [32, 64]);
    for (a, b) in back.iter().zip(&pixels) {
        assert!((a - f64::from(*b)).abs() <= step, "{a} for {b}");
    }
}

/// Returns the gzipped tiles of a file: their place and their unpacked bytes.
fn gzipped_tiles(bytes: &[u8]) -> Vec<(Range<usize>, Vec<u8>)> {
    let starts = bytes.windows(4).enumerate().filter(|(_, lead)| *lead == [0x1f, 0x8b, 8, 0]).map(|(at, _)| at);
    let unpack = |start: usize| {
        let (mut member, mut pixels) = (flate2::bufread::GzDecoder::new(&bytes[start..]), Vec::new());
        member.read_to_end(&mut pixels).unwrap();
        (start..bytes.len() - member.into_inner().len(), pixels)
    };
    starts.map(unpack).collect()
}

fn deflated(bytes: &[u8], zlib: bool) -> Vec<u8> {
    let level = flate2::Compression::best();
    let pack = |out: &mut dyn Write| out.write_all(bytes).unwrap();
    if zlib {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
        pack(&mut out);
        return out.finish().unwrap();
    }
    let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
    pack(&mut out);
    out.finish().unwrap()
}

/// A tile that is sound but for a pixel that it lacks: cfitsio's decoder and ours would make it 0.
#[test]
fn a_gzipped_tile_of_too_few_pixels_is_refused_by_its_number() {
    let dir = folder();
    let path = dir.path().join("image.fits.fz");
    let random = |i: usize| (i as f32 * 12.9898).sin() * 43758.547;
    let floats: Vec<f32> = (0..5 * 24).map(random).collect();
    let integers: Vec<i16> = floats.iter().map(|v| *v as i16).collect();
    // Of floats that are to be quantized those beyond the integers are gzipped as they are.
    let wide: Vec<f32> = floats.iter().enumerate().map(|(i, v)| if i / 24 == 2 { 1e9 * v } else { *v }).collect();
    let quantized = TileCompression::rice().quantize(fitsio_pure::compress::Quantize::new().step(0.5));
    let (gzip, gzip2) = (TileCompression::gzip(), TileCompression::gzip2());
    let shape = [5, 24];
    let images = [
        (tiled("IMAGE", shape, &floats, &gzip.clone().lossless()), 2, 96),
        (tiled("IMAGE", shape, &floats, &gzip2.clone().lossless()), 2, 96),
        (tiled("IMAGE", shape, &integers, &gzip), 2, 48),
        // Tiles of 10 x 3 pixels; the one looked at is 4 x 3.
        (tiled("IMAGE", shape, &integers, &gzip2.tile_dims(&[10, 3])), 2, 24),
        (tiled("IMAGE", shape, &wide, &quantized), 0, 96),
    ];
    for (k, (image, tile, needed)) in images.into_iter().enumerate() {
        let mut bytes = [empty_primary(), image].concat();
        std::fs::write(&path, &bytes).unwrap();
        let whole = read_image_f64(&path, "IMAGE").unwrap();
        let (place, pixels) = gzipped_tiles(&bytes).swap_remove(tile);
        assert_eq!(pixels.len(), needed, "image {k}");
        let number = if k == 4 { 3 } else { tile + 1 };
        for zlib in [false, true] {
            // The bytes behind the shorter tile become zeros, which both wrappings allow.
            let mut repack = |pixels: &[u8]| {
                let packed = deflated(pixels, zlib);
                assert!(packed.len() <= place.len(), "image {k}");
                bytes[place.clone()].fill(0);
                bytes[place.start..place.start + packed.len()].copy_from_slice(&packed);
                std::fs::write(&path, &bytes).unwrap();
                read_image_f64(&path, "IMAGE").map_err(|e| e.to_string())
            };
            assert!(repack(&pixels).unwrap() == whole, "image {k}, packed anew");
            let error = repack(&pixels[..needed - 4]).unwrap_err();
            let said = format!("tile {number} has {} bytes of the {needed} that its pixels take", needed - 4);
            for part in ["image.fits.fz", "HDU 1 (IMAGE)", &said] {
                assert!(error.contains(part), "image {k}: `{part}` is not in: {error}");
            }
        }
    }
}

#[test]
fn tiles_that_are_not_compressed_have_all_their_pixels_too() {
    let dir = folder();
    let path = dir.path().join("image.fits.fz");
    let image = tiled("IMAGE", [5, 12], &[7i32; 60], &TileCompression::gzip());
    let mut bytes = [empty_primary(), image].concat();
    let card = bytes.windows(8).position(|card| card == b"ZCMPTYPE").unwrap();
    bytes[card + 10..card + 22].copy_from_slice(b"'NOCOMPRESS'");
    std::fs::write(&path, bytes).unwrap();
    let error = read_image_f64(&path, "IMAGE").unwrap_err().to_string();
    assert!(error.contains("tile 1 has") && error.contains("of the 48 that its pixels take"), "{error}");
}

#[test]
fn gzip_is_told_by_its_bytes_not_by_its_name() {
    let (dir, frame) = (folder(), preproc());
    let (packed, renamed) = (dir.path().join("a.fits.gz"), dir.path().join("a.fits"));
    write_preproc(&packed, &frame, false).unwrap().persist().unwrap();
    assert_eq!(std::fs::read(&packed).unwrap()[..2], [0x1f, 0x8b]);
    std::fs::rename(&packed, &renamed).unwrap();
    assert_eq!(
        read_preproc(&renamed, &PreprocOptions { mask_bits: 0, fibermap: None, ..PreprocOptions::default() })
            .unwrap()
            .ccd,
        frame.ccd
    );
}

/// Two members: cut anywhere, padded by zeros.
fn in_two_members(bytes: &[u8], cut: usize) -> Vec<u8> {
    let member = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    [member(&bytes[..cut]), member(&bytes[cut..]), vec![0; 512]].concat()
}

#[test]
fn gzip_of_several_members_reads_as_one() {
    let (dir, frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 1, 2880, 3001, bytes.len()] {
        std::fs::write(&path, in_two_members(&bytes, cut)).unwrap();
        let back =
            read_preproc(&path, &PreprocOptions { mask_bits: 0, fibermap: None, ..PreprocOptions::default() }).unwrap();
        assert_eq!((&back.ccd, &back.mask), (&frame.ccd, &frame.mask), "cut at {cut}");
    }
}

#[test]
fn bytes_behind_the_end_of_a_gzip_file_are_counted() {
    let dir = folder();
    let path = dir.path().join("a.fits.gz");
    write_preproc(&path, &preproc(), false).unwrap().persist().unwrap();
    let bytes = [std::fs::read(&path).unwrap(), vec![0; 3], b"garbage".to_vec()].concat();
    std::fs::write(&path, bytes).unwrap();
    let error = read_preproc(&path, &PreprocOptions::default()).unwrap_err().to_string();
    assert!(error.contains("7 bytes that are no gzip follow its end"), "{error}");
}

#[test]
fn a_gzip_file_cut_or_changed_anywhere_is_refused() {
    let dir = folder();
    let path = dir.path().join("a.fits.gz");
    write_preproc(&path, &preproc(), false).unwrap().persist().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8], how: String| {
        std::fs::write(&path, bytes).unwrap();
        let error = read_preproc(&path, &PreprocOptions::default()).expect_err(&how).to_string();
        assert!(error.contains("a.fits.gz") && error.contains("gzip stream is damaged or cut short"), "{how}: {error}");
    };
    for len in [11, 100, whole.len() / 2, whole.len() - 9, whole.len() - 8, whole.len() - 1] {
        refused(&whole[..len], format!("{len} of {} bytes", whole.len()));
    }
    // Its CRC, its length, and something that is no member behind it.
    for from_end in [8, 4] {
        let mut bytes = whole.clone();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        refused(&bytes, format!("byte {at} changed"));
    }
    refused(&[&whole[..], b"more"].concat(), "more behind it".into());
}

#[test]
fn scaled_and_blank_integers_become_physical_numbers() {
    let dir = folder();
    let card = |text: &str| format!("{text:<80}");
    let cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                   16",
        "NAXIS   =                    1",
        "NAXIS1  =                    3",
        "EXTNAME = 'IMAGE   '",
        "BSCALE  =                  0.5",
        "BZERO   =                 10.0",
        "BLANK   =               -32768",
        "END",
    ];
    let mut bytes = format!("{:<2880}", cards.map(card).concat()).into_bytes();
    for pixel in [4i16, -6, -32768] {
        bytes.extend(pixel.to_be_bytes());
    }
    bytes.resize(5760, 0);
    let path = dir.path().join("a.fits");
    std::fs::write(&path, bytes).unwrap();
    let (_, pixels) = read_image_f64(&path, "IMAGE").unwrap();
    assert_eq!(pixels[..2], [12.0, 7.0]);
    assert!(pixels[2].is_nan());
}
