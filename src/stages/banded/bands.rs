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

/// Pairs of half bandwidths on a GPU, whose recursion takes a band of an inverse.
const BANDS: [Bands; 4] = [
    Bands { inverse: 16, kept: 12 },
    Bands { inverse: 24, kept: 16 },
    Bands { inverse: 48, kept: 32 },
    Bands { inverse: 96, kept: 64 },
];

/// Half bandwidths of a GPU's recursion over fibres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bands {
    /// Of the inverses.
    pub inverse: usize,
    /// Of S_f and its terms, at most that of the inverses and at least that of K.
    pub kept: usize,
}

impl Bands {
    /// Those that hold a matrix of so wide a half band, from the narrowest; none where there is no code for it.
    pub fn candidates(half: usize) -> &'static [Self] {
        &BANDS[BANDS.iter().position(|bands| bands.kept >= half).unwrap_or(BANDS.len())..]
    }
}
