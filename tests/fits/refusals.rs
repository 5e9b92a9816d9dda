//! Files that cannot be read or written: the message has cause, place and remedy, and nothing panics.

use std::path::PathBuf;

use proptest::prelude::*;
use spextral::fits::{
    FitsError, Preproc, PreprocOptions, read_fibermap, read_frame, read_image_f64, read_preproc, read_psf, write_frame,
    write_preproc, write_psf,
};

use spextral::frame::Frame;

use crate::written_files::write_every_kind;
use testkit::files::{empty_primary, files_in, folder, frame, packed, preproc, psf, psf_version_2};

/// A file with these bytes, and its folder, which lives as long as it does.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    let path = dir.path().join("a.fits");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// One file of a kind, as bytes.
fn bytes_of(name: &str) -> Vec<u8> {
    let dir = folder();
    write_every_kind(dir.path());
    std::fs::read(dir.path().join(name)).unwrap()
}

/// The file with the value of the nth card of a keyword replaced.
fn with_value(mut bytes: Vec<u8>, keyword: &str, nth: usize, value: &str) -> Vec<u8> {
    let name = format!("{keyword:<8}=").into_bytes();
    let at =
        (0..bytes.len()).step_by(80).filter(|&i| bytes[i..].starts_with(&name)).nth(nth).expect("the card is there");
    bytes[at + 9..at + 80].copy_from_slice(format!("{:<71}", format!(" {value:>20}")).as_bytes());
    bytes
}

fn preproc_error(bytes: &[u8]) -> String {
    let (_dir, path) = file(bytes);
    let error = read_preproc(&path, &PreprocOptions::default()).expect_err("must be refused").to_string();
    assert!(error.contains("a.fits"), "names the file: {error}");
    error
}

fn psf_error(bytes: &[u8]) -> String {
    let (_dir, path) = file(bytes);
    let error = read_psf(&path).expect_err("must be refused").to_string();
    assert!(error.contains("a.fits"), "names the file: {error}");
    error
}

/// Reads a file as everything it could be.
fn read_as_anything(path: &PathBuf) {
    let _ = read_preproc(path, &PreprocOptions::default());
    let _ = read_psf(path);
    let _ = read_frame(path);
    let _ = read_fibermap(path);
    let _ = read_image_f64(path, "IMAGE");
}

#[test]
fn what_is_no_fits_file_is_told_at_once() {
    let dir = folder();
    let missing = read_psf(dir.path().join("none.fits")).unwrap_err().to_string();
    assert!(missing.contains("none.fits") && missing.starts_with("cannot read"), "{missing}");
    assert!(matches!(read_psf(dir.path()), Err(FitsError::NotFits { .. })));
    assert!(preproc_error(b"").contains("it is empty"));
    assert!(preproc_error(b"a text file, not FITS").contains("does not begin with SIMPLE"));
    assert!(preproc_error(&[0x1f, 0x8b, 8, 0]).contains("gzip"));
}

#[test]
fn a_file_cut_anywhere_is_refused_or_what_it_lacks_is_told() {
    for name in ["preproc.fits", "preproc.fits.gz"] {
        let bytes = bytes_of(name);
        for percent in [1, 5, 22, 33, 50, 70, 99] {
            let (_dir, path) = file(&bytes[..bytes.len() * percent / 100]);
            match read_preproc(&path, &PreprocOptions::default()) {
                Ok(frame) => assert!(!frame.notes.is_empty(), "{name}, {percent} %"),
                Err(error) => {
                    let error = error.to_string();
                    let told = ["truncated", "no IVAR HDU", "gzip"].iter().any(|word| error.contains(word));
                    assert!(told && error.contains("a.fits"), "{error}");
                }
            }
        }
    }
}

#[test]
fn sizes_no_file_can_hold_are_refused_before_memory_is_asked_for() {
    let bytes = bytes_of("preproc.fits");
    let start = std::time::Instant::now();
    for value in ["1000000000000", "9223372036854775807"] {
        let error = preproc_error(&with_value(with_value(bytes.clone(), "NAXIS1", 0, value), "NAXIS2", 0, value));
        assert!(error.contains("truncated: primary HDU") || error.contains("truncated: HDU 0 (IMAGE)"), "{error}");
    }
    assert!(preproc_error(&with_value(bytes.clone(), "NAXIS", 0, "1000000000")).contains("NAXIS is 1000000000"));
    assert!(preproc_error(&with_value(bytes.clone(), "NAXIS1", 0, "-5")).contains("NAXIS1 is -5"));
    assert!(preproc_error(&with_value(bytes.clone(), "BITPIX", 0, "17")).contains("BITPIX is 17"));
    assert!(preproc_error(&with_value(bytes, "NAXIS1", 0, "'six'")).contains("NAXIS1 has a value of the wrong kind"));
    assert!(start.elapsed().as_secs() < 5);
}

/// Keywords that say how a file is laid out.
fn is_structural(keyword: &str) -> bool {
    const EXACT: [&str; 9] = ["BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "ZBITPIX", "ZNAXIS", "LEGDEG"];
    const NUMBERED: [&str; 6] = ["NAXIS", "TFORM", "ZNAXIS", "ZTILE", "ZVAL", "FIBERM"];
    EXACT.contains(&keyword) || NUMBERED.iter().any(|stem| keyword.starts_with(stem))
}

/// Returns the positions of the structural cards of a file.
fn structural_cards(bytes: &[u8]) -> Vec<usize> {
    let is_card = |&i: &usize| {
        bytes[i + 8..].starts_with(b"= ") && is_structural(String::from_utf8_lossy(&bytes[i..i + 8]).trim_end())
    };
    (0..bytes.len()).step_by(80).filter(is_card).collect()
}

#[test]
fn no_value_of_a_structural_keyword_panics_or_hangs() {
    let start = std::time::Instant::now();
    let values = ["0", "1", "-1", "2147483648", "4611686018427387904", "9223372036854775807", "'0D'"];
    let few = ["0", "-1", "4611686018427387904"];
    let mut read = 0;
    for bytes in [bytes_of("preproc.fits"), bytes_of("psf.fits"), bytes_of("frame.fits"), packed(), psf_version_2(1)] {
        let cards = structural_cards(&bytes);
        for (i, &first) in cards.iter().enumerate() {
            // Cards of one HDU stand close together: two that are wrong at once may hide each other.
            for &second in cards[i..].iter().take_while(|&&second| second < first + 10 * 80) {
                let pairs: Vec<(&str, &str)> = match first == second {
                    true => values.map(|v| (v, v)).to_vec(),
                    false => few.iter().flat_map(|a| few.map(|b| (*a, b))).collect(),
                };
                for (a, b) in pairs {
                    let mut bytes = bytes.clone();
                    for (at, value) in [(first, a), (second, b)] {
                        bytes[at + 10..at + 80].copy_from_slice(format!("{value:<70}").as_bytes());
                    }
                    let (_dir, path) = file(&bytes);
                    read_as_anything(&path);
                    read += 1;
                }
            }
        }
    }
    assert!(read > 1000 && start.elapsed().as_secs() < 300, "{read} files in {:?}", start.elapsed());
}

#[test]
fn counts_that_no_hdu_of_its_kind_has_are_refused() {
    let good = bytes_of("preproc.fits");
    // IVAR is the first HDU with these cards, FIBERMAP the last.
    for nth in [0, 3] {
        for value in ["0", "2", "-1"] {
            let error = preproc_error(&with_value(good.clone(), "GCOUNT", nth, value));
            assert!(error.contains(&format!("GCOUNT is {value}, which is wrong for its kind")), "{error}");
        }
        assert!(preproc_error(&with_value(good.clone(), "PCOUNT", nth, "-1")).contains("PCOUNT is -1"));
    }
    assert!(preproc_error(&with_value(good.clone(), "PCOUNT", 0, "1")).contains("HDU 1 (IVAR): PCOUNT is 1"));
    assert!(preproc_error(&with_value(good, "BITPIX", 4, "16")).contains("HDU 4 (FIBERMAP): BITPIX is 16"));
}

#[test]
fn a_domain_that_is_not_one_number_per_row_is_refused() {
    let (_dir, path) = file(&psf_version_2(1));
    assert_eq!(read_psf(&path).unwrap().trace_x.domain, [5600.0, 7800.0]);
    for numbers in [0, 2] {
        assert!(psf_error(&psf_version_2(numbers)).contains("WAVEMIN and WAVEMAX have not one number per row"));
    }
}

#[test]
fn a_compressed_image_that_claims_too_much_is_refused() {
    let mut bytes = empty_primary();
    let image = fitsio_pure::compress::compress_image_hdu(
        &[6, 5],
        &[1i32; 30],
        &fitsio_pure::compress::TileCompression::rice(),
        &[fitsio_pure::header::Card::new("EXTNAME", fitsio_pure::value::Value::String("IMAGE".into())).unwrap()],
    );
    bytes.extend(image.unwrap());
    let refused = |bytes: Vec<u8>| {
        let (_dir, path) = file(&bytes);
        read_image_f64(&path, "IMAGE").unwrap_err().to_string()
    };
    let (_dir, path) = file(&bytes);
    assert_eq!(read_image_f64(&path, "IMAGE").unwrap().1, vec![1.0; 30]);
    assert!(refused(with_value(bytes.clone(), "ZNAXIS1", 0, "1000000000000")).contains("which cannot be"));
    assert!(refused(with_value(bytes.clone(), "ZNAXIS2", 0, "6")).contains("has 5 tiles where its size needs 6"));
    assert!(
        refused(with_value(bytes.clone(), "ZCMPTYPE", 0, "'HCOMPRESS_1'"))
            .contains("compression HCOMPRESS_1 is not supported")
    );
    assert!(refused(with_value(bytes.clone(), "ZNAXIS", 0, "0")).contains("ZNAXIS is 0"));
    let mut foreign = with_value(bytes.clone(), "TFORM1", 0, "'1PB   ~~'");
    let at = foreign.windows(2).position(|pair| pair == b"~~").unwrap();
    foreign[at..at + 2].copy_from_slice("\u{e8}".as_bytes());
    assert!(refused(foreign).contains("cannot be decompressed"));
    let heap = bytes.len() - 2880;
    bytes[heap + 4..heap + 8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(refused(bytes).contains("tile 1 lies outside"));
}

#[test]
fn hdus_and_shapes_that_do_not_fit_are_named() {
    let bytes = bytes_of("frame.fits");
    let error = preproc_error(&bytes);
    assert!(error.contains("has no IMAGE HDU") && error.contains("FLUX"), "{error}");
    let dir = folder();
    let path = dir.path().join("a.fits");
    write_preproc(&path, &preproc(), false).unwrap().persist().unwrap();
    let swapped = with_value(with_value(std::fs::read(&path).unwrap(), "NAXIS1", 1, "5"), "NAXIS2", 1, "6");
    let error = preproc_error(&swapped);
    assert!(error.contains("IVAR") && error.contains("[6, 5]") && error.contains("[5, 6]"), "{error}");
    assert!(matches!(read_frame(&path), Err(FitsError::MissingHdu { .. })));
}

#[test]
fn planes_of_another_size_than_the_image_are_not_written() {
    let dir = folder();
    let refused = |preproc| write_preproc(dir.path().join("a.fits"), &preproc, false).unwrap_err().to_string();
    let masked = Preproc { mask: Some(vec![0; 3]), ..preproc() };
    let error = refused(masked.clone());
    assert!(error.contains("MASK") && error.contains("3 pixels, IMAGE has 5 x 6"), "{error}");
    assert!(masked.masked_by(1).is_err());
    let error = refused(Preproc { readnoise: Some(vec![]), ..preproc() });
    assert!(error.contains("READNOISE") && error.contains("0 pixels"), "{error}");
    let short = Frame { wave: vec![6000.0], ..frame() };
    let error = write_frame(dir.path().join("b.fits"), &short, false).unwrap_err().to_string();
    assert!(error.contains("WAVELENGTH has 1 pixels"), "{error}");
    let error = write_frame(dir.path().join("b.fits.fz"), &frame(), false).unwrap_err().to_string();
    assert!(error.contains("b.fits.fz promises another format"), "{error}");
    assert!(files_in(&dir).is_empty());
}

#[test]
fn a_psf_that_makes_no_sense_is_refused_by_what_is_wrong() {
    let good = bytes_of("psf.fits");
    let spotted = (0..3).fold(good.clone(), |bytes, nth| with_value(bytes, "PSFTYPE", nth, "'SPOTTED'"));
    let error = psf_error(&spotted);
    assert!(error.contains("PSFTYPE SPOTTED is not supported"), "{error}");
    assert!(psf_error(&with_value(good.clone(), "HSIZEX", 0, "0")).contains("HSIZEX is 0"));
    assert!(psf_error(&with_value(good.clone(), "NPIX_Y", 0, "-4128")).contains("NPIX_Y is -4128"));
    assert!(psf_error(&with_value(good.clone(), "GHDEGX", 0, "2")).contains("GH-2-0"));
    assert!(psf_error(&with_value(good.clone(), "FIBERMAX", 2, "27")).contains("LEGDEG 2"));
    assert!(psf_error(&with_value(good.clone(), "FIBERMAX", 2, "28")).contains("FIBERMAX 28"));
    assert!(psf_error(&with_value(good.clone(), "WAVEMIN", 2, "9000.0")).contains("WAVEMIN 9000"));
    assert!(psf_error(&with_value(good.clone(), "HSIZEX", 0, "65")).contains("HSIZEX is 65, not within 1 to 64"));
    assert!(psf_error(&with_value(good.clone(), "PSFERR", 0, "-0.5")).contains("PSFERR is -0.5"));
    assert!(psf_error(&with_value(good.clone(), "PSFERR", 0, "1E999")).contains("PSFERR is inf"));
    assert!(
        psf_error(&with_value(good.clone(), "PSFERR", 0, "'abc'")).contains("PSFERR has a value of the wrong kind")
    );
    assert!(psf_error(&with_value(good.clone(), "PSFERR", 0, "")).contains("PSFERR has a value of the wrong kind"));
    let missing = good.windows(9).position(|w| w == b"HSIZEY  =").unwrap();
    let mut without = good;
    without[missing..missing + 8].copy_from_slice(b"HSIZE_Q ");
    assert!(psf_error(&without).contains("HSIZEY is missing"));
}

#[test]
fn cards_of_a_psf_that_contradict_each_other_are_refused_or_said() {
    let good = bytes_of("psf.fits");
    let error = psf_error(&with_value(good.clone(), "PSFTYPE", 2, "'GAUSS'"));
    assert!(error.contains("HDU 2 (PSF): PSFTYPE is GAUSS, but GAUSS-HERMITE in HDU 0 (XTRACE)"), "{error}");
    let error = psf_error(&with_value(good.clone(), "DISPAXIS", 2, "1"));
    assert!(error.contains("HDU 2 (PSF): DISPAXIS is 1") && error.contains("traces run along y"), "{error}");
    let notes = |bytes: &[u8]| {
        let (_dir, path) = file(bytes);
        read_psf(&path).unwrap().defects().notes.join("; ")
    };
    assert_eq!(notes(&good), "");
    let unlike = notes(&with_value(good.clone(), "PSFVER", 2, "7"));
    assert!(unlike.contains("PSFVER is 7") && unlike.contains("different PSFVER ([3.0, 7.0])"), "{unlike}");
    assert_eq!(notes(&with_value(good.clone(), "PSFVER", 2, "'3'")), "", "specex writes a string there");
    let fewer = notes(&with_value(good, "GHDEGX", 0, "0"));
    assert_eq!(fewer, "its GH-1-0, GH-1-1, GH-1-2 are above GHDEGX 0 and GHDEGY 2, and left out");
}

#[test]
fn a_coefficient_that_is_no_number_is_told_by_fibre_and_term_and_costs_no_other_fibre() {
    let dir = folder();
    let path = dir.path().join("a.fits");
    let mut psf = psf();
    // A PSF cannot be built so: its file is damaged.
    let sound = 1.25 + 2f64.powi(-40);
    psf.update(|parts| parts.sigma_y.coeff[4] = sound).unwrap();
    write_psf(&path, &psf, false).unwrap().persist().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|w| w == sound.to_be_bytes()).unwrap();
    bytes[at..at + 8].copy_from_slice(&f64::NAN.to_be_bytes());
    for sum in [b"DATASUM ", b"CHECKSUM"] {
        while let Some(at) = bytes.windows(8).position(|w| w == sum) {
            bytes[at] = b'X';
        }
    }
    std::fs::write(&path, bytes).unwrap();
    let read = read_psf(&path).unwrap();
    let [bad] = &read.defects().fibres[..] else { panic!("{:?}", read.defects()) };
    assert_eq!((bad.fibre, bad.reason.as_str()), (1, "GHSIGY has coefficient NaN at term 1"));
    assert_eq!(read.sigma_y.of(0), psf.sigma_y.of(0));
    assert_eq!(read.sigma_y.of(1), psf.sigma_y.of(0), "its neighbour stands in");
}

#[test]
fn a_file_tells_of_the_stand_ins_that_were_written_for_bad_fibres() {
    let dir = folder();
    let [first, second] = ["first.fits", "second.fits"].map(|name| dir.path().join(name));
    let mut psf = psf();
    psf.update(|parts| parts.sigma_x.coeff[..3].fill(-1.0)).unwrap();
    write_psf(&first, &psf, false).unwrap().persist().unwrap();
    let read = read_psf(&first).unwrap();
    assert!(read.defects().fibres[0].reason.starts_with("GHSIGX is -1.000 at"), "{:?}", read.defects());
    write_psf(&second, &read, false).unwrap().persist().unwrap();
    let again = read_psf(&second).unwrap();
    let bad: Vec<(usize, &str)> = again.defects().fibres.iter().map(|bad| (bad.fibre, bad.reason.as_str())).collect();
    assert_eq!(bad, [(0, "STATUS is 1: its fit failed")]);
}

/// A limit on the size of files makes a full disk; it can be set for a child process only.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
    const CHILD: &str = "SPEXTRAL_TEST_FULL_DISK";
    if let Some(dir) = std::env::var_os(CHILD) {
        let error = write_frame(PathBuf::from(dir).join("frame.fits"), &frame(), false).unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("frame.fits"), "{error}");
        return;
    }
    let dir = folder();
    let test = "refusals::a_full_disk_is_an_error_and_leaves_nothing_behind";
    let script = format!("trap '' XFSZ; ulimit -f 4; exec \"$0\" --exact {test}");
    let mut child = std::process::Command::new("sh");
    let child = child.arg("-c").arg(script).arg(std::env::current_exe().unwrap()).env(CHILD, dir.path());
    let done = child.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"));
    assert!(files_in(&dir).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_bytes_never_panic(
        which in 0usize..4,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        let files = FILES.get_or_init(|| vec![bytes_of("preproc.fits"), bytes_of("psf.fits"), bytes_of("frame.fits"), packed()]);
        let mut bytes = files[which].clone();
        for (at, value) in damage {
            let i = at.index(bytes.len());
            bytes[i] = value;
        }
        let (_dir, path) = file(&bytes);
        read_as_anything(&path);
    }
}
