//! Values of options that have a spelling of their own: mask bits.

use std::fmt;
use std::str::FromStr;

/// Bits of a CCD mask; as text `0-7,9`, `0x2ff` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskBits(pub u32);

/// A text that is no [`MaskBits`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no set of bits: give bits and ranges of 0 to 31 (0-7,9), a hexadecimal number (0x2ff), or none")]
pub struct NoMaskBits(String);

impl FromStr for MaskBits {
    type Err = NoMaskBits;

    fn from_str(text: &str) -> Result<Self, NoMaskBits> {
        let bit = |digits: &str| digits.trim().parse::<u32>().ok().filter(|bit| *bit < 32);
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (bit(first)?, bit(last)?);
            (first <= last).then(|| (first..=last).fold(0, |bits, bit| bits | 1 << bit))
        };
        let bits = match (text, text.strip_prefix("0x")) {
            ("none", _) => Some(0),
            (_, Some(digits)) => u32::from_str_radix(digits, 16).ok(),
            _ => text.split(',').try_fold(0, |bits, part| Some(bits | range(part)?)),
        };
        bits.map(Self).ok_or_else(|| NoMaskBits(text.into()))
    }
}

impl fmt::Display for MaskBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_bits_are_the_same_by_list_and_by_number() {
        for text in ["0-7,9", "9,0-7", "0,1,2,3,4-7,9", "0x2ff", "0x2FF"] {
            assert_eq!(text.parse(), Ok(MaskBits(0x2ff)), "{text}");
        }
        assert_eq!("none".parse(), Ok(MaskBits(0)));
        assert_eq!("0-31".parse(), Ok(MaskBits(u32::MAX)));
    }

    #[test]
    fn mask_bits_out_of_range_or_order_are_refused() {
        for text in ["", "32", "7-3", "-1", "0x", "0x1ffffffff", "1,,2", "all"] {
            assert!(text.parse::<MaskBits>().is_err(), "{text}");
        }
    }
}
