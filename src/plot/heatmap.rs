//! Heat maps: values on a grid, as levels of a scale.

use super::encode::encode;
use super::error::PlotError;
use super::scale::Scale;

/// The value that a down-sampled grid keeps of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// The mean.
    Mean,
    /// The value farthest from this one.
    Farthest(f64),
}

/// Values on a grid, `[height, width]`; NaN for none.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f64>,
    /// Columns and rows of the original per pixel.
    pub factor: [usize; 2],
}

impl Grid {
    /// Makes a grid of `values`, `[height, width]`.
    pub fn new(width: usize, values: Vec<f64>) -> Self {
        Self { width, height: values.len() / width.max(1), values, factor: [1, 1] }
    }

    /// Down-samples to at most `most` columns and rows.
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
            let values = cells.map(|(x, y)| self.values[y * self.width + x]).filter(|v| !v.is_nan());
            match keep {
                Keep::Mean => {
                    let (count, sum) = values.fold((0, 0.0), |(n, sum), v| (n + 1, sum + v));
                    if count > 0 { sum / f64::from(count) } else { f64::NAN }
                }
                Keep::Farthest(from) => {
                    values.max_by(|a, b| (a - from).abs().total_cmp(&(b - from).abs())).unwrap_or(f64::NAN)
                }
            }
        };
        let cells = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
        Self { width, height, values: cells.map(|(x, y)| block(x, y)).collect(), factor }
    }
}

/// A picture of values: their levels on a scale, `[height, width]`, row 0 at the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    pub width: usize,
    pub height: usize,
    pub levels: Vec<u8>,
    pub scale: Scale,
    /// Columns and rows of the original per pixel.
    pub factor: [usize; 2],
}

impl Heatmap {
    /// Makes the heat map of a grid.
    pub fn of(grid: &Grid, scale: Scale) -> Self {
        let levels = grid.values.iter().map(|&v| scale.level(v)).collect();
        Self { width: grid.width, height: grid.height, levels, scale, factor: grid.factor }
    }

    /// Exchanges columns and rows.
    pub fn transposed(self) -> Self {
        let (w, h) = (self.width, self.height);
        let levels = (0..w).flat_map(|x| (0..h).map(move |y| y * w + x)).map(|i| self.levels[i]).collect();
        Self { width: h, height: w, levels, factor: [self.factor[1], self.factor[0]], ..self }
    }

    /// Encodes the heat map as a PNG file with a palette.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let from_top: Vec<u8> = self.levels.chunks(self.width).rev().flatten().copied().collect();
        encode((self.width as u32, self.height as u32), &from_top, Some(&self.scale.palette()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::LEVELS;

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
        let map = Heatmap::of(&Grid::new(1, vec![0.0, 1.0]), Scale::linear(0.0, 1.0));
        let bytes = map.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels[..2], [LEVELS, 1]);
        let grid = Grid::new(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let lying = Heatmap::of(&grid, Scale::linear(0.0, 222.0)).transposed();
        assert_eq!((lying.width, lying.height, lying.levels), (3, 2, vec![1, 3, 5, 2, 4, 6]));
    }
}
