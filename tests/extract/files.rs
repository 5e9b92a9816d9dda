//! From files to files.

use spextral::WriteError;
use spextral::extract::{FileError, ModelFlux, Options, Request, extract_file};
use spextral::fits::{FitsError, read_frame, read_headers, read_image_f64, write_preproc, write_psf};
use std::path::Path;
use testkit::{Small, cpu};

/// The small frame and its PSF as files.
fn request(folder: &Path, seed: u64) -> (Small, Request) {
    let small = Small::new(seed);
    let (psf, preproc) = (folder.join("psf.fits"), folder.join("preproc.fits"));
    write_psf(&psf, &small.psf, false).unwrap().persist().unwrap();
    write_preproc(&preproc, &small.sim.preproc, false).unwrap().persist().unwrap();
    let wave = small.grid.wave();
    let mut request = Request::new(preproc, psf, folder.join("frame.fits"));
    request.wavelength = Some((wave[0], wave[wave.len() - 1], small.grid.step()).into());
    request.options = Small::options();
    (small, request)
}

fn run(request: &Request) -> Result<(), FileError> {
    extract_file(request, &cpu(), &|_, _| {}).map(|_| ())
}

#[test]
fn a_frame_file_holds_what_was_extracted_and_the_cards_of_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let (small, mut request) = request(folder.path(), 1);
    request.options.specmin = 2;
    request.options.nspec = Some(4);
    request.model = Some((folder.path().join("model.fits"), ModelFlux::Deconvolved));
    run(&request).unwrap();
    let frame = read_frame(&request.output).unwrap();
    let ours = small.extract(&request.options, &cpu()).spectra;
    let f32s = |v: &[f64]| -> Vec<f64> { v.iter().map(|&v| f64::from(v as f32)).collect() };
    assert_eq!(
        (frame.spectra.nspec, frame.spectra.nwave, frame.spectra.ndiag),
        (4, small.grid.nwave(), small.psf.ndiag())
    );
    assert_eq!(frame.spectra.ivar.len(), ours.ivar.len());
    assert!(frame.spectra.flux == f32s(&ours.flux));
    assert!(frame.spectra.resolution == f32s(&ours.resolution.to_f64()).into());
    assert!(frame.spectra.mask == ours.mask);
    assert!(frame.wave == small.grid.wave());
    assert_eq!(frame.header.get_i64("NSPEC"), Some(4));
    assert_eq!(frame.header.get_i64("EXPID"), small.sim.preproc.header.get_i64("EXPID"));
    assert_eq!(frame.header.get_str("IN_PSF"), Some(request.psf.display().to_string()));
    let (all, ours) = (small.sim.preproc.fibermap.as_ref().unwrap(), frame.fibermap.as_ref().unwrap());
    assert_eq!(ours.nrows(), 4);
    assert_eq!(ours.column_i64("TARGETID").unwrap(), all.column_i64("TARGETID").unwrap()[2..6]);
    let (shape, model) = read_image_f64(&request.model.unwrap().0, "MODEL").unwrap();
    assert_eq!(shape, vec![small.psf.npix_y, small.psf.npix_x]);
    assert!(model.iter().sum::<f64>() > 0.0);
    assert!(read_headers(&request.output).unwrap().iter().all(|h| h.contains("CHECKSUM")));
}

#[test]
fn a_barycentric_grid_is_written_as_asked_for_and_extracted_at_the_observed_wavelengths() {
    let folder = tempfile::tempdir().unwrap();
    let (small, mut request) = request(folder.path(), 2);
    run(&request).unwrap();
    let plain = read_frame(&request.output).unwrap();
    request.barycentric = true;
    request.overwrite = true;
    run(&request).unwrap();
    let frame = read_frame(&request.output).unwrap();
    let factor = frame.header.get_f64("HELIOCOR").unwrap();
    assert!((factor - 1.0).abs() < 2e-4 && factor != 1.0, "{factor}");
    assert!(frame.wave == plain.wave);
    let ours = small.extract(&Options { barycentric: Some(factor), ..Small::options() }, &cpu()).spectra;
    assert!(frame.spectra.flux == ours.flux.iter().map(|&v| f64::from(v as f32)).collect::<Vec<_>>());
    assert!(frame.spectra.flux != plain.spectra.flux);
}

#[test]
fn outputs_replace_neither_inputs_nor_each_other_nor_files_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (_, request) = request(folder.path(), 3);
    let onto_input = Request { output: request.psf.clone(), overwrite: true, ..request.clone() };
    assert!(matches!(run(&onto_input), Err(FileError::Fits(FitsError::Write(WriteError::OutputIsInput { .. })))));
    let twice = Request { model: Some((request.output.clone(), ModelFlux::Deconvolved)), ..request.clone() };
    assert!(matches!(run(&twice), Err(FileError::Fits(FitsError::Write(WriteError::SameOutputs { .. })))));
    std::fs::write(&request.output, "precious").unwrap();
    assert!(matches!(run(&request), Err(FileError::Fits(FitsError::Write(WriteError::Exists { .. })))));
    assert_eq!(std::fs::read(&request.output).unwrap(), b"precious");
}
