//! The page about the fit of a PSF.

use super::error::ReportError;
use super::page::{PAGE, STYLE};
use super::text::escaped;
use crate::fit::{BundleFit, Fitted};
use crate::plot::fit_png;
use crate::psf::Psf;
use base64::prelude::{BASE64_STANDARD, Engine};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Makes the page about a fit, called `name`, of a start: self-contained HTML that loads nothing. The fit is in the coordinates of files.
///
/// # Errors
/// [`ReportError::Draw`] if the picture cannot be drawn.
pub fn fit_page(name: &str, start: &Psf, fitted: &Fitted, notes: &[String]) -> Result<String, ReportError> {
    let picture = BASE64_STANDARD.encode(fit_png(start, fitted)?);
    let mut body = verdict(fitted);
    if !notes.is_empty() {
        let items: String = notes.iter().map(|note| format!("<li>{}</li>\n", escaped(note))).collect();
        let _ = writeln!(body, "<h2>Remarks on the frames</h2>\n<ul>\n{items}</ul>");
    }
    let _ = writeln!(
        body,
        "<h2>The fit</h2>\n<img src=\"data:image/png;base64,{picture}\" alt=\"residual, shifts of the traces, chi2 by line and fibre, widths\" style=\"width:100%;background:#fff\">"
    );
    body += &bundles(fitted);
    body += &lines(fitted);
    let psf = &fitted.psf;
    let subtitle = format!(
        "{} fibres in {} bundles, {:.1} to {:.1} Å",
        psf.nfibre,
        fitted.bundles.len(),
        psf.wave_min,
        psf.wave_max
    );
    let footer =
        format!("Made by spextral {}; this page is self-contained and loads nothing.", env!("CARGO_PKG_VERSION"));
    let parts = [
        ("{{title}}", escaped(name)),
        ("{{subtitle}}", escaped(&subtitle)),
        ("{{footer}}", escaped(&footer)),
        ("{{style}}", STYLE.into()),
        ("{{script}}", String::new()),
        ("{{data}}", "{}".into()),
        ("{{body}}", body),
    ];
    Ok(parts.iter().fold(PAGE.to_string(), |page, (placeholder, text)| page.replace(placeholder, text)))
}

/// Returns the fit in one sentence.
fn verdict(fitted: &Fitted) -> String {
    let total = fitted.bundles.len();
    let chi2: Vec<f64> =
        fitted.bundles.iter().filter_map(|b| b.outcome.as_ref().ok()).map(|q| q.reduced_chi2).collect();
    let ends = chi2.iter().fold([f64::MAX, f64::MIN], |[low, high], c| [low.min(*c), high.max(*c)]);
    let colour = match (chi2.len() == total, ends[1] < 1.3) {
        (true, true) => "green",
        (true, false) => "amber",
        (false, _) => "red",
    };
    let kept = total - chi2.len();
    let kept = if kept > 0 { format!("; {kept} keep the PSF of the start") } else { String::new() };
    format!(
        "<p class=\"verdict {colour}\">{} of {total} bundles are fitted, reduced chi2 {:.3} to {:.3}{kept}.</p>\n",
        chi2.len(),
        ends[0],
        ends[1]
    )
}

fn table(heading: &str, names: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, words: &[String]| -> String {
        words.iter().map(|word| format!("<{tag}>{}</{tag}>", escaped(word))).collect()
    };
    let names: Vec<String> = names.iter().map(|name| (*name).to_string()).collect();
    let rows: String = rows.map(|row| format!("<tr>{}</tr>\n", cells("td", &row))).collect();
    format!(
        "<h2>{heading}</h2>\n<div class=\"wide\"><table><thead><tr>{}</tr></thead><tbody>\n{rows}</tbody></table></div>\n",
        cells("th", &names)
    )
}

fn bundles(fitted: &Fitted) -> String {
    let number = |fibre: usize| fitted.psf.number(fibre);
    let row = |bundle: &BundleFit| {
        let quality = bundle.outcome.as_ref();
        let shift = bundle.shifts.first().copied().unwrap_or_default();
        let used = bundle.spots.iter().filter(|spot| spot.reason.is_none()).count();
        vec![
            format!("{} to {}", number(bundle.fibres.start), number(bundle.fibres.end - 1)),
            quality.map_or_else(|reason| reason.clone(), |q| format!("{:.3}", q.reduced_chi2)),
            format!("{:+.2}, {:+.2}", shift[0], shift[1]),
            format!("{used} of {}", bundle.spots.len()),
            bundle.lost.len().to_string(),
            bundle.found.len().to_string(),
            bundle.rejected.to_string(),
            bundle.dead.iter().map(|&fibre| number(fibre).to_string()).collect::<Vec<_>>().join(", "),
        ]
    };
    let names = [
        "fibres",
        "reduced chi2",
        "shift x, y",
        "spots used",
        "lines lost",
        "lines found",
        "pixels rejected",
        "without light",
    ];
    table("Bundles", &names, fitted.bundles.iter().map(row))
}

/// Returns the tables of lines lost and found, those of all bundles together.
fn lines(fitted: &Fitted) -> String {
    // Places of a line in different bundles agree to a fraction of a pixel.
    let key = |wave: f64| (2.0 * wave).round() as i64;
    let (mut lost, mut found) = (BTreeMap::<i64, Vec<(f64, &str)>>::new(), BTreeMap::<i64, Vec<(f64, f64)>>::new());
    for bundle in &fitted.bundles {
        bundle.lost.iter().for_each(|line| lost.entry(key(line.wave)).or_default().push((line.wave, &line.reason)));
        bundle.found.iter().for_each(|line| found.entry(key(line.wave)).or_default().push((line.wave, line.flux)));
    }
    let of_lost = lost.values().map(|of| vec![format!("{:.2}", of[0].0), of.len().to_string(), of[0].1.to_string()]);
    let of_found = found.values().map(|of| {
        let mean = |k: usize| of.iter().map(|(w, f)| if k == 0 { *w } else { *f }).sum::<f64>() / of.len() as f64;
        vec![format!("{:.2}", mean(0)), of.len().to_string(), format!("{:.0}", mean(1))]
    });
    let mut text = String::new();
    if !lost.is_empty() {
        text +=
            &table("Lines of the list that did not count", &["wavelength, Å", "bundles", "the first reason"], of_lost);
    }
    if !found.is_empty() {
        text += &table("Lines that the list lacks", &["wavelength, Å", "bundles", "electrons per fibre"], of_found);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::CancelToken;
    use crate::fit::{ArcFrame, FitOptions, fit_psf};
    use crate::fits::Line;
    use crate::simulate::synthetic::Synthetic;
    use crate::simulate::{Light, Simulation, simulate};

    #[test]
    fn the_page_of_a_fit_has_its_bundles_and_the_lines_that_the_list_lacks() {
        let small = Synthetic { nfibre: 5, bundlesize: 5, npix_y: Some(300), gh_degree: 1, ..Synthetic::default() };
        let psf = small.build().unwrap();
        let wave = |k: usize| psf.wave_min + 7.0 + (psf.wave_max - psf.wave_min - 14.0) * (k as f64 / 13.0);
        let mut lines: Vec<Line> =
            (0..14).map(|k| Line { wave: wave(k), ion: String::new(), weight: Some(1.0) }).collect();
        let light = Light::Arc { lines: lines.clone(), electrons: 20_000.0 };
        let frame = simulate(&psf, &Simulation { light, ..Simulation::default() }).unwrap().preproc;
        let frame = frame.masked_by(u32::MAX).unwrap();
        let missing = lines.remove(6).wave;
        let arc = ArcFrame { ccd: &frame.ccd, readnoise: None };
        let done = fit_psf(&psf, &[arc], &lines, &FitOptions::default(), &CancelToken::default(), &|_, _| ()).unwrap();
        let page = fit_page("<a name>", &psf, &done, &["a remark".into()]).unwrap();
        assert!(page.contains("&lt;a name&gt;") && page.contains("1 of 1 bundles are fitted"));
        assert!(page.contains("<td>0 to 4</td>") && page.contains("<li>a remark</li>"));
        assert!(
            page.contains("Lines that the list lacks") && page.contains(&format!("<td>{:.0}.", missing.floor())),
            "{missing}"
        );
        assert!(!page.contains("{{") && page.contains("data:image/png;base64,"));
    }
}
