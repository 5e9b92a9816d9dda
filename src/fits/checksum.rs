//! Checksums: 32-bit ones-complement sums, which may be added in any order (FITS standard 4.0, 4.4.2.7).

/// Sums big-endian words; bytes missing from the last one count as 0.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    // 64 bits hold the sum of 2^32 words without overflow.
    let total = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum::<u64>();
    fold_carries(total + u64::from(u32::from_be_bytes(last)))
}

/// Adds two sums.
pub(crate) fn add(a: u32, b: u32) -> u32 {
    fold_carries(u64::from(a) + u64::from(b))
}

/// Adds the carries to the lowest bits.
fn fold_carries(mut total: u64) -> u32 {
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
        fn sum_of_any_parts_equals_that_of_another_implementation(seed: u32, cut in 0usize..=720) {
            let bytes: Vec<u8> = (0..2880u32).map(|i| (i.wrapping_mul(seed) >> 13) as u8).collect();
            let (a, b) = bytes.split_at(4 * cut);
            prop_assert_eq!(sum(&bytes), checksum_blocks(&bytes));
            prop_assert_eq!(add(sum(b), sum(a)), checksum_blocks(&bytes));
        }
    }

    #[test]
    fn carries_are_added_to_the_lowest_bits() {
        assert_eq!(sum(&[0xff; 2880]), checksum_blocks(&[0xff; 2880]));
        assert_eq!(sum(&[]), 0);
        assert_eq!(sum(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]), 1);
        assert_eq!(sum(&[0, 0, 0, 1, 2]), 0x0200_0001);
    }
}
