//! The cost of an error of the PSF: spectra by the fitted PSF against spectra by the true one.

use super::cases::{CASES, Case, Truth};
use super::{fit, rms};
use spextral::backend::Engine;
use spextral::extract::{Extraction, Job, Options, extract};
use spextral::geometry::WaveGrid;
use spextral::psf::Psf;
use spextral::simulate::{Simulation, simulate};

/// Cases whose PSFs extract.
const USED: [&str; 6] = [
    "clean",
    "unmasked cosmic rays, a bad column",
    "1/30 as bright",
    "20 lines",
    "4 exposures, the list is exact",
    "75 times as bright",
];

/// Bounds of cases whose PSFs are as good as an arc's: rms at S/N > 30 in sigma, 99 % there in %, bias in %.
const BOUNDS: [f64; 3] = [0.04, 0.4, 0.02];
/// Cases that keep to them.
const GOOD: [&str; 2] = [USED[0], USED[1]];

/// Returns a section of the page.
pub fn section(truth: &Truth) -> String {
    let mut page = String::from(
        "\nA frame of the sky, stars and galaxies of 1000 s on the same PSF, extracted with the fitted PSF and with the true one. The noise is the same, so that their difference over the bin's error shows \
         the PSF alone. It falls as 1/√ of the arc's light: what is left of one arc is the noise of its photons.\n\n| PSF of | S/N > 30: rms, worst [σ] | S/N > 30: rms, 99 % [%] | S/N < 12: rms [σ] | bias of flux, % |\n|---|---|---|---|---|\n",
    );
    let request = Simulation { cosmics: 0.0, bad_columns: Some(0), dead_patches: Some(0), ..Simulation::default() };
    let frame = simulate(&truth.psf, &request).expect("a frame of the PSF").preproc;
    let ends = [truth.lines[0].wave.ceil(), truth.lines[truth.lines.len() - 1].wave.floor()];
    let grid = WaveGrid::new(ends[0], ends[1], 0.8).expect("a grid within the lines");
    let spectra = |psf: &Psf| -> Extraction {
        let options = Options::default();
        let job = Job::new(psf, &frame.ccd, &grid, &options).expect("a job of the PSF");
        extract(&job, &Engine::cpu(), &|_, _| {}).expect("an extraction")
    };
    let right = spectra(&truth.psf);
    for case in CASES.iter().filter(|case| USED.contains(&case.name)) {
        page += &row(case, &right, &spectra(&fit(truth, case).0.psf));
    }
    page
}

fn row(case: &Case, right: &Extraction, fitted: &Extraction) -> String {
    let (a, b) = (&right.spectra, &fitted.spectra);
    let mut bins: Vec<[f64; 2]> = Vec::new();
    for k in 0..a.flux.len() {
        let (flux, ivar) = (f64::from(a.flux[k] as f32), f64::from(a.ivar[k] as f32));
        if ivar > 0.0 {
            bins.push([flux * ivar.sqrt(), (f64::from(b.flux[k] as f32) - flux) * ivar.sqrt()]);
        }
    }
    let bright: Vec<_> = bins.iter().filter(|bin| bin[0] > 30.0).collect();
    let mut relative: Vec<f64> = bright.iter().map(|bin| 100.0 * (bin[1] / bin[0]).abs()).collect();
    relative.sort_by(f64::total_cmp);
    // By weight: bins at the CCD's ends have hardly any.
    let sums = |k: usize| bins.iter().map(|bin| bin[0] * bin[k]).sum::<f64>();
    let rms_bright = rms(bright.iter().map(|bin| bin[1]));
    let most = relative.get(relative.len() * 99 / 100).copied().unwrap_or(0.0);
    let bias = 100.0 * sums(1) / sums(0);
    let good = GOOD.contains(&case.name);
    let bounded = |k: usize, value: f64, text: String| match good && value.abs() > BOUNDS[k] {
        true => format!("**{text}** (bound {})", BOUNDS[k]),
        false => text,
    };
    let worst = bright.iter().map(|bin| bin[1].abs()).fold(0.0, f64::max);
    format!(
        "| {} | {} | {} | {:.3} | {} |\n",
        case.name,
        bounded(0, rms_bright, format!("{rms_bright:.3}, {worst:.2}")),
        bounded(1, most, format!("{:.2}, {most:.2}", rms(relative.iter().copied()))),
        rms(bins.iter().filter(|bin| bin[0] < 12.0).map(|bin| bin[1])),
        bounded(2, bias, format!("{bias:+.3}"))
    )
}
