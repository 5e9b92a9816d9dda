//! An amount of memory as text: `500M`.

use std::fmt;
use std::str::FromStr;

/// Units with their power of two, the largest first.
const UNITS: [(&str, u32); 4] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];

/// A number of bytes, at least 1; as text `2000000`, or with K, M, G or T for powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize(pub u64);

/// A text that is no amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a number of bytes, at least 1, or with K, M, G or T for powers of 1024, as in 500M")]
pub struct NoMemorySize;

impl FromStr for MemorySize {
    type Err = NoMemorySize;

    fn from_str(text: &str) -> Result<Self, NoMemorySize> {
        let text = text.trim().to_uppercase();
        let unit = UNITS.iter().find_map(|(unit, power)| Some((text.strip_suffix(unit)?, *power)));
        let (digits, power) = unit.unwrap_or((&text, 0));
        let bytes = digits.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(1 << power));
        bytes.filter(|bytes| *bytes > 0).map(Self).ok_or(NoMemorySize)
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, power)| self.0 > 0 && self.0.is_multiple_of(1 << power)) {
            Some((unit, power)) => write!(f, "{}{unit}", self.0 >> power),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_in_powers_of_1024() {
        for (text, bytes) in [("123", 123), ("2K", 2048), ("500m", 500 << 20), (" 2 G", 2 << 30), ("1T", 1 << 40)] {
            assert_eq!(text.parse(), Ok(MemorySize(bytes)), "{text}");
        }
        for text in ["", "0", "-1", "G", "1.5G", "2KM", "2GK", "2 bytes", "99999999T"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_written_in_its_largest_whole_unit_and_reads_back() {
        for (bytes, text) in [(1 << 40, "1T"), (1536, "1536"), (512 << 10, "512K"), (1025 << 20, "1025M")] {
            assert_eq!(MemorySize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(MemorySize(bytes)));
        }
    }
}
