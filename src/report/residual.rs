//! What the model leaves of the CCD, in units of sigma, and the places where it leaves most.

use super::heatmap::{LEVELS, Map, Scale};
use super::statistics::percentile;
use std::ops::Range;

/// Residual in sigma that has the full colour.
pub const LIMIT: f64 = 8.0;
/// Residual from which a pixel in use is shown though others of its block are masked.
const OUTSTANDING: f64 = 5.0;
/// Pixels from a worst place to the edges of its cut-out.
const HALF: usize = 20;

/// A CCD with the model of it.
#[derive(Clone, Debug)]
pub struct Ccd {
    /// Columns.
    pub nx: usize,
    /// Pixels in electron, `[ny, nx]`.
    pub image: Vec<f32>,
    /// Their inverse variance, of masked pixels too, `[ny, nx]`.
    pub ivar: Vec<f32>,
    /// Whether the extraction left a pixel out, `[ny, nx]`.
    pub masked: Vec<bool>,
    /// The image that the extraction believes in, `[ny, nx]`.
    pub model: Vec<f32>,
}

/// A pixel's residual, (image - model) sqrt(ivar).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pixel {
    /// Of a pixel in use.
    Used(f64),
    /// Of one that is masked.
    Masked(f64),
}

/// A place where the model is far from the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Column.
    pub x: usize,
    /// Row.
    pub y: usize,
    /// Residual in sigma.
    pub chi: f64,
}

impl Ccd {
    fn ny(&self) -> usize {
        self.image.len() / self.nx
    }

    fn pixel(&self, x: usize, y: usize) -> Pixel {
        let i = y * self.nx + x;
        let chi = (f64::from(self.image[i]) - f64::from(self.model[i])) * f64::from(self.ivar[i]).sqrt();
        if self.masked[i] || self.ivar[i] <= 0.0 { Pixel::Masked(chi) } else { Pixel::Used(chi) }
    }

    /// Residuals of pixels in use where there is a model.
    fn used(&self, cells: impl Iterator<Item = (usize, usize)>) -> impl Iterator<Item = Place> {
        let modelled = cells.filter(|(x, y)| self.model[y * self.nx + x] != 0.0);
        modelled.filter_map(|(x, y)| match self.pixel(x, y) {
            Pixel::Used(chi) => Some(Place { x, y, chi }),
            Pixel::Masked(_) => None,
        })
    }

    fn all(&self) -> impl Iterator<Item = (usize, usize)> {
        let nx = self.nx;
        (0..self.ny()).flat_map(move |y| (0..nx).map(move |x| (x, y)))
    }

    /// Columns and rows on which there is a model: elsewhere nothing was extracted.
    pub fn modelled(&self) -> [Range<usize>; 2] {
        let mut range = [self.nx..0, self.ny()..0];
        for (x, y) in self.all().filter(|(x, y)| self.model[y * self.nx + x] != 0.0) {
            for (range, at) in range.iter_mut().zip([x, y]) {
                *range = range.start.min(at)..range.end.max(at + 1);
            }
        }
        range.map(|r| if r.is_empty() { 0..1 } else { r })
    }

    /// The scatter of the residual (half the width that holds 68.27 %) and the share of pixels beyond 5 sigma, in percent.
    pub fn scatter(&self) -> [f64; 2] {
        let sizes: Vec<f64> = self.used(self.all()).map(|p| p.chi.abs()).collect();
        let beyond = sizes.iter().filter(|&&chi| chi > 5.0).count();
        [percentile(sizes.iter().copied(), 0.6827), 100.0 * beyond as f64 / sizes.len().max(1) as f64]
    }

    /// The residual of a part of the CCD as a map of at most so many columns and rows. A block of pixels shows its worst;
    /// where some are masked it shows that, unless one in use is off by more than 5 sigma.
    pub fn residual(&self, part: &[Range<usize>; 2], most: usize) -> Map {
        let factor = [0, 1].map(|axis| part[axis].len().div_ceil(most).max(1));
        let [width, height] = [0, 1].map(|axis| part[axis].len().div_ceil(factor[axis]));
        let span = |axis: usize, k: usize| {
            let first = part[axis].start + k * factor[axis];
            first..(first + factor[axis]).min(part[axis].end)
        };
        let scale = Scale::about_zero(LIMIT);
        let block = |column: usize, row: usize| {
            let cells = span(1, row).flat_map(|y| span(0, column).map(move |x| (x, y)));
            let (mut used, mut masked) = (0.0f64, None::<f64>);
            for (x, y) in cells {
                match self.pixel(x, y) {
                    Pixel::Used(chi) if chi.abs() > used.abs() => used = chi,
                    Pixel::Used(_) => {}
                    Pixel::Masked(chi) => masked = Some(masked.unwrap_or(0.0).max(chi.abs())),
                }
            }
            match masked {
                Some(chi) if used.abs() <= OUTSTANDING => masked_level(chi),
                _ => scale.level(used),
            }
        };
        let levels = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
        let levels = levels.map(|(column, row)| block(column, row)).collect();
        Map { width, height, levels, scale, factor }
    }

    /// The worst places, the worst first, at distances of more than a cut-out.
    pub fn worst(&self, count: usize) -> Vec<Place> {
        let [columns, rows] = self.modelled();
        let blocks = rows.step_by(HALF).flat_map(|y| columns.clone().step_by(HALF).map(move |x| (x, y)));
        let of_block = |(x, y): (usize, usize)| {
            let cells = (y..(y + HALF).min(self.ny())).flat_map(|y| (x..(x + HALF).min(self.nx)).map(move |x| (x, y)));
            self.used(cells).max_by(|a, b| a.chi.abs().total_cmp(&b.chi.abs()))
        };
        let mut places: Vec<Place> = blocks.filter_map(of_block).collect();
        places.sort_by(|a, b| b.chi.abs().total_cmp(&a.chi.abs()));
        let mut chosen: Vec<Place> = Vec::new();
        for place in places {
            let apart = |o: &Place| o.x.abs_diff(place.x) > 2 * HALF || o.y.abs_diff(place.y) > 2 * HALF;
            if chosen.len() < count && chosen.iter().all(apart) {
                chosen.push(place);
            }
        }
        chosen
    }

    /// Columns and rows about a place, within the CCD.
    pub fn around(&self, place: &Place) -> [Range<usize>; 2] {
        let side = |at: usize, limit: usize| {
            let size = (2 * HALF + 1).min(limit);
            let first = at.saturating_sub(HALF).min(limit - size);
            first..first + size
        };
        [side(place.x, self.nx), side(place.y, self.ny())]
    }

    /// Image, model and residual of a part, the first two on one scale.
    pub fn close_up(&self, part: &[Range<usize>; 2]) -> [Map; 3] {
        let cells = || part[1].clone().flat_map(|y| part[0].clone().map(move |x| y * self.nx + x));
        let brightest = cells().map(|i| f64::from(self.model[i])).fold(30.0, f64::max);
        let scale = Scale::asinh(-10.0, brightest, 30.0);
        let shown = |pixels: &[f32]| {
            let levels = cells().map(|i| scale.level(f64::from(pixels[i]))).collect();
            Map { width: part[0].len(), height: part[1].len(), levels, scale, factor: [1, 1] }
        };
        [shown(&self.image), shown(&self.model), self.residual(part, usize::MAX)]
    }
}

/// The level of a masked pixel, the higher the farther it is off.
fn masked_level(chi: f64) -> u8 {
    let steps = f64::from(u8::MAX - LEVELS - 1);
    LEVELS + 1 + ((chi / LIMIT).clamp(0.0, 1.0) * steps).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CCD of 100 x 90 pixels on which the model is right.
    fn ccd() -> Ccd {
        let n = 100 * 90;
        Ccd { nx: 100, image: vec![10.0; n], ivar: vec![0.25; n], masked: vec![false; n], model: vec![10.0; n] }
    }

    #[test]
    fn a_cosmic_and_a_bad_column_outlive_down_sampling() {
        let mut ccd = ccd();
        ccd.image[51 * 100 + 37] += 14.0;
        (0..90).for_each(|y| ccd.masked[y * 100 + 71] = true);
        (0..90).for_each(|y| ccd.image[y * 100 + 71] = 500.0);
        ccd.image[20 * 100 + 70] -= 12.0;
        let part = ccd.modelled();
        assert_eq!(part, [0..100, 0..90]);
        let map = ccd.residual(&part, 10);
        assert_eq!((map.width, map.height, map.factor), (10, 10, [10, 9]));
        assert!((map.scale.value(map.levels[5 * 10 + 3]) - 7.0).abs() < 0.05, "7 sigma in row 51, column 37");
        assert_eq!(map.levels[10 + 7], u8::MAX, "the bad column, far off");
        assert!((map.scale.value(map.levels[2 * 10 + 7]) + 6.0).abs() < 0.05, "a pixel in use beside it, 6 sigma");
        assert!(map.scale.value(map.levels[0]).abs() < 0.05);
    }

    #[test]
    fn worst_places_are_apart_in_use_and_where_there_is_a_model() {
        let mut ccd = ccd();
        for (x, y, off) in [(30, 30, 50.0), (33, 31, 60.0), (80, 80, -20.0), (60, 10, 90.0), (5, 80, 99.0)] {
            ccd.image[y * 100 + x] += off;
        }
        ccd.masked[10 * 100 + 60] = true;
        ccd.model[80 * 100 + 5] = 0.0;
        let worst = ccd.worst(2);
        assert_eq!(worst, vec![Place { x: 33, y: 31, chi: 30.0 }, Place { x: 80, y: 80, chi: -10.0 }]);
        assert_eq!(ccd.around(&worst[1]), [59..100, 49..90]);
        let [image, model, residual] = ccd.close_up(&ccd.around(&worst[0]));
        assert_eq!((image.width, model.height, residual.levels.len()), (41, 41, 41 * 41));
        assert!(ccd.scatter()[0] < 0.01 && ccd.scatter()[1] > 0.0);
    }
}
