//! Shifts measured on a frame of the sky, against the truth.

use super::cases::Truth;
use super::{on_one_thread, rms};
use spextral::backend::Engine;
use spextral::base::cancel::CancelToken;
use spextral::compare::against_truth;
use spextral::extract::{Job, Options, extract};
use spextral::fit::ArcFrame;
use spextral::fits::{Preproc, Truth as TrueFlux};
use spextral::frame::Frame;
use spextral::geometry::WaveGrid;
use spextral::psf::{Psf, PsfParts};
use spextral::shift::{Quantity, ShiftOptions, Shifts, measure_shifts};
use spextral::simulate::{Simulation, simulate};
use std::fmt::Write;

/// The truth: dx and dy, pixels, and factors of the widths along x and y.
const TRUTH: [f64; 4] = [0.1, -0.12, 1.02, 1.03];
/// Bounds of the rms errors: pixels, and of logarithms of widths.
const BOUNDS: [f64; 4] = [0.002, 0.006, 0.0015, 0.003];
/// Bound of the mean of chi and of its standard deviation less 1.
const CHI: f64 = 0.02;
/// Bins at either end of the truth that are not extracted.
const EDGE: usize = 40;
/// Frames, of which the figures are an average: those of one vary by a half.
const FRAMES: u64 = 4;
/// Electrons below which a line is faint.
const FAINT: f64 = 1500.0;

/// Returns a section of the page.
pub fn section(truth: &Truth) -> String {
    let mut page = String::from(
        "\nFour frames of the sky, stars and galaxies of 1000 s on the same PSF, moved by 0.1 and -0.12 pixels and wider by 2 and 3 %: errors of what `shift-psf` measures, rms over frames, fibres and wavelengths \
         (those stated: the noise of the photons, and what chunks of rows scatter beyond it). Chi is (flux - R truth) √ivar of an extraction that follows the first frame, mean and standard deviation of all bins.\n\n\
         | lines | dx, pixels | dy, pixels | ln sigma x, % | ln sigma y, % | chi | s |\n|---|---|---|---|---|---|---|\n",
    );
    let mut night = truth.psf.clone();
    let change = |p: &mut PsfParts| {
        for (trace, by) in [(&mut p.trace_x, TRUTH[0]), (&mut p.trace_y, TRUTH[1])] {
            trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += by);
        }
        p.sigma_x.coeff.iter_mut().for_each(|c| *c *= TRUTH[2]);
        p.sigma_y.coeff.iter_mut().for_each(|c| *c *= TRUTH[3]);
    };
    night.update(change).expect("a PSF that is shifted");
    let frames: Vec<(Preproc, TrueFlux)> = (0..FRAMES)
        .map(|seed| {
            let simulated =
                simulate(&night, &Simulation { seed, ..Simulation::default() }).expect("a frame of the PSF");
            (simulated.preproc.masked_by(u32::MAX).expect("planes of one frame"), simulated.truth)
        })
        .collect();
    let (first, true_flux) = &frames[0];
    let chi = |psf: &Psf| chi(psf, first, true_flux);
    let judged = |chi: [f64; 2]| {
        bounded(chi[0].abs().max((chi[1] - 1.0).abs()) <= CHI, format!("{:+.3} ± {:.3}", chi[0], chi[1]), CHI)
    };
    let all = ShiftOptions::night_sky(&first.header);
    let mut faint = 0;
    let mut fewer = all.clone();
    fewer.lines.retain(|line| {
        let is_faint = line.weight.unwrap_or(0.0) < FAINT;
        faint += usize::from(is_faint);
        !is_faint || faint % 3 != 0
    });
    let none = ShiftOptions { lines: Vec::new(), ..all.clone() };
    for (name, options) in [("all", all), ("without a third of the faint", fewer), ("none", none)] {
        let measure = |(frame, _): &(Preproc, TrueFlux)| {
            let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
            let found =
                measure_shifts(&truth.psf, &arc, 0..truth.psf.nfibre, &options, &CancelToken::default(), &|_, _| ());
            found.expect("a frame of the PSF")
        };
        let (found, seconds) = on_one_thread(|| frames.iter().map(&measure).collect::<Vec<Shifts>>());
        let seconds = seconds / FRAMES as f64;
        let figures: Vec<String> = Quantity::ALL.into_iter().map(|q| figure(truth, &found, q)).collect();
        let follows = found[0].apply(&truth.psf).expect("shifts that a PSF can follow");
        // Without lines dy stays unknown.
        let chi = if name == "none" { "".into() } else { judged(chi(&follows)) };
        let _ = writeln!(page, "| {name} | {} | {chi} | {seconds:.1} |", figures.join(" | "));
    }
    let [right, wrong] = [chi(&night), chi(&truth.psf)].map(|chi| format!("{:+.3} ± {:.3}", chi[0], chi[1]));
    page + &format!("\nChi is {right} with the true PSF of the frame, {wrong} with the one that does not follow it.\n")
}

/// Extracts with a PSF; returns mean and standard deviation of chi.
fn chi(psf: &Psf, frame: &Preproc, truth: &TrueFlux) -> [f64; 2] {
    // The ends of the truth are dark: bins of its own, a few inside.
    let wave = &truth.wave;
    let (first, last) = (wave[EDGE], wave[wave.len() - 1 - EDGE]);
    let grid = WaveGrid::new(first, last, wave[1] - wave[0]).expect("a grid within the truth");
    let options = Options::default();
    let job = Job::new(psf, &frame.ccd, &grid, &options).expect("a job of the PSF");
    let spectra = extract(&job, &Engine::cpu(), &|_, _| {}).expect("an extraction").spectra;
    let (wave, header) = (grid.wave().to_vec(), Default::default());
    let report = against_truth(&Frame { spectra, wave, header, fibermap: None, scores: None }, truth);
    let report = report.expect("bins in common");
    [report.mean, report.std]
}

fn bounded(good: bool, text: String, bound: f64) -> String {
    if good { text } else { format!("**{text}** (bound {bound})") }
}

fn figure(truth: &Truth, found: &[Shifts], quantity: Quantity) -> String {
    let k = quantity as usize;
    let right = if k < 2 { TRUTH[k] } else { TRUTH[k].ln() };
    let ends = [truth.psf.wave_min, truth.psf.wave_max];
    let waves = (1..20).map(|j| ends[0] + (ends[1] - ends[0]) * f64::from(j) / 20.0);
    let at: Vec<(usize, f64)> = waves.flat_map(|wave| (0..truth.psf.nfibre).map(move |fibre| (fibre, wave))).collect();
    let of_frame = |found: &Shifts| -> Vec<[f64; 2]> {
        at.iter().filter_map(|&(fibre, wave)| found.at(&truth.psf, quantity, fibre, wave)).collect()
    };
    let places: Vec<[f64; 2]> = found.iter().flat_map(of_frame).collect();
    if places.is_empty() {
        return "not measured".into();
    }
    let factor = if k < 2 { 1.0 } else { 100.0 };
    let [off, stated] = [rms(places.iter().map(|p| p[0] - right)), rms(places.iter().map(|p| p[1]))];
    let text = format!("{:.4} ({:.4})", factor * off, factor * stated);
    bounded(off <= BOUNDS[k], text, factor * BOUNDS[k])
}
