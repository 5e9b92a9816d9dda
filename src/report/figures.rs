//! Figures of the page: pictures of numbers and curves, each still by itself, with what the script needs to make it live.

use super::ReportError;
use super::heatmap::{LEVELS, Map, packed};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::fmt::Write;

/// Size of a still curve's coordinates; the page stretches them.
const STILL: [f64; 2] = [1000.0, 220.0];
/// Points of a still curve: more are not to be seen.
const STILL_POINTS: usize = 700;

/// Text as a page shows it, never as markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Nor as a place of the page that is still to be filled.
            '{' => out.push_str("&#123;"),
            other => out.push(other),
        }
    }
    out
}

/// What every figure has.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    /// Its name in the page.
    pub id: &'a str,
    /// Its heading.
    pub title: &'a str,
    /// A sentence below the heading.
    pub text: &'a str,
    /// What it shows, for those who do not see it.
    pub alt: &'a str,
    /// Names of the axes.
    pub labels: [&'a str; 2],
    /// What x is: `wave`, `fibre`, or of its own.
    pub over: &'a str,
}

/// The ends of a figure's axes.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Left and right.
    pub x: [f64; 2],
    /// Bottom and top.
    pub y: [f64; 2],
}

/// A figure: its HTML, and what the script is told.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The figure as it stands without a script.
    pub html: String,
    /// What the script makes it live by.
    pub view: Value,
}

/// A number in few digits.
pub fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "none".into(),
        size if size > 0.0 && size < 5e-4 => "≈ 0".into(),
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn frame_of(words: &Words, plot: &str, below: &str) -> String {
    let [id, title, text] = [words.id, words.title, words.text].map(escaped);
    format!(
        "<figure id=\"{id}\"><figcaption><h3>{title}</h3><p>{text}</p></figcaption>\
         <div class=\"plot\">{plot}</div>{below}</figure>\n"
    )
}

/// The ends of the axes in words, for a figure that stands still.
fn ends_in_words(words: &Words, ends: &Ends) -> String {
    let [x, y] = words.labels.map(escaped);
    let ([left, right], [low, high]) = (ends.x.map(short), ends.y.map(short));
    format!(
        "<div class=\"ends\"><span>{x}: {left} (left) to {right} (right)</span><span>{y}: {low} (bottom) to {high} (top)</span></div>"
    )
}

/// A picture of numbers with `ticks` on its scale; `aspect` is its height by its width, where that matters.
///
/// # Errors
/// [`ReportError::Draw`].
pub fn map(
    words: &Words,
    map: &Map,
    ends: &Ends,
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
        let place = 100.0 * f64::from(map.scale.level(tick) - 1) / f64::from(LEVELS - 1);
        let _ = write!(scale, "<span style=\"left:{place:.1}%\">{}</span>", tick_label(tick));
    }
    let key = "<div class=\"key\"><span><i class=\"block\" style=\"background:rgb(150,150,150)\"></i>no number</span>";
    let masked = match map.scale.diverging {
        true => format!(
            "<span><i class=\"block\" style=\"background:linear-gradient(90deg,{},{})\"></i>masked, the greener the farther off</span>",
            css(LEVELS + 1),
            css(u8::MAX)
        ),
        false => String::new(),
    };
    let _ = write!(scale, "</div></div>{key}{masked}</div>");
    let image = format!("<img alt=\"{}\" src=\"{}\">", escaped(words.alt), map.data_url()?);
    let html = frame_of(words, &image, &(ends_in_words(words, ends) + &scale));
    let rows = ends.y[1] - ends.y[0];
    let view = json!({
        "id": words.id, "kind": "map", "over": words.over, "alt": words.alt, "labels": words.labels, "unit": unit,
        "x": ends.x, "y": ends.y, "low": map.scale.low, "high": map.scale.high, "soft": map.scale.soft,
        "levels": LEVELS, "palette": BASE64_STANDARD.encode(palette.concat()), "aspect": aspect,
        "height": (rows * 9.0).clamp(130.0, 380.0) + 50.0,
    });
    Ok(Figure { html, view })
}

fn tick_label(tick: f64) -> String {
    let rounded = (tick * 1e4).round() / 1e4;
    format!("{rounded}")
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A line through its points.
    Line,
    /// The points.
    Points,
    /// The area between the values and the upper ones.
    Band,
    /// Bars from 0 up.
    Bars,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    /// What to call it.
    pub name: &'a str,
    /// How it is drawn.
    pub kind: Kind,
    /// Which of the colours.
    pub tone: u8,
    /// Its values; NaN leaves a gap.
    pub values: Vec<f64>,
    /// The upper edge of a band.
    pub upper: Vec<f64>,
}

/// Curves over `xs`.
pub fn lines(words: &Words, xs: &[f64], ends: &Ends, curves: &[Curve]) -> Figure {
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
        STILL[0],
        STILL[1],
        escaped(words.alt)
    );
    let mut key = String::from("<div class=\"key\" aria-hidden=\"true\">");
    for curve in curves {
        svg.push_str(&still(curve, xs, ends));
        let colour = match curve.kind {
            Kind::Band | Kind::Bars => "--band".into(),
            _ => format!("--tone{}", curve.tone),
        };
        let class = if colour == "--band" { "block" } else { "" };
        let name = escaped(curve.name);
        let _ = write!(key, "<span><i class=\"{class}\" style=\"background:var({colour})\"></i>{name}</span>");
    }
    svg.push_str("</svg>");
    let html = frame_of(words, &svg, &(ends_in_words(words, ends) + &key + "</div>"));
    let told = |c: &Curve| {
        let kind = match c.kind {
            Kind::Line => "line",
            Kind::Points => "points",
            Kind::Band => "band",
            Kind::Bars => "bars",
        };
        let upper = (!c.upper.is_empty()).then(|| packed(c.upper.iter().copied()));
        json!({"name": c.name, "kind": kind, "tone": c.tone, "values": packed(c.values.iter().copied()), "upper": upper})
    };
    let own_xs = (words.over != "wave").then(|| packed(xs.iter().copied()));
    let view = json!({
        "id": words.id, "kind": "lines", "over": words.over, "alt": words.alt, "labels": words.labels,
        "x": ends.x, "y": ends.y, "xs": own_xs, "curves": curves.iter().map(told).collect::<Vec<_>>(),
    });
    Figure { html, view }
}

/// A curve as it stands without a script: of every few points the least and the greatest.
fn still(curve: &Curve, xs: &[f64], ends: &Ends) -> String {
    let place = |v: f64, [low, high]: [f64; 2], size: f64| ((v - low) / (high - low) * size).clamp(-size, 2.0 * size);
    let x = |i: usize| place(xs[i], ends.x, STILL[0]).round();
    let y = |v: f64| (STILL[1] - place(v, ends.y, STILL[1])).round();
    let step = xs.len().div_ceil(STILL_POINTS).max(1);
    let mut path = String::new();
    let mut pen = false;
    if matches!(curve.kind, Kind::Points | Kind::Bars) {
        for (i, &v) in curve.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let from = if curve.kind == Kind::Bars { STILL[1] } else { y(v) - 3.0 };
            let _ = write!(path, "M{},{from}V{}", x(i), y(v));
        }
        return format!("<path class=\"tone{}\" d=\"{path}\"/>", curve.tone);
    }
    for first in (0..xs.len()).step_by(step) {
        let block = first..(first + step).min(xs.len());
        let upper = if curve.upper.is_empty() { &curve.values } else { &curve.upper };
        let low = block.clone().map(|i| curve.values[i]).filter(|v| v.is_finite()).min_by(f64::total_cmp);
        let high = block.map(|i| upper[i]).filter(|v| v.is_finite()).max_by(f64::total_cmp);
        match (low, high) {
            (Some(low), Some(high)) if curve.kind == Kind::Band => {
                let _ = write!(path, "M{},{}V{}", x(first), y(low), y(high));
            }
            (Some(low), Some(high)) => {
                let _ = write!(path, "{}{},{}V{}", if pen { 'L' } else { 'M' }, x(first), y(low), y(high));
                pen = true;
            }
            _ => pen = false,
        }
    }
    let style = if curve.kind == Kind::Band { " style=\"stroke:var(--band);stroke-width:3px\"" } else { "" };
    format!("<path class=\"tone{}\"{style} d=\"{path}\"/>", curve.tone)
}

/// Ends of an axis that hold all finite values, with some room; 0 is among them where `from_zero`.
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
    fn a_still_curve_keeps_a_single_spike_and_its_gaps() {
        let xs: Vec<f64> = (0..5000).map(f64::from).collect();
        let mut values = vec![1.0; 5000];
        values[3333] = 10.0;
        values[1000..1100].fill(f64::NAN);
        let curve = Curve { name: "", kind: Kind::Line, tone: 0, values, upper: Vec::new() };
        let path = still(&curve, &xs, &Ends { x: [0.0, 4999.0], y: [0.0, 10.0] });
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
