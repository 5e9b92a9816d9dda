//! The page's parts about the spectra: pictures of all of them, one by one, and figures of their quality.

use super::figures::{Curve, Ends, Figure, Kind, Words, escaped, lines, map, room, short};
use super::heatmap::{Grid, Keep, Map, Scale, packed};
use super::page::Page;
use super::statistics::{by_fibre, by_wave, percent, percentile};
use super::warnings::{chi_moments, flagged};
use super::{Report, ReportError};
use crate::base::option_name::OptionName::Truth;
use crate::frame::specmask;
use crate::plot::choice;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::fmt::Write;

/// Columns and rows of a picture of all fibres: a page of 500 fibres on the survey's 2326 bins has 4.4 MB, and is to stay
/// under 5 on any grid.
const MOST_BINS: [usize; 2] = [2400, 520];
/// The same of pictures of its quality, which are shown half as wide.
const MOST_QUALITY_BINS: [usize; 2] = [1450, 520];
/// Spectra that the page holds, and how many of them may be ones that warnings name.
const SPECTRA: usize = 25;
const FLAGGED: usize = 8;
/// Chi2pix that has the full colour.
pub const CHI2_LIMIT: f64 = 4.0;

/// Ends of the axes of a picture of all fibres: half a bin and half a fibre beyond the outermost.
pub fn all_fibres(report: &Report) -> Ends {
    let (wave, s) = (&report.material.frame.wave, &report.material.frame.spectra);
    let half = 0.5 * (wave[wave.len() - 1] - wave[0]) / (wave.len() - 1).max(1) as f64;
    let half = if half > 0.0 { half } else { 0.5 };
    Ends { x: [wave[0] - half, wave[wave.len() - 1] + half], y: [-0.5, s.nspec as f64 - 0.5] }
}

/// Flux of all fibres, on a scale on which faint spectra and sky lines both show.
pub fn flux_map(report: &Report) -> Map {
    let s = &report.material.frame.spectra;
    let flux = s.flux.iter().zip(&s.ivar).map(|(&f, &w)| if w > 0.0 { f } else { f64::NAN }).collect();
    let grid = Grid::new(s.nwave, flux).reduced(MOST_BINS, Keep::Mean);
    // Masked bins are noise beyond all bounds: the scale is for the others.
    let usable = s.flux.iter().zip(&report.numbers.masked).map(|(&f, &masked)| if masked { f64::NAN } else { f });
    let usable: Vec<f64> = usable.collect();
    let of = |share: f64| percentile(usable.iter().copied(), share);
    let level = if of(0.5).is_finite() { of(0.5).abs().max(1.0) } else { 1.0 };
    let (low, high) = (of(0.001).min(0.0), of(0.9995).max(level));
    let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
    let scale = Scale::asinh(low, high, 0.5 * level);
    Map::of(&grid, scale)
}

const WAVE: &str = "wavelength, Å";

fn words<'a>(id: &'a str, title: &'a str, text: &'a str, alt: &'a str, y: &'a str) -> Words<'a> {
    Words { id, title, text, alt, labels: [WAVE, y], over: "wave" }
}

/// Flux of all fibres as one picture.
pub fn spectra_map(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("All spectra");
    let picture = flux_map(report);
    page.note_reduction("all spectra", picture.factor, "the mean");
    let text = "Flux of every fibre; sky lines run from top to bottom. A click on a fibre shows its spectrum below. Pictures over wavelength zoom together.";
    let alt = "Image of all spectra: wavelength from left to right, fibres from bottom to top, brighter where there is more flux.";
    let words = words("flux", "Flux, electron/Å", text, alt, "fibre");
    page.add(map(&words, &picture, &all_fibres(report), "electron/Å", &decades(&picture.scale), None)?);
    Ok(())
}

/// Round numbers on an asinh scale, far enough apart to be read.
fn decades(scale: &Scale) -> Vec<f64> {
    let mut chosen: Vec<f64> = Vec::new();
    let candidates = (-1..=6).flat_map(|d| [1.0, 3.0].map(|m| m * 10f64.powi(d)));
    for value in [0.0].into_iter().chain(candidates).filter(|&v| v >= scale.low && v <= scale.high) {
        let apart = |&o: &f64| scale.level(value).abs_diff(scale.level(o)) > 18;
        if chosen.iter().all(apart) {
            chosen.push(value);
        }
    }
    chosen
}

/// Bits that the page knows of a bin's mask: SOMEBADPIX, ALLBADPIX, BAD2DFIT, NODATA, and no information.
fn page_bits(mask: u32, ivar: f64) -> u8 {
    let bits = [specmask::SOMEBADPIX, specmask::ALLBADPIX, specmask::BAD2DFIT, specmask::NODATA];
    let known = bits.iter().enumerate().filter(|(_, bit)| mask & **bit != 0).map(|(k, _)| 1 << k).sum::<u8>();
    known | if ivar > 0.0 { 0 } else { 16 }
}

/// Rows of the frame whose spectra the page holds: those that warnings name, and from bright to faint.
fn chosen_rows(report: &Report) -> Vec<usize> {
    let s = &report.material.frame.spectra;
    if s.nspec <= SPECTRA {
        return (0..s.nspec).collect();
    }
    let mut rows = flagged(&report.numbers, s.nwave);
    rows.truncate(FLAGGED);
    for chosen in choice::spectra(&report.material.frame, SPECTRA) {
        if rows.len() < SPECTRA && !rows.contains(&chosen.row) {
            rows.push(chosen.row);
        }
    }
    if rows.is_empty() {
        rows.push(0);
    }
    rows.sort_unstable();
    rows
}

/// Spectra one by one; what the script is told of them.
pub fn chooser(report: &Report, page: &mut Page) -> Vec<Value> {
    let (frame, numbers) = (&report.material.frame, &report.numbers);
    let (s, n) = (&frame.spectra, frame.spectra.nwave);
    let kinds = choice::kinds(frame);
    let snr = by_fibre(&numbers.snr, n);
    let rows = chosen_rows(report);
    let sigma = |i: usize| if s.ivar[i] > 0.0 { s.ivar[i].powf(-0.5) } else { f64::NAN };
    let known = |i: usize| if s.ivar[i] > 0.0 { s.flux[i] } else { f64::NAN };
    let about = |row: usize| match kinds.get(row).map(|k| k.trim()).filter(|k| !k.is_empty()) {
        Some(kind) => format!("{kind}, median S/N {}", short(snr[row])),
        None => format!("median S/N {}", short(snr[row])),
    };
    let spectra = rows.iter().map(|&row| {
        let bins = row * n..(row + 1) * n;
        let mask: Vec<u8> = bins.clone().map(|i| page_bits(s.mask[i], s.ivar[i])).collect();
        let truth = report.material.truth.as_ref().map(|t| packed(t.expected[bins.clone()].iter().copied()));
        json!({
            "row": row, "fibre": numbers.fibres[row], "about": about(row), "flux": packed(bins.clone().map(known)),
            "sigma": packed(bins.map(sigma)), "mask": BASE64_STANDARD.encode(mask), "truth": truth,
        })
    });
    let spectra: Vec<Value> = spectra.collect();
    page.heading("Spectra, one by one");
    let which = match rows.len() == s.nspec {
        true => "All fibres.".into(),
        false => {
            format!("{} of the {} fibres: those that warnings name, and from bright to faint.", rows.len(), s.nspec)
        }
    };
    if rows.len() < s.nspec {
        page.reduced.push(format!("spectra one by one: {} of {} fibres", rows.len(), s.nspec));
    }
    let mut options = String::new();
    for &row in &rows {
        let _ = write!(options, "<option>fibre {}: {}</option>", numbers.fibres[row], escaped(&about(row)));
    }
    let controls = format!(
        "<div class=\"controls needs-script\"><label for=\"fibre\">Spectrum</label> <select id=\"fibre\">{options}</select>\
         <button type=\"button\" id=\"previous\">Previous</button><button type=\"button\" id=\"next\">Next</button>\
         <label><input type=\"checkbox\" id=\"whole\"> bright lines whole</label></div>"
    );
    // The brightest comes first: what there is to see is seen in it.
    let brightest =
        (0..rows.len()).max_by(|&a, &b| snr[rows[a]].max(0.0).total_cmp(&snr[rows[b]].max(0.0))).unwrap_or(0);
    let bins = rows[brightest] * n..(rows[brightest] + 1) * n;
    let curve = |name, kind, tone, values: Vec<f64>| Curve { name, kind, tone, values, upper: Vec::new() };
    let mut curves = vec![curve("flux", Kind::Line, 0, bins.clone().map(known).collect())];
    if let Some(truth) = &report.material.truth {
        curves.push(curve("R·truth", Kind::Line, 1, truth.expected[bins.clone()].to_vec()));
    }
    let text = format!("{which} The band is one standard deviation; grey bins are masked.");
    let usable = || bins.clone().filter(|&i| !numbers.masked[i]).map(|i| s.flux[i]);
    let y = room([percentile(usable(), 0.002), percentile(usable(), 0.998)], true);
    let ends = Ends { x: all_fibres(report).x, y };
    let words =
        words("spectrum", "Flux with its error, electron/Å", &text, "One spectrum with its errors.", "electron/Å");
    let mut figure = lines(&words, &frame.wave, &ends, &curves);
    figure.html = figure.html.replacen("<div class=\"plot\">", &format!("{controls}<div class=\"plot\">"), 1);
    figure.view["kind"] = "spectrum".into();
    figure.view["height"] = 360.into();
    figure.view["first"] = brightest.into();
    page.add(figure);
    spectra
}

/// Curves over wavelength: a band from a low to a high percentile over the fibres, and the median.
fn over_wave(report: &Report, words: &Words, values: &[f64], [low, high]: [f64; 2], from_zero: bool) -> Figure {
    let (wave, n) = (&report.material.frame.wave, report.material.frame.spectra.nwave);
    let [band, upper] = [low, high].map(|share| by_wave(values, n, share));
    // Where only a shape matters the few bins beside masks and ends do not set the scale.
    let inner = |share: f64| percentile(band.iter().chain(&upper).copied(), share);
    let y = if from_zero {
        room(band.iter().chain(&upper).copied(), true)
    } else {
        room([inner(0.01), inner(0.98)], false)
    };
    let ends = Ends { x: all_fibres(report).x, y };
    let name = format!("{:.0} to {:.0} % of the fibres", 100.0 * low, 100.0 * high);
    let curves = [
        Curve { name: &name, kind: Kind::Band, tone: 0, values: band, upper },
        Curve { name: "median", kind: Kind::Line, tone: 0, values: by_wave(values, n, 0.5), upper: Vec::new() },
    ];
    lines(words, wave, &ends, &curves)
}

/// A value a fibre.
fn over_fibre(report: &Report, words: Words, name: &str, values: Vec<f64>, from_zero: bool) -> Figure {
    let xs: Vec<f64> = (0..values.len()).map(|row| row as f64).collect();
    let ends = Ends { x: all_fibres(report).y, y: room(values.iter().copied(), from_zero) };
    let words = Words { labels: ["fibre", words.labels[1]], over: "fibre", ..words };
    lines(&words, &xs, &ends, &[Curve { name, kind: Kind::Points, tone: 0, values, upper: Vec::new() }])
}

/// Signal to noise by fibre and against wavelength.
pub fn signal(report: &Report, page: &mut Page) {
    page.heading("Signal to noise");
    let (snr, n) = (&report.numbers.snr, report.material.frame.spectra.nwave);
    let of_fibre = words(
        "snr-fibre",
        "By fibre",
        "Median of flux·√ivar over the bins of each fibre, the sky's light included.",
        "Median signal to noise of every fibre.",
        "S/N a bin",
    );
    let of_wave = words(
        "snr-wave",
        "Against wavelength",
        "Over all fibres, bin by bin.",
        "Signal to noise against wavelength: median of the fibres and the range of most.",
        "S/N a bin",
    );
    page.side_by_side([
        over_fibre(report, of_fibre, "median S/N", by_fibre(snr, n), true),
        over_wave(report, &of_wave, snr, [0.16, 0.84], true),
    ]);
}

/// A picture of a number of every bin, on a scale that holds most of it.
fn bins_map(
    report: &Report,
    page: &mut Page,
    words: &Words,
    values: &[f64],
    unit: &str,
    scale: Scale,
    keep: Keep,
) -> Result<Figure, ReportError> {
    let grid = Grid::new(report.material.frame.spectra.nwave, values.to_vec()).reduced(MOST_QUALITY_BINS, keep);
    page.note_reduction(words.title, grid.factor, "the mean, or the worst");
    let ticks: Vec<f64> = (0..=4).map(|k| scale.low + 0.25 * f64::from(k) * (scale.high - scale.low)).collect();
    let rounded: Vec<f64> = ticks.iter().map(|t| (t * 1e3).round() / 1e3).collect();
    map(words, &Map::of(&grid, scale), &all_fibres(report), unit, &rounded, None)
}

/// Chi2pix, resolution and masks.
pub fn goodness(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    let (numbers, s) = (&report.numbers, &report.material.frame.spectra);
    let n = s.nwave;
    page.heading("Goodness of the fit");
    // Steps of 1/16: finer ones are noise, and make the page larger.
    let coarse: Vec<f64> = numbers.chi2pix.iter().map(|v| (v * 16.0).round() / 16.0).collect();
    let alt = "Image of chi2pix: wavelength from left to right, fibres from bottom to top.";
    let text = "About 1 where the model fits; bright where it does not.";
    let of_bins = words("chi2pix", "chi2pix", text, alt, "fibre");
    let picture = bins_map(report, page, &of_bins, &coarse, "", Scale::linear(0.0, CHI2_LIMIT), Keep::Farthest(1.0))?;
    let of_fibre = words(
        "chi2-fibre",
        "chi2pix by fibre",
        "Median over the bins of each fibre.",
        "Median chi2pix of every fibre.",
        "chi2pix",
    );
    let by_fibre = over_fibre(report, of_fibre, "median chi2pix", by_fibre(&numbers.chi2pix, n), true);
    page.side_by_side([picture, by_fibre]);

    page.heading("Resolution");
    let of = |share| percentile(numbers.sigma.iter().copied(), share);
    let scale = if of(0.5).is_finite() { Scale::linear(of(0.005), of(0.995)) } else { Scale::linear(0.0, 1.0) };
    let text = "Standard deviation of R's rows (second moment times dispersion).";
    let alt = "Image of the width of the resolution: wavelength from left to right, fibres from bottom to top.";
    let of_bins = words("sigma", "σ of the resolution, Å", text, alt, "fibre");
    let picture = bins_map(report, page, &of_bins, &numbers.sigma, "Å", scale, Keep::Mean)?;
    let of_wave = words(
        "sigma-wave",
        "σ against wavelength",
        "Over all fibres, bin by bin.",
        "Width of the resolution against wavelength: median of the fibres and the range of most.",
        "σ, Å",
    );
    let curve = over_wave(report, &of_wave, &numbers.sigma, [0.02, 0.98], false);
    page.side_by_side([picture, curve]);

    page.heading("Masked bins");
    let flags: Vec<f64> = numbers.masked.iter().map(|&m| f64::from(u8::from(m))).collect();
    let shares: Vec<f64> = numbers.masked.chunks(n).map(|row| percent(row.iter())).collect();
    let at_wave: Vec<f64> =
        (0..n).map(|j| 100.0 * flags.iter().skip(j).step_by(n).sum::<f64>() / s.nspec as f64).collect();
    let text = "Bins with more than half of their PSF on masked pixels, or without information.";
    let of_fibre = words("masked-fibre", "By fibre", text, "Share of masked bins of every fibre.", "%");
    let of_wave = words("masked-wave", "Against wavelength", text, "Share of masked fibres against wavelength.", "%");
    let ends = Ends { x: all_fibres(report).x, y: [0.0, room(at_wave.iter().copied(), true)[1].max(1.0)] };
    let curve =
        [Curve { name: "masked, % of the fibres", kind: Kind::Line, tone: 0, values: at_wave, upper: Vec::new() }];
    let by_wave = lines(&of_wave, &report.material.frame.wave, &ends, &curve);
    page.side_by_side([over_fibre(report, of_fibre, "masked, % of the bins", shares, true), by_wave]);
    Ok(())
}

/// Chi against the truth, or how to get it.
pub fn truth(report: &Report, page: &mut Page) {
    page.heading("Against the truth");
    let Some(truth) = &report.material.truth else {
        page.missing(&format!("Not here: for a simulated frame give <code>{Truth} TRUTH</code>, the file of <code>spextral simulate {Truth}</code>."));
        return;
    };
    let (limit, per_unit) = (5.0, 5.0);
    let cells = (2.0 * limit * per_unit) as usize;
    let [mean, std, judged] = chi_moments(&truth.chi);
    let mut density = vec![0.0; cells];
    for chi in truth.chi.iter().filter(|c| c.abs() < limit) {
        density[((chi + limit) * per_unit) as usize] += per_unit / judged;
    }
    let xs: Vec<f64> = (0..cells).map(|k| (k as f64 + 0.5) / per_unit - limit).collect();
    let normal = xs.iter().map(|x| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()).collect();
    let text = format!(
        "(flux − R·truth)·√ivar over {judged} bins: mean {mean:+.3}, scatter {std:.3}. Right errors give 0 and 1."
    );
    let ends = Ends { x: [-limit, limit], y: room(density.iter().copied().chain([0.42]), true) };
    let curves = [
        Curve { name: "this frame", kind: Kind::Bars, tone: 0, values: density, upper: Vec::new() },
        Curve { name: "N(0, 1)", kind: Kind::Line, tone: 1, values: normal, upper: Vec::new() },
    ];
    let words = Words {
        id: "chi",
        title: "chi",
        text: &text,
        alt: "Histogram of chi beside the normal distribution.",
        labels: ["chi", "density"],
        over: "chi",
    };
    page.add(lines(&words, &xs, &ends, &curves));
}
