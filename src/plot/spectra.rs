//! The lower half of the picture: spectra with their errors beside the truth, and the distribution of chi.

use super::canvas::{Canvas, Panel, Shape};
use super::colour::{BAND, CURVE, TRUTH};
use super::error::PlotError;
use super::histogram::{chi_density, normal_density};
use super::picture::Picture;
use super::selection::{self, CutOut, Selected};
use crate::base::median::median;
use crate::compare::{TrueSpectra, resolve_truth};
use std::ops::Range;

/// Spectra shown.
const COUNT: usize = 3;
/// Bins shown of each: few enough to see single ones.
const BINS: usize = 260;
/// Top of the first spectrum, height of each, and ends of the panels beside and without a histogram, pixels.
const TOP: i32 = 700;
const HEIGHT: i32 = 266;
const RIGHT: [i32; 2] = [1320, 1790];
/// Width of an entry of the legend, pixels.
const LEGEND_ENTRY: i32 = 190;
/// Sigmas from the continuum to the top of a faint spectrum's panel: few enough for the errors to show.
const CEILING: f64 = 25.0;
/// Limit of the histogram of chi, and its cells per unit of chi.
const CHI_LIMIT: f64 = 5.0;
const CHI_CELLS: f64 = 4.0;

/// Draws the spectra, and the histogram of chi if the truth is known.
pub fn draw(picture: &Picture, cut: &CutOut, canvas: &Canvas) -> Result<(), PlotError> {
    let truth = picture.truth.map(|truth| resolve_truth(picture.frame, truth)).transpose().map_err(PlotError::Truth)?;
    if let Some(truth) = &truth {
        histogram(truth, canvas)?;
    }
    let selected = selection::spectra(picture.frame, COUNT);
    let bins = shown(picture.frame.scale(), cut.wave, selection::bins_on_ccd(picture, &selected));
    for (k, spectrum) in selected.iter().enumerate() {
        draw_spectrum(picture, truth.as_ref(), spectrum, bins.clone(), TOP + HEIGHT * k as i32, canvas)?;
    }
    Ok(())
}

/// Returns the bins to show: those about `middle` among the `usable` ones.
fn shown(wave: &[f64], middle: f64, usable: Range<usize>) -> Range<usize> {
    let count = BINS.min(usable.len());
    let centre = wave.partition_point(|&w| w < middle);
    let first = centre.saturating_sub(count / 2).clamp(usable.start, usable.end - count);
    first..first + count
}

fn draw_spectrum(
    picture: &Picture,
    truth: Option<&TrueSpectra>,
    spectrum: &Selected,
    bins: Range<usize>,
    top: i32,
    canvas: &Canvas,
) -> Result<(), PlotError> {
    let (wave, spectra) = (picture.frame.scale(), &picture.frame.spectra);
    let row = spectrum.row * wave.len();
    let flux = |j: usize| spectra.flux[row + j];
    let sigma = |j: usize| if spectra.ivar[row + j] > 0.0 { spectra.ivar[row + j].powf(-0.5) } else { 0.0 };
    let typical = |value: &dyn Fn(usize) -> f64| median(bins.clone().map(value).filter(|v| v.is_finite()).collect());
    let level = typical(&flux);
    let ceiling = (level + (0.8 * level).max(CEILING * typical(&sigma))).max(1.0);
    let y = [-0.06 * ceiling, ceiling];
    // Lines brighter than the panel are cut flat at its top.
    let points = |value: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        bins.clone().map(|j| (wave[j], value(j).clamp(y[0], y[1]))).collect()
    };
    let upper = points(&|j| flux(j) + sigma(j));
    let lower = points(&|j| flux(j) - sigma(j));
    let band = upper.into_iter().chain(lower.into_iter().rev()).filter(|p| p.1.is_finite()).collect();
    let mut shapes = vec![Shape::Area(BAND, band), Shape::Line(CURVE, 2, points(&flux))];
    let mut legend = vec![("extracted flux", CURVE, 3), ("its 1 sigma error", BAND, 10)];
    if let Some(truth) = truth {
        shapes.push(Shape::Line(TRUTH, 1, points(&|j| truth.expected[row + j])));
        legend.push(("truth x resolution", TRUTH, 3));
    }
    let kind = if spectrum.kind.is_empty() { String::new() } else { format!(" ({})", spectrum.kind) };
    let cut = if bins.clone().any(|j| flux(j) > ceiling) { "; bright lines are cut" } else { "" };
    let title = format!("fibre {}{kind}, median S/N {:.1} per bin{cut}", spectrum.fibre, spectrum.snr);
    let right = RIGHT[usize::from(truth.is_none())];
    let panel = Panel {
        place: [10, top, right, top + HEIGHT],
        title: &title,
        labels: ["wavelength, Angstrom", "electron / Angstrom"],
        x: [wave[bins.start], wave[bins.end - 1]],
        y,
    };
    canvas.curves(&panel, &shapes)?;
    let left = right - LEGEND_ENTRY * legend.len() as i32;
    for (k, (text, colour, thickness)) in legend.into_iter().enumerate() {
        canvas.key(text, (left + LEGEND_ENTRY * k as i32, top + 16), colour, thickness)?;
    }
    Ok(())
}

fn histogram(truth: &TrueSpectra, canvas: &Canvas) -> Result<(), PlotError> {
    let moments = truth.moments();
    let (mean, std) = moments.mean_std();
    let title = format!("chi of {} bins: mean {mean:+.3}, std {std:.3}", moments.count);
    let density = chi_density(&truth.chi, CHI_LIMIT, CHI_CELLS);
    let edge = |cell: usize| cell as f64 / CHI_CELLS - CHI_LIMIT;
    let steps = density.iter().enumerate().flat_map(|(cell, &d)| [(edge(cell), d), (edge(cell + 1), d)]);
    let bars = [(-CHI_LIMIT, 0.0)].into_iter().chain(steps).chain([(CHI_LIMIT, 0.0)]).collect();
    let normal = (-100..=100).map(|k| CHI_LIMIT * f64::from(k) / 100.0).map(|x| (x, normal_density(x))).collect();
    let panel = Panel {
        place: [1330, TOP, 1790, TOP + 3 * HEIGHT],
        title: &title,
        labels: ["(flux - R truth) / sigma", "density"],
        x: [-CHI_LIMIT, CHI_LIMIT],
        y: [0.0, 0.46],
    };
    canvas.curves(&panel, &[Shape::Area(BAND, bars), Shape::Line(TRUTH, 2, normal)])?;
    canvas.key("extraction", (1660, TOP + 52), BAND, 10)?;
    canvas.key("N(0, 1)", (1660, TOP + 76), TRUTH, 3)
}
