//! Half bandwidths of the recursion over fibres.

/// Half bandwidths of S_f and of its terms on the CPU, one for each width there is code for. By 0.8 Angstrom on DESI's CCDs the
/// first serves; finer grids, strong coupling and very bright stars need others.
const KEPT: [usize; 6] = [12, 16, 24, 32, 48, 64];

/// The widest band of S.
pub(super) const WIDEST: usize = KEPT[KEPT.len() - 1];

/// Returns the half bandwidths of S that hold a matrix of so wide a half band, from the narrowest; none where there is no code.
pub(super) fn kept(half: usize) -> &'static [usize] {
    &KEPT[KEPT.iter().position(|&kept| kept >= half).unwrap_or(KEPT.len())..]
}
