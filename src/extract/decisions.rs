//! The choices of an extraction as text: groups, step, solver, and warnings before the work.

use super::Summary;
use crate::base::number::{rounded, short};
use crate::base::option_name::{OptionName, Remedy};
use crate::geometry::Step;
use crate::solver::{Job, Sampling, Solver, default_step};
use crate::stages::traces::turned;

/// A step outside these factors of the default one is worth a word.
const FACTORS: [f64; 2] = [0.5, 2.0];

/// Returns the warnings before the work, one sentence each. They concern a cut through overlapping fibres, traces that turn back,
/// patches with little padding, and a step that does not suit the PSF.
pub fn warnings(job: &Job) -> Vec<String> {
    let forced = job.grouping().forced.as_ref().map(ToString::to_string);
    let others = [turned_warning(job), padding_warning(job), step_warning(job)];
    forced.into_iter().chain(others.into_iter().flatten()).collect()
}

fn turned_warning(job: &Job) -> Option<String> {
    let first = job.options.specmin;
    let end = job.options.nspec.map_or(job.psf.nfibre, |nspec| first.saturating_add(nspec).min(job.psf.nfibre));
    let wave = job.grid.wave();
    let turned = turned(job.psf, first..end, [wave[0], wave[wave.len() - 1]]);
    let fibre = turned.first()?;
    Some(format!(
        "the traces of {} fibres turn back along the dispersion within the grid, the first of them fibre {fibre}: light of two \
         wavelengths lies on the same pixels, and their spectra are wrong there",
        turned.len()
    ))
}

fn padding_warning(job: &Job) -> Option<String> {
    let (padding, least) = (job.patches().padding(), job.half_diagonals());
    (job.options.solver == Solver::Patches && padding < least).then(|| {
        format!(
            "patches padded by {padding} bins lack light of the bins beyond: spectra are wrong where patches meet; {} {} suits \
             this PSF and grid",
            OptionName::Wavepad,
            2 * least
        )
    })
}

fn step_warning(job: &Job) -> Option<String> {
    let sampling = Sampling::measure(job.psf)?;
    let (step, default) = (job.grid.step(), default_step(job.psf));
    let factor = step / default;
    // A barycentric step is off by 1e-4.
    if (FACTORS[0] * 0.999..=FACTORS[1] * 1.001).contains(&factor) {
        return None;
    }
    let what = match factor < 1.0 {
        true => "bins so narrow are hardly told apart: noise and time grow",
        false => "bins so wide do not hold what the PSF resolves: spectra are biased",
    };
    Some(format!(
        "a step of {} Angstrom is {} sigma of the PSF along the dispersion ({} Angstrom) and {} CCD rows; {what}; {} Angstrom \
         suits this PSF: {}",
        short(step),
        rounded(step / sampling.sigma),
        rounded(sampling.sigma),
        rounded(step / sampling.row),
        short(default),
        Remedy::any_of(&[Remedy::Change(OptionName::Wavelength)])
    ))
}

impl Summary {
    /// Returns the choices of the extraction in one line: groups of fibres, grid, solver, precision and error. The grid is its first and
    /// last wavelength and its step, Angstrom; of a logarithmic one the step of ln(wavelength) counts.
    pub fn decisions(&self, [first, last, step]: [f64; 3], log_step: Option<f64>) -> String {
        let bundles = format!("bundles of {} fibres", self.groups);
        // Sums of steps end in digits that mean nothing.
        let [first, last, step] = [first, last, step].map(|w| short((w * 1e6).round() / 1e6));
        let step = log_step.map_or(step, |step| format!("{} km/s", short((Step::velocity(step) * 1e6).round() / 1e6)));
        let grid = format!("{first} to {last} Angstrom by {step}");
        let error = self.flux_error.map(|e| format!("; flux at most {e:.1e} sigma off in bands")).unwrap_or_default();
        format!("{bundles}; {grid}; solver {}, {}{error}", self.solver(), self.precision())
    }
}
