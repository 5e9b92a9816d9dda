//! Bins beyond the ends of a grid: whether masks carry the effect of their end into the core.

use super::BandFailure;
use super::normal::BandedNormal;
use super::solve::solve;
use std::ops::Range;

/// Bins of the core that are looked at besides those beyond an end.
const INSIDE: usize = 32;

/// The bins at either end of a grid of `n` that are looked at.
fn ends(n: usize, core: &Range<usize>) -> [Range<usize>; 2] {
    [0..(core.start + INSIDE).min(n), core.end.saturating_sub(INSIDE)..n]
}

/// Whether some bins are among those that [`correlation_with_ends`] looks at.
pub(crate) fn is_at_an_end(bins: &Range<usize>, n: usize, core: &Range<usize>) -> bool {
    ends(n, core).iter().any(|end| bins.start < end.end && end.start < bins.end)
}

/// Returns how strongly the bins `core` are correlated with the outermost ones: the largest over fibres and bins that `counts`
/// holds for. The outermost bins take up the light and the noise of bins beyond, which have no unknowns.
///
/// `K e = r` is solved at each end to an error of `resolved`; the correlation is `|e_i| sqrt(K_ii)`. r is `sqrt(K_ii)` with
/// alternating signs at as many outermost bins as overlap with bins beyond, and 0 elsewhere. Signs that alternate excite the modes
/// that decay slowest. All masks and weights are in K, of which no other bins are needed.
///
/// # Errors
/// [`BandFailure`]: K is not positive definite, or the iteration does not converge.
pub fn correlation_with_ends(
    normal: &BandedNormal,
    core: &Range<usize>,
    counts: &(dyn Fn(usize, usize) -> bool + Sync),
    resolved: f64,
) -> Result<f64, BandFailure> {
    let n = normal.n;
    let mut largest = 0.0f64;
    for part in ends(n, core) {
        let outermost = if part.start == 0 { 0..normal.half.min(n) } else { n.saturating_sub(normal.half)..n };
        let mut cut = normal.cut(&(0..normal.diagonal.len()), &part);
        for (rhs, diagonal) in cut.rhs.iter_mut().zip(&cut.diagonal) {
            for (k, value) in rhs.iter_mut().enumerate() {
                let noise = diagonal[k * (normal.half + 1)].sqrt();
                let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                *value = if outermost.contains(&(part.start + k)) { sign * noise } else { 0.0 };
            }
        }
        let (e, _) = solve(&cut, resolved)?;
        let counted = part.clone().filter(|bin| core.contains(bin));
        for (fibre, e) in e.iter().enumerate() {
            for bin in counted.clone().filter(|&bin| counts(fibre, bin)) {
                let found = e[bin - part.start].abs() * normal.diagonal[fibre][bin * (normal.half + 1)].sqrt();
                largest = if found <= largest { largest } else { found };
            }
        }
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One fibre of `n` bins, each coupled to the next by `coupling` of the diagonal.
    fn chain(n: usize, coupling: f64) -> BandedNormal {
        let diagonal = (0..n).flat_map(|i| [1.0, if i + 1 < n { coupling } else { 0.0 }]).collect();
        BandedNormal { n, half: 1, diagonal: vec![diagonal], pairs: vec![], rhs: vec![vec![100.0; n]] }
    }

    #[test]
    fn the_correlation_falls_with_the_bins_beyond_and_rises_with_their_coupling() {
        // x falls by rho = (1 - sqrt(1 - 4 c^2)) / 2c per bin of a long chain.
        for coupling in [0.2f64, 0.4] {
            let rho = (1.0 - (1.0 - 4.0 * coupling * coupling).sqrt()) / (2.0 * coupling);
            for beyond in [5, 10] {
                let n = 100 + 2 * beyond;
                let found =
                    correlation_with_ends(&chain(n, coupling), &(beyond..100 + beyond), &|_, _| true, 1e-9).unwrap();
                let expected = rho.powi(beyond as i32 + 1) / coupling;
                assert!((found / expected - 1.0).abs() < 1e-3, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn bins_that_do_not_count_and_short_grids_are_no_error() {
        let normal = chain(12, 0.4);
        assert_eq!(correlation_with_ends(&normal, &(1..11), &|_, _| false, 1e-9), Ok(0.0));
        assert!(correlation_with_ends(&normal, &(1..11), &|_, _| true, 1e-9).unwrap() > 0.1);
    }
}
