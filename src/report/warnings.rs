//! Problems of a frame that a user should know before using its spectra.

use super::noise::ErrorScale;
use super::read::Material;
use super::statistics::{Statistics, median};
use crate::base::number::runs;
use crate::frame::specmask::BAD2DFIT;
use std::cmp::Reverse;

/// Percentage of masked bins from which a fibre is listed.
const MANY_MASKED: f64 = 50.0;
/// Median S/N per bin below which a fibre has no flux: even the sky alone gives more.
pub(super) const NO_FLUX: f64 = 0.5;
/// Ratio of a fibre's median chi2pix to that of all fibres from which it is an outlier.
const CHI2_OUTLIER: f64 = 2.0;
/// Median chi2pix of a frame from which model or errors are wrong.
const CHI2_HIGH: f64 = 2.0;
/// Percentage of bins with BAD2DFIT from which it is reported.
const MANY_BAD_FITS: f64 = 0.5;
/// Scatter of the residual in sigma from which the model does not describe the CCD.
const SCATTER_HIGH: f64 = 1.3;
/// Largest acceptable distance of the scatter of chi from 1.
const CHI_SCATTER: f64 = 0.05;
/// Fibre ranges that are listed.
const LISTED: usize = 12;

/// The importance of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For information.
    Note,
    /// Something may be wrong.
    Bad,
    /// Spectra or their errors are wrong.
    Grave,
}

/// One sentence about a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its importance.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
}

fn bad(text: String) -> Warning {
    Warning { severity: Severity::Bad, text }
}

fn grave(text: String) -> Warning {
    Warning { severity: Severity::Grave, text }
}

fn note(text: String) -> Warning {
    Warning { severity: Severity::Note, text }
}

/// Returns all warnings, the most serious first.
pub fn all(
    material: &Material,
    statistics: &Statistics,
    scatter: Option<[f64; 2]>,
    errors: Option<&ErrorScale>,
) -> Vec<Warning> {
    // Problems of all fibres come before those of some.
    let mut list = of_fit(material, statistics, scatter, errors);
    list.extend(of_fibres(statistics));
    list.extend(of_run(material));
    list.sort_by_key(|warning| Reverse(warning.severity));
    list
}

/// Rows of fibres with each problem.
struct Fibres {
    without: Vec<usize>,
    half_masked: Vec<usize>,
    faint: Vec<usize>,
    chi2_outliers: Vec<usize>,
}

impl Fibres {
    fn of(statistics: &Statistics) -> Self {
        let masked = statistics.masked_by_fibre();
        let (snr, chi2) = (statistics.by_fibre(&statistics.snr), statistics.by_fibre(&statistics.chi2pix));
        let typical = median(&chi2);
        let pick = |test: &dyn Fn(usize) -> bool| (0..snr.len()).filter(|&row| test(row)).collect::<Vec<_>>();
        Self {
            without: pick(&|row| snr[row].is_nan()),
            half_masked: pick(&|row| !snr[row].is_nan() && masked[row] > MANY_MASKED),
            faint: pick(&|row| snr[row] < NO_FLUX),
            chi2_outliers: pick(&|row| chi2[row] > CHI2_OUTLIER * typical),
        }
    }
}

fn of_fibres(statistics: &Statistics) -> Vec<Warning> {
    let fibres = Fibres::of(statistics);
    let listed = |rows: &[usize], problem: String| {
        let numbers: Vec<i64> = rows.iter().map(|&r| statistics.fibres[r]).collect();
        (!rows.is_empty()).then(|| format!("{} {problem}.", list(&numbers)))
    };
    let chi2 = format!("with a median chi2pix more than {CHI2_OUTLIER} times that of the other fibres");
    let warnings = [
        listed(&fibres.without, "without a single usable bin: all masked, or off the CCD".into()).map(bad),
        listed(&fibres.chi2_outliers, chi2).map(bad),
        listed(&fibres.faint, format!("without flux: median S/N below {NO_FLUX} per bin")).map(bad),
        listed(&fibres.half_masked, format!("with more than {MANY_MASKED:.0} % of the bins masked")).map(note),
    ];
    warnings.into_iter().flatten().collect()
}

fn of_fit(
    material: &Material,
    statistics: &Statistics,
    scatter: Option<[f64; 2]>,
    errors: Option<&ErrorScale>,
) -> Vec<Warning> {
    let s = &material.frame.spectra;
    let mut list = Vec::new();
    let not_finite = s.flux.iter().zip(&s.ivar).filter(|(f, w)| !f.is_finite() || !w.is_finite()).count();
    if not_finite > 0 {
        list.push(grave(format!("{not_finite} bins have a flux or ivar that is not a finite number.")));
    }
    let chi2 = median(&statistics.chi2pix);
    if chi2 > CHI2_HIGH {
        list.push(grave(format!("The median chi2pix is {chi2:.2}: the PSF or the errors of the CCD are off.")));
    }
    let bad_fits = s.mask.iter().filter(|&&m| m & BAD2DFIT != 0).count();
    let share = 100.0 * bad_fits as f64 / s.mask.len().max(1) as f64;
    if share > MANY_BAD_FITS {
        let text = format!("{share:.1} % of the bins are marked BAD2DFIT: cosmics without a mask, or a poor PSF.");
        list.push(note(text));
    }
    if let Some([width, beyond]) = scatter.filter(|s| s[0] > SCATTER_HIGH) {
        list.push(grave(format!(
            "The CCD residual scatters by {width:.2} σ, {beyond:.2} % of the pixels by more than 5 σ: the model does not describe this image."
        )));
    }
    if let Some(sentence) = material.psf_fit.as_ref().and_then(|fit| fit.sentence.as_ref()) {
        list.push(bad(format!("The PSF does not fit this frame: {sentence}. `extract --fit-traces` follows it.")));
    }
    let psf_is_off = material.psf_fit.as_ref().is_some_and(|fit| fit.sentence.is_some());
    for (wrong, text) in errors.map(ErrorScale::sentences).unwrap_or_default() {
        list.push(match (psf_is_off, wrong) {
            (true, _) => bad(format!("{text} The PSF may be the reason.")),
            (false, true) => grave(text),
            (false, false) => bad(text),
        });
    }
    let chi = material.truth.as_ref().map(|truth| truth.moments().mean_std());
    if let Some((mean, std)) = chi.filter(|(_, std)| (std - 1.0).abs() > CHI_SCATTER) {
        list.push(grave(format!("Chi against the truth has mean {mean:+.3} and scatter {std:.3}; 0 and 1 are right.")));
    }
    list
}

fn of_run(material: &Material) -> Vec<Warning> {
    let card = |keyword: &str| material.frame.header.get_str(keyword);
    let of_inputs = |k: usize| material.frame.header.get_str(&format!("SPXNOT{k}"));
    let mut warnings: Vec<Warning> = (1..).map_while(of_inputs).map(|text| bad(format!("Inputs: {text}."))).collect();
    if let Some(reason) = card("SPXRETRY") {
        let device = card("SPXDEV").unwrap_or_default();
        let attempt = match (device.starts_with("CPU"), device.contains("; ")) {
            (_, true) => "Some of this frame was extracted again, or by the CPU",
            (true, _) => "The CPU extracted this frame as fallback for the requested device",
            _ => "This frame was extracted again in smaller parts",
        };
        warnings.push(note(format!("{attempt}: {reason}.")));
    }
    if let Some(fibres) = card("SPXERRF") {
        let fibres: Vec<i64> = fibres.split(',').filter_map(|fibre| fibre.parse().ok()).collect();
        let error = card("SPXERR").unwrap_or_default();
        let text = format!("{}: flux may be up to {error} σ off, more than the tolerance.", list(&fibres));
        warnings.push(bad(text));
    }
    if let Some(gain) = card("SPXERRG") {
        let text =
            format!("Bins are too narrow: deconvolved they are {gain} times noisier than alone. A coarser step helps.");
        warnings.push(bad(text));
    }
    if let Some(cut) = card("SPXCUT") {
        warnings.push(bad(format!("Spectra beside a cut between bundles are biased: {cut}.")));
    }
    if let Some(cut) = card("SPXRCUT") {
        warnings.push(note(format!(
            "Rows of R reach beyond its diagonals or the ends of the grid: the smallest sum is {cut}."
        )));
    }
    let solver = card("SPXSOLV").unwrap_or_default();
    if solver.contains("some") {
        warnings
            .push(note(format!("Solver: {solver}. The bands failed for those bundles; their bins are less exact.")));
    }
    if let Some(text) = &material.note {
        warnings.push(note(format!("Files of other names: {text}.")));
    }
    warnings
}

/// Lists numbers, runs of them as ranges: `3 fibres (2, 7-8)`.
fn list(numbers: &[i64]) -> String {
    if let [one] = numbers {
        return format!("Fibre {one}");
    }
    let runs = runs(numbers);
    let more = if runs.len() > LISTED { ", ..." } else { "" };
    format!("{} fibres ({}{more})", numbers.len(), runs[..runs.len().min(LISTED)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{frame, material};

    fn texts(material: &Material, scatter: Option<[f64; 2]>) -> String {
        let all = all(material, &Statistics::of(&material.frame), scatter, None);
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
        frame.spectra.update(|s| s.ivar[2 * n..5 * n].fill(0.0)).unwrap();
        frame.spectra.update(|s| s.mask[5 * n..5 * n + 11].fill(1)).unwrap();
        frame.spectra.update(|s| s.flux[6 * n..7 * n].fill(0.01)).unwrap();
        frame.spectra.update(|s| s.chi2pix[7 * n..].fill(2.5)).unwrap();
        let texts = texts(&material(frame.clone()), None);
        assert!(texts.contains("3 fibres (2-4) without a single usable bin"), "{texts}");
        assert!(texts.contains("Fibre 5 with more than 50 %"), "{texts}");
        assert!(texts.contains("Fibre 6 without flux"), "{texts}");
        assert!(texts.contains("Fibre 7 with a median chi2pix"), "{texts}");
        assert!(texts.find("Fibre 5").unwrap() > texts.find("Fibre 7").unwrap(), "notes come last: {texts}");
        assert_eq!(list(&[3, 7, 8, 9]), "4 fibres (3, 7-9)");
    }

    #[test]
    fn a_retry_a_fallback_and_a_bad_fit_are_reported() {
        let mut frame = frame(4, 20);
        frame.header.set("SPXSOLV", "banded, some bundles in patches", "");
        frame.header.set("SPXRETRY", "device lost", "");
        frame.header.set("SPXCUT", "bundles of 25 cut between fibres 24 and 25", "");
        frame.header.set("SPXRCUT", "0.943 in 5 fibres", "");
        frame.spectra.update(|s| s.chi2pix.fill(3.0)).unwrap();
        frame.spectra.update(|s| s.mask[..2].fill(BAD2DFIT)).unwrap();
        frame.spectra.update(|s| s.flux[0] = f64::NAN).unwrap();
        assert!(texts(&material(frame.clone()), None).contains("in smaller parts: device lost"));
        frame.header.set("SPXDEV", "A GPU; CPU f64, AVX2", "");
        assert!(texts(&material(frame.clone()), None).contains("or by the CPU: device lost"));
        frame.header.set("SPXDEV", "CPU f64, AVX2", "");
        frame.header.set("SPXERR", "2.0e-05", "");
        frame.header.set("SPXERRF", "3,7,8", "");
        frame.header.set("SPXERRG", "7.0e+03", "");
        let texts = texts(&material(frame), Some([2.0, 9.0]));
        for text in [
            "3 fibres (3, 7-8): flux may be up to 2.0e-05 σ off",
            "7.0e+03 times noisier",
            "in patches",
            "biased: bundles of 25 cut between",
            "0.943 in 5 fibres",
            "The CPU extracted",
            "device lost",
            "chi2pix is 3.00",
            "2.5 % of the bins",
            "1 bins have",
            "by 2.00 σ",
        ] {
            assert!(texts.contains(text), "{text} not in: {texts}");
        }
    }
}
