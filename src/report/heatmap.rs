//! Maps: numbers as eight bits a pixel with a palette, which a page shows as they are and reads back under the pointer.

use super::ReportError;
use crate::plot::colour::{MASKED, diverging, viridis};
use base64::prelude::{BASE64_STANDARD, Engine};

/// Levels of a map's scale; those above are for pixels that are masked, level 0 for those without a number.
pub const LEVELS: u8 = 223;

/// Where a number stands between the ends of a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Number of the lowest level.
    pub low: f64,
    /// Number of the highest level.
    pub high: f64,
    /// Size up to which the scale is linear, beyond it is logarithmic; 0 for one that is linear throughout.
    pub soft: f64,
    /// Whether colours run from blue over white to red, and not from dark to bright.
    pub diverging: bool,
}

impl Scale {
    /// A linear scale from dark to bright.
    pub fn linear(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, soft: 0.0, diverging: false }
    }

    /// An asinh scale from dark to bright.
    pub fn asinh(low: f64, high: f64, soft: f64) -> Self {
        Self { low, high: high.max(low + soft), soft, diverging: false }
    }

    /// A linear scale from `-limit` to `limit`, white in its middle.
    pub fn about_zero(limit: f64) -> Self {
        Self { low: -limit, high: limit, soft: 0.0, diverging: true }
    }

    fn stretch(&self, value: f64) -> f64 {
        if self.soft > 0.0 { (value / self.soft).asinh() } else { value }
    }

    /// The level of a number; 0 where it is none.
    pub fn level(&self, value: f64) -> u8 {
        if value.is_nan() {
            return 0;
        }
        let [low, high] = [self.low, self.high].map(|v| self.stretch(v));
        let place = (self.stretch(value) - low) / (high - low);
        1 + (place.clamp(0.0, 1.0) * f64::from(LEVELS - 1)).round() as u8
    }

    /// The number that a level stands for, as the page reads it; NaN for those that stand for none.
    #[cfg(test)]
    pub fn value(&self, level: u8) -> f64 {
        if level == 0 || level > LEVELS {
            return f64::NAN;
        }
        let [low, high] = [self.low, self.high].map(|v| self.stretch(v));
        let place = low + (high - low) * f64::from(level - 1) / f64::from(LEVELS - 1);
        if self.soft > 0.0 { self.soft * place.sinh() } else { place }
    }

    /// Colours of all levels: none is there twice, so that a page finds the level by its colour.
    pub fn palette(&self) -> Vec<[u8; 3]> {
        let masked = usize::from(u8::MAX - LEVELS);
        let grey = [MASKED.0, MASKED.1, MASKED.2];
        let scale = (0..LEVELS).map(|k| {
            let t = f64::from(k) / f64::from(LEVELS - 1);
            let c = if self.diverging { diverging(t) } else { viridis(t) };
            [c.0, c.1, c.2]
        });
        // Masked pixels in greens: they stand apart from blue, white and red, and stronger where there is more to hide.
        let greens = (0..masked).map(|k| {
            let mix = |from: f64, to: f64| (from + (to - from) * k as f64 / (masked - 1) as f64).round() as u8;
            [mix(136.0, 8.0), mix(186.0, 104.0), mix(120.0, 22.0)]
        });
        [grey].into_iter().chain(scale).chain(greens).collect()
    }
}

/// What of a block of pixels a down-sampled map keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// The mean of its numbers.
    Mean,
    /// The number that is farthest from this one.
    Farthest(f64),
}

/// Numbers on a grid, `[height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Numbers; NaN where there is none.
    pub values: Vec<f64>,
    /// Columns and rows of the original that one pixel stands for.
    pub factor: [usize; 2],
}

impl Grid {
    /// All of `values`, which are `[height, width]`.
    pub fn new(width: usize, values: Vec<f64>) -> Self {
        Self { width, height: values.len() / width.max(1), values, factor: [1, 1] }
    }

    /// The grid with at most so many columns and rows.
    pub fn reduced(self, most: [usize; 2], keep: Keep) -> Self {
        let factor = [self.width.div_ceil(most[0]).max(1), self.height.div_ceil(most[1]).max(1)];
        if factor == [1, 1] {
            return self;
        }
        let (width, height) = (self.width.div_ceil(factor[0]), self.height.div_ceil(factor[1]));
        let block = |column: usize, row: usize| {
            let rows = row * factor[1]..((row + 1) * factor[1]).min(self.height);
            let columns = column * factor[0]..((column + 1) * factor[0]).min(self.width);
            let cells = rows.flat_map(move |y| columns.clone().map(move |x| (x, y)));
            let numbers = cells.map(|(x, y)| self.values[y * self.width + x]).filter(|v| !v.is_nan());
            match keep {
                Keep::Mean => {
                    let (count, sum) = numbers.fold((0, 0.0), |(n, sum), v| (n + 1, sum + v));
                    if count > 0 { sum / f64::from(count) } else { f64::NAN }
                }
                Keep::Farthest(from) => {
                    numbers.max_by(|a, b| (a - from).abs().total_cmp(&(b - from).abs())).unwrap_or(f64::NAN)
                }
            }
        };
        let values = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
        Self { width, height, values: values.map(|(x, y)| block(x, y)).collect(), factor }
    }
}

/// A picture of numbers; row 0 is its lowest.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Level of every pixel, `[height, width]`.
    pub levels: Vec<u8>,
    /// What levels stand for.
    pub scale: Scale,
    /// Columns and rows of the original that one pixel stands for.
    pub factor: [usize; 2],
}

impl Map {
    /// The numbers of a grid on a scale.
    pub fn of(grid: &Grid, scale: Scale) -> Self {
        let levels = grid.values.iter().map(|&v| scale.level(v)).collect();
        Self { width: grid.width, height: grid.height, levels, scale, factor: grid.factor }
    }

    /// The map with columns and rows exchanged.
    pub fn transposed(self) -> Self {
        let (w, h) = (self.width, self.height);
        let levels = (0..w).flat_map(|x| (0..h).map(move |y| y * w + x)).map(|i| self.levels[i]).collect();
        Self { width: h, height: w, levels, factor: [self.factor[1], self.factor[0]], ..self }
    }

    /// The map as a PNG file with a palette.
    ///
    /// # Errors
    /// [`ReportError::Draw`] where the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let failed = |e: png::EncodingError| ReportError::Draw(e.to_string());
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(self.scale.palette().concat());
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::NoFilter);
        let upside_down: Vec<u8> = self.levels.chunks(self.width).rev().flatten().copied().collect();
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&upside_down).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    /// The PNG as an address that a page can hold.
    ///
    /// # Errors
    /// See [`Map::png`].
    pub fn data_url(&self) -> Result<String, ReportError> {
        Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(self.png()?)))
    }
}

/// Numbers as a page reads them: f32, little-endian, in base 64.
pub fn packed(values: impl IntoIterator<Item = f64>) -> String {
    let bytes: Vec<u8> = values.into_iter().flat_map(|v| (v as f32).to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_as_its_number() {
        for scale in [Scale::linear(-3.0, 7.0), Scale::asinh(-10.0, 5000.0, 30.0), Scale::about_zero(8.0)] {
            for level in 1..=LEVELS {
                assert_eq!(scale.level(scale.value(level)), level, "{scale:?}");
            }
            assert_eq!((scale.level(f64::NAN), scale.level(1e9), scale.level(-1e9)), (0, LEVELS, 1));
        }
    }

    #[test]
    fn no_colour_stands_for_two_levels() {
        for scale in [Scale::linear(0.0, 1.0), Scale::about_zero(8.0)] {
            let mut colours = scale.palette();
            assert_eq!(colours.len(), 256);
            colours.sort_unstable();
            colours.dedup();
            assert_eq!(colours.len(), 256, "{scale:?}");
        }
    }

    #[test]
    fn a_smaller_map_keeps_the_worst_and_forgets_no_row() {
        let mut values = vec![1.0; 7 * 5];
        values[4 * 7 + 6] = -9.0;
        values[0] = f64::NAN;
        let small = Grid::new(7, values.clone()).reduced([3, 2], Keep::Farthest(1.0));
        assert_eq!((small.width, small.height, small.factor), (3, 2, [3, 3]));
        assert_eq!(small.values, vec![1.0, 1.0, 1.0, 1.0, 1.0, -9.0]);
        let mean = Grid::new(7, values).reduced([3, 2], Keep::Mean);
        assert_eq!(mean.values[5], -4.0, "a block at the corner has what is left: two rows of one column");
        let none = Grid::new(2, vec![f64::NAN; 4]).reduced([1, 1], Keep::Mean);
        assert!(none.values[0].is_nan());
    }

    #[test]
    fn a_map_is_written_from_its_highest_row_on() {
        let map = Map::of(&Grid::new(1, vec![0.0, 1.0]), Scale::linear(0.0, 1.0));
        let bytes = map.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[..2], [LEVELS, 1]);
        let lying = Map::of(&Grid::new(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]), Scale::linear(0.0, 222.0)).transposed();
        assert_eq!((lying.width, lying.height, lying.levels), (3, 2, vec![1, 3, 5, 2, 4, 6]));
    }
}
