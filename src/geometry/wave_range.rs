//! A wavelength grid as text: its ends, and a step in Angstrom, by resolving power or by velocity.

use super::grid::{GridError, WaveGrid};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Speed of light, km/s.
const LIGHT: f64 = 299_792.458;

/// The step of a wavelength grid; as text `0.8`, `R5000` or `69km/s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Equal steps, Angstrom.
    Angstrom(f64),
    /// Equal steps of ln(wavelength), of which this is the inverse.
    Resolving(f64),
    /// Equal steps of ln(wavelength) times the speed of light, km/s.
    Velocity(f64),
}

impl Step {
    /// Returns the step in ln(wavelength); None for one in Angstrom.
    pub fn logarithmic(self) -> Option<f64> {
        match self {
            Self::Angstrom(_) => None,
            Self::Resolving(r) => Some(1.0 / r),
            Self::Velocity(v) => Some(v / LIGHT),
        }
    }

    /// Returns the step of a logarithmic grid as velocity, km/s.
    pub fn velocity(logarithmic: f64) -> f64 {
        LIGHT * logarithmic
    }
}

/// A wavelength grid as text: `WMIN,WMAX,DW` in Angstrom, where DW may be a [`Step`] of another kind. Whether the numbers make
/// a grid is checked by [`WaveRange::grid`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaveRange {
    /// First wavelength, Angstrom.
    pub min: f64,
    /// Last wavelength, Angstrom.
    pub max: f64,
    /// Step.
    pub step: Step,
}

impl WaveRange {
    /// Builds the grid.
    ///
    /// # Errors
    /// [`GridError`] if the range is empty, the step is not positive, or there are absurdly many bins.
    pub fn grid(&self) -> Result<WaveGrid, GridError> {
        match (self.step, self.step.logarithmic()) {
            (Step::Angstrom(step), _) => WaveGrid::new(self.min, self.max, step),
            (_, logarithmic) => WaveGrid::logarithmic(self.min, self.max, logarithmic.unwrap_or(f64::NAN)),
        }
    }

    /// Returns the step at the lower end, Angstrom.
    pub fn first_step(&self) -> f64 {
        match (self.step, self.step.logarithmic()) {
            (Step::Angstrom(step), _) => step,
            (_, logarithmic) => self.min * logarithmic.unwrap_or(f64::NAN),
        }
    }

    /// Returns the number of steps from end to end, not whole.
    pub fn steps(&self) -> f64 {
        match (self.step, self.step.logarithmic()) {
            (Step::Angstrom(step), _) => (self.max - self.min) / step,
            (_, logarithmic) => (self.max / self.min).ln() / logarithmic.unwrap_or(f64::NAN),
        }
    }

    /// Returns a wavelength of the grid or its continuation, Angstrom.
    pub fn wave(&self, bin: f64) -> f64 {
        match (self.step, self.step.logarithmic()) {
            (Step::Angstrom(step), _) => self.min + bin * step,
            (_, logarithmic) => self.min * (bin * logarithmic.unwrap_or(f64::NAN)).exp(),
        }
    }
}

/// A text that is no [`WaveRange`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no wavelength range: give first wavelength, last one and step in Angstrom, WMIN,WMAX,DW, as in 5760,7620,0.8; \
     for logarithmic steps give DW as a resolving power or a velocity, R5000 or 69km/s"
)]
pub struct NoWaveRange(String);

impl FromStr for WaveRange {
    type Err = NoWaveRange;

    fn from_str(text: &str) -> Result<Self, NoWaveRange> {
        let parse = || {
            let words: Vec<&str> = text.split(',').map(str::trim).collect();
            let [min, max, step] = words[..] else { return None };
            let step = match (step.strip_prefix(['R', 'r']), step.strip_suffix("km/s")) {
                (Some(r), _) => Step::Resolving(r.parse().ok()?),
                (_, Some(v)) => Step::Velocity(v.trim().parse().ok()?),
                _ => Step::Angstrom(step.parse().ok()?),
            };
            Some(Self { min: min.parse().ok()?, max: max.parse().ok()?, step })
        };
        parse().ok_or_else(|| NoWaveRange(text.into()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Angstrom(step) => write!(f, "{step}"),
            Self::Resolving(r) => write!(f, "R{r}"),
            Self::Velocity(v) => write!(f, "{v}km/s"),
        }
    }
}

impl fmt::Display for WaveRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.min, self.max, self.step)
    }
}

impl From<(f64, f64, f64)> for WaveRange {
    fn from((min, max, step): (f64, f64, f64)) -> Self {
        Self { min, max, step: Step::Angstrom(step) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wavelength_range_has_two_ends_and_a_step_of_any_kind() {
        for (text, step) in [
            ("5760, 7620,0.8", Step::Angstrom(0.8)),
            ("5760,7620, R5000", Step::Resolving(5000.0)),
            ("5760,7620,69 km/s", Step::Velocity(69.0)),
        ] {
            let range: WaveRange = text.parse().unwrap();
            assert_eq!(range, WaveRange { min: 5760.0, max: 7620.0, step }, "{text}");
            assert_eq!(range.to_string().parse(), Ok(range));
            assert_eq!(range.grid().unwrap().wave()[7], range.wave(7.0));
        }
        for text in ["", "5760,7620", "5760,7620,0.8,1", "a,b,c", "5760,7620,R", "5760,7620,km/s", "5760,7620,5000R"] {
            assert!(text.parse::<WaveRange>().is_err(), "{text}");
        }
    }
}
