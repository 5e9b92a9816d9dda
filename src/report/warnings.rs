//! What one should know before using the spectra of a frame.

use super::read::Material;
use super::statistics::{Numbers, by_fibre, percent, percentile};
use crate::frame::specmask::BAD2DFIT;

/// Share of masked bins in percent from which a fibre is named.
const MANY_MASKED: f64 = 50.0;
/// Median signal to noise a bin below which a fibre has no flux to speak of: even the sky gives more.
const NO_FLUX: f64 = 0.5;
/// A fibre's median chi2pix, by that of all fibres, from which it is an outlier.
const CHI2_OUTLIER: f64 = 2.0;
/// Median chi2pix of a frame from which model or errors are wrong.
const CHI2_HIGH: f64 = 2.0;
/// Share of bins with BAD2DFIT in percent from which it is said.
const MANY_BAD_FITS: f64 = 0.5;
/// Scatter of the residual in sigma from which the model does not describe the CCD.
const SCATTER_HIGH: f64 = 1.3;
/// How far the scatter of chi may be from 1.
const CHI_SCATTER: f64 = 0.05;
/// Fibre ranges that are listed.
const LISTED: usize = 12;

/// How much a warning matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Something may be wrong.
    Bad,
}

/// A sentence on what is out of the ordinary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// How much it matters.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
}

/// Everything out of the ordinary, what matters most first.
pub fn all(material: &Material, numbers: &Numbers, scatter: Option<[f64; 2]>) -> Vec<Warning> {
    let mut list = of_fibres(material, numbers);
    list.extend(of_fit(material, numbers, scatter));
    list.extend(of_run(material));
    let (bad, notes) = list.into_iter().partition(|w: &Warning| w.severity == Severity::Bad);
    let ordered: [Vec<Warning>; 2] = [bad, notes];
    ordered.concat()
}

/// Rows of fibres that warnings name, the most serious first.
pub fn flagged(numbers: &Numbers, nwave: usize) -> Vec<usize> {
    let fibres = Fibres::of(numbers, nwave);
    let rows = [fibres.chi2_outliers, fibres.faint, fibres.half_masked].concat();
    let mut unique = Vec::new();
    rows.into_iter().for_each(|row| {
        if !unique.contains(&row) {
            unique.push(row)
        }
    });
    unique
}

/// Rows of fibres by what is wrong with them.
struct Fibres {
    without: Vec<usize>,
    half_masked: Vec<usize>,
    faint: Vec<usize>,
    chi2_outliers: Vec<usize>,
}

impl Fibres {
    fn of(numbers: &Numbers, nwave: usize) -> Self {
        let rows = 0..numbers.fibres.len();
        let masked: Vec<f64> = numbers.masked.chunks(nwave).map(|row| percent(row.iter())).collect();
        let (snr, chi2) = (by_fibre(&numbers.snr, nwave), by_fibre(&numbers.chi2pix, nwave));
        let typical = percentile(chi2.iter().copied(), 0.5);
        let pick = |test: &dyn Fn(usize) -> bool| rows.clone().filter(|&row| test(row)).collect::<Vec<_>>();
        Self {
            without: pick(&|row| snr[row].is_nan()),
            half_masked: pick(&|row| !snr[row].is_nan() && masked[row] > MANY_MASKED),
            faint: pick(&|row| snr[row] < NO_FLUX),
            chi2_outliers: pick(&|row| chi2[row] > CHI2_OUTLIER * typical),
        }
    }
}

fn of_fibres(material: &Material, numbers: &Numbers) -> Vec<Warning> {
    let fibres = Fibres::of(numbers, material.frame.spectra.nwave);
    let named = |rows: &[usize], what: &str, severity: Severity| {
        let text = || format!("{} {what}.", list(&rows.iter().map(|&r| numbers.fibres[r]).collect::<Vec<_>>()));
        (!rows.is_empty()).then(|| Warning { severity, text: text() })
    };
    let high = format!("a median chi2pix more than {CHI2_OUTLIER} times that of the other fibres");
    let said = [
        named(&fibres.without, "without a single bin of use: all masked, or off the CCD", Severity::Bad),
        named(&fibres.chi2_outliers, &format!("with {high}"), Severity::Bad),
        named(&fibres.faint, &format!("without flux: median S/N below {NO_FLUX} a bin"), Severity::Bad),
        named(&fibres.half_masked, &format!("with more than {MANY_MASKED:.0} % of the bins masked"), Severity::Note),
    ];
    said.into_iter().flatten().collect()
}

fn of_fit(material: &Material, numbers: &Numbers, scatter: Option<[f64; 2]>) -> Vec<Warning> {
    let s = &material.frame.spectra;
    let mut list = Vec::new();
    let mut say = |severity, text| list.push(Warning { severity, text });
    let not_finite = s.flux.iter().zip(&s.ivar).filter(|(f, w)| !f.is_finite() || !w.is_finite()).count();
    if not_finite > 0 {
        say(Severity::Bad, format!("{not_finite} bins have a flux or ivar that is not a finite number."));
    }
    let chi2 = percentile(numbers.chi2pix.iter().copied(), 0.5);
    if chi2 > CHI2_HIGH {
        say(Severity::Bad, format!("The median chi2pix is {chi2:.2}: the PSF or the errors of the CCD are off."));
    }
    let bad_fits = s.mask.iter().filter(|&&m| m & BAD2DFIT != 0).count();
    let share = 100.0 * bad_fits as f64 / s.mask.len().max(1) as f64;
    if share > MANY_BAD_FITS {
        say(
            Severity::Note,
            format!("{share:.1} % of the bins are marked BAD2DFIT: cosmics without a mask, or a poor PSF."),
        );
    }
    if let Some([width, beyond]) = scatter.filter(|s| s[0] > SCATTER_HIGH) {
        let text = format!(
            "The CCD residual scatters by {width:.2} σ, {beyond:.2} % of the pixels by more than 5 σ: the model does not describe this image."
        );
        say(Severity::Bad, text);
    }
    if let Some([mean, std, _]) =
        material.truth.as_ref().map(|t| chi_moments(&t.chi)).filter(|m| (m[1] - 1.0).abs() > CHI_SCATTER)
    {
        say(
            Severity::Bad,
            format!("Chi against the truth has mean {mean:+.3} and scatter {std:.3}; 0 and 1 are right."),
        );
    }
    list
}

fn of_run(material: &Material) -> Vec<Warning> {
    let mut list = Vec::new();
    let mut say = |severity, text| list.push(Warning { severity, text });
    if let Some(reason) = material.frame.header.get_str("SPXRETRY") {
        let device = material.frame.header.get_str("SPXDEV").unwrap_or_default();
        say(
            Severity::Note,
            match (device.starts_with("CPU"), device.contains("; ")) {
                (_, true) => format!("Some of this frame was extracted again, or by the CPU: {reason}."),
                (true, _) => {
                    format!("The CPU extracted this frame in place of the device that was asked for: {reason}.")
                }
                _ => format!("This frame was extracted again in smaller parts: {reason}."),
            },
        );
    }
    let solver = material.frame.header.get_str("SPXSOLV").unwrap_or_default();
    if solver.contains("some") {
        say(
            Severity::Note,
            format!("Solver: {solver}. The bands did not serve those bundles; their bins are less exact."),
        );
    }
    if let Some(note) = &material.note {
        say(Severity::Note, format!("Files of other names: {note}."));
    }
    list
}

/// Mean and standard deviation of chi, and the number of bins judged.
pub fn chi_moments(chi: &[f64]) -> [f64; 3] {
    let judged = || chi.iter().filter(|c| !c.is_nan());
    let n = judged().count() as f64;
    let mean = judged().sum::<f64>() / n.max(1.0);
    let variance = judged().map(|c| (c - mean).powi(2)).sum::<f64>() / n.max(1.0);
    [mean, variance.sqrt(), n]
}

/// Numbers in words, runs of them as ranges: `Fibres 3, 7-9 (4)`.
fn list(numbers: &[i64]) -> String {
    let mut runs: Vec<[i64; 2]> = Vec::new();
    for &n in numbers {
        match runs.last_mut() {
            Some(run) if n == run[1] + 1 => run[1] = n,
            _ => runs.push([n, n]),
        }
    }
    let word = |run: &[i64; 2]| if run[0] == run[1] { run[0].to_string() } else { format!("{}-{}", run[0], run[1]) };
    let words: Vec<String> = runs.iter().take(LISTED).map(word).collect();
    let more = if runs.len() > LISTED { ", ..." } else { "" };
    match numbers {
        [one] => format!("Fibre {one}"),
        _ => format!("{} fibres ({}{more})", numbers.len(), words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{frame, material};

    fn texts(material: &Material, scatter: Option<[f64; 2]>) -> String {
        let all = all(material, &Numbers::of(&material.frame), scatter);
        all.into_iter().map(|w| w.text + "\n").collect()
    }

    #[test]
    fn a_good_frame_has_no_warning() {
        assert_eq!(texts(&material(frame(6, 20)), Some([1.0, 0.0])), "");
    }

    #[test]
    fn fibres_that_are_masked_dark_or_badly_fitted_are_named() {
        let mut frame = frame(8, 20);
        let n = 20;
        frame.spectra.ivar[2 * n..5 * n].fill(0.0);
        frame.spectra.mask[5 * n..5 * n + 11].fill(1);
        frame.spectra.flux[6 * n..7 * n].fill(0.01);
        frame.spectra.chi2pix[7 * n..].fill(2.5);
        let said = texts(&material(frame.clone()), None);
        assert!(said.contains("3 fibres (2-4) without a single bin"), "{said}");
        assert!(said.contains("Fibre 5 with more than 50 %"), "{said}");
        assert!(said.contains("Fibre 6 without flux"), "{said}");
        assert!(said.contains("Fibre 7 with a median chi2pix"), "{said}");
        assert!(said.find("Fibre 5").unwrap() > said.find("Fibre 7").unwrap(), "notes come last: {said}");
        assert_eq!(flagged(&Numbers::of(&frame), n), [7, 6, 5]);
    }

    #[test]
    fn a_run_that_needed_help_and_a_bad_fit_are_said() {
        let mut frame = frame(4, 20);
        frame.header.set("SPXSOLV", "banded, some bundles in patches", "");
        frame.header.set("SPXRETRY", "device lost", "");
        frame.spectra.chi2pix.fill(3.0);
        frame.spectra.mask[..2].fill(BAD2DFIT);
        frame.spectra.flux[0] = f64::NAN;
        assert!(texts(&material(frame.clone()), None).contains("in smaller parts: device lost"));
        frame.header.set("SPXDEV", "A GPU; CPU f64, AVX2", "");
        assert!(texts(&material(frame.clone()), None).contains("or by the CPU: device lost"));
        frame.header.set("SPXDEV", "CPU f64, AVX2", "");
        let said = texts(&material(frame), Some([2.0, 9.0]));
        for words in [
            "in patches",
            "The CPU extracted",
            "device lost",
            "chi2pix is 3.00",
            "2.5 % of the bins",
            "1 bins have",
            "by 2.00 σ",
        ] {
            assert!(said.contains(words), "{words} not in: {said}");
        }
    }
}
