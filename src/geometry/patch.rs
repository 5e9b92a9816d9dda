//! A patch: the fibres and bins solved together, and the rectangle of CCD pixels they are solved from.

use std::ops::Range;

/// One patch: the fibres and bins solved together, and the pixels they are solved from.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// Fibres with their padding, counted from the bundle's first.
    pub fibres: Range<usize>,
    /// The fibres it extracts, counted from `fibres.start`.
    pub core: Range<usize>,
    /// First bin with padding, counted on the padded grid (whose bin `padding` is the grid's first).
    pub bin0: usize,
    /// Number of bins with padding.
    pub nbin: usize,
    /// The bins it extracts, counted from `bin0`.
    pub core_bins: Range<usize>,
    /// Pixel rows on the CCD, end exclusive.
    pub rows: Range<usize>,
    /// Pixel columns on the CCD, end exclusive.
    pub columns: Range<usize>,
}

impl Patch {
    /// Fibres with padding.
    pub fn nspec(&self) -> usize {
        self.fibres.len()
    }

    /// Number of unknowns.
    pub fn n(&self) -> usize {
        self.nspec() * self.nbin
    }

    /// Number of pixels.
    pub fn npix(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

/// A rectangle of CCD pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rectangle {
    /// First CCD row.
    pub y0: usize,
    /// First CCD column.
    pub x0: usize,
    /// Rows.
    pub ny: usize,
    /// Columns.
    pub nx: usize,
}

impl Rectangle {
    /// The pixels of a patch.
    pub fn of(patch: &Patch) -> Self {
        Self { y0: patch.rows.start, x0: patch.columns.start, ny: patch.rows.len(), nx: patch.columns.len() }
    }

    /// Number of pixels.
    pub fn len(&self) -> usize {
        self.ny * self.nx
    }

    /// Whether it holds no pixel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
