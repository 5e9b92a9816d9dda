//! Sections of the page on quality: S/N, goodness of the fit, resolution, masks, and chi against the truth.

use super::error::ReportError;
use super::figures::{Axes, Caption, Curve, Figure, Kind, curves, heatmap, room};
use super::html::Page;
use super::statistics::percentile;
use super::summary::Report;
use crate::base::option_name::OptionName::Truth;
use crate::plot::{Grid, Heatmap, Keep, Scale, chi_density, normal_density};

/// Most columns and rows of a heat map of half the page's width.
const MOST_BINS: [usize; 2] = [1450, 520];
/// Chi2pix with the full colour.
pub const CHI2_LIMIT: f64 = 4.0;
/// Limit of the histogram of chi, and its cells per unit of chi.
const CHI_LIMIT: f64 = 5.0;
const CHI_CELLS: f64 = 5.0;

/// Makes the caption of a figure over wavelength.
fn over_wave<'a>(id: &'a str, title: &'a str, text: &'a str, alt: &'a str, y: &'a str) -> Caption<'a> {
    Caption { id, title, text, alt, labels: ["wavelength, Å", y], over: "wave" }
}

/// Makes the caption of a figure over fibres.
fn over_fibre<'a>(id: &'a str, title: &'a str, text: &'a str, alt: &'a str, y: &'a str) -> Caption<'a> {
    Caption { id, title, text, alt, labels: ["fibre", y], over: "fibre" }
}

/// Makes curves over wavelength: a band between two percentiles over the fibres, and the median.
fn wave_figure(
    report: &Report,
    caption: &Caption,
    values: &[f64],
    [low, high]: [f64; 2],
    y: impl Fn(&[f64]) -> [f64; 2],
) -> Figure {
    let [band, median, upper] = [low, 0.5, high].map(|share| report.statistics.by_wave(values, share));
    let axes = Axes { x: report.wave_axis(), y: y(&[&band[..], &upper].concat()) };
    let name = format!("{:.0} to {:.0} % of the fibres", 100.0 * low, 100.0 * high);
    let shown = [Curve::band(&name, band, upper), Curve::new("median", Kind::Line, 0, median)];
    curves(caption, report.material.frame.scale(), &axes, &shown)
}

/// Makes points, one per fibre.
fn fibre_figure(report: &Report, caption: &Caption, name: &str, values: Vec<f64>) -> Figure {
    let rows: Vec<f64> = (0..values.len()).map(|row| row as f64).collect();
    let axes = Axes { x: report.fibre_axis(), y: room(values.iter().copied(), true) };
    curves(caption, &rows, &axes, &[Curve::new(name, Kind::Points, 0, values)])
}

/// Makes a heat map of one number per bin.
fn bins_figure(
    report: &Report,
    page: &mut Page,
    caption: &Caption,
    values: Vec<f64>,
    unit: &str,
    scale: Scale,
    keep: Keep,
) -> Result<Figure, ReportError> {
    let grid = Grid::new(report.statistics.nwave, values).reduced(MOST_BINS, keep);
    page.note_reduction(caption.title, grid.factor, if keep == Keep::Mean { "the mean" } else { "the worst" });
    let tick = |k: u8| scale.low + 0.25 * f64::from(k) * (scale.high - scale.low);
    let ticks: Vec<f64> = (0..=4).map(|k| (tick(k) * 1e3).round() / 1e3).collect();
    let axes = Axes { x: report.wave_axis(), y: report.fibre_axis() };
    heatmap(caption, &Heatmap::of(&grid, scale), &axes, unit, &ticks, None)
}

/// Adds S/N by fibre and against wavelength.
pub fn signal(report: &Report, page: &mut Page) {
    page.heading("Signal to noise");
    let (statistics, y) = (&report.statistics, "S/N per bin");
    let text = "Median of flux·√ivar over the bins of each fibre, with the light of the sky.";
    let by_fibre = over_fibre("snr-fibre", "By fibre", text, "Median signal to noise of every fibre.", y);
    let alt = "Signal to noise against wavelength: median of the fibres and the range of most.";
    let by_wave = over_wave("snr-wave", "Against wavelength", "Over all fibres, bin by bin.", alt, y);
    page.side_by_side([
        fibre_figure(report, &by_fibre, "median S/N", statistics.by_fibre(&statistics.snr)),
        wave_figure(report, &by_wave, &statistics.snr, [0.16, 0.84], |values| room(values.iter().copied(), true)),
    ]);
}

/// Adds chi2pix.
pub fn goodness(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("Goodness of the fit");
    let chi2pix = &report.statistics.chi2pix;
    // Steps of 1/16: finer ones are noise, and make the page larger.
    let coarse = chi2pix.iter().map(|v| (v * 16.0).round() / 16.0).collect();
    let text = "About 1 where the model fits; bright where it does not.";
    let alt = "Image of chi2pix: wavelength from left to right, fibres from bottom to top.";
    let of_bins = over_wave("chi2pix", "chi2pix", text, alt, "fibre");
    let scale = Scale::linear(0.0, CHI2_LIMIT);
    let map = bins_figure(report, page, &of_bins, coarse, "", scale, Keep::Farthest(1.0))?;
    let (text, alt) = ("Median over the bins of each fibre.", "Median chi2pix of every fibre.");
    let of_fibre = over_fibre("chi2-fibre", "chi2pix by fibre", text, alt, "chi2pix");
    let by_fibre = fibre_figure(report, &of_fibre, "median chi2pix", report.statistics.by_fibre(chi2pix));
    page.side_by_side([map, by_fibre]);
    Ok(())
}

/// Adds the width of the resolution.
pub fn resolution(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("Resolution");
    let sigma = &report.statistics.sigma;
    let [low, high] = [0.005, 0.995].map(|share| percentile(sigma.iter().copied(), share));
    let scale = if low.is_finite() { Scale::linear(low, high) } else { Scale::linear(0.0, 1.0) };
    let text = "Standard deviation of R's rows (second moment times dispersion).";
    let alt = "Image of the width of the resolution: wavelength from left to right, fibres from bottom to top.";
    let of_bins = over_wave("sigma", "σ of the resolution, Å", text, alt, "fibre");
    let map = bins_figure(report, page, &of_bins, sigma.clone(), "Å", scale, Keep::Mean)?;
    let alt = "Width of the resolution against wavelength: median of the fibres and the range of most.";
    let of_wave = over_wave("sigma-wave", "σ against wavelength", "Over all fibres, bin by bin.", alt, "σ, Å");
    // Few bins beside masks and ends are far off: they do not set the scale.
    let inner = |values: &[f64]| room([0.01, 0.98].map(|share| percentile(values.iter().copied(), share)), false);
    page.side_by_side([map, wave_figure(report, &of_wave, sigma, [0.02, 0.98], inner)]);
    Ok(())
}

/// Adds the percentage of masked bins.
pub fn masks(report: &Report, page: &mut Page) {
    page.heading("Masked bins");
    let statistics = &report.statistics;
    let text = "Bins with more than half of their PSF on masked pixels, or without information.";
    let of_fibre = over_fibre("masked-fibre", "By fibre", text, "Share of masked bins of every fibre.", "%");
    let alt = "Share of masked fibres against wavelength.";
    let of_wave = over_wave("masked-wave", "Against wavelength", text, alt, "%");
    let masked = |j: usize| statistics.masked.iter().skip(j).step_by(statistics.nwave).filter(|&&m| m).count();
    let nspec = statistics.fibres.len() as f64;
    let by_wave: Vec<f64> = (0..statistics.nwave).map(|j| 100.0 * masked(j) as f64 / nspec).collect();
    let axes = Axes { x: report.wave_axis(), y: [0.0, room(by_wave.iter().copied(), true)[1].max(1.0)] };
    let curve = [Curve::new("masked, % of the fibres", Kind::Line, 0, by_wave)];
    page.side_by_side([
        fibre_figure(report, &of_fibre, "masked, % of the bins", statistics.masked_by_fibre()),
        curves(&of_wave, report.material.frame.scale(), &axes, &curve),
    ]);
}

/// Adds chi against the truth.
pub fn chi(report: &Report, page: &mut Page) {
    page.heading("Against the truth");
    let Some(truth) = &report.material.truth else {
        page.missing(&format!("Not available: for a simulated frame pass <code>{Truth} TRUTH</code>, the file of <code>spextral simulate {Truth}</code>."));
        return;
    };
    let moments = truth.moments();
    let (mean, std) = moments.mean_std();
    let density = chi_density(&truth.chi, CHI_LIMIT, CHI_CELLS);
    let xs: Vec<f64> = (0..density.len()).map(|k| (k as f64 + 0.5) / CHI_CELLS - CHI_LIMIT).collect();
    let normal = xs.iter().map(|&x| normal_density(x)).collect();
    let text = format!(
        "(flux − R·truth)·√ivar over {} bins: mean {mean:+.3}, scatter {std:.3}. Right errors give 0 and 1.",
        moments.count
    );
    let axes = Axes { x: [-CHI_LIMIT, CHI_LIMIT], y: room(density.iter().copied().chain([0.42]), true) };
    let shown = [Curve::new("this frame", Kind::Bars, 0, density), Curve::new("N(0, 1)", Kind::Line, 1, normal)];
    let alt = "Histogram of chi beside the normal distribution.";
    let caption = Caption { id: "chi", title: "chi", text: &text, alt, labels: ["chi", "density"], over: "chi" };
    page.add(curves(&caption, &xs, &axes, &shown));
}
