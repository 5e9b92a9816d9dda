//! How far the PSF of a frame is off its image: traces and widths by the light of some bundles.

use super::error::ReportError;
use crate::base::cancel::CancelToken;
use crate::extract::Request;
use crate::fit::{ArcFrame, groups};
use crate::fits::{read_preproc, read_psf_with};
use crate::frame::Frame;
use crate::shift::{ShiftOptions, Shifts, measure_shifts};
use std::path::Path;

/// Most bundles that are looked at, spread over the extracted ones.
const BUNDLES: usize = 4;
/// Chunks of each that are used.
const CHUNKS: usize = 16;

/// Measures traces and widths of `psf` on `image` at some bundles of a frame, and returns a sentence if they are off. None also for
/// a frame whose PSF followed it (`--fit-traces`), for lamps, and where nothing can be measured.
///
/// # Errors
/// [`ReportError::Fits`] if a file cannot be read.
pub fn sentence(frame: &Frame, request: &Request, image: &Path, psf: &Path) -> Result<Option<String>, ReportError> {
    let of_sky = frame.header.get_str("OBSTYPE").is_none_or(|kind| ["SCIENCE", "SKY"].contains(&kind.trim()));
    if frame.header.contains("SPXDX") || !of_sky {
        return Ok(None);
    }
    let psf = read_psf_with(psf, request.psf_gh00)?;
    let preproc = read_preproc(image, &request.preproc_options())?.turned_for(psf.dispersion);
    let arc = ArcFrame { ccd: &preproc.ccd, readnoise: preproc.readnoise.as_deref() };
    let options = ShiftOptions { chunks: CHUNKS, ..ShiftOptions::night_sky(&preproc.header) };
    let (first, end) = (request.options.specmin, request.options.specmin + frame.spectra.nspec);
    let extracted: Vec<_> =
        groups(&psf, None).into_iter().filter(|group| group.start < end && first < group.end).collect();
    let mut all: Option<Shifts> = None;
    let count = extracted.len().min(BUNDLES);
    for group in (0..count).map(|k| extracted[(2 * k + 1) * extracted.len() / (2 * count)].clone()) {
        match measure_shifts(&psf, &arc, group, &options, &CancelToken::default(), &|_, _| ()) {
            Ok(found) => match &mut all {
                Some(shifts) => shifts.bundles.extend(found.bundles),
                None => all = Some(found),
            },
            Err(why) => {
                tracing::debug!("shifts are not measured: {why}");
                return Ok(None);
            }
        }
    }
    Ok(all.and_then(|shifts| shifts.sentence()))
}
