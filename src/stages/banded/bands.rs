//! Half bandwidths of the recursion over fibres.

/// Pairs of half bandwidths for the recursion over fibres. Step by 0.8 Angstrom on DESI's CCDs the first serves, finer
/// grids and very bright stars need the others.
const BANDS: [Bands; 4] = [
    Bands { inverse: 16, kept: 12 },
    Bands { inverse: 24, kept: 16 },
    Bands { inverse: 48, kept: 32 },
    Bands { inverse: 96, kept: 64 },
];

/// The widest band of S.
pub(super) const WIDEST: usize = BANDS[BANDS.len() - 1].kept;

/// Half bandwidths of the recursion over fibres.
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
