//! Fibres so close that they share light, and with it information.

use super::Job;
use crate::plan::Bundle;
use crate::stages::traces::{legendre, unit};

/// The part of the information on a fibre that its neighbours leave, below which they are too close. It is left at a pitch of 2.2
/// times the width of spots.
const CROWDED: f64 = 0.75;

/// Returns the warning where neighbours leave too little information; None where they leave enough.
pub(super) fn crowding(job: &Job, bundle: &Bundle, left: f64) -> Option<String> {
    if left >= CROWDED {
        return None;
    }
    let (psf, wave) = (job.psf, job.grid.wave()[job.grid.nwave() / 2]);
    let x = |fibre: usize| legendre(psf.trace_x.of(fibre), unit(psf.trace_x.domain, wave));
    let pairs = bundle.fibres.clone().zip(bundle.fibres.clone().skip(1));
    let mut pitches: Vec<f64> = pairs.map(|(f, g)| (x(g) - x(f)).abs()).collect();
    pitches.sort_by(f64::total_cmp);
    let pitch = pitches.get(pitches.len() / 2)?;
    let middle = (bundle.fibres.start + bundle.fibres.end) / 2;
    let sigma = legendre(psf.sigma_x.of(middle), unit(psf.sigma_x.domain, wave));
    let lost = 100.0 * (1.0 - left);
    Some(format!(
        "{bundle}: neighbouring fibres share so much light that {lost:.0} % of the information on each is lost (pitch {pitch:.1} \
         pixels, sigma {sigma:.1} pixels)"
    ))
}
