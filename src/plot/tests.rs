//! The picture is drawn without a font of the system, and shows what it is given.

use super::write::{SIZE, render};
use super::{Picture, write};
use crate::frame::Header;
use crate::frame::{Frame, Spectra, SpectraParts};
use crate::psf::Psf;
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Simulated, Simulation, project::project, simulate};

/// A simulated frame, and the frame that an ideal extraction with R = 1 would make of it.
fn scene() -> (Psf, Simulated, Frame, Vec<f32>) {
    let psf = Synthetic { nfibre: 50, npix_y: Some(500), ..Synthetic::default() }.build().unwrap();
    let s = simulate(&psf, &Simulation { seed: 3, ..Simulation::default() }).unwrap();
    let (nspec, nwave, ndiag) = (50, s.truth.wave.len(), 11);
    let mut resolution = vec![0.0; nspec * ndiag * nwave];
    for f in 0..nspec {
        resolution[(f * ndiag + 5) * nwave..(f * ndiag + 6) * nwave].fill(1.0);
    }
    let flux: Vec<f64> = s.truth.flux.iter().map(|f| f / 0.8).collect();
    let ivar = flux.iter().map(|f| 1.0 / (f + 20.0)).collect();
    let n = flux.len();
    let (chi2pix, pixmask_fraction, mask) = (vec![1.0; n], vec![0.0; n], vec![0; n]);
    let resolution = resolution.into();
    let spectra =
        Spectra::new(SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix, pixmask_fraction, mask })
            .unwrap();
    let fibermap = s.preproc.fibermap.clone();
    let frame = Frame { spectra, wave: s.truth.wave.clone(), header: Header::new(), fibermap, scores: None };
    let model = project(&psf, 0..50, &s.truth.wave, &s.truth.flux, false).iter().map(|&p| p as f32).collect();
    (psf, s, frame, model)
}

#[test]
fn picture_is_a_png_with_text_model_and_residual() {
    let (psf, s, frame, model) = scene();
    let title = "a simulated frame";
    let with = Picture { title, psf: &psf, preproc: &s.preproc, model: &model, frame: &frame, truth: Some(&s.truth) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    write(&path, &with).unwrap();
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap()));
    let info = decoder.read_info().unwrap();
    assert_eq!((info.info().width, info.info().height), SIZE);

    let pixels = render(&with).unwrap();
    let ink = |rows: std::ops::Range<u32>| {
        let row = 3 * SIZE.0 as usize;
        let part = &pixels[rows.start as usize * row..rows.end as usize * row];
        part.chunks(3).filter(|p| p.iter().all(|&c| c < 120)).count()
    };
    assert!(ink(0..60) > 100, "the title is written");
    let blank = vec![0.0; model.len()];
    let without = render(&Picture { model: &blank, ..with }).unwrap();
    let changed = pixels.chunks(3).zip(without.chunks(3)).filter(|(a, b)| a != b).count();
    assert!(changed > 100_000, "model and residual fill panels of their own: {changed} pixels");
}

#[test]
fn picture_without_truth_or_fibermap_is_drawn_too() {
    let (psf, s, mut frame, model) = scene();
    frame.fibermap = None;
    let picture = Picture { title: "", psf: &psf, preproc: &s.preproc, model: &model, frame: &frame, truth: None };
    assert_eq!(render(&picture).unwrap().len(), (3 * SIZE.0 * SIZE.1) as usize);
}

#[test]
fn model_of_another_ccd_is_refused() {
    let (psf, s, frame, model) = scene();
    let model = &model[1..];
    let picture = Picture { title: "", psf: &psf, preproc: &s.preproc, model, frame: &frame, truth: None };
    assert!(render(&picture).unwrap_err().to_string().contains("was it made from this frame"));
}
