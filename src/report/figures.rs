//! Figures of the page: heat maps and curves as static HTML, and the data by which the script makes them interactive.

use super::error::ReportError;
use super::text::{escaped, few_digits};
use crate::plot::{Heatmap, LEVELS, tick_label};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::fmt::Write;

/// Size of a static curve's coordinates; the page stretches them.
const STATIC: [f64; 2] = [1000.0, 220.0];
/// Most points of a static curve: more are not visible.
const STATIC_POINTS: usize = 700;

/// Texts of a figure.
#[derive(Clone, Copy, Debug)]
pub struct Caption<'a> {
    /// Its element id.
    pub id: &'a str,
    /// Its heading.
    pub title: &'a str,
    /// A sentence below the heading.
    pub text: &'a str,
    /// A description for screen readers.
    pub alt: &'a str,
    /// Names of the axes.
    pub labels: [&'a str; 2],
    /// Meaning of x, by which figures zoom together: `wave`, `fibre`, or one of its own.
    pub over: &'a str,
}

/// Ends of a figure's axes: left and right, bottom and top.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    pub x: [f64; 2],
    pub y: [f64; 2],
}

/// A figure of the page: as it is without the script, and its data for the script.
#[derive(Clone, Debug)]
pub struct Figure {
    pub html: String,
    pub view: Value,
}

impl Figure {
    fn new(caption: &Caption, axes: &Axes, plot: &str, below: &str, view: Value) -> Self {
        let [id, title, text] = [caption.id, caption.title, caption.text].map(escaped);
        let [x, y] = caption.labels.map(escaped);
        let ([left, right], [low, high]) = (axes.x.map(few_digits), axes.y.map(few_digits));
        let html = format!(
            "<figure id=\"{id}\"><figcaption><h3>{title}</h3><p>{text}</p></figcaption><div class=\"plot\">{plot}</div>\
             <div class=\"ends\"><span>{x}: {left} (left) to {right} (right)</span><span>{y}: {low} (bottom) to {high} (top)</span></div>\
             {below}</figure>\n"
        );
        let mut figure = Self { html, view };
        figure.set("id", caption.id);
        figure.set("over", caption.over);
        figure.set("alt", caption.alt);
        figure.set("labels", json!(caption.labels));
        figure.set("x", json!(axes.x));
        figure.set("y", json!(axes.y));
        figure
    }

    /// Sets a field of the data for the script.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.view[key] = value.into();
    }
}

/// Makes a heat map with `ticks` on its scale. `aspect` is height by width, if that matters.
pub fn heatmap(
    caption: &Caption,
    map: &Heatmap,
    axes: &Axes,
    unit: &str,
    ticks: &[f64],
    aspect: Option<f64>,
) -> Result<Figure, ReportError> {
    let palette = map.scale.palette();
    let css = |level: u8| {
        let [r, g, b] = palette[usize::from(level)];
        format!("rgb({r},{g},{b})")
    };
    let ramp: Vec<String> = (0..=8).map(|k| css(1 + (f64::from(k) / 8.0 * f64::from(LEVELS - 1)) as u8)).collect();
    let mut scale = format!(
        "<div class=\"scale\" aria-hidden=\"true\"><div class=\"ramp\" style=\"background:linear-gradient(90deg,{})\"></div><div class=\"ticks\">",
        ramp.join(",")
    );
    for &tick in ticks {
        let left = 100.0 * map.scale.place(tick);
        let _ = write!(scale, "<span style=\"left:{left:.1}%\">{}</span>", tick_label(tick));
    }
    let block = |background: String, text: &str| {
        format!("<span><i class=\"block\" style=\"background:{background}\"></i>{text}</span>")
    };
    let _ = write!(scale, "</div></div><div class=\"key\">{}", block(css(0), "no value"));
    if map.scale.diverging {
        let greens = format!("linear-gradient(90deg,{},{})", css(LEVELS + 1), css(u8::MAX));
        scale += &block(greens, "masked, the greener the larger the residual");
    }
    scale += "</div>";
    let image = format!("<img alt=\"{}\" src=\"{}\">", escaped(caption.alt), data_url(map)?);
    let view = json!({
        "kind": "map", "unit": unit, "low": map.scale.low, "high": map.scale.high, "soft": map.scale.soft,
        "levels": LEVELS, "palette": BASE64_STANDARD.encode(palette.concat()), "aspect": aspect,
        "height": ((axes.y[1] - axes.y[0]) * 9.0).clamp(130.0, 380.0) + 50.0,
    });
    Ok(Figure::new(caption, axes, &image, &scale, view))
}

/// Encodes a heat map as a data URL.
pub fn data_url(map: &Heatmap) -> Result<String, ReportError> {
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(map.png()?)))
}

/// Encodes numbers for the script: f32, little-endian, in base 64.
pub fn packed(values: &[f64]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

/// The style of a curve. A band reaches from its values to its upper ones, bars from 0 to their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Line,
    Points,
    Band,
    Bars,
}

/// A curve with its name in the legend and the index of its colour. NaN leaves a gap.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    name: &'a str,
    kind: Kind,
    tone: u8,
    values: Vec<f64>,
    upper: Vec<f64>,
}

impl<'a> Curve<'a> {
    /// Makes a curve that is not a band.
    pub fn new(name: &'a str, kind: Kind, tone: u8, values: Vec<f64>) -> Self {
        Self { name, kind, tone, values, upper: Vec::new() }
    }

    /// Makes a band.
    pub fn band(name: &'a str, values: Vec<f64>, upper: Vec<f64>) -> Self {
        Self { name, kind: Kind::Band, tone: 0, values, upper }
    }

    fn view(&self) -> Value {
        let kind = match self.kind {
            Kind::Line => "line",
            Kind::Points => "points",
            Kind::Band => "band",
            Kind::Bars => "bars",
        };
        let upper = (self.kind == Kind::Band).then(|| packed(&self.upper));
        json!({"name": self.name, "kind": kind, "tone": self.tone, "values": packed(&self.values), "upper": upper})
    }
}

/// Makes a figure of curves over `xs`.
pub fn curves(caption: &Caption, xs: &[f64], axes: &Axes, curves: &[Curve]) -> Figure {
    let [width, height] = STATIC;
    let alt = escaped(caption.alt);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{alt}\">"
    );
    let mut key = String::from("<div class=\"key\" aria-hidden=\"true\">");
    for curve in curves {
        svg += &static_path(curve, xs, axes);
        let (class, colour) = match curve.kind {
            Kind::Band | Kind::Bars => ("block", "--band".into()),
            Kind::Line | Kind::Points => ("", format!("--tone{}", curve.tone)),
        };
        let name = escaped(curve.name);
        let _ = write!(key, "<span><i class=\"{class}\" style=\"background:var({colour})\"></i>{name}</span>");
    }
    let own_xs = (caption.over != "wave").then(|| packed(xs));
    let views: Vec<Value> = curves.iter().map(Curve::view).collect();
    let view = json!({ "kind": "lines", "xs": own_xs, "curves": views });
    Figure::new(caption, axes, &(svg + "</svg>"), &(key + "</div>"), view)
}

/// Draws a curve without a script: the least and the largest of every few points.
fn static_path(curve: &Curve, xs: &[f64], axes: &Axes) -> String {
    let scaled = |v: f64, [low, high]: [f64; 2], size: f64| ((v - low) / (high - low) * size).clamp(-size, 2.0 * size);
    let x = |i: usize| scaled(xs[i], axes.x, STATIC[0]).round();
    let y = |v: f64| (STATIC[1] - scaled(v, axes.y, STATIC[1])).round();
    let mut path = String::new();
    if matches!(curve.kind, Kind::Points | Kind::Bars) {
        for (i, &v) in curve.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let from = if curve.kind == Kind::Bars { STATIC[1] } else { y(v) - 3.0 };
            let _ = write!(path, "M{},{from}V{}", x(i), y(v));
        }
    } else {
        let upper = if curve.kind == Kind::Band { &curve.upper } else { &curve.values };
        let step = xs.len().div_ceil(STATIC_POINTS).max(1);
        let mut command = 'M';
        for first in (0..xs.len()).step_by(step) {
            let block = first..(first + step).min(xs.len());
            let low = curve.values[block.clone()].iter().copied().filter(|v| v.is_finite()).min_by(f64::total_cmp);
            let high = upper[block].iter().copied().filter(|v| v.is_finite()).max_by(f64::total_cmp);
            let (Some(low), Some(high)) = (low, high) else {
                command = 'M';
                continue;
            };
            let _ = write!(path, "{command}{},{}V{}", x(first), y(low), y(high));
            command = if curve.kind == Kind::Band { 'M' } else { 'L' };
        }
    }
    let style = if curve.kind == Kind::Band { " style=\"stroke:var(--band);stroke-width:3px\"" } else { "" };
    format!("<path class=\"tone{}\"{style} d=\"{path}\"/>", curve.tone)
}

/// Returns ends of an axis for all finite values, with some room; `from_zero` includes 0.
pub fn room(values: impl IntoIterator<Item = f64>, from_zero: bool) -> [f64; 2] {
    let finite = values.into_iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return [0.0, 1.0];
    }
    let low = if from_zero { low.min(0.0) } else { low };
    let size = if high > low { high - low } else { low.abs().max(1.0) };
    [low - if from_zero && low == 0.0 { 0.0 } else { 0.06 * size }, high + 0.06 * size]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_curve_keeps_a_single_spike_and_its_gaps() {
        let xs: Vec<f64> = (0..5000).map(f64::from).collect();
        let mut values = vec![1.0; 5000];
        values[3333] = 10.0;
        values[1000..1100].fill(f64::NAN);
        let curve = Curve::new("", Kind::Line, 0, values);
        let path = static_path(&curve, &xs, &Axes { x: [0.0, 4999.0], y: [0.0, 10.0] });
        assert!(path.contains("V0"), "the spike reaches the top: {path}");
        assert_eq!(path.matches('M').count(), 2, "the gap parts the line");
    }

    #[test]
    fn axes_hold_every_finite_value() {
        assert_eq!(room([f64::NAN], true), [0.0, 1.0]);
        assert_eq!(room([5.0, f64::INFINITY, 10.0], true), [0.0, 10.6]);
        let [low, high] = room([3.0, 3.0], false);
        assert!(low < 3.0 && high > 3.0);
    }
}
