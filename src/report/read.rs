//! From files to what a report is made of; files that do not belong together are refused.

use super::ReportError;
use super::residual::Ccd;
use crate::compare::{TrueSpectra, resolve_truth};
use crate::fits::{
    Header, PreprocOptions, Value, path_of_card, read_frame, read_headers, read_image_f64, read_preproc, read_truth,
};
use crate::frame::Frame;
use std::path::{Path, PathBuf};

/// Cards by which an image or a model is known to be of a frame, where both have them.
const OF_IMAGE: [&str; 3] = ["CAMERA", "NIGHT", "EXPID"];
const OF_MODEL: [&str; 5] = ["CAMERA", "NIGHT", "EXPID", "IN_IMG", "IN_PSF"];

/// The files of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Sources {
    /// The frame.
    pub frame: PathBuf,
    /// The preprocessed CCD and the model of it.
    pub ccd: Option<[PathBuf; 2]>,
    /// The truth behind a simulated frame.
    pub truth: Option<PathBuf>,
}

/// What a report is made of.
#[derive(Debug)]
pub struct Material {
    /// The frame's name.
    pub name: String,
    /// The frame.
    pub frame: Frame,
    /// The CCD with the model.
    pub(super) ccd: Option<Ccd>,
    /// What the reader should know of the CCD's file.
    pub(super) note: Option<String>,
    /// The truth at the frame's resolution.
    pub(super) truth: Option<TrueSpectra>,
}

impl Material {
    /// Reads all files.
    ///
    /// # Errors
    /// [`ReportError`] where one cannot be read, or is not of this frame.
    pub fn read(sources: &Sources) -> Result<Self, ReportError> {
        let path = &sources.frame;
        let frame = read_frame(path)?;
        let (ccd, note) = match &sources.ccd {
            Some(files) => {
                let (ccd, note) = read_ccd(path, &frame, files)?;
                (Some(ccd), note)
            }
            None => (None, None),
        };
        let truth = sources.truth.as_ref().map(|truth| read_true_spectra(path, &frame, truth)).transpose()?;
        Ok(Self { name: file_name(path), frame, ccd, note, truth })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_ccd(path: &Path, frame: &Frame, [image, model]: &[PathBuf; 2]) -> Result<(Ccd, Option<String>), ReportError> {
    // Errors of masked pixels are wanted, too: what hides under a mask is shown.
    let preproc = read_preproc(image, &PreprocOptions { mask_bits: 0, fibermap: None })?;
    let cards = |keyword: &str| preproc.header.get(keyword);
    need_same_cards(&OF_IMAGE, (path, &frame.header), image, cards)?;
    let headers = read_headers(model)?;
    need_same_cards(&OF_MODEL, (path, &frame.header), model, |keyword| headers.iter().find_map(|h| h.get(keyword)))?;
    let (shape, pixels) = read_image_f64(model, "MODEL")?;
    let expected = [preproc.ccd.nx(), preproc.ccd.ny()];
    if shape != [preproc.ccd.ny(), preproc.ccd.nx()] {
        let found = [1, 0].map(|axis| shape.get(axis).copied().unwrap_or(1));
        return Err(ReportError::Shape { model: model.clone(), found, image: image.clone(), expected });
    }
    let bits = mask_bits(&frame.header);
    let masked = match &preproc.mask {
        Some(mask) => mask.iter().map(|&m| m as u32 & bits != 0).collect(),
        None => vec![false; preproc.ccd.image().len()],
    };
    let extracted_from = frame.header.get_str("IN_IMG").map(|name| file_name(&path_of_card(&name)));
    let other = extracted_from.filter(|name| *name != file_name(image));
    let note =
        other.map(|name| format!("the frame was extracted from {name}, the residual is of {}", file_name(image)));
    let model = pixels.into_iter().map(|p| if p.is_finite() { p as f32 } else { 0.0 }).collect();
    let nx = preproc.ccd.nx();
    let [image, ivar] = preproc.ccd.into_planes();
    Ok((Ccd { nx, image, ivar, masked, model }, note))
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
        let [expected, found] = [expected, found].map(|value| value.to_string());
        if expected != found {
            let (path, frame) = (path.to_path_buf(), frame.to_path_buf());
            return Err(ReportError::OtherFrame { path, keyword, found, frame, expected });
        }
    }
    Ok(())
}

/// The CCD mask bits that the extraction did not use, by its options; the default where the frame does not tell.
fn mask_bits(header: &Header) -> u32 {
    let options = header.get_str("SPXOPT").unwrap_or_default();
    let word = options.split_whitespace().find_map(|word| word.strip_prefix("mask-bits=0x"));
    word.and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(PreprocOptions::default().mask_bits)
}

fn read_true_spectra(path: &Path, frame: &Frame, truth: &Path) -> Result<TrueSpectra, ReportError> {
    let (truth_path, frame_path) = (truth.to_path_buf(), path.to_path_buf());
    let spectra = match resolve_truth(frame, &read_truth(truth)?) {
        Ok(spectra) => spectra,
        Err(source) => {
            return Err(ReportError::Truth { truth: truth_path, frame: frame_path, source: Box::new(source) });
        }
    };
    if spectra.chi.iter().all(|chi| chi.is_nan()) {
        return Err(ReportError::NothingJudged { truth: truth_path, frame: frame_path });
    }
    Ok(spectra)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_bits_are_those_of_the_extraction() {
        let mut header = Header::new();
        assert_eq!(mask_bits(&header), 0x2ff);
        header.set("SPXOPT", "wavelength=psf mask-bits=0x3 nspec=all", "");
        assert_eq!(mask_bits(&header), 3);
    }
}
