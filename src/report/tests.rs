//! Frames to report on, and what every page must hold.

use super::*;
use crate::compare::TrueSpectra;
use crate::frame::Header;
use crate::frame::{Frame, Spectra, SpectraParts};

/// A frame of constant flux, S/N 10, sampled by R = 1 with a little of its neighbours.
pub fn frame(nspec: usize, nwave: usize) -> Frame {
    let n = nspec * nwave;
    let resolution = (0..nspec).flat_map(|_| [0.2, 0.6, 0.2].map(|r| vec![r; nwave]).concat()).collect();
    let spectra = Spectra::new(SpectraParts {
        nspec,
        nwave,
        ndiag: 3,
        flux: vec![100.0; n],
        ivar: vec![0.01; n],
        resolution,
        chi2pix: vec![1.0; n],
        pixmask_fraction: Vec::new(),
        mask: vec![0; n],
    })
    .unwrap();
    let wave = (0..nwave).map(|j| 6000.0 + 0.8 * j as f64).collect();
    Frame { spectra, wave, header: Header::new(), fibermap: None, scores: None }
}

pub fn material(frame: Frame) -> Material {
    Material { name: "frame.fits".into(), frame, ccd: None, note: None, psf_fit: None, truth: None }
}

#[test]
fn a_page_of_a_frame_alone_says_how_to_get_the_rest() {
    let page = Report::new(material(frame(5, 40))).html().unwrap();
    for words in ["image PREPROC model MODEL", "<code>truth TRUTH", "Nothing out of the ordinary"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("{{"), "every placeholder is filled");
    assert!(!page.contains("://"), "nothing is asked for from elsewhere");
}

#[test]
fn words_of_a_header_cannot_become_part_of_the_page() {
    let mut frame = frame(2, 30);
    frame.header.set("SPXDEV", "</script><script>alert(1)</script>", "");
    frame.header.set("CAMERA", "<b>\"r0\"", "");
    let mut material = material(frame);
    material.name = "<i>.fits".into();
    let page = Report::new(material).html().unwrap();
    for words in ["<script>alert", "<b>", "<i>."] {
        assert!(!page.contains(words), "{words}");
    }
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_frame_without_a_bin_of_use_still_has_a_page_and_a_picture() {
    for nwave in [1, 2, 7] {
        let mut frame = frame(3, nwave);
        frame.spectra.update(|s| s.ivar.fill(0.0)).unwrap();
        frame.spectra.update(|s| s.flux.fill(f64::NAN)).unwrap();
        let report = Report::new(material(frame));
        assert!(report.html().unwrap().contains("without a single usable bin"));
        assert!(report.png().unwrap().starts_with(b"\x89PNG"));
    }
}

#[test]
fn chi_of_the_truth_is_what_the_page_says() {
    let mut material = material(frame(2, 20));
    let chi: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { 2.0 } else { -1.0 }).collect();
    material.truth = Some(TrueSpectra { expected: vec![100.0; 40], chi });
    let page = Report::new(material).html().unwrap();
    assert!(page.contains("mean +0.500, scatter 1.500"), "the mean and scatter of 2 and -1");
}
