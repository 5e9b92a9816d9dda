//! Where flux may be farther off than the tolerance, as users count fibres and wavelengths.

use serde::{Deserialize, Serialize};

/// Bins of a fibre whose flux may be farther off than the tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excess {
    /// The fibre, a row of the PSF.
    pub fibre: usize,
    /// The first and the last of its bins, Angstrom.
    pub wave: [f64; 2],
    /// Their number.
    pub bins: usize,
    /// The largest estimated error, sigma; the largest f64 where it is no number.
    pub error: f64,
}

impl Excess {
    /// Returns the bins of a fibre whose `errors`, sigma, are above `tolerance`; None if none is. `wave` is the grid, Angstrom.
    pub(in crate::solver) fn of(fibre: usize, errors: &[f64], tolerance: f64, wave: &[f64]) -> Option<Self> {
        let above: Vec<usize> = (0..errors.len()).filter(|&bin| errors[bin] > tolerance).collect();
        let wave = [wave[*above.first()?], wave[*above.last()?]];
        let error = errors.iter().copied().fold(0.0, f64::max).min(f64::MAX);
        Some(Self { fibre, wave, bins: above.len(), error })
    }
}

/// Fibres named one by one.
const NAMED: usize = 4;

/// Names fibres and wavelengths; nothing where there are none.
pub(in crate::solver) fn sentence(above: &[Excess]) -> String {
    let of = |excess: &Excess| {
        let [first, last] = excess.wave;
        let bins = if excess.bins == 1 { "1 bin".to_string() } else { format!("{} bins", excess.bins) };
        format!("fibre {} at {bins} of {first:.1} to {last:.1} Angstrom", excess.fibre)
    };
    let mut named: Vec<String> = above.iter().take(NAMED).map(of).collect();
    if above.len() > NAMED {
        named.push(format!("{} more fibres", above.len() - NAMED));
    }
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_fibres_are_named_and_many_are_counted() {
        let excess = |fibre| Excess { fibre, wave: [6000.0, 6004.0], bins: 1 + fibre, error: 2e-5 };
        assert_eq!(sentence(&[]), "");
        let all: Vec<Excess> = (0..6).map(excess).collect();
        assert_eq!(sentence(&all[..1]), ": fibre 0 at 1 bin of 6000.0 to 6004.0 Angstrom");
        assert!(sentence(&all).ends_with("fibre 3 at 4 bins of 6000.0 to 6004.0 Angstrom, 2 more fibres"));
    }
}
