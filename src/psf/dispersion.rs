//! The axis along which a CCD has its spectra. Solvers know spectra along y alone. Where files have them along x, the PSF and
//! the CCD are turned, rows and columns exchanged, as they are read.

use serde::{Deserialize, Serialize};

/// The axis of a CCD's files along which wavelengths change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dispersion {
    /// Along y: DISPAXIS 2. Nothing is turned.
    #[default]
    AlongY,
    /// Along x: DISPAXIS 1. What is in memory has rows and columns exchanged against its file.
    AlongX,
}

impl Dispersion {
    /// Returns the value of the card DISPAXIS.
    pub fn dispaxis(self) -> i64 {
        match self {
            Self::AlongX => 1,
            Self::AlongY => 2,
        }
    }

    /// Returns the axis of a DISPAXIS, whatever its sign, by which some tell ascending wavelengths; None for another number.
    pub fn of_dispaxis(value: i64) -> Option<Self> {
        match value.unsigned_abs() {
            1 => Some(Self::AlongX),
            2 => Some(Self::AlongY),
            _ => None,
        }
    }

    /// Returns the other axis.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::AlongX => Self::AlongY,
            Self::AlongY => Self::AlongX,
        }
    }

    /// Exchanges a pair of one thing along x and one along y: from the order in memory to that of files, or back.
    pub fn in_file<T>(self, [x, y]: [T; 2]) -> [T; 2] {
        match self {
            Self::AlongX => [y, x],
            Self::AlongY => [x, y],
        }
    }

    /// Returns the name that files have for a parameter in memory: of what is turned XTRACE is the file's YTRACE.
    pub fn name_in_file(self, name: &str) -> String {
        let exchanged = |c| match c {
            'X' => 'Y',
            'Y' => 'X',
            other => other,
        };
        match self {
            Self::AlongX => name.chars().map(exchanged).collect(),
            Self::AlongY => name.into(),
        }
    }

    /// Returns the letter of the axis.
    pub fn letter(self) -> &'static str {
        match self {
            Self::AlongX => "x",
            Self::AlongY => "y",
        }
    }
}

/// Numbers of fibres whose traces run mostly along x and along y.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceAxes {
    /// Those along x.
    pub along_x: usize,
    /// Those along y.
    pub along_y: usize,
}

impl TraceAxes {
    /// The axis of most traces.
    pub fn most(self) -> Dispersion {
        if self.along_x > self.along_y { Dispersion::AlongX } else { Dispersion::AlongY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_cards_of_either_axis_are_those_of_the_file() {
        assert_eq!(Dispersion::AlongX.name_in_file("XTRACE"), "YTRACE");
        assert_eq!(Dispersion::AlongY.name_in_file("GHSIGX"), "GHSIGX");
        for (card, axis) in [(1, Some(Dispersion::AlongX)), (-2, Some(Dispersion::AlongY)), (3, None)] {
            assert_eq!(Dispersion::of_dispaxis(card), axis);
        }
        assert_eq!(Dispersion::AlongX.in_file(["x", "y"]), ["y", "x"]);
        assert_eq!(Dispersion::of_dispaxis(Dispersion::AlongX.dispaxis()), Some(Dispersion::AlongX));
    }
}
