//! Q of the fibres of a bundle, each block of bins in the narrowest band that serves it.

use super::choice::{Choice, Decorrelated, Part, TILE, Timed, Wanted};
use super::frontier::{self, Neglected, larger};
use super::normal::BandedNormal;
use super::parameters::{OVER_ESTIMATE, SolverParameters};
use super::{BandFailure, CouplingError};
use std::collections::BTreeMap;
use std::ops::Range;

/// The share of the tolerance that fibres beyond the frontier may take.
const BEYOND_FRONTIER: f64 = 0.5;

/// The estimated effect, in tolerances, from which on fibres beyond the widest frontier are not made up for. Below it what is left
/// is part of the estimated error.
const MOST_BEYOND_WIDEST: f64 = 0.5;

/// The most that a fibre lacks of what the next one does: 0.02 where fibres share a tenth of their light. Those that share light
/// may lack as much as each other.
const LEAK: f64 = 0.5;

/// The largest share of a window's tiles for which S is formed apart by a wider frontier: more cost more than all at once.
const FEW: f64 = 0.2;

/// Why a bundle is not decorrelated.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum DecorrelationFailure {
    /// Fibres beyond the frontier of the recursion change flux.
    #[error(transparent)]
    Coupling(#[from] CouplingError),
    /// S is not positive definite in any band.
    #[error(transparent)]
    Band(#[from] BandFailure),
}

/// Q of the wanted fibres, and the median of S_ii / K_ii, the information that neighbours leave.
///
/// The frontier of the recursion is the narrowest that serves; a few tiles that need a wider one have it for themselves. The band
/// of a block of bins follows from its own estimates. First the narrowest, then the first part of S in a wide band whose residual
/// promises the tolerance. So a fibre's bits do not depend on what is selected besides. Where fibres share much light, S is formed
/// in the first of the wide bands at once.
///
/// # Errors
/// [`DecorrelationFailure`]: a matrix is not positive definite, or fibres farther apart than the recursion holds still matter.
pub fn banded_decorrelation(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    parameters: &SolverParameters,
    wanted: &Wanted,
    timed: Timed,
) -> Result<(Vec<Decorrelated>, f64), DecorrelationFailure> {
    let (core, reach) = (&wanted.core, normal.pairs.len());
    // A fibre just beyond the core may couple fibres whose path leads through it to one of the core, which that one's own
    // estimate does not follow.
    let near = core.start.saturating_sub(reach)..(core.end + reach).min(normal.rhs.len());
    let counts = |fibre: usize, bin: usize| !core.contains(&fibre) || (wanted.counts)(fibre, bin);
    let candidates = frontier::candidates(reach);
    let mut found: BTreeMap<usize, Decorrelated> = BTreeMap::new();
    let (mut information, mut why) = (None, None);
    // Fibres that no frontier serves so far, wanted or not: nothing depends on the selection.
    let mut left: Vec<usize> = core.clone().collect();
    for frontier in candidates.clone() {
        let mut neglected = vec![];
        timed(Part::Complements, &mut || neglected = frontier::neglected(normal, x, frontier, near.clone(), &counts));
        let lack = |fibre: usize| {
            let leak = |other: usize| LEAK.powi(fibre.abs_diff(other).saturating_sub(reach) as i32);
            let of_near = |(other, of): (usize, &Neglected)| of.error * leak(other);
            near.clone().zip(&neglected).map(of_near).fold(0.0, larger)
        };
        let lacks: Vec<(usize, f64)> = left.iter().map(|&fibre| (fibre, lack(fibre))).collect();
        let largest = lacks.iter().map(|(_, lack)| *lack).fold(0.0, larger);
        let is_widest = frontier + 1 == candidates.end;
        let most = if is_widest { MOST_BEYOND_WIDEST } else { BEYOND_FRONTIER / OVER_ESTIMATE };
        // Written so that a NaN is not served.
        let is_served = |lack: f64| lack <= most * parameters.tolerance;
        let (served, lacking): (Vec<_>, Vec<_>) = lacks.into_iter().partition(|(_, lack)| is_served(*lack));
        tracing::debug!(
            "a frontier of {frontier} lacks {largest:.1e} sigma: too much for {} of {} fibres",
            lacking.len(),
            left.len()
        );
        let are_few =
            !is_widest && wanted.around.is_some() && tiles(core, &lacking) as f64 <= FEW * tiles(core, &served) as f64;
        if !lacking.is_empty() && !are_few {
            why = Some(CouplingError::Frontier { distance: frontier + 1, error: largest }.into());
            continue;
        }
        let is_next = |fibre: &&usize| served.iter().any(|(served, _)| served == *fibre);
        let fibres: Vec<usize> = wanted.fibres.iter().filter(is_next).copied().collect();
        let of_these = Wanted { core: core.clone(), fibres: &fibres, ..*wanted };
        let rhs = frontier::near_rhs(normal, x, frontier);
        let of_core = |fibre: usize| Neglected { error: lack(fibre), ..neglected[fibre - near.start].clone() };
        let neglected = core.clone().map(of_core).collect();
        let in_tiles = information.is_some();
        match (Choice { normal, x, parameters, wanted: &of_these, frontier, rhs, neglected, in_tiles, timed }).run() {
            // K less its farther couplings need not be positive definite.
            Err(failure) => {
                why = Some(failure.into());
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
        _ => Err(why.expect("there is a frontier")),
    }
}

/// Returns how many tiles of the core some fibres lie in.
fn tiles(core: &Range<usize>, fibres: &[(usize, f64)]) -> usize {
    let mut tiles: Vec<usize> = fibres.iter().map(|(fibre, _)| (fibre - core.start) / TILE).collect();
    tiles.dedup();
    tiles.len()
}
