//! Sums of data units: 32-bit ones-complement additions, which may be done in any order (FITS standard 4.0, 4.4.2.7).

/// The sum of big-endian words; bytes missing from the last one count as 0.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    // 2^32 words fit into 64 bits before the carries need be brought round.
    let total = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum::<u64>();
    around(total + u64::from(u32::from_be_bytes(last)))
}

/// The sum of two stretches of data.
pub(crate) fn add(a: u32, b: u32) -> u32 {
    around(u64::from(a) + u64::from(b))
}

/// Brings the carries round to the lowest bit.
fn around(mut total: u64) -> u32 {
    while total >> 32 != 0 {
        total = (total & 0xffff_ffff) + (total >> 32);
    }
    total as u32
}

#[cfg(test)]
mod tests {
    use super::{add, sum};
    use fitsio_pure::checksum::checksum_blocks;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_that_of_another_implementation_in_any_parts(seed: u32, cut in 0usize..=720) {
            let bytes: Vec<u8> = (0..2880u32).map(|i| (i.wrapping_mul(seed) >> 13) as u8).collect();
            let (a, b) = bytes.split_at(4 * cut);
            prop_assert_eq!(sum(&bytes), checksum_blocks(&bytes));
            prop_assert_eq!(add(sum(b), sum(a)), checksum_blocks(&bytes));
        }
    }

    #[test]
    fn carries_come_round() {
        assert_eq!(sum(&[0xff; 2880]), checksum_blocks(&[0xff; 2880]));
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]), 1);
        assert_eq!(sum(&[0, 0, 0, 1, 2]), 0x0200_0001);
    }
}
