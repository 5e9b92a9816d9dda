//! The section of the page on targets: signal to noise by class and fibre magnitude, and over the focal plane.

use super::figures::{Axes, Caption, Curve, Kind, curves, room};
use super::html::Page;
use super::statistics::median;
use super::summary::Report;
use super::text::{escaped, few_digits};
use crate::frame::Frame;
use crate::plot::{Scale, selection};
use std::fmt::Write;

/// Classes with a colour of their own; further ones share the last.
const COLOURS: usize = 4;
/// Fewest fibres on the sky whose median stands for it.
const LEAST_SKY: usize = 3;
/// Magnitude of a flux of 1 nanomaggy.
const ZERO_POINT: f64 = 22.5;
/// Kinds that are no targets.
const NO_TARGETS: [&str; 4] = ["SKY", "BAD", "DARK", ""];
/// S/N relative to that of the class with the full colour.
const MOST: f64 = 2.0;
/// Width of the picture of the focal plane, and the room about it.
const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 30.0;

/// A target with its light.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    row: usize,
    class: String,
    magnitude: f64,
    /// Median S/N per bin.
    snr: f64,
}

/// A class of targets, at their median magnitude.
#[derive(Clone, Debug, PartialEq)]
struct Class {
    name: String,
    count: usize,
    magnitude: f64,
    /// Median of S/N, each taken to that magnitude as if the sky were the noise.
    snr: f64,
}

/// The targets of a frame by class.
#[derive(Clone, Debug, PartialEq)]
struct Targets {
    all: Vec<Target>,
    /// The most numerous first.
    classes: Vec<Class>,
    /// Column of the magnitudes.
    column: &'static str,
    /// Whether the sky's light is subtracted.
    without_sky: bool,
}

/// Adds the section, if the fibermap has magnitudes of targets.
pub fn targets(report: &Report, page: &mut Page) {
    let frame = &report.material.frame;
    let Some(found) = Targets::of(frame) else { return };
    page.heading("Targets");
    let light = if found.without_sky { "without that of the sky" } else { "with that of the sky" };
    let text = format!("Median of flux·√ivar over the bins of each target, {light}; magnitudes of {}.", found.column);
    let magnitudes: Vec<f64> = found.all.iter().map(|target| target.magnitude).collect();
    let axes =
        Axes { x: room(magnitudes.iter().copied(), false), y: room(found.all.iter().map(|target| target.snr), true) };
    let names: Vec<&str> = found.classes.iter().map(|class| &*class.name).collect();
    let tones = names.len().min(COLOURS);
    let points: Vec<Curve> = (0..tones)
        .map(|tone| {
            let with_rest = tone + 1 == COLOURS && names.len() > COLOURS;
            let here =
                |class: &str| names.iter().position(|name| *name == class).is_some_and(|k| k.min(tones - 1) == tone);
            let value = |target: &Target| if here(&target.class) { target.snr } else { f64::NAN };
            let name = if with_rest { "others" } else { names[tone] };
            Curve::new(name, Kind::Points, tone as u8, found.all.iter().map(value).collect())
        })
        .collect();
    let caption = Caption {
        id: "snr-targets",
        title: "Against fibre magnitude",
        text: &text,
        alt: "Signal to noise of every target against its magnitude, by class.",
        labels: ["magnitude", "S/N per bin"],
        over: "magnitude",
    };
    page.push("<div class=\"grid\">");
    page.add(curves(&caption, &magnitudes, &axes, &points));
    focal_plane(frame, &found, &report.statistics.fibres, page);
    page.push("</div>\n<div class=\"card wide\"><table><thead><tr><th scope=\"col\">class</th>");
    page.push("<th scope=\"col\" class=\"n\">targets</th><th scope=\"col\" class=\"n\">median magnitude</th>");
    page.push("<th scope=\"col\" class=\"n\">S/N per bin there</th></tr></thead><tbody>");
    for class in &found.classes {
        let _ = write!(
            page.html,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{:.1}</td><td class=\"n\">{}</td></tr>",
            escaped(&class.name),
            class.count,
            class.magnitude,
            few_digits(class.snr)
        );
    }
    page.push("</tbody></table></div>\n");
}

/// Adds the map of the focal plane, if the fibermap has places.
fn focal_plane(frame: &Frame, found: &Targets, fibres: &[i64], page: &mut Page) {
    let table = frame.fibermap.as_ref();
    let of = |name: &str| table.and_then(|table| table.column_f64(name)).filter(|v| v.len() == frame.spectra.nspec);
    let Some((x, y)) = of("FIBERASSIGN_X").zip(of("FIBERASSIGN_Y")) else { return };
    let ends = |of: &[f64]| {
        let finite = of.iter().copied().filter(|v| v.is_finite());
        finite.fold([f64::MAX, f64::MIN], |[low, high], v| [low.min(v), high.max(v)])
    };
    let ([left, right], [low, high]) = (ends(&x), ends(&y));
    let size = (right - left).max(high - low);
    if !(size > 0.0 && size.is_finite()) {
        return;
    }
    let scale = (WIDTH - 2.0 * MARGIN) / size;
    let height = (high - low) * scale + 2.0 * MARGIN;
    let colours = Scale::linear(0.0, MOST);
    let palette = colours.palette();
    let colour = |ratio: f64| {
        let [r, g, b] = palette[usize::from(colours.level(ratio))];
        format!("rgb({r},{g},{b})")
    };
    let mut dots = String::new();
    for row in (0..frame.spectra.nspec).filter(|&row| x[row].is_finite() && y[row].is_finite()) {
        let [cx, cy] = [MARGIN + (x[row] - left) * scale, height - MARGIN - (y[row] - low) * scale];
        let target = found.all.iter().find(|target| target.row == row);
        let (style, of) = match target.and_then(|target| Some((target, found.ratio(target)?))) {
            Some((target, ratio)) => (
                format!("fill:{}", colour(ratio)),
                format!("{}, {:.1} mag, {} of its class's S/N", target.class, target.magnitude, few_digits(ratio)),
            ),
            None => ("fill:none".into(), "no target".into()),
        };
        let of = escaped(&of);
        let _ = write!(
            dots,
            "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"9\" style=\"{style}\" data-row=\"{row}\"><title>fibre {}: {of}</title></circle>",
            fibres[row]
        );
    }
    let ramp: Vec<String> = (0..=8).map(|k| colour(MOST * f64::from(k) / 8.0)).collect();
    let _ = write!(
        page.html,
        "<figure id=\"focal\"><figcaption><h3>Over the focal plane</h3><p>S/N of every target relative to its class at its magnitude; rings are no targets. \
         A click shows the spectrum.</p></figcaption><svg class=\"focal\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-label=\"Targets on the focal plane, coloured by relative signal to noise.\">{dots}</svg>\
         <div class=\"scale\" aria-hidden=\"true\"><div class=\"ramp\" style=\"background:linear-gradient(90deg,{})\"></div>\
         <div class=\"ticks\"><span style=\"left:0%\">0</span><span style=\"left:50%\">1</span><span style=\"left:100%\">{MOST}</span></div></div></figure>",
        ramp.join(",")
    );
}

impl Targets {
    /// Sorts the targets of a frame; None without magnitudes.
    fn of(frame: &Frame) -> Option<Self> {
        let (table, n) = (frame.fibermap.as_ref()?, frame.spectra.nwave);
        let camera = frame.header.get_str("CAMERA").unwrap_or_default();
        let columns = match camera.trim().bytes().next().map(|c| c.to_ascii_lowercase()) {
            Some(b'b') => ["FIBERFLUX_G", "FLUX_G", "FIBERFLUX_R", "FLUX_R"],
            Some(b'z') => ["FIBERFLUX_Z", "FLUX_Z", "FIBERFLUX_R", "FLUX_R"],
            _ => ["FIBERFLUX_R", "FLUX_R", "FIBERFLUX_G", "FLUX_G"],
        };
        let lit = |values: &Vec<f64>| values.len() == frame.spectra.nspec && values.iter().any(|flux| *flux > 0.0);
        let (column, light) = columns.into_iter().find_map(|name| Some((name, table.column_f64(name).filter(lit)?)))?;
        let kinds = selection::kinds(frame);
        let sky = sky(frame, &kinds);
        let snr = |row: usize| {
            let bins = row * n..(row + 1) * n;
            let (flux, ivar) = (&frame.spectra.flux[bins.clone()], &frame.spectra.ivar[bins]);
            let of = |j: usize| {
                let below = sky.as_ref().map_or(0.0, |sky| sky[j]);
                if ivar[j] > 0.0 { (flux[j] - below) * ivar[j].sqrt() } else { f64::NAN }
            };
            median(&(0..n).map(of).collect::<Vec<_>>())
        };
        let target = |row: usize| Target {
            row,
            class: kinds[row].clone(),
            magnitude: ZERO_POINT - 2.5 * light[row].log10(),
            snr: snr(row),
        };
        let wanted = |row: &usize| light[*row] > 0.0 && !NO_TARGETS.contains(&&*kinds[*row].to_uppercase());
        let all: Vec<Target> = (0..kinds.len())
            .filter(wanted)
            .map(target)
            .filter(|target| target.magnitude.is_finite() && target.snr.is_finite())
            .collect();
        let mut names: Vec<&str> = all.iter().map(|target| &*target.class).collect();
        names.sort_unstable();
        names.dedup();
        let mut classes: Vec<Class> = names.into_iter().map(|name| Class::of(name, &all)).collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.count));
        (!all.is_empty()).then_some(Self { all, classes, column, without_sky: sky.is_some() })
    }

    /// Returns the S/N of a target relative to that of its class at its magnitude.
    fn ratio(&self, target: &Target) -> Option<f64> {
        let class = self.classes.iter().find(|class| class.name == target.class)?;
        let ratio = at_magnitude(target, class.magnitude) / class.snr;
        (class.snr > 0.0).then_some(ratio)
    }
}

impl Class {
    fn of(name: &str, all: &[Target]) -> Self {
        let own: Vec<&Target> = all.iter().filter(|target| target.class == name).collect();
        let magnitude = median(&own.iter().map(|target| target.magnitude).collect::<Vec<_>>());
        let snr = median(&own.iter().map(|target| at_magnitude(target, magnitude)).collect::<Vec<_>>());
        Self { name: name.into(), count: own.len(), magnitude, snr }
    }
}

/// Returns the S/N that a target would have at a magnitude below the noise of the sky, to which it is proportional.
fn at_magnitude(target: &Target, magnitude: f64) -> f64 {
    target.snr * 10f64.powf(0.4 * (target.magnitude - magnitude))
}

/// Returns the median spectrum of the sky's fibres; None if they are few, or fibres have wavelengths of their own.
fn sky(frame: &Frame, kinds: &[String]) -> Option<Vec<f64>> {
    let n = frame.spectra.nwave;
    let rows: Vec<usize> = (0..kinds.len()).filter(|&row| kinds[row].eq_ignore_ascii_case("SKY")).collect();
    let usable = |i: usize| if frame.spectra.ivar[i] > 0.0 { frame.spectra.flux[i] } else { f64::NAN };
    let at = |j: usize| {
        let sky = median(&rows.iter().map(|row| usable(row * n + j)).collect::<Vec<_>>());
        if sky.is_finite() { sky } else { 0.0 }
    };
    (rows.len() >= LEAST_SKY && frame.wave.len() == n).then(|| (0..n).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{ColumnData, Table};
    use crate::report::tests::{frame, material};

    /// Twelve fibres: four on the sky of 100 electrons, three galaxies, and five stars twice as bright, one of them broken.
    fn with_targets() -> Frame {
        let mut frame = frame(12, 20);
        let brightness = |row: usize| [0.0, 40.0, 80.0][usize::from(row >= 4) + usize::from(row >= 7)];
        let flux = |i: usize| 100.0 + if i / 20 == 11 { 20.0 } else { brightness(i / 20) };
        frame.spectra.update(|s| (0..s.flux.len()).for_each(|i| s.flux[i] = flux(i))).unwrap();
        let bits = (0..12).map(|row| [1 << 32, 1 << 1, 1 << 33][usize::from(row >= 4) + usize::from(row >= 7)]);
        let light = (0..12).map(|row| (brightness(row) / 40.0) as f32);
        let place = |factor: f32| ColumnData::F32((0..12).map(|row| factor * row as f32).collect());
        let kinds = (0..12).map(|row| if row < 4 { "SKY".into() } else { "TGT".into() }).collect();
        let table = Table::new(12)
            .with_column("OBJTYPE", "", &ColumnData::Str(kinds))
            .with_column("DESI_TARGET", "", &ColumnData::I64(bits.collect()))
            .with_column("FIBERFLUX_R", "nanomaggy", &ColumnData::F32(light.collect()))
            .with_column("FIBERASSIGN_X", "mm", &place(1.0))
            .with_column("FIBERASSIGN_Y", "mm", &place(-2.0));
        frame.fibermap = Some(table);
        frame
    }

    #[test]
    fn signal_to_noise_is_that_of_the_targets_light_at_the_magnitude_of_their_class() {
        let found = Targets::of(&with_targets()).unwrap();
        assert!(found.without_sky && found.column == "FIBERFLUX_R");
        let [stars, galaxies] = &found.classes[..] else { panic!("{:?}", found.classes) };
        assert_eq!((&*stars.name, stars.count, &*galaxies.name, galaxies.count), ("STD", 5, "ELG", 3));
        // The errors are of 10 electrons.
        assert!((galaxies.snr - 4.0).abs() < 1e-9 && (galaxies.magnitude - ZERO_POINT).abs() < 1e-9);
        assert!((stars.snr - 8.0).abs() < 1e-9 && (stars.magnitude - ZERO_POINT + 2.5 * 2f64.log10()).abs() < 1e-6);
        let broken = found.all.iter().find(|target| target.row == 11).unwrap();
        assert!((found.ratio(broken).unwrap() - 0.25).abs() < 1e-6);
    }

    #[test]
    fn the_page_has_classes_and_the_focal_plane_where_the_fibermap_has_them() {
        let page = |frame: Frame| Report::new(material(frame)).html().unwrap();
        let whole = page(with_targets());
        assert_eq!(whole.matches("data-row=").count(), 12);
        assert!(whole.contains("id=\"snr-targets\"") && whole.contains("fibre 11: STD, 21.7 mag, 0.25 of its class"));
        let kinds = ColumnData::Str(vec!["TGT".into(); 12]);
        let without =
            page(Frame { fibermap: Some(Table::new(12).with_column("OBJTYPE", "", &kinds)), ..with_targets() });
        assert!(!without.contains("snr-targets") && !without.contains("data-row="));
    }
}
