//! Traces and widths that follow a frame before it is extracted.

use super::{FileError, Request};
use crate::base::cancel::CancelToken;
use crate::fit::ArcFrame;
use crate::fits::Preproc;
use crate::psf::Psf;
use crate::shift::{ShiftOptions, Shifts, measure_shifts};

/// Measures traces and widths on the frame, and gives them to the PSF.
pub(super) fn fit_traces(request: &Request, preproc: &Preproc, psf: &mut Psf) -> Result<Shifts, FileError> {
    let first = request.options.specmin;
    let end = request.options.nspec.map_or(psf.nfibre, |nspec| first.saturating_add(nspec));
    let frame = ArcFrame { ccd: &preproc.ccd, readnoise: preproc.readnoise.as_deref() };
    let options = ShiftOptions::night_sky(&preproc.header);
    let measured = measure_shifts(psf, &frame, first..end, &options, &CancelToken::default(), &|_, _| ());
    let failed = |source| FileError::Traces { input: request.input.clone(), psf: request.psf.clone(), source };
    let shifts = measured.map_err(failed)?;
    let shifted = shifts.apply(psf);
    *psf = shifted.map_err(|source| FileError::Shifted { path: request.psf.clone(), source })?;
    if let Some(sentence) = shifts.sentence() {
        tracing::info!("{}: {sentence}; the PSF follows", request.input.display());
    }
    Ok(shifts)
}

/// Returns what a frame does not give of traces and widths, in sentences.
pub(super) fn not_measured(request: &Request, shifts: &Shifts) -> Vec<String> {
    let input = request.input.display();
    let none = shifts.unmeasured().map(|sentence| format!("{input}: {sentence}; the PSF keeps its own"));
    none.into_iter().chain(shifts.notes().into_iter().map(|note| format!("{input}: {note}"))).collect()
}
