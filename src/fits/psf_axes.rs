//! The axis of dispersion of a PSF file: by its card DISPAXIS, or by its traces.

use super::error::FitsError;
use super::reader::FitsFile;
use crate::psf::{Dispersion, Psf, TraceAxes};

/// The card: 1 for dispersion along x, 2 along y, as IRAF has it.
pub(super) const DISPAXIS: &str = "DISPAXIS";

/// Turns the PSF of a file with dispersion along x, so that everything behind has it along y.
///
/// # Errors
/// [`FitsError::Invalid`] if the card of any HDU is neither 1 nor 2, or contradicts the traces.
pub(super) fn oriented(file: &FitsFile, psf: Psf) -> Result<Psf, FitsError> {
    let axes = psf.trace_axes();
    let stated = file.hdus.iter().filter_map(|hdu| Some((hdu, hdu.header.get_i64(DISPAXIS)?)));
    for (hdu, value) in stated {
        let Some(axis) = Dispersion::of_dispaxis(value) else {
            let what = format!("{DISPAXIS} is {value}: it is 1 for dispersion along x, 2 for dispersion along y");
            return Err(file.invalid(hdu, what));
        };
        let TraceAxes { along_x, along_y } = axes;
        if axis != axes.most() && along_x != along_y {
            let (count, other) = (along_x.max(along_y), axes.most().letter());
            let what = format!(
                "{DISPAXIS} is {value}, dispersion along {}, but {count} of {} traces run along {other}: correct the card or the \
                 traces",
                axis.letter(),
                psf.nfibre
            );
            return Err(file.invalid(hdu, what));
        }
    }
    Ok(psf.turned_by_traces())
}
