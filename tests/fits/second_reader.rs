//! `fitsrs`, which shares no code with us, reads equal numbers from our files.

use std::io::Cursor;

use fitsrs::{DataValue, Fits, HDU, Pixels};

use crate::written_files::write_every_kind;
use testkit::files::{folder, frame};

/// An image HDU as fitsrs sees it: its pixels as stored.
fn numbers<R: std::io::Read>(pixels: Pixels<R>) -> Vec<f64> {
    match pixels {
        Pixels::U8(v) => v.map(f64::from).collect(),
        Pixels::I16(v) => v.map(f64::from).collect(),
        Pixels::I32(v) => v.map(f64::from).collect(),
        Pixels::I64(v) => v.map(|p| p as f64).collect(),
        Pixels::F32(v) => v.map(f64::from).collect(),
        Pixels::F64(v) => v.collect(),
    }
}

#[test]
fn fitsrs_reads_the_numbers_of_a_frame() {
    let (dir, frame) = (folder(), frame());
    write_every_kind(dir.path());
    let bytes = std::fs::read(dir.path().join("frame.fits")).unwrap();
    let mut fits = Fits::from_reader(Cursor::new(bytes.as_slice()));
    let (mut images, mut tables) = (Vec::new(), Vec::new());
    while let Some(hdu) = fits.next() {
        match hdu.unwrap() {
            HDU::Primary(hdu) | HDU::XImage(hdu) => images.push(numbers(fits.get_data(&hdu).pixels())),
            HDU::XBinaryTable(hdu) => tables.push(fits.get_data(&hdu).row_iter().collect::<Vec<_>>()),
            HDU::XASCIITable(_) => panic!("an ASCII table, which we do not write"),
        }
    }
    let s = &frame.spectra;
    let mask = s.mask.iter().map(|&bits| f64::from(bits) - 2f64.powi(31)).collect();
    let expected = vec![
        s.flux.clone(),
        s.ivar.clone(),
        mask,
        frame.wave.clone(),
        s.resolution.to_f64().into_owned(),
        s.chi2pix.clone(),
    ];
    assert_eq!(images, expected);
    let fibermap = &tables[0];
    assert_eq!(fibermap.len(), s.nspec);
    for (row, target) in fibermap.iter().zip(frame.fibermap.unwrap().column_i64("TARGETID").unwrap()) {
        assert!(matches!(&row[0], DataValue::Long { value, .. } if *value == target), "{row:?}");
    }
    assert_eq!(tables.len(), 2, "FIBERMAP and SCORES");
}

#[test]
fn fitsrs_parses_every_hdu_of_every_file() {
    let dir = folder();
    for (name, hdus) in write_every_kind(dir.path()).into_iter().zip([5, 5, 3, 8, 1]) {
        if name.ends_with(".gz") {
            continue;
        }
        let bytes = std::fs::read(dir.path().join(name)).unwrap();
        let mut fits = Fits::from_reader(Cursor::new(bytes.as_slice()));
        let mut count = 0;
        for hdu in fits.by_ref() {
            hdu.unwrap_or_else(|e| panic!("{name}, HDU {count}: {e}"));
            count += 1;
        }
        assert_eq!(count, hdus, "{name}");
    }
}
