//! The picture of a PSF: spots at several fibres and wavelengths, traces on the CCD, widths against wavelength.

use super::canvas::{Canvas, Panel, Shape};
use super::colour::INK;
use super::error::PlotError;
use super::heatmap::{Grid, Heatmap, Keep};
use super::scale::Scale;
use crate::geometry::Ccd;
use crate::psf::{Dispersion, Psf};
use crate::stages::spots::SpotModel;
use crate::stages::traces::{Traces, traces};
use plotters::style::RGBColor;

/// Size of the picture, pixels.
const SIZE: (u32, u32) = (1700, 1180);
/// Fibres and wavelengths whose spots are shown.
const FIBRES: usize = 5;
const WAVES: usize = 5;
/// Traces drawn, and points along each.
const TRACES: usize = 40;
const ALONG: usize = 80;
/// Decades below a spot's peak that are shown.
const DECADES: f64 = 4.0;
/// Columns and rows of an image below the traces, and electrons up to which its scale is about linear.
const MOST_PIXELS: [usize; 2] = [640, 520];
const SOFTENING: f64 = 30.0;
/// Colours of the fibres whose widths are shown, from the first to the last.
const TONES: [RGBColor; 5] =
    [RGBColor(68, 1, 84), RGBColor(59, 82, 139), RGBColor(33, 145, 140), RGBColor(94, 171, 60), RGBColor(214, 120, 24)];
/// Colour of traces.
const TRACE: RGBColor = RGBColor(120, 140, 175);

/// The pixels of one spot.
struct Spot {
    nx: usize,
    /// `[ny, nx]`, with the sum 1.
    pixels: Vec<f64>,
}

impl Spot {
    /// Evaluates the spot of one fibre at one wavelength of `t`.
    fn of(model: &SpotModel, t: &Traces, bin: usize) -> Self {
        let count = t.nfibre * t.nbin;
        let parameters: Vec<f64> = t.shape.chunks(count).map(|values| values[bin]).collect();
        let mut pixels = vec![0.0; model.shape().size()];
        model.spot((t.offset_x[bin], t.offset_y[bin]), &parameters, &mut pixels);
        Self { nx: model.shape().nx(), pixels }
    }

    /// Returns the standard deviations along x and y in pixels, by second moments; NaN without light.
    fn widths(&self) -> [f64; 2] {
        [0, 1].map(|axis| {
            let position = |i: usize| if axis == 0 { (i % self.nx) as f64 } else { (i / self.nx) as f64 };
            let moment = |power: i32, about: f64| -> f64 {
                self.pixels.iter().enumerate().map(|(i, p)| p * (position(i) - about).powi(power)).sum()
            };
            let total = moment(0, 0.0);
            (moment(2, moment(1, 0.0) / total) / total).sqrt()
        })
    }

    /// Makes the heat map of the logarithm.
    fn heatmap(&self) -> Heatmap {
        let peak = self.pixels.iter().copied().fold(0.0, f64::max);
        let place = |&value: &f64| if value > 0.0 { 1.0 + (value / peak).log10() / DECADES } else { 0.0 };
        Heatmap::of(&Grid::new(self.nx, self.pixels.iter().map(place).collect()), Scale::linear(0.0, 1.0))
    }
}

/// Returns at most `most` evenly spread rows out of `count`.
pub(super) fn spread(count: usize, most: usize) -> Vec<usize> {
    let shown = most.min(count);
    (0..shown).map(|k| if shown == 1 { count / 2 } else { k * (count - 1) / (shown - 1) }).collect()
}

/// Returns wavelengths from one end of the PSF's range to the other.
pub(super) fn waves(psf: &Psf, count: usize) -> Vec<f64> {
    let step = (psf.wave_max - psf.wave_min) / (count - 1) as f64;
    (0..count).map(|k| psf.wave_min + step * k as f64).collect()
}

/// Draws a PSF, called `name`, as a PNG file; its traces over an image where one of its CCD is given.
///
/// # Errors
/// [`PlotError::Empty`] if the PSF has no fibre, [`PlotError::Image`] if the image has not the size of its CCD, [`PlotError::Draw`] if the drawing library fails.
pub fn psf_png(psf: &Psf, name: &str, image: Option<&Ccd>) -> Result<Vec<u8>, PlotError> {
    if psf.nfibre == 0 {
        return Err(PlotError::Empty);
    }
    // As the file has it, so that the picture lies as the image does.
    let (axis, psf) = (psf.dispersion, &psf.clone().as_in_file());
    if let Some(ccd) = image.filter(|ccd| [ccd.nx(), ccd.ny()] != [psf.npix_x, psf.npix_y]) {
        return Err(PlotError::Image { image: [ccd.nx(), ccd.ny()], psf: [psf.npix_x, psf.npix_y] });
    }
    let camera = psf.camera.as_ref().map(|c| format!(", camera {c}")).unwrap_or_default();
    let degrees = || format!("{} degrees {} x {}", psf.form.name(), psf.gh_degree_x, psf.gh_degree_y);
    let kind = if psf.gh.is_empty() { psf.form.name().into() } else { degrees() };
    let title = format!(
        "{name}{camera}: {} fibres on {} x {} pixels, {:.0} to {:.0} Angstrom; spots of {} x {} pixels, {}",
        psf.nfibre,
        psf.npix_x,
        psf.npix_y,
        psf.wave_min,
        psf.wave_max,
        2 * psf.half_x + 1,
        2 * psf.half_y + 1,
        kind
    );
    Canvas::png(SIZE, |canvas| {
        canvas.text(&title, (30, 18), 23, INK)?;
        draw_spots(psf, canvas)?;
        draw_traces(psf, image, canvas)?;
        draw_widths(psf, axis, canvas)
    })
}

fn draw_spots(psf: &Psf, canvas: &Canvas) -> Result<(), PlotError> {
    let [left, top, right, bottom] = [30, 96, 960, SIZE.1 as i32 - 60];
    canvas.text(&format!("spots, logarithmic over {DECADES:.0} decades"), (left, 62), 21, INK)?;
    let (model, wave) = (SpotModel::new(psf, false), waves(psf, WAVES));
    let shape = model.shape();
    let rows = spread(psf.nfibre, FIBRES);
    let cell = [(right - left) / WAVES as i32, (bottom - top) / rows.len().max(3) as i32];
    // One scale for both directions: a spot has the shape that it has on the CCD.
    let pixel = (f64::from(cell[0] - 14) / shape.nx() as f64).min(f64::from(cell[1] - 48) / shape.ny() as f64);
    let size = [shape.nx(), shape.ny()].map(|n| (n as f64 * pixel) as i32);
    for (line, &row) in rows.iter().rev().enumerate() {
        let t = traces(psf, row..row + 1, &wave, false);
        for (bin, wave) in wave.iter().map(|&wave| psf.wavelength(row, wave)).enumerate() {
            let (x, y) = (left + bin as i32 * cell[0], top + line as i32 * cell[1]);
            canvas.text(&format!("fibre {}, {wave:.0} Å", psf.number(row)), (x, y + 8), 18, INK)?;
            let place = [x, y, x + size[0] + 14, y + size[1] + 30];
            let panel = Panel { place, title: "", labels: ["", ""], x: [0.0, 1.0], y: [0.0, 1.0] };
            canvas.heatmap(&panel, &Spot::of(&model, &t, bin).heatmap())?;
        }
    }
    Ok(())
}

fn draw_traces(psf: &Psf, image: Option<&Ccd>, canvas: &Canvas) -> Result<(), PlotError> {
    let path = |row: usize, wave: &[f64]| -> Vec<(f64, f64)> {
        let t = traces(psf, row..row + 1, wave, false);
        (0..wave.len())
            .map(|j| (f64::from(t.pixel_x[j]) + t.offset_x[j], f64::from(t.pixel_y[j]) + t.offset_y[j]))
            .collect()
    };
    let (along, at_spots) = (waves(psf, ALONG), waves(psf, WAVES));
    let rows = spread(psf.nfibre, TRACES);
    let lines = rows.iter().map(|&row| Shape::Line(TRACE, 2, path(row, &along)));
    let spots = spread(psf.nfibre, FIBRES).into_iter().zip(TONES);
    let points = spots.map(|(row, tone)| Shape::Points(tone, 5, path(row, &at_spots)));
    let shapes: Vec<Shape> = lines.chain(points).collect();
    let which = if rows.len() < psf.nfibre { format!(": {} of {}", rows.len(), psf.nfibre) } else { String::new() };
    let panel = Panel {
        place: [980, 58, SIZE.0 as i32 - 10, 640],
        title: &format!("traces on the CCD{which}, dots where the spots are"),
        labels: ["CCD column", "CCD row"],
        x: [-0.5, psf.npix_x as f64 - 0.5],
        y: [-0.5, psf.npix_y as f64 - 0.5],
    };
    let Some(ccd) = image else { return canvas.curves(&panel, &shapes) };
    let pixels = ccd.image().iter().zip(ccd.ivar());
    let values = pixels.map(|(p, ivar)| if *ivar > 0.0 { f64::from(*p) } else { f64::NAN }).collect();
    // Traces of one pixel's width stay visible: of a block the farthest value from 0 is shown.
    let grid = Grid::new(ccd.nx(), values).reduced(MOST_PIXELS, Keep::Farthest(0.0));
    let mut lit: Vec<f64> = grid.values.iter().copied().filter(|v| v.is_finite()).collect();
    lit.sort_by(f64::total_cmp);
    let bright = lit.get(lit.len() * 99 / 100).copied().unwrap_or(1.0);
    let scale = Scale::asinh(-SOFTENING, bright.max(1.0), SOFTENING);
    canvas.heatmap_below(&panel, &Heatmap::of(&grid, scale), &shapes)
}

pub(super) fn draw_widths(psf: &Psf, along: Dispersion, canvas: &Canvas) -> Result<(), PlotError> {
    let (model, wave) = (SpotModel::new(psf, false), waves(psf, ALONG));
    let rows = spread(psf.nfibre, FIBRES);
    let widths = |&row: &usize| -> Vec<[f64; 2]> {
        let t = traces(psf, row..row + 1, &wave, false);
        (0..wave.len()).map(|j| Spot::of(&model, &t, j).widths()).collect()
    };
    let widths: Vec<Vec<[f64; 2]>> = rows.iter().map(widths).collect();
    let names = match along {
        Dispersion::AlongY => ["across (x)", "along the dispersion (y)"],
        Dispersion::AlongX => ["along the dispersion (x)", "across (y)"],
    };
    for (axis, name) in names.into_iter().enumerate() {
        let finite = widths.iter().flatten().map(|w| w[axis]).filter(|w| w.is_finite());
        let ends = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], w| [low.min(w), high.max(w)]);
        let [low, high] = if ends[0] < ends[1] { ends } else { [0.0, 1.0] };
        let room = 0.08 * (high - low).max(0.02);
        let curve = |widths: &Vec<[f64; 2]>| wave.iter().zip(widths).map(|(&x, w)| (x, w[axis])).collect();
        let curves: Vec<Shape> = widths.iter().zip(TONES).map(|(w, tone)| Shape::Line(tone, 2, curve(w))).collect();
        let top = 650 + axis as i32 * 250;
        let panel = Panel {
            place: [980, top, SIZE.0 as i32 - 10, top + 250],
            title: &format!("σ of the spots {name}, pixels"),
            labels: ["wavelength, Å", "σ"],
            x: [psf.wave_min, psf.wave_max],
            y: [low - room, high + room],
        };
        canvas.curves(&panel, &curves)?;
    }
    for (k, row) in rows.iter().enumerate() {
        let at = (1060 + 120 * k as i32, SIZE.1 as i32 - 26);
        canvas.text(&format!("fibre {}", psf.number(*row)), at, 18, TONES[k])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;
    use crate::stages::traces::param;

    #[test]
    fn widths_are_those_of_the_gaussian_that_a_spot_is() {
        let psf =
            Synthetic { nfibre: 3, npix_y: Some(300), gh_amplitude: 0.0, ..Synthetic::default() }.build().unwrap();
        let wave = waves(&psf, 3);
        let t = traces(&psf, 0..1, &wave, false);
        let [x, y] = Spot::of(&SpotModel::new(&psf, false), &t, 1).widths();
        let expected = [param::SIGMA_X, param::SIGMA_Y].map(|p| (t.shape[p * 3 + 1].powi(2) + 1.0 / 12.0).sqrt());
        // A pixel is a box of variance 1/12; the spot ends at some sigmas.
        assert!((x - expected[0]).abs() < 0.01 && (y - expected[1]).abs() < 0.01, "{x} {y} {expected:?}");
    }

    #[test]
    fn fibres_are_spread_from_the_first_to_the_last() {
        assert_eq!(spread(500, 5), [0, 124, 249, 374, 499]);
        assert_eq!(spread(2, 5), [0, 1]);
        assert_eq!(spread(1, 5), [0]);
    }
}
