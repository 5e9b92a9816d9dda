//! Inputs of the patch stages: a patch's pixels and its spots, placed on each other.

use crate::geometry::Rectangle;
use std::ops::Range;

/// The spots of a patch, as a view on those of its bundle.
#[derive(Clone, Copy, Debug)]
pub struct PatchSpots<'a> {
    /// Spots of the bundle, `[nfibre, stride, ny, nx]`.
    pub spots: &'a [f64],
    /// Nearest pixel column of each spot, `[nfibre, stride]`.
    pub pixel_x: &'a [i32],
    /// Nearest pixel row of each spot, `[nfibre, stride]`.
    pub pixel_y: &'a [i32],
    /// Bins of the bundle.
    pub stride: usize,
    /// Rows of a spot, odd.
    pub ny: usize,
    /// Columns of a spot, odd.
    pub nx: usize,
    /// First fibre of the patch.
    pub fibre0: usize,
    /// Fibres of the patch.
    pub nspec: usize,
    /// First bin of the patch.
    pub bin0: usize,
    /// Bins of the patch.
    pub nbin: usize,
}

/// A spot and the part of it that lies on the patch's pixels.
pub struct Stamp<'a> {
    /// The whole spot, `[ny, nx]`.
    pub spot: &'a [f64],
    /// Row of the spot's first row, counted from the patch's first pixel.
    pub y: i64,
    /// Column of the spot's first column, likewise.
    pub x: i64,
    /// Rows of the spot that lie on the patch.
    pub rows: Range<usize>,
    /// Columns of the spot that lie on the patch.
    pub columns: Range<usize>,
}

impl Stamp<'_> {
    /// Index in the patch of row `y`, column `x` of the spot, which must lie on it.
    pub fn pixel(&self, y: usize, x: usize, at: &Rectangle) -> usize {
        (self.y + y as i64) as usize * at.nx + (self.x + x as i64) as usize
    }
}

impl<'a> PatchSpots<'a> {
    /// Number of unknowns.
    pub fn n(&self) -> usize {
        self.nspec * self.nbin
    }

    /// Pixels of a spot.
    pub fn size(&self) -> usize {
        self.ny * self.nx
    }

    /// CCD row and column of the first pixel of unknown `i = bin * nspec + fibre`, and its spot `[ny, nx]`.
    pub fn place(&self, i: usize) -> (i64, i64, &'a [f64]) {
        let index = (self.fibre0 + i % self.nspec) * self.stride + self.bin0 + i / self.nspec;
        let corner = |pixel: i32, size: usize| i64::from(pixel) - (size / 2) as i64;
        let spot = &self.spots[index * self.size()..(index + 1) * self.size()];
        (corner(self.pixel_y[index], self.ny), corner(self.pixel_x[index], self.nx), spot)
    }

    /// The spot of unknown `i`, placed on `rectangle`.
    pub fn stamp(&self, i: usize, rectangle: &Rectangle) -> Stamp<'a> {
        let (row, column, spot) = self.place(i);
        let on = |start: i64, size: usize, len: usize| {
            let low = (-start).clamp(0, size as i64) as usize;
            low..(len as i64 - start).clamp(low as i64, size as i64) as usize
        };
        let (y, x) = (row - rectangle.y0 as i64, column - rectangle.x0 as i64);
        let (mut rows, columns) = (on(y, self.ny, rectangle.ny), on(x, self.nx, rectangle.nx));
        if columns.is_empty() {
            rows.end = rows.start;
        }
        Stamp { spot, y, x, rows, columns }
    }
}
