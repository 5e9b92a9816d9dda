//! Q of the fibres of a bundle, each block of bins in the narrowest band that serves it.

use super::BandFailure;
use super::choice::{Choice, Decorrelated, Part, TILE, Timed, Wanted};
use super::frontier::{self, Neglected, larger};
use super::normal::BandedNormal;
use super::parameters::{OVER_ESTIMATE, SolverParameters};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// The share of the tolerance that fibres beyond the frontier may take where there is a wider one. What they take is part of the
/// estimated error.
const BEYOND_FRONTIER: f64 = 0.5;

/// The most that a fibre lacks of what the next one does: 0.02 where fibres share a tenth of their light. Those that share light
/// may lack as much as each other.
const LEAK: f64 = 0.5;

/// The largest share of a window's tiles for which S is formed apart by a wider frontier: more cost more than all at once.
const FEW: f64 = 0.2;

/// Q of the wanted fibres, and the median of S_ii / K_ii, the information that neighbours leave.
///
/// The frontier of the recursion is the narrowest that serves; a few tiles that need a wider one have it for themselves. The band
/// of a block of bins follows from its own estimates. First the narrowest, then the first part of S in a wide band whose residual
/// promises the tolerance. So a fibre's bits do not depend on what is selected besides. Where fibres share much light, S is formed
/// in the first of the wide bands at once.
///
/// # Errors
/// A matrix is not positive definite by any frontier.
pub fn banded_decorrelation(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    parameters: &SolverParameters,
    wanted: &Wanted,
    timed: Timed,
) -> Result<(Vec<Decorrelated>, f64), BandFailure> {
    let (core, reach) = (&wanted.core, normal.pairs.len());
    // A fibre just beyond the core may couple fibres whose path leads through it to one of the core, which that one's own
    // estimate does not follow.
    let near = core.start.saturating_sub(reach)..(core.end + reach).min(normal.rhs.len());
    let counts = |fibre: usize, bin: usize| !core.contains(&fibre) || (wanted.counts)(fibre, bin);
    let candidates = frontier::candidates(reach);
    let mut found: BTreeMap<usize, Decorrelated> = BTreeMap::new();
    let mut information = None;
    let mut failure = None;
    // Fibres that no frontier serves so far, wanted or not: nothing depends on the selection.
    let mut left: Vec<usize> = core.clone().collect();
    // K less its farther couplings need not be positive definite: where the widest fails, narrower ones lack what they may.
    let fallback = candidates.clone().rev().skip(1).map(|frontier| (frontier, true));
    for (frontier, is_last) in
        candidates.clone().map(|frontier| (frontier, frontier + 1 == candidates.end)).chain(fallback)
    {
        let mut neglected = vec![];
        timed(Part::Complements, &mut || neglected = frontier::neglected(normal, x, frontier, near.clone(), &counts));
        let beyond = beyond(&neglected, &near, core, (reach, parameters.overlap));
        let lack = |fibre: usize| beyond[fibre - core.start].iter().copied().fold(0.0, larger);
        let lacks: Vec<(usize, f64)> = left.iter().map(|&fibre| (fibre, lack(fibre))).collect();
        let largest = lacks.iter().map(|(_, lack)| *lack).fold(0.0, larger);
        let most = BEYOND_FRONTIER / OVER_ESTIMATE * parameters.tolerance;
        // Written so that a NaN is not served where a wider frontier may.
        let is_served = |lack: f64| is_last || lack <= most;
        let (served, lacking): (Vec<_>, Vec<_>) = lacks.into_iter().partition(|(_, lack)| is_served(*lack));
        tracing::debug!(
            "a frontier of {frontier} lacks {largest:.1e} sigma: too much for {} of {} fibres",
            lacking.len(),
            left.len()
        );
        let are_few = wanted.around.is_some() && tiles(core, &lacking) as f64 <= FEW * tiles(core, &served) as f64;
        if !lacking.is_empty() && !are_few {
            continue;
        }
        let is_next = |fibre: &&usize| served.iter().any(|(served, _)| served == *fibre);
        let fibres: Vec<usize> = wanted.fibres.iter().filter(is_next).copied().collect();
        let of_these = Wanted { core: core.clone(), fibres: &fibres, ..*wanted };
        let rhs = frontier::near_rhs(normal, x, frontier);
        let made_up_for = neglected.into_iter().skip(core.start - near.start).take(core.len()).map(|of| of.t).collect();
        let in_tiles = information.is_some();
        let choice =
            Choice { normal, x, parameters, wanted: &of_these, frontier, rhs, made_up_for, beyond, in_tiles, timed };
        match choice.run() {
            Err(why) => {
                failure = Some(why);
                continue;
            }
            Ok((these, of_all)) => {
                information.get_or_insert(of_all);
                found.extend(fibres.into_iter().zip(these));
            }
        }
        left = lacking.into_iter().map(|(fibre, _)| fibre).collect();
        if !wanted.fibres.iter().any(|fibre| left.contains(fibre)) {
            break;
        }
    }
    match (information, wanted.fibres.iter().map(|fibre| found.remove(fibre)).collect()) {
        (Some(information), Some(found)) => Ok((found, information)),
        _ => Err(failure.expect("the widest frontier serves all")),
    }
}

/// Returns for each fibre of the core the largest effect beyond the frontier by bin, sigma: of fibres near it, and of bins up to
/// `overlap` away.
fn beyond(
    neglected: &[Neglected],
    near: &Range<usize>,
    core: &Range<usize>,
    (reach, overlap): (usize, usize),
) -> Vec<Vec<f64>> {
    let of = |fibre: usize| {
        let leak = |other: usize| LEAK.powi(fibre.abs_diff(other).saturating_sub(reach) as i32);
        let mut largest = vec![0.0; neglected.iter().map(|of| of.effect.len()).max().unwrap_or(0)];
        for (other, of) in near.clone().zip(neglected) {
            largest.iter_mut().zip(&of.effect).for_each(|(all, of)| *all = larger(*all, of * leak(other)));
        }
        let around = |bin: usize| bin.saturating_sub(overlap)..(bin + overlap + 1).min(largest.len());
        (0..largest.len()).map(|bin| largest[around(bin)].iter().copied().fold(0.0, larger)).collect()
    };
    core.clone().into_par_iter().map(of).collect()
}

/// Returns how many tiles of the core some fibres lie in.
fn tiles(core: &Range<usize>, fibres: &[(usize, f64)]) -> usize {
    let mut tiles: Vec<usize> = fibres.iter().map(|(fibre, _)| (fibre - core.start) / TILE).collect();
    tiles.dedup();
    tiles.len()
}
