//! The residual of a CCD in sigma, and the places where it is largest.

use super::statistics::percentile;
use crate::plot::{Grid, Heatmap, LEVELS, Scale};
use std::ops::Range;

/// Residual with the full colour, sigma.
pub const LIMIT: f64 = 8.0;
/// Residual beyond which a pixel in use is shown although others of its block are masked, sigma.
const OUTSTANDING: f64 = 5.0;
/// Pixels from an outlier to the edges of its cut-out.
const HALF: usize = 20;

/// A CCD of `nx` columns and its model, each plane `[ny, nx]`; image and model in electron.
#[derive(Clone, Debug)]
pub struct CcdResidual {
    pub nx: usize,
    pub image: Vec<f32>,
    /// Inverse variance, also of masked pixels.
    pub ivar: Vec<f32>,
    /// Whether the extraction left a pixel out, or has light of fibres that were not extracted.
    pub masked: Vec<bool>,
    /// Whether there are pixels with light of fibres that were not extracted.
    pub beside_others: bool,
    pub model: Vec<f32>,
}

/// The residual (image - model) sqrt(ivar) of a pixel in use or of a masked one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pixel {
    Used(f64),
    Masked(f64),
}

/// A pixel far from the model: column, row, and residual in sigma.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    pub x: usize,
    pub y: usize,
    pub chi: f64,
}

/// Columns and rows of a region.
type Region = [Range<usize>; 2];

/// Returns the pixels of a region, row by row.
fn cells([columns, rows]: &Region) -> impl Iterator<Item = (usize, usize)> {
    let columns = columns.clone();
    rows.clone().flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

impl CcdResidual {
    /// Returns the number of columns and of rows.
    pub fn size(&self) -> [usize; 2] {
        [self.nx, self.image.len() / self.nx]
    }

    /// Returns residual and model of a pixel in sigma, if it is in use and has a model.
    pub fn in_use(&self, [x, y]: [usize; 2]) -> Option<[f64; 2]> {
        let i = y * self.nx + x;
        let model = f64::from(self.model[i]);
        match self.pixel(x, y) {
            Pixel::Used(chi) if model != 0.0 => Some([chi, model * f64::from(self.ivar[i]).sqrt()]),
            _ => None,
        }
    }

    fn all(&self) -> Region {
        self.size().map(|n| 0..n)
    }

    fn pixel(&self, x: usize, y: usize) -> Pixel {
        let i = y * self.nx + x;
        let chi = (f64::from(self.image[i]) - f64::from(self.model[i])) * f64::from(self.ivar[i]).sqrt();
        if self.masked[i] || self.ivar[i] <= 0.0 { Pixel::Masked(chi) } else { Pixel::Used(chi) }
    }

    /// Returns the residuals of pixels in use with a model.
    fn used(&self, region: &Region) -> impl Iterator<Item = Outlier> {
        cells(region).filter(|(x, y)| self.model[y * self.nx + x] != 0.0).filter_map(|(x, y)| match self.pixel(x, y) {
            Pixel::Used(chi) => Some(Outlier { x, y, chi }),
            Pixel::Masked(_) => None,
        })
    }

    /// Returns the region with a model: nothing was extracted elsewhere.
    pub fn modelled(&self) -> Region {
        let of_row = |(y, row): (usize, &[f32])| {
            let first = row.iter().position(|m| *m != 0.0)?;
            let last = row.iter().rposition(|m| *m != 0.0)?;
            Some([first..last + 1, y..y + 1])
        };
        let both = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        let rows = self.model.chunks_exact(self.nx).enumerate().filter_map(of_row);
        rows.reduce(|a, b| [both(&a[0], &b[0]), both(&a[1], &b[1])]).unwrap_or([0..1, 0..1])
    }

    /// Returns the scatter of the residual (half the width that holds 68.27 %) and the percentage beyond 5 sigma.
    pub fn scatter(&self) -> [f64; 2] {
        let sizes: Vec<f64> = self.used(&self.all()).map(|p| p.chi.abs()).collect();
        let beyond = sizes.iter().filter(|&&chi| chi > 5.0).count();
        [percentile(sizes.iter().copied(), 0.6827), 100.0 * beyond as f64 / sizes.len().max(1) as f64]
    }

    /// Makes a heat map of a region with at most `most` columns and rows.
    ///
    /// A block shows its worst pixel. A block with masked pixels shows those, unless one in use is beyond 5 sigma.
    pub fn heatmap(&self, region: &Region, most: usize) -> Heatmap {
        let factor = [0, 1].map(|axis| region[axis].len().div_ceil(most).max(1));
        let [width, height] = [0, 1].map(|axis| region[axis].len().div_ceil(factor[axis]));
        let span = |axis: usize, k: usize| {
            let first = region[axis].start + k * factor[axis];
            first..(first + factor[axis]).min(region[axis].end)
        };
        let scale = Scale::about_zero(LIMIT);
        let level = |(column, row)| {
            let (mut used, mut masked) = (0.0f64, None::<f64>);
            for (x, y) in cells(&[span(0, column), span(1, row)]) {
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
        let levels = cells(&[0..width, 0..height]).map(level).collect();
        Heatmap { width, height, levels, scale, factor }
    }

    /// Returns the `count` worst outliers, the worst first, with cut-outs that do not overlap.
    pub fn worst(&self, count: usize) -> Vec<Outlier> {
        let [columns, rows] = self.modelled();
        let [all_columns, all_rows] = self.all();
        let blocks = rows.step_by(HALF).flat_map(|y| columns.clone().step_by(HALF).map(move |x| (x, y)));
        let of_block = |(x, y): (usize, usize)| {
            let region = [x..(x + HALF).min(all_columns.end), y..(y + HALF).min(all_rows.end)];
            self.used(&region).max_by(|a, b| a.chi.abs().total_cmp(&b.chi.abs()))
        };
        let mut outliers: Vec<Outlier> = blocks.filter_map(of_block).collect();
        outliers.sort_by(|a, b| b.chi.abs().total_cmp(&a.chi.abs()));
        let mut chosen: Vec<Outlier> = Vec::new();
        for outlier in outliers {
            let apart = |o: &Outlier| o.x.abs_diff(outlier.x) > 2 * HALF || o.y.abs_diff(outlier.y) > 2 * HALF;
            if chosen.len() < count && chosen.iter().all(apart) {
                chosen.push(outlier);
            }
        }
        chosen
    }

    /// Returns the cut-out about an outlier, within the CCD.
    pub fn around(&self, outlier: &Outlier) -> Region {
        let [columns, rows] = self.all();
        let side = |at: usize, limit: usize| {
            let size = (2 * HALF + 1).min(limit);
            let first = at.saturating_sub(HALF).min(limit - size);
            first..first + size
        };
        [side(outlier.x, columns.end), side(outlier.y, rows.end)]
    }

    /// Makes heat maps of image, model and residual of a region, the first two on one scale.
    pub fn close_up(&self, region: &Region) -> [Heatmap; 3] {
        let pixels =
            |plane: &[f32]| -> Vec<f64> { cells(region).map(|(x, y)| f64::from(plane[y * self.nx + x])).collect() };
        let model = pixels(&self.model);
        let scale = Scale::asinh(-10.0, model.iter().copied().fold(30.0, f64::max), 30.0);
        let map = |pixels: Vec<f64>| Heatmap::of(&Grid::new(region[0].len(), pixels), scale);
        [map(pixels(&self.image)), map(model), self.heatmap(region, usize::MAX)]
    }
}

/// Returns the level of a masked pixel: the larger the residual, the higher.
fn masked_level(chi: f64) -> u8 {
    let steps = f64::from(u8::MAX - LEVELS - 1);
    LEVELS + 1 + ((chi / LIMIT).clamp(0.0, 1.0) * steps).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CCD of 100 x 90 pixels on which the model is right.
    fn ccd() -> CcdResidual {
        let n = 100 * 90;
        let (image, ivar, masked, model) = (vec![10.0; n], vec![0.25; n], vec![false; n], vec![10.0; n]);
        CcdResidual { nx: 100, image, ivar, masked, beside_others: false, model }
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
        let map = ccd.heatmap(&part, 10);
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
        assert_eq!(worst, vec![Outlier { x: 33, y: 31, chi: 30.0 }, Outlier { x: 80, y: 80, chi: -10.0 }]);
        assert_eq!(ccd.around(&worst[1]), [59..100, 49..90]);
        let [image, model, residual] = ccd.close_up(&ccd.around(&worst[0]));
        assert_eq!((image.width, model.height, residual.levels.len()), (41, 41, 41 * 41));
        assert!(ccd.scatter()[0] < 0.01 && ccd.scatter()[1] > 0.0);
    }
}
