//! A picture of panels: plotters draws axes, text and curves; pixels of heat maps are set one by one.

use super::colour::{GRID, INK};
use super::encode::encode;
use super::error::PlotError;
use super::heatmap::Heatmap;
use super::scale::{Scale, tick_label};
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Name of the built-in font.
const FONT: &str = "spextral";
/// Text sizes of axes and titles, pixels.
const AXIS_TEXT: u32 = 17;
const TITLE_TEXT: u32 = 21;
/// Space for the labels of the x and the y axis, for the title, and right of a panel, pixels.
const X_LABELS: i32 = 48;
const Y_LABELS: i32 = 74;
const TITLE: i32 = 30;
const RIGHT: i32 = 14;
/// Width of a colour bar, and of a key in a legend, pixels.
const BAR: i32 = 16;
const KEY: i32 = 20;

/// A picture in the making.
pub struct Canvas<'a> {
    area: DrawingArea<BitMapBackend<'a>, Shift>,
}

type Chart<'a, 'b> = ChartContext<'b, BitMapBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Place and axes of a panel.
pub struct Panel<'a> {
    /// Left, top, right, bottom with labels and title, pixels.
    pub place: [i32; 4],
    /// Title above the panel.
    pub title: &'a str,
    /// Names of the axes; an axis without a name is left out.
    pub labels: [&'a str; 2],
    /// Left and right end of x.
    pub x: [f64; 2],
    /// Lower and upper end of y.
    pub y: [f64; 2],
}

/// A curve of a panel: its colour, its width in pixels, and its points.
pub enum Shape {
    /// A line, interrupted where y is not finite.
    Line(RGBColor, u32, Vec<(f64, f64)>),
    /// Points of this radius.
    Points(RGBColor, i32, Vec<(f64, f64)>),
    /// A filled polygon.
    Area(RGBColor, Vec<(f64, f64)>),
}

impl<'a> Canvas<'a> {
    /// Draws a picture: RGB pixels, row by row from the top.
    pub fn pixels(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Result<(), PlotError>) -> Result<Vec<u8>, PlotError> {
        register_font(FONT);
        let mut pixels = vec![0; (3 * size.0 * size.1) as usize];
        {
            let canvas = Canvas { area: BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area() };
            canvas.area.fill(&WHITE)?;
            draw(&canvas)?;
            canvas.area.present()?;
        }
        Ok(pixels)
    }

    /// Draws a picture as a PNG file.
    pub fn png(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Result<(), PlotError>) -> Result<Vec<u8>, PlotError> {
        encode(size, &Self::pixels(size, draw)?, None)
    }

    /// Draws a line of text with its upper left corner `at` a pixel.
    pub fn text(&self, text: &str, at: (i32, i32), size: u32, colour: RGBColor) -> Result<(), PlotError> {
        Ok(self.area.draw(&Text::new(text.to_string(), at, (FONT, size).into_font().color(&colour)))?)
    }

    /// Draws an entry of a legend with its left end `at` a pixel.
    pub fn key(&self, text: &str, at: (i32, i32), colour: RGBColor, thickness: i32) -> Result<(), PlotError> {
        let (x, y) = at;
        let corners = [(x, y - thickness / 2), (x + KEY, y + (thickness + 1) / 2)];
        self.area.draw(&Rectangle::new(corners, colour.filled()))?;
        self.text(text, (x + KEY + 8, y - 9), 18, INK)
    }

    /// Draws the colours of a scale as a bar from `top` to `bottom`, `x` its left edge, with ticks on its right.
    pub fn colour_bar(&self, x: i32, top: i32, bottom: i32, scale: &Scale, ticks: &[f64]) -> Result<(), PlotError> {
        let height = f64::from(bottom - top);
        for y in top..bottom {
            let colour = scale.colour((f64::from(bottom - y) - 0.5) / height);
            self.area.draw(&Rectangle::new([(x, y), (x + BAR, y + 1)], colour.filled()))?;
        }
        self.area.draw(&Rectangle::new([(x, top), (x + BAR, bottom)], INK.stroke_width(1)))?;
        for &tick in ticks {
            let y = bottom - (height * scale.place(tick)).round() as i32;
            self.area.draw(&PathElement::new([(x + BAR, y), (x + BAR + 4, y)], INK.stroke_width(1)))?;
            self.text(&tick_label(tick), (x + BAR + 8, y - 8), 16, INK)?;
        }
        Ok(())
    }

    /// Draws a heat map over a whole panel.
    pub fn heatmap(&self, panel: &Panel, map: &Heatmap) -> Result<(), PlotError> {
        self.heatmap_below(panel, map, &[])
    }

    /// Draws a heat map over a whole panel, and curves on it.
    pub fn heatmap_below(&self, panel: &Panel, map: &Heatmap, shapes: &[Shape]) -> Result<(), PlotError> {
        let mut chart = self.axes(panel, false)?;
        let inner = chart.plotting_area().strip_coord_spec();
        let (width, height) = inner.dim_in_pixel();
        let palette = map.scale.palette();
        let cell = |at: u32, pixels: u32, cells: usize| (2 * at as usize + 1) * cells / (2 * pixels as usize);
        for y in 0..height {
            let row = cell(height - 1 - y, height, map.height) * map.width;
            for x in 0..width {
                let [r, g, b] = palette[usize::from(map.levels[row + cell(x, width, map.width)])];
                inner.draw_pixel((x as i32, y as i32), &RGBColor(r, g, b))?;
            }
        }
        draw_shapes(&mut chart, shapes)
    }

    /// Draws curves.
    pub fn curves(&self, panel: &Panel, shapes: &[Shape]) -> Result<(), PlotError> {
        draw_shapes(&mut self.axes(panel, true)?, shapes)
    }

    /// Draws title and axes of a panel.
    fn axes<'b>(&self, panel: &Panel, with_grid: bool) -> Result<Chart<'a, 'b>, PlotError> {
        let [left, top, right, bottom] = panel.place;
        let area = self.area.clone().shrink((left, top), (right - left, bottom - top));
        let [with_x, with_y] = panel.labels.map(|label| !label.is_empty());
        let inset = if with_y { Y_LABELS } else { 0 };
        let mut chart = ChartBuilder::on(&area)
            .margin_right(RIGHT)
            .margin_top(TITLE)
            .x_label_area_size(if with_x { X_LABELS } else { 0 })
            .y_label_area_size(inset)
            .build_cartesian_2d(panel.x[0]..panel.x[1], panel.y[0]..panel.y[1])?;
        self.text(panel.title, (left + inset, top + 4), TITLE_TEXT, INK)?;
        let mut mesh = chart.configure_mesh();
        if !with_grid {
            mesh.disable_mesh();
        }
        let digits = |[low, high]: [f64; 2]| (1.0 - (high - low).log10().floor()).clamp(0.0, 4.0) as usize;
        let [x_digits, y_digits] = [digits(panel.x), digits(panel.y)];
        mesh.light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc(panel.labels[0])
            .y_desc(panel.labels[1])
            .x_labels(if with_x { ((right - left) / 85).max(2) as usize } else { 0 })
            .y_labels(if with_y { 6 } else { 0 })
            .x_label_formatter(&|v| format!("{v:.x_digits$}"))
            .y_label_formatter(&|v| format!("{v:.y_digits$}"))
            .label_style((FONT, AXIS_TEXT).into_font().color(&INK))
            .axis_style(INK)
            .draw()?;
        Ok(chart)
    }
}

/// Draws curves on the axes of a panel.
fn draw_shapes(chart: &mut Chart, shapes: &[Shape]) -> Result<(), PlotError> {
    for shape in shapes {
        match shape {
            Shape::Line(colour, width, points) => {
                for run in points.split(|p| !p.1.is_finite()).filter(|run| !run.is_empty()) {
                    chart.draw_series(LineSeries::new(run.iter().copied(), colour.stroke_width(*width)))?;
                }
            }
            Shape::Points(colour, radius, points) => {
                let finite = points.iter().filter(|p| p.1.is_finite());
                chart.draw_series(finite.map(|&p| Circle::new(p, *radius, colour.filled())))?;
            }
            Shape::Area(colour, points) => {
                chart.draw_series([Polygon::new(points.clone(), colour.filled())])?;
            }
        }
    }
    Ok(())
}

/// Registers the built-in font under a name: a host need not have one.
pub(super) fn register_font(name: &str) {
    let registered = plotters::style::register_font(name, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    assert!(registered.is_ok(), "the built-in font must parse");
}
