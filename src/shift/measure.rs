//! The measurement of all bundles.

use super::ShiftOptions;
use super::bundle::Field;
use super::rounds::State;
use super::shifts::{BundleShift, Shifts};
use super::terms::{Quantity, TERMS};
use crate::base::cancel::CancelToken;
use crate::fit::{ArcFrame, groups};
use crate::psf::Psf;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Largest errors of quantities that count as measured: pixels, and of logarithms of widths.
const MEASURED: [f64; 2] = [0.1, 0.05];

/// Reason why nothing is measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShiftError {
    /// The frame has not the CCD of the PSF.
    #[error("the frame has {found:?} rows and columns, the PSF's CCD has {needed:?}; give a frame of its camera")]
    Shape {
        /// Rows and columns of the frame.
        found: [usize; 2],
        /// Rows and columns of the PSF's CCD.
        needed: [usize; 2],
    },
    /// The measurement was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Measures how far traces and widths of a PSF are off on a frame, for the bundles with fibres in `fibres`, rows of the PSF.
/// Bundles are measured in parallel; results do not depend on the number of threads. `progress` gets the number of bundles that
/// are done and their total.
///
/// # Errors
/// [`ShiftError`] if frame and PSF do not fit together. A bundle without light is no error: none of its quantities is
/// measured.
pub fn measure_shifts(
    psf: &Psf,
    frame: &ArcFrame,
    fibres: Range<usize>,
    options: &ShiftOptions,
    cancel: &CancelToken,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Shifts, ShiftError> {
    let (found, needed) = ([frame.ccd.ny(), frame.ccd.nx()], [psf.npix_y, psf.npix_x]);
    if found != needed {
        return Err(ShiftError::Shape { found, needed });
    }
    let wanted = |own: &Range<usize>| own.start < fibres.end && fibres.start < own.end;
    let bundles: Vec<Range<usize>> = groups(psf, None).into_iter().filter(wanted).collect();
    let done = AtomicUsize::new(0);
    let measured = bundles
        .par_iter()
        .map(|own| {
            let mut state = State::new(Field::new(psf, own.clone(), frame, options));
            state.measure(cancel);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, bundles.len());
            state.record()
        })
        .collect();
    if cancel.is_cancelled() {
        return Err(ShiftError::Cancelled);
    }
    Ok(Shifts { bundles: measured, domain: [psf.wave_min, psf.wave_max] })
}

impl State<'_> {
    /// Measures what the frame gives; quantities that it does not are left out, and the others measured without them.
    fn measure(&mut self, cancel: &CancelToken) {
        if self.chunks.is_empty() {
            self.wanted = [false; 4];
            return;
        }
        self.run(cancel);
        let known = Quantity::ALL.map(|q| {
            let k = q as usize;
            self.wanted[k] && self.covariance[(k * TERMS, k * TERMS)].sqrt() < MEASURED[k / 2]
        });
        if known != self.wanted {
            self.wanted = known;
            self.coeff.fill(0.0);
            (self.coeff[0], self.coeff[TERMS]) = (self.start[0], if known[1] { self.start[1] } else { 0.0 });
            if known != [false; 4] {
                self.run(cancel);
            }
        }
    }

    fn record(self) -> BundleShift {
        let Self { field, coeff, covariance, wanted, lines, rejected, mut unlisted, chunks, start: _, .. } = self;
        unlisted.sort_by(f64::total_cmp);
        BundleShift {
            fibres: field.fibres.start + field.own.start..field.fibres.start + field.own.end,
            slit: field.slit,
            coeff,
            covariance,
            measured: wanted,
            unmatched: field.lines.is_empty() && !field.options.lines.is_empty(),
            lines,
            rejected,
            unlisted,
            chunks: chunks.len(),
            distrusted: chunks.iter().filter(|chunk| !chunk.trusted).count(),
        }
    }
}
