//! Shifts measured on a frame of the sky, against the truth.

use super::cases::Truth;
use super::rms;
use spextral::base::cancel::CancelToken;
use spextral::fit::ArcFrame;
use spextral::psf::PsfParts;
use spextral::shift::{Quantity, ShiftOptions, Shifts, measure_shifts};
use spextral::simulate::{Simulation, simulate};
use std::fmt::Write;
use std::time::Instant;

/// The truth: dx and dy, pixels, and factors of the widths along x and y.
const TRUTH: [f64; 4] = [0.1, -0.12, 1.02, 1.03];
/// Bounds of the rms errors: pixels, and of logarithms of widths.
const BOUNDS: [f64; 4] = [0.002, 0.006, 0.0015, 0.003];
/// Electrons below which a line is faint.
const FAINT: f64 = 1500.0;

/// Returns a section of the page.
pub fn section(truth: &Truth) -> String {
    let mut page = String::from(
        "\nA frame of the sky, stars and galaxies of 1000 s on the same PSF, moved by 0.1 and -0.12 pixels and wider by 2 and 3 %: errors of what `shift-psf` measures, rms over fibres and wavelengths (stated).\n\n\
         | lines | dx, pixels | dy, pixels | ln sigma x, % | ln sigma y, % | s |\n|---|---|---|---|---|---|\n",
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
    let frame = simulate(&night, &Simulation::default()).expect("a frame of the PSF").preproc;
    let frame = frame.masked_by(u32::MAX).expect("planes of one frame");
    let all = ShiftOptions::night_sky(&frame.header);
    let mut faint = 0;
    let mut fewer = all.clone();
    fewer.lines.retain(|line| {
        let is_faint = line.weight.unwrap_or(0.0) < FAINT;
        faint += usize::from(is_faint);
        !is_faint || faint % 3 != 0
    });
    let none = ShiftOptions { lines: Vec::new(), ..all.clone() };
    for (name, options) in [("all", all), ("without a third of the faint", fewer), ("none", none)] {
        let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
        let begin = Instant::now();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
        let measure =
            || measure_shifts(&truth.psf, &arc, 0..truth.psf.nfibre, &options, &CancelToken::default(), &|_, _| ());
        let found = pool.install(measure).expect("a frame of the PSF");
        let seconds = begin.elapsed().as_secs_f64();
        let figures: Vec<String> = Quantity::ALL.into_iter().map(|q| figure(truth, &found, q)).collect();
        let _ = writeln!(page, "| {name} | {} | {seconds:.1} |", figures.join(" | "));
    }
    page
}

fn figure(truth: &Truth, found: &Shifts, quantity: Quantity) -> String {
    let k = quantity as usize;
    let right = if k < 2 { TRUTH[k] } else { TRUTH[k].ln() };
    let ends = [truth.psf.wave_min, truth.psf.wave_max];
    let waves = (1..20).map(|j| ends[0] + (ends[1] - ends[0]) * f64::from(j) / 20.0);
    let places: Vec<[f64; 2]> = waves
        .flat_map(|wave| (0..truth.psf.nfibre).map(move |fibre| (fibre, wave)))
        .filter_map(|(fibre, wave)| found.at(&truth.psf, quantity, fibre, wave))
        .collect();
    if places.is_empty() {
        return "not measured".into();
    }
    let factor = if k < 2 { 1.0 } else { 100.0 };
    let [off, stated] = [rms(places.iter().map(|p| p[0] - right)), rms(places.iter().map(|p| p[1]))];
    let text = format!("{:.4} ({:.4})", factor * off, factor * stated);
    if off <= BOUNDS[k] { text } else { format!("**{text}** (bound {})", factor * BOUNDS[k]) }
}
