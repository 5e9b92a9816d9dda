//! The measurement of all bundles.

use super::ShiftOptions;
use super::bundle::Field;
use super::moves::Moves;
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
/// A bundle whose dx or dy is not measured has a second try from the mean shift of those that are: a slit moves as a whole. What it
/// still does not give is taken from them ([`BundleShift::taken`]); then bundles beyond `fibres` are asked, too.
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
    let wanted = |own: &Range<usize>| own.start < fibres.end && fibres.start < own.end;
    let (bundles, others): (Vec<_>, Vec<_>) = groups(psf, None).into_iter().partition(wanted);
    let of = Measurement { psf, frame, options, cancel };
    let mut shifts = of.of_bundles(&bundles, progress)?;
    if shifts.bundles.iter().any(|bundle| of.lacks(bundle)) && !others.is_empty() {
        // The mean is that of all bundles, whatever is selected.
        shifts.bundles.extend(of.of_bundles(&others, &|_, _| ())?.bundles);
        shifts.bundles.sort_by_key(|bundle| bundle.fibres.start);
    }
    of.complete(&mut shifts)?;
    shifts.bundles.retain(|bundle| wanted(&bundle.fibres));
    Ok(shifts)
}

/// Measures some bundles as [`measure_shifts`] does; what one lacks is taken from the others among them.
///
/// # Errors
/// As of [`measure_shifts`].
pub(crate) fn measure_bundles(
    psf: &Psf,
    frame: &ArcFrame,
    bundles: &[Range<usize>],
    options: &ShiftOptions,
) -> Result<Shifts, ShiftError> {
    let of = Measurement { psf, frame, options, cancel: &CancelToken::default() };
    let mut shifts = of.of_bundles(bundles, &|_, _| ())?;
    of.complete(&mut shifts)?;
    Ok(shifts)
}

/// Inputs that all bundles have in common.
struct Measurement<'a> {
    psf: &'a Psf,
    frame: &'a ArcFrame<'a>,
    options: &'a ShiftOptions,
    cancel: &'a CancelToken,
}

impl<'a> Measurement<'a> {
    fn of_bundles(
        &self,
        bundles: &[Range<usize>],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Shifts, ShiftError> {
        let (psf, frame) = (self.psf, self.frame);
        let (found, needed) = ([frame.ccd.ny(), frame.ccd.nx()], [psf.npix_y, psf.npix_x]);
        if found != needed {
            return Err(ShiftError::Shape { found, needed });
        }
        let done = AtomicUsize::new(0);
        let of = |own: &Range<usize>| {
            let measured = self.run(State::new(self.field(own)), 0.0);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, bundles.len());
            measured
        };
        let bundles = bundles.par_iter().map(of).collect();
        self.unless_cancelled(Shifts { bundles, domain: [psf.wave_min, psf.wave_max], widths: Moves::have_widths(psf) })
    }

    fn field(&self, own: &Range<usize>) -> Field<'a> {
        Field::new(self.psf, own.clone(), self.frame, self.options)
    }

    fn run(&self, mut state: State, held: f64) -> BundleShift {
        state.measure(held, self.cancel);
        state.record()
    }

    fn unless_cancelled(&self, shifts: Shifts) -> Result<Shifts, ShiftError> {
        if self.cancel.is_cancelled() { Err(ShiftError::Cancelled) } else { Ok(shifts) }
    }

    /// Whether a bundle lacks a place that others may have.
    fn lacks(&self, bundle: &BundleShift) -> bool {
        let [x, y, ..] = bundle.measured;
        !x || (!y && !self.options.lines.is_empty())
    }

    /// Tries bundles that lack a place again from the mean shift of the others, and gives them that in place of what they still lack.
    fn complete(&self, shifts: &mut Shifts) -> Result<(), ShiftError> {
        let mean = [Quantity::X, Quantity::Y].map(|q| shifts.departure(q).map(|departure| departure.mean));
        let of = |first: &BundleShift| {
            let knows = |q: usize| mean[q].is_some() && !first.measured[q];
            if !self.lacks(first) || !(knows(0) || knows(1)) {
                return first.clone();
            }
            let own = |q: usize| if first.measured[q] { first.coeff[q * TERMS] } else { mean[q].unwrap_or(0.0) };
            let start = [own(0), own(1)];
            let again = self.run(State::from(self.field(&first.fibres), start), start[1]);
            let lost = (0..2).any(|q| first.measured[q] && !again.measured[q]);
            let mut bundle = if lost { first.clone() } else { again };
            for q in (0..2).filter(|q| !bundle.measured[*q] && mean[*q].is_some()) {
                bundle.coeff[q * TERMS..(q + 1) * TERMS].fill(0.0);
                bundle.coeff[q * TERMS] = start[q];
                bundle.taken[q] = true;
            }
            bundle
        };
        let bundles = shifts.bundles.par_iter().map(of).collect();
        *shifts = self.unless_cancelled(Shifts { bundles, ..*shifts })?;
        Ok(())
    }
}

impl State<'_> {
    /// Measures what the frame gives; quantities that it does not are left out, and the others measured without them, with dy
    /// `held` where it is one of them.
    fn measure(&mut self, held: f64, cancel: &CancelToken) {
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
            let start = self.field.start;
            (self.coeff[0], self.coeff[TERMS]) = (start[0], if known[1] { start[1] } else { held });
            if known != [false; 4] {
                self.run(cancel);
            }
        }
    }

    fn record(self) -> BundleShift {
        let Self { field, coeff, covariance, wanted, lines, rejected, mut unlisted, chunks, .. } = self;
        unlisted.sort_by(f64::total_cmp);
        BundleShift {
            fibres: field.fibres.start + field.own.start..field.fibres.start + field.own.end,
            slit: field.slit,
            coeff,
            covariance,
            measured: wanted,
            taken: [false; 2],
            unmatched: field.lines.is_empty() && !field.options.lines.is_empty(),
            lines,
            rejected,
            unlisted,
            chunks: chunks.len(),
            distrusted: chunks.iter().filter(|chunk| !chunk.trusted).count(),
        }
    }
}
