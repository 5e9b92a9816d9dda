//! Files of many pieces: read, written, packed and summed by all threads, to the same bytes as by one.

use std::io::Read;
use std::path::Path;

use spextral::fits::{FitsError, Image, Pixels, read_fibermap, read_image_f64, write_images, write_preproc};

use testkit::files::{fibermap, folder, preproc};

/// Pixels of no whole number of pieces (368 640 bytes).
const PIXELS: usize = 250_007;

fn write_large(path: &Path) {
    let reals: Vec<f64> = (0..PIXELS).map(|i| (i as f64).sin()).collect();
    let bits: Vec<u32> = (0..PIXELS as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let signed: Vec<i32> = bits.iter().map(|&b| b as i32).collect();
    let single: Vec<f32> = reals.iter().map(|&v| v as f32).collect();
    let image = |name, pixels| Image { name, unit: "", shape: vec![PIXELS], pixels };
    let images = [
        image("F32", Pixels::F32(&single)),
        image("ROUNDED", Pixels::F32Rounded(&reals)),
        image("F64", Pixels::F64(&reals)),
        image("I32", Pixels::I32(&signed)),
        image("U32", Pixels::U32(&bits)),
    ];
    write_images(path, &Default::default(), &images, false).unwrap().persist().unwrap();
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(work)
}

#[test]
fn every_type_comes_back_whole_plain_and_packed() {
    let dir = folder();
    for name in ["a.fits", "a.fits.gz"] {
        let path = dir.path().join(name);
        write_large(&path);
        let back = |name: &str| read_image_f64(&path, name).unwrap().1;
        let bits = |i: usize| (i as u32).wrapping_mul(2_654_435_761);
        let (f32s, rounded, f64s, i32s, u32s) = (back("F32"), back("ROUNDED"), back("F64"), back("I32"), back("U32"));
        assert_eq!(u32s.len(), PIXELS);
        for i in 0..PIXELS {
            let v = (i as f64).sin();
            assert_eq!([f32s[i], rounded[i], f64s[i]], [f64::from(v as f32), f64::from(v as f32), v], "pixel {i}");
            assert_eq!([i32s[i], u32s[i]], [f64::from(bits(i) as i32), f64::from(bits(i))], "pixel {i}");
        }
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let dir = folder();
    for ending in ["fits", "fits.gz"] {
        let files = [1, 2, 5].map(|n| {
            let path = dir.path().join(format!("{n}.{ending}"));
            on_threads(n, || write_large(&path));
            std::fs::read(path).unwrap()
        });
        assert!(files[0] == files[1] && files[0] == files[2], "{ending}");
    }
}

#[test]
fn a_packed_file_is_one_member_that_holds_the_plain_one() {
    let dir = folder();
    let [plain, packed] = ["a.fits", "a.fits.gz"].map(|name| {
        let path = dir.path().join(name);
        write_large(&path);
        std::fs::read(path).unwrap()
    });
    let mut unpacked = Vec::new();
    // Some readers of the field stop after the first member.
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain, "{} bytes, {} expected", unpacked.len(), plain.len());
}

/// Changes a byte of the file, counted from its end.
fn damage(path: &Path, from_end: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() - from_end;
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn data_that_are_not_those_of_datasum_are_refused_by_file_and_hdu() {
    let dir = folder();
    let path = dir.path().join("a.fits");
    write_large(&path);
    damage(&path, 2880 + 100);
    let error = read_image_f64(&path, "U32").unwrap_err();
    assert!(matches!(error, FitsError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("a.fits, HDU 4 (U32)") && text.contains("DATASUM") && text.contains("fetch"), "{text}");
    read_image_f64(&path, "I32").expect("another HDU is whole");
    // The last block of the file is the table's.
    let path = dir.path().join("table.fits");
    write_preproc(&path, &spextral::fits::Preproc { fibermap: Some(fibermap(4)), ..preproc() }, false)
        .unwrap()
        .persist()
        .unwrap();
    damage(&path, 2880);
    let error = read_fibermap(&path).unwrap_err().to_string();
    assert!(error.contains("table.fits, HDU 4 (FIBERMAP)") && error.contains("damaged"), "{error}");
}

/// The file with the value of its only DATASUM card replaced.
fn with_datasum(path: &Path, value: &str) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.chunks(80).position(|card| card.starts_with(b"DATASUM =")).unwrap() * 80;
    bytes[at + 10..at + 80].copy_from_slice(format!("{value:<70}").as_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_datasum_that_says_nothing_is_not_asked() {
    let dir = folder();
    let path = dir.path().join("a.fits");
    let image = Image { name: "A", unit: "", shape: vec![3], pixels: Pixels::F64(&[1.0, 2.0, 3.0]) };
    write_images(&path, &Default::default(), &[image], false).unwrap().persist().unwrap();
    let right = 0x3ff0_0000u32 + 0x4000_0000 + 0x4008_0000;
    for value in ["''".to_string(), "'        '".into(), String::new(), right.to_string(), format!("'{right}'")] {
        with_datasum(&path, &value);
        assert_eq!(read_image_f64(&path, "A").expect(&value).1, [1.0, 2.0, 3.0]);
    }
    for value in ["'1'", "1", "'none'", "-1"] {
        with_datasum(&path, value);
        assert!(matches!(read_image_f64(&path, "A"), Err(FitsError::Damaged { .. })), "{value}");
    }
}
