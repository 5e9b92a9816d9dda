//! Values that are words of their own: mask bits, wavelength ranges, stages.

use spextral::backend::Stage;
use std::str::FromStr;

/// `WMIN,WMAX,DW` in Angstrom; whether the numbers make a grid is for the plan to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wavelength(pub (f64, f64, f64));

impl FromStr for Wavelength {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let numbers: Result<Vec<f64>, _> = words.split(',').map(|word| word.trim().parse()).collect();
        match numbers.as_deref() {
            Ok(&[wmin, wmax, dw]) => Ok(Self((wmin, wmax, dw))),
            _ => Err("three numbers in Angstrom are needed: WMIN,WMAX,DW, as in 5760,7620,0.8".into()),
        }
    }
}

/// Bits of a CCD mask, from `0-7,9`, `0x2ff` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskBits(pub u32);

impl FromStr for MaskBits {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let refuse = || "bits and ranges of 0 to 31 (0-7,9), a number in hexadecimal (0x2ff), or none".to_string();
        if words == "none" {
            return Ok(Self(0));
        }
        if let Some(digits) = words.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16).map(Self).map_err(|_| refuse());
        }
        let bit = |word: &str| word.trim().parse::<u32>().ok().filter(|bit| *bit < 32).ok_or_else(refuse);
        words.split(',').try_fold(Self(0), |Self(bits), part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (bit(first)?, bit(last)?);
            if first > last {
                return Err(refuse());
            }
            Ok(Self((first..=last).fold(bits, |bits, bit| bits | 1 << bit)))
        })
    }
}

/// Bytes, from `2000000`, `500M` or `2G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let refuse = || "bytes of at least 1, or with K, M, G or T for powers of 1024, as in 500M".to_string();
        let words = words.trim().to_uppercase();
        let power = ["K", "M", "G", "T"].iter().position(|unit| words.ends_with(unit));
        let digits = words.trim_end_matches(['K', 'M', 'G', 'T']);
        let unit = 1u64 << (10 * power.map_or(0, |power| power + 1));
        let whole = words.len() - digits.len() <= 1;
        let bytes = digits.trim().parse::<u64>().ok().filter(|_| whole).and_then(|count| count.checked_mul(unit));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or_else(refuse)
    }
}

/// A stage by the name of its shader.
///
/// # Errors
/// There is no such stage; the message lists those there are.
pub fn stage(name: &str) -> Result<Stage, String> {
    let names = || Stage::ALL.map(Stage::name).join(", ");
    Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| format!("the stages are {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_bits_are_the_same_by_list_and_by_number() {
        for words in ["0-7,9", "9,0-7", "0,1,2,3,4-7,9", "0x2ff", "0x2FF"] {
            assert_eq!(words.parse(), Ok(MaskBits(0x2ff)), "{words}");
        }
        assert_eq!("none".parse(), Ok(MaskBits(0)));
        assert_eq!("0-31".parse(), Ok(MaskBits(u32::MAX)));
    }

    #[test]
    fn mask_bits_that_cannot_be_are_refused() {
        for words in ["", "32", "7-3", "-1", "0x", "0x1ffffffff", "1,,2", "all"] {
            assert!(words.parse::<MaskBits>().is_err(), "{words}");
        }
    }

    #[test]
    fn a_wavelength_range_is_three_numbers() {
        assert_eq!("5760, 7620,0.8".parse(), Ok(Wavelength((5760.0, 7620.0, 0.8))));
        for words in ["", "5760,7620", "5760,7620,0.8,1", "a,b,c"] {
            assert!(words.parse::<Wavelength>().is_err(), "{words}");
        }
    }

    #[test]
    fn bytes_are_counted_in_powers_of_1024() {
        for (words, bytes) in [("123", 123), ("2K", 2048), ("500m", 500 << 20), (" 2 G", 2 << 30), ("1T", 1 << 40)] {
            assert_eq!(words.parse(), Ok(Bytes(bytes)), "{words}");
        }
        for words in ["", "0", "-1", "G", "1.5G", "2KM", "2GK", "2 bytes", "99999999T"] {
            assert!(words.parse::<Bytes>().is_err(), "{words}");
        }
    }

    #[test]
    fn every_stage_is_found_by_its_name_and_no_other() {
        for wanted in Stage::ALL {
            assert_eq!(stage(wanted.name()), Ok(wanted));
        }
        assert!(stage("magic").is_err_and(|message| message.contains("jacobi")));
    }
}
