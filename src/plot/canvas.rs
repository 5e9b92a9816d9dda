//! A picture made of panels: axes by the plotting library, pixels of images by themselves.

use super::{Area, FONT, Failure, INK, PlotError, use_own_font};
use plotters::prelude::*;

/// Size of the words of an axis and of a title, pixels.
const SMALL: u32 = 17;
const LARGE: u32 = 21;
/// Colour of the lines behind curves.
const GRID: RGBColor = RGBColor(232, 232, 236);

/// Where panels are drawn.
pub(crate) struct Canvas<'a, 'b> {
    area: &'a Area<'b>,
}

/// What is around a panel, and where it stands on the canvas.
pub(crate) struct Panel<'a> {
    /// Left, top, right, bottom, pixels.
    pub place: [i32; 4],
    /// Above it.
    pub title: &'a str,
    /// Names of the axes; an empty one leaves its axis out.
    pub labels: [&'a str; 2],
    /// Left and right ends of x.
    pub x: [f64; 2],
    /// Lower and upper ends of y.
    pub y: [f64; 2],
}

/// Curves of a panel: their colour and points; NaN parts a line.
pub(crate) enum Shape {
    /// A line.
    Line(RGBColor, Vec<(f64, f64)>),
    /// Points of a radius in pixels.
    Points(RGBColor, i32, Vec<(f64, f64)>),
}

impl Canvas<'_, '_> {
    /// Draws a picture and encodes it as PNG.
    pub fn png(size: (u32, u32), draw: impl FnOnce(&Canvas) -> Result<(), Failure>) -> Result<Vec<u8>, PlotError> {
        use_own_font();
        let mut pixels = vec![0; (3 * size.0 * size.1) as usize];
        let drawn = {
            let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
            let whole = root.fill(&WHITE).map_err(Failure::from);
            whole.and_then(|()| draw(&Canvas { area: &root })).and_then(|()| root.present().map_err(Failure::from))
        };
        drawn.map_err(|e| match e {
            Failure::Plot(e) => e,
            Failure::Library(text) => PlotError::Draw(text),
        })?;
        encode(&pixels, size)
    }

    /// Writes a line of text with its upper left corner at a place.
    pub fn text(&self, text: &str, at: (i32, i32), size: u32, colour: RGBColor) -> Result<(), Failure> {
        Ok(self.area.draw(&Text::new(text.to_string(), at, (FONT, size).into_font().color(&colour)))?)
    }

    /// Draws an image: `colour` of a place between 0 and 1 along x and y, from the lower left corner.
    pub fn image(&self, panel: &Panel, colour: impl Fn(f64, f64) -> RGBColor) -> Result<(), Failure> {
        self.draw(panel, |_| Ok(()), Some(&colour))
    }

    /// Draws curves.
    pub fn curves(&self, panel: &Panel, shapes: &[Shape]) -> Result<(), Failure> {
        self.draw(panel, |chart| shapes.iter().try_for_each(|shape| draw_shape(chart, shape)), None)
    }

    fn draw(
        &self,
        panel: &Panel,
        curves: impl FnOnce(&mut Chart) -> Result<(), Failure>,
        colour: Option<&dyn Fn(f64, f64) -> RGBColor>,
    ) -> Result<(), Failure> {
        let [left, top, right, bottom] = panel.place;
        let area = self.area.clone().shrink((left, top), (right - left, bottom - top));
        let [with_x, with_y] = panel.labels.map(|label| !label.is_empty());
        let mut chart = ChartBuilder::on(&area)
            .margin_right(14)
            .margin_top(30)
            .x_label_area_size(if with_x { 48 } else { 0 })
            .y_label_area_size(if with_y { 74 } else { 0 })
            .build_cartesian_2d(panel.x[0]..panel.x[1], panel.y[0]..panel.y[1])?;
        let inset = if with_y { 74 } else { 0 };
        area.draw(&Text::new(panel.title.to_string(), (inset, 4), (FONT, LARGE).into_font().color(&INK)))?;
        let mut mesh = chart.configure_mesh();
        if colour.is_some() {
            mesh.disable_mesh();
        }
        let digits = |[low, high]: [f64; 2]| (1.0 - (high - low).log10().floor()).clamp(0.0, 4.0) as usize;
        let [x_digits, y_digits] = [digits(panel.x), digits(panel.y)];
        mesh.light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc(panel.labels[0])
            .y_desc(panel.labels[1])
            .x_labels(if with_x { ((right - left) / 130).max(2) as usize } else { 0 })
            .y_labels(if with_y { 6 } else { 0 })
            .x_label_formatter(&|v| format!("{v:.x_digits$}"))
            .y_label_formatter(&|v| format!("{v:.y_digits$}"))
            .label_style((FONT, SMALL).into_font().color(&INK))
            .axis_style(INK)
            .draw()?;
        curves(&mut chart)?;
        if let Some(colour) = colour {
            let inner = chart.plotting_area().strip_coord_spec();
            let (width, height) = inner.dim_in_pixel();
            for y in 0..height {
                for x in 0..width {
                    let place = |at: u32, size: u32| (f64::from(at) + 0.5) / f64::from(size);
                    inner.draw_pixel((x as i32, y as i32), &colour(place(x, width), 1.0 - place(y, height)))?;
                }
            }
        }
        Ok(())
    }
}

type Chart<'a, 'b> = ChartContext<
    'a,
    BitMapBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw_shape(chart: &mut Chart, shape: &Shape) -> Result<(), Failure> {
    match shape {
        Shape::Line(colour, points) => {
            for run in points.split(|p| !p.1.is_finite()).filter(|run| !run.is_empty()) {
                chart.draw_series(LineSeries::new(run.iter().copied(), colour.stroke_width(2)))?;
            }
        }
        Shape::Points(colour, size, points) => {
            let finite = points.iter().filter(|p| p.1.is_finite());
            chart.draw_series(finite.map(|&p| Circle::new(p, *size, colour.filled())))?;
        }
    }
    Ok(())
}

/// RGB pixels as a PNG file.
pub(crate) fn encode(pixels: &[u8], size: (u32, u32)) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(pixels));
    written.map_err(|e| PlotError::Draw(e.to_string()))?;
    Ok(bytes)
}
