//! One file of every kind in a folder, for the checks by other programs (`tests/clients/verify_fits.py`).

use std::path::Path;

use spextral::fits::{write_frame, write_model, write_preproc, write_psf};

use testkit::files::{folder, frame, preproc, psf, rich_header};

/// Writes one file of every kind; their names.
pub fn write_every_kind(dir: &Path) -> Vec<&'static str> {
    write_preproc(dir.join("preproc.fits"), &preproc(), true).unwrap().persist().unwrap();
    write_preproc(dir.join("preproc.fits.gz"), &preproc(), true).unwrap().persist().unwrap();
    write_psf(dir.join("psf.fits"), &psf(), true).unwrap().persist().unwrap();
    write_frame(dir.join("frame.fits"), &frame(), true).unwrap().persist().unwrap();
    write_model(dir.join("model.fits"), &[1.0; 6], 3, 2, &rich_header(), true).unwrap().persist().unwrap();
    vec!["preproc.fits", "preproc.fits.gz", "psf.fits", "frame.fits", "model.fits"]
}

#[test]
fn every_hdu_has_both_checksums_and_they_are_right() {
    let dir = folder();
    // With SPEXTRAL_KEEP_FITS the files stay for other programs to read.
    let kept = std::env::var_os("SPEXTRAL_KEEP_FITS").map(std::path::PathBuf::from);
    let at = kept.as_deref().unwrap_or(dir.path());
    for name in write_every_kind(at).into_iter().filter(|n| n.ends_with(".fits")) {
        let bytes = std::fs::read(at.join(name)).unwrap();
        let parsed = fitsio_pure::hdu::parse_fits(&bytes).unwrap();
        for (i, hdu) in parsed.iter().enumerate() {
            let has = |key: &str| hdu.cards.iter().any(|c| c.keyword_str() == key);
            assert!(has("CHECKSUM") && has("DATASUM"), "{name} HDU {i}");
            assert!(fitsio_pure::checksum::verify_checksum(&bytes, hdu), "{name} HDU {i}");
            assert!(fitsio_pure::checksum::verify_datasum(&bytes, hdu), "{name} HDU {i}");
        }
    }
}
