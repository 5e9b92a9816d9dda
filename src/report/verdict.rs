//! The verdict on a frame: whether its spectra can be used, and what weighs against it.

use super::statistics::{Statistics, median};
use super::warnings::{NO_FLUX, Severity, Warning};

/// Part of the fibres without a use from which a frame is bad.
const MOST_LOST: f64 = 0.5;
/// Part of the fibres without a use from which it is to be used with care.
const MANY_LOST: f64 = 0.05;
/// Part of the bins of a fibre that must be of use.
const ENOUGH_BINS: f64 = 0.5;

/// The colour of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Light {
    /// Nothing weighs against the frame.
    Green,
    /// It can be used, with care.
    Amber,
    /// Its spectra or their errors are wrong.
    Red,
}

impl Light {
    /// Returns its name, as a class of the page.
    pub fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }
}

/// The verdict on a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its colour.
    pub light: Light,
    /// One sentence.
    pub sentence: String,
}

impl Verdict {
    /// Judges by the usable fibres and the gravest warning, which comes first among `warnings`.
    pub fn of(statistics: &Statistics, warnings: &[Warning]) -> Self {
        let (all, usable) = (statistics.fibres.len(), usable_fibres(statistics));
        let lost = 1.0 - usable as f64 / all.max(1) as f64;
        let gravest = warnings.first().filter(|warning| warning.severity != Severity::Note);
        let light = match gravest.map(|warning| warning.severity) {
            Some(Severity::Grave) => Light::Red,
            _ if lost > MOST_LOST => Light::Red,
            Some(_) => Light::Amber,
            None if lost > MANY_LOST => Light::Amber,
            None => Light::Green,
        };
        let word = match light {
            Light::Green => "Good",
            Light::Amber => "Usable with care",
            Light::Red => "Not good",
        };
        let mut sentence = format!("{word}: {usable} of {all} fibres usable.");
        if let Some(warning) = gravest {
            sentence += &format!(" {}", warning.text);
        }
        Self { light, sentence }
    }
}

/// Returns how many fibres have light and enough bins of use.
fn usable_fibres(statistics: &Statistics) -> usize {
    let nwave = statistics.nwave.max(1);
    let is_usable = |(snr, masked): &(&[f64], &[bool])| {
        let bins = snr.iter().zip(*masked).filter(|(snr, masked)| !**masked && !snr.is_nan());
        let bins: Vec<f64> = bins.map(|(snr, _)| *snr).collect();
        bins.len() as f64 >= ENOUGH_BINS * nwave as f64 && median(&bins) >= NO_FLUX
    };
    statistics.snr.chunks(nwave).zip(statistics.masked.chunks(nwave)).filter(is_usable).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::report::Report;
    use crate::report::tests::{frame, material};

    fn verdict(frame: Frame) -> Verdict {
        Report::new(material(frame)).verdict().clone()
    }

    #[test]
    fn a_good_frame_is_green_and_counts_its_fibres() {
        let verdict = verdict(frame(6, 20));
        assert_eq!((verdict.light, &*verdict.sentence), (Light::Green, "Good: 6 of 6 fibres usable."));
    }

    #[test]
    fn a_faint_fibre_is_amber_and_named() {
        let mut frame = frame(30, 20);
        frame.spectra.update(|s| s.flux[..20].fill(0.01)).unwrap();
        let verdict = verdict(frame);
        assert_eq!(verdict.light, Light::Amber);
        assert!(verdict.sentence.contains("29 of 30 fibres usable. Fibre 0 without flux"), "{}", verdict.sentence);
    }

    #[test]
    fn wrong_errors_or_most_fibres_lost_are_red_and_the_gravest_reason_comes_first() {
        let mut wrong = frame(6, 20);
        wrong.spectra.update(|s| s.chi2pix.fill(3.0)).unwrap();
        wrong.spectra.update(|s| s.flux[..20].fill(0.01)).unwrap();
        let verdict_of_wrong = verdict(wrong);
        assert_eq!(verdict_of_wrong.light, Light::Red);
        assert!(verdict_of_wrong.sentence.contains("chi2pix is 3.00"), "{}", verdict_of_wrong.sentence);
        let mut lost = frame(6, 20);
        lost.spectra.update(|s| s.ivar[..4 * 20].fill(0.0)).unwrap();
        assert_eq!(verdict(lost).light, Light::Red);
    }
}
