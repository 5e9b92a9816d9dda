//! Random streams, one per fibre or row and purpose: draws do not depend on threads.

use rand::SeedableRng;
use rand_pcg::Pcg64;

/// The purpose of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The target of a fibre.
    Target = 1,
    /// The noise of a CCD row.
    Noise = 2,
    /// The cosmic rays of the frame.
    Cosmics = 3,
    /// The position of a fibre in the field.
    Position = 5,
    /// Bad columns and dead patches of the CCD.
    Defects = 4,
    /// The lines of a lamp in one fibre.
    Lamp = 6,
    /// The brightness of a lamp's lines.
    Lines = 7,
}

/// Returns the stream of `index` (a fibre, a row) for `purpose` under the user's `seed`.
pub fn stream(seed: u64, purpose: Purpose, index: usize) -> Pcg64 {
    // SplitMix64's finaliser after each part: neighbouring seeds and indices share no bits.
    let parts = [seed, purpose as u64, index as u64];
    let state = parts.into_iter().fold(0, |state: u64, part| {
        let mut z = (state ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    });
    Pcg64::seed_from_u64(state)
}
