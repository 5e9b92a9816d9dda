//! The files of a report. Files of different frames are refused.

use super::error::ReportError;
use super::others::near_others;
use super::psf_fit::{self, PsfFit};
use super::residual::CcdResidual;
use crate::compare::{TrueSpectra, file_name, resolve_truth};
use crate::extract::Request;
use crate::fits::{
    FitsError, Preproc, PreprocOptions, read_frame, read_headers, read_image_f64, read_preproc, read_psf_with,
    read_truth,
};
use crate::frame::{Frame, Header, Value, path_of_card};
use std::path::{Path, PathBuf};

/// Cards that an image or a model shares with its frame, if both have them.
const OF_IMAGE: [&str; 3] = ["CAMERA", "NIGHT", "EXPID"];
const OF_MODEL: [&str; 5] = ["CAMERA", "NIGHT", "EXPID", "IN_IMG", "IN_PSF"];

/// The files of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Sources {
    /// The frame.
    pub frame: PathBuf,
    /// The preprocessed CCD and its model.
    pub ccd: Option<(PathBuf, Model)>,
    /// The PSF that it was extracted with: with the CCD, for how far the PSF is off.
    pub psf: Option<PathBuf>,
    /// The truth of a simulated frame.
    pub truth: Option<PathBuf>,
}

/// The model of a CCD.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// A file that an extraction has written.
    File(PathBuf),
    /// Its pixels, `[ny, nx]` as in the file of the CCD.
    Pixels(Vec<f32>),
}

/// The contents of the files of a report.
#[derive(Debug)]
pub struct Material {
    /// The frame's name.
    pub name: String,
    /// The frame.
    pub frame: Frame,
    /// The CCD with its model.
    pub(super) ccd: Option<CcdResidual>,
    /// A remark on the CCD's file.
    pub(super) note: Option<String>,
    /// How far the PSF is off the CCD, if that was measured.
    pub(super) psf_fit: Option<PsfFit>,
    /// The truth at the frame's resolution.
    pub(super) truth: Option<TrueSpectra>,
}

impl Material {
    /// Reads all files.
    ///
    /// # Errors
    /// [`ReportError::Fits`] if a file cannot be read, [`ReportError::Shape`], [`ReportError::OtherFrame`],
    /// [`ReportError::Truth`] or [`ReportError::NothingJudged`] if it does not belong to the frame.
    pub fn read(sources: Sources) -> Result<Self, ReportError> {
        let path = &sources.frame;
        // An error here comes back from `read_frame`, which names it.
        let headers = read_headers(path).unwrap_or_default();
        let options = headers.iter().find_map(|header| header.get_str("SPXOPT"));
        let request = request_of(options.as_deref());
        let planes = || sources.ccd.as_ref().map(|(image, _)| read_image(&request, image));
        let (frame, image) = rayon::join(|| read_frame(path), planes);
        let frame = frame?;
        let note = sources.ccd.as_ref().and_then(|(image, _)| other_image(&frame, image));
        let planes = sources.ccd.zip(image).map(|(ccd, image)| with_model(path, &frame, ccd, image?)).transpose()?;
        let (mut psf_fit, mut others) = (None, None);
        if let (Some((preproc, _)), Some(psf)) = (&planes, &sources.psf) {
            let psf = read_psf_with(psf, request.psf_gh00)?;
            psf_fit = psf_fit::measure(&frame, &request, preproc, &psf);
            let first = request.options.specmin;
            others = near_others(&psf, &(first..first + frame.spectra.nspec));
        }
        // A PSF of another CCD knows nothing of its pixels.
        let others = others.filter(|marks| planes.as_ref().is_some_and(|(_, model)| model.len() == marks.len()));
        let ccd = planes.map(|(preproc, model)| residual(preproc, model, request.mask_bits, others));
        let truth = sources.truth.as_ref().map(|truth| read_true_spectra(path, &frame, truth)).transpose()?;
        Ok(Self { name: file_name(path), frame, ccd, note, psf_fit, truth })
    }
}

/// Reads the CCD as it was extracted but for its mask.
fn read_image(request: &Request, image: &Path) -> Result<Preproc, FitsError> {
    // No mask bits, so that masked pixels keep their errors: the report shows their residuals, too.
    read_preproc(image, &PreprocOptions { mask_bits: 0, fibermap: None, ..request.preproc_options() })
}

/// Adds the model, `[ny, nx]`, to a CCD; both have to be the frame's.
fn with_model(
    path: &Path,
    frame: &Frame,
    (image, model): (PathBuf, Model),
    preproc: Preproc,
) -> Result<(Preproc, Vec<f32>), ReportError> {
    need_same_cards(&OF_IMAGE, (path, &frame.header), &image, |keyword| preproc.header.get(keyword))?;
    let expected = [preproc.ccd.nx(), preproc.ccd.ny()];
    let file = match model {
        Model::Pixels(pixels) if pixels.len() == expected[0] * expected[1] => return Ok((preproc, pixels)),
        Model::Pixels(pixels) => {
            let found = [pixels.len(), 1];
            return Err(ReportError::Shape { model: image.clone(), found, image, expected });
        }
        Model::File(file) => file,
    };
    let headers = read_headers(&file)?;
    need_same_cards(&OF_MODEL, (path, &frame.header), &file, |keyword| headers.iter().find_map(|h| h.get(keyword)))?;
    let (shape, pixels) = read_image_f64(&file, "MODEL")?;
    let found = [1, 0].map(|axis| shape.get(axis).copied().unwrap_or(1));
    if shape.len() != 2 || found != expected {
        return Err(ReportError::Shape { model: file, found, image, expected });
    }
    let model = pixels.into_iter().map(|p| if p.is_finite() { p as f32 } else { 0.0 }).collect();
    Ok((preproc, model))
}

/// Returns a remark if the image is not the one that was extracted.
fn other_image(frame: &Frame, image: &Path) -> Option<String> {
    let given = file_name(image);
    let extracted_from = frame.header.get_str("IN_IMG").map(|name| file_name(&path_of_card(&name)));
    let other = extracted_from.filter(|name| *name != given);
    other.map(|name| format!("the frame was extracted from {name}, the residual is of {given}"))
}

/// Returns the residual of a CCD, where any of `bits` masks, and light of other fibres.
fn residual(preproc: Preproc, model: Vec<f32>, bits: u32, others: Option<Vec<bool>>) -> CcdResidual {
    let mut masked = match &preproc.mask {
        Some(mask) => mask.iter().map(|&m| m as u32 & bits != 0).collect(),
        None => vec![false; model.len()],
    };
    let beside_others = others.is_some();
    others.into_iter().flatten().zip(&mut masked).for_each(|(other, masked)| *masked |= other);
    let nx = preproc.ccd.nx();
    let [image, ivar] = preproc.ccd.into_planes();
    CcdResidual { nx, image, ivar, masked, model, beside_others }
}

/// Refuses a file with a card of another value than the frame's.
fn need_same_cards(
    keywords: &[&'static str],
    (frame, header): (&Path, &Header),
    path: &Path,
    cards: impl Fn(&str) -> Option<Value>,
) -> Result<(), ReportError> {
    for &keyword in keywords {
        let (Some(expected), Some(found)) = (header.get(keyword), cards(keyword)) else {
            continue;
        };
        let [expected, found] = [expected, found].map(|value| value.to_string().into_boxed_str());
        if expected != found {
            let (path, frame) = (path.to_path_buf(), frame.to_path_buf());
            return Err(ReportError::OtherFrame { path, keyword, found, frame, expected });
        }
    }
    Ok(())
}

/// Returns the request of the extraction by the options that its frame records: it decides how the image is read.
fn request_of(options: Option<&str>) -> Request {
    let mut request = Request::new("", "", "");
    request.set_recorded(options.unwrap_or_default());
    request
}

fn read_true_spectra(frame_path: &Path, frame: &Frame, path: &Path) -> Result<TrueSpectra, ReportError> {
    let paths = || (path.to_path_buf(), frame_path.to_path_buf());
    let spectra = resolve_truth(frame, &read_truth(path)?).map_err(|source| {
        let (truth, frame) = paths();
        ReportError::Truth { truth, frame, source: Box::new(source) }
    })?;
    if spectra.moments().count == 0 {
        let (truth, frame) = paths();
        return Err(ReportError::NothingJudged { truth, frame });
    }
    Ok(spectra)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_as_the_extraction_read_it() {
        assert_eq!(request_of(None), Request::new("", "", ""));
        let request = request_of(Some("wavelength=psf mask-bits=0x3 gain=1.5 nspec=all"));
        assert_eq!((request.mask_bits, request.gain), (3, Some(1.5)));
    }
}
