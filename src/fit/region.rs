//! The pixels of a bundle in one exposure.

use super::ArcFrame;
use crate::base::median::median;
use crate::geometry::SpotShape;
use std::ops::Range;

/// Rows and columns of a block for which the read noise is estimated where the frame does not have it. An arc is dark
/// between its lines.
const BLOCK: [usize; 2] = [64, 32];

/// Pixels of the columns that a bundle's spots may reach, `[ny, nx]`, electron.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// Column of the first pixel.
    pub x0: i32,
    pub nx: usize,
    pub ny: usize,
    pub data: Vec<f64>,
    /// Pixels that may be used.
    pub ok: Vec<bool>,
    /// Variance of the read noise.
    pub read: Vec<f64>,
    /// Variance in this round.
    pub var: Vec<f64>,
    /// The model of the last solution.
    pub model: Vec<f64>,
}

impl Region {
    /// Cuts out columns of a frame.
    pub fn new(frame: &ArcFrame, columns: Range<usize>) -> Self {
        let (ny, nx) = (frame.ccd.ny(), columns.len());
        let cut = |plane: &[f32]| -> Vec<f64> {
            let rows = plane.chunks_exact(frame.ccd.nx());
            rows.flat_map(|row| &row[columns.clone()]).map(|&v| f64::from(v)).collect()
        };
        let (data, ivar) = (cut(frame.ccd.image()), cut(frame.ccd.ivar()));
        let ok: Vec<bool> = ivar.iter().map(|&w| w > 0.0).collect();
        let read = match frame.readnoise {
            Some(noise) => cut(noise).into_iter().map(|noise| noise * noise).collect(),
            None => least_variances(&ivar, nx),
        };
        let mut region =
            Self { x0: columns.start as i32, nx, ny, var: Vec::new(), model: vec![0.0; data.len()], data, ok, read };
        let smooth = region.smoothed();
        region.var = region.read.iter().zip(smooth).map(|(read, signal)| read + signal.max(0.0)).collect();
        region
    }

    /// Returns the data, masked pixels as 0, smoothed by a Gaussian of about one pixel.
    pub fn smoothed(&self) -> Vec<f64> {
        const KERNEL: [f64; 7] = [0.0044, 0.0540, 0.2420, 0.3991, 0.2420, 0.0540, 0.0044];
        let used: Vec<f64> = self.data.iter().zip(&self.ok).map(|(d, ok)| if *ok { *d } else { 0.0 }).collect();
        // A step is the distance of neighbours; taps beyond the row or the columns see nothing.
        let pass = |from: &[f64], step: usize, line: usize| -> Vec<f64> {
            let mut to = vec![0.0; from.len()];
            for (from, to) in from.chunks_exact(line.max(1)).zip(to.chunks_exact_mut(line.max(1))) {
                for (tap, d) in KERNEL.iter().zip(-3isize..) {
                    let by = (d.unsigned_abs() * step).min(line);
                    let (from, to) =
                        if d < 0 { (&from[..line - by], &mut to[by..]) } else { (&from[by..], &mut to[..line - by]) };
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += tap * from);
                }
            }
            to
        };
        pass(&pass(&used, 1, self.nx), self.nx, self.data.len())
    }

    /// Weight of a pixel: 0 where it must not be used.
    pub fn weight(&self, pixel: usize) -> f64 {
        if self.ok[pixel] { 1.0 / self.var[pixel] } else { 0.0 }
    }

    /// Returns the weights of all pixels.
    pub fn weights(&self) -> Vec<f64> {
        (0..self.data.len()).map(|i| self.weight(i)).collect()
    }

    /// Returns the part of a spot's window that lies in the region.
    pub fn window(&self, spot: &SpotShape, pixel: [i32; 2]) -> Window {
        let (left, bottom) = (pixel[0] - spot.half_x as i32 - self.x0, pixel[1] - spot.half_y as i32);
        let inside = |from: i32, n: usize, most: usize| {
            let clip = |v: i32| v.clamp(0, most as i32) as usize;
            clip(from)..clip(from.saturating_add(n as i32)).max(clip(from))
        };
        Window { left, bottom, columns: inside(left, spot.nx(), self.nx), rows: inside(bottom, spot.ny(), self.ny) }
    }
}

/// Estimates the variance of the read noise, `[ny, nx]`: in each block that of the darkest pixels.
fn least_variances(ivar: &[f64], nx: usize) -> Vec<f64> {
    let mut read = Vec::with_capacity(ivar.len());
    for rows in ivar.chunks(BLOCK[0] * nx.max(1)) {
        let of_block = |first: usize| {
            let block = rows.chunks(nx).flat_map(|row| &row[first..nx.min(first + BLOCK[1])]);
            least_variance(block.copied().filter(|w| *w > 0.0).collect())
        };
        let blocks: Vec<f64> = (0..nx).step_by(BLOCK[1]).map(of_block).collect();
        read.extend((0..rows.len()).map(|i| blocks[i % nx / BLOCK[1]]));
    }
    read
}

/// Estimates the variance of the read noise by weights: the median of the largest tenth, which a few odd pixels do not
/// decide.
fn least_variance(mut weights: Vec<f64>) -> f64 {
    weights.sort_by(f64::total_cmp);
    let darkest = weights.split_off(weights.len() - weights.len().div_ceil(10));
    if darkest.is_empty() { 1.0 } else { 1.0 / median(darkest) }
}

/// The part of a spot's window that lies in a region: columns and rows of the region.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Column of the region at the window's first.
    left: i32,
    bottom: i32,
    pub columns: Range<usize>,
    pub rows: Range<usize>,
}

impl Window {
    /// Returns the pixels that two windows share.
    pub fn overlap(&self, other: &Self) -> Self {
        let cut = |a: &Range<usize>, b: &Range<usize>| {
            let (start, end) = (a.start.max(b.start), a.end.min(b.end));
            start..end.max(start)
        };
        let (columns, rows) = (cut(&self.columns, &other.columns), cut(&self.rows, &other.rows));
        Self { columns, rows, ..*self }
    }

    /// Whether it has no pixel.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() || self.rows.is_empty()
    }

    /// Returns the places in a spot of width `nx` of the columns `columns` of a row of the region.
    pub fn in_spot(&self, nx: usize, row: usize, columns: &Range<usize>) -> Range<usize> {
        let start = (row as i32 - self.bottom) as usize * nx + (columns.start as i32 - self.left) as usize;
        start..start + columns.len()
    }
}
