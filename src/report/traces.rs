//! The section of the page on traces and widths: their departures as arrows on the CCD, and by bundle.

use super::html::Page;
use super::psf_fit::{Place, PsfFit};
use super::summary::Report;
use super::text::escaped;
use crate::shift::Quantity;
use std::fmt::Write;

/// Width of the picture in its own units, and its largest height.
const WIDTH: f64 = 1000.0;
const MOST_HEIGHT: f64 = 900.0;
/// Longest arrow, of the width.
const LONGEST: f64 = 0.045;
/// Pixels of the CCD that the longest arrow shows at least: without it noise would fill the picture.
const LEAST_SCALE: f64 = 0.1;

/// Adds the section.
pub fn traces(report: &Report, page: &mut Page) {
    page.heading("Traces and widths");
    match &report.material.psf_fit {
        Some(fit) if !fit.places.is_empty() => {
            arrows(fit, page);
            if let Some(reason) = &fit.unmeasured {
                page.missing(&escaped(&format!("{}{}.", reason[..1].to_uppercase(), &reason[1..])));
            }
            table(fit, page);
        }
        _ => page.missing("Not available: needs the image with the light of the sky and the PSF, as <code>spextral report FRAME</code> finds them."),
    }
}

/// Returns a departure of a place along an axis, pixels, or 0.
fn off(place: &Place, quantity: Quantity) -> f64 {
    place.off[quantity as usize].map_or(0.0, |[value, _]| value)
}

/// Adds the arrows.
fn arrows(fit: &PsfFit, page: &mut Page) {
    let [nx, ny] = fit.npix.map(|n| n as f64);
    let height = (WIDTH * ny / nx).min(MOST_HEIGHT);
    let largest = fit.places.iter().map(|place| off(place, Quantity::X).hypot(off(place, Quantity::Y)));
    let full = largest.fold(LEAST_SCALE, f64::max);
    let factor = LONGEST * WIDTH / full;
    let mut svg = format!(
        "<svg class=\"arrows\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"Departures of the traces from the PSF as arrows on the CCD, and of widths as rings.\">\
         <rect class=\"edge\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{:.0}\"/>",
        WIDTH - 1.0,
        height - 1.0
    );
    for place in &fit.places {
        let [x, y] = [place.at[0] / nx * WIDTH, height - place.at[1] / ny * height];
        let [dx, dy] = [off(place, Quantity::X) * factor, -off(place, Quantity::Y) * factor];
        let is_off = [Quantity::X, Quantity::Y].iter().any(|q| place.significant(*q).is_some());
        let is_wide = [Quantity::SigmaX, Quantity::SigmaY].iter().any(|q| place.significant(*q).is_some());
        let [first, last] = place.fibres;
        let class = if is_off { "off" } else { "right" };
        let _ = write!(
            svg,
            "<g class=\"{class}\"><title>fibres {first} to {last}, {:.0} Å: {}</title>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/><path d=\"M{x:.1},{y:.1}l{dx:.1},{dy:.1}\"/></g>",
            place.wave,
            in_words(place)
        );
        if is_wide {
            let _ = write!(svg, "<circle class=\"ring\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>");
        }
    }
    svg += "</svg>";
    let _ = writeln!(
        page.html,
        "<figure id=\"arrows\"><figcaption><h3>Where the traces are</h3><p>Displacement of the light from the PSF's traces, bundle by bundle and along wavelength. \
         The longest possible arrow is {full:.2} pixels; dots alone are right. Bold where it is significant; rings mark widths that are off.</p></figcaption>{svg}</figure>"
    );
}

/// Formats the departures of a place with their errors.
fn in_words(place: &Place) -> String {
    let texts = [("dx", 1.0, " px"), ("dy", 1.0, " px"), ("width x", 100.0, " %"), ("width y", 100.0, " %")];
    let of = |(k, (name, factor, unit)): (usize, (&str, f64, &str))| {
        let [value, error] = place.off[k]?;
        Some(format!("{name} {:+.3} ± {:.3}{unit}", factor * value, factor * error))
    };
    let parts: Vec<String> = texts.into_iter().enumerate().filter_map(of).collect();
    if parts.is_empty() { "not measured".into() } else { parts.join(", ") }
}

/// Adds the table of the bundles, each at its middle wavelength.
fn table(fit: &PsfFit, page: &mut Page) {
    page.push(
        "<details class=\"card wide\"><summary>By bundle and wavelength</summary><table><thead><tr><th scope=\"col\">fibres</th>\
         <th scope=\"col\" class=\"n\">Å</th><th scope=\"col\">departure</th></tr></thead><tbody>",
    );
    for place in &fit.places {
        let [first, last] = place.fibres;
        let is_off = Quantity::ALL.iter().any(|q| place.significant(*q).is_some());
        let class = if is_off { " class=\"bad\"" } else { "" };
        let _ = writeln!(
            page.html,
            "<tr{class}><th scope=\"row\">{first} to {last}</th><td class=\"n\">{:.0}</td><td>{}</td></tr>",
            place.wave,
            in_words(place)
        );
    }
    page.push("</tbody></table></details>\n");
}

#[cfg(test)]
mod tests {
    use crate::report::Report;
    use crate::report::psf_fit::tests::fit;
    use crate::report::tests::{frame, material};

    #[test]
    fn an_arrow_is_bold_where_the_trace_is_off_alone() {
        let page = |off: f64| {
            let mut material = material(frame(50, 30));
            material.psf_fit = Some(fit(off));
            Report::new(material).html().unwrap()
        };
        let (off, right) = (page(0.2), page(0.001));
        assert_eq!(off.matches("<g class=\"off\">").count(), 1);
        assert!(off.contains("fibres 25 to 49, 6400 Å: dx +0.200 ± 0.003 px"));
        assert!(off.contains("The PSF does not fit this frame"));
        assert_eq!((right.matches("<g class=\"off\">").count(), right.matches("<g class=\"right\">").count()), (0, 10));
    }
}
