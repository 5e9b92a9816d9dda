//! A model image in the making: the light of each bundle by itself, on the columns that it can reach. Bundles are added up
//! last and in their order, so that the sum is the same bits whoever computed which of them.

use std::ops::Range;

/// The light of one bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Stripe {
    /// First column.
    pub x0: usize,
    /// Columns.
    pub nx: usize,
    /// Electron, `[ny, nx]`.
    pub pixels: Vec<f64>,
}

/// The stripes of an image of `[ny, nx]` pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelImage {
    ny: usize,
    nx: usize,
    /// Zeros but while a bundle is added.
    canvas: Vec<f64>,
    /// In the order of bundles.
    stripes: Vec<Stripe>,
}

impl ModelImage {
    /// Without light.
    pub fn new(ny: usize, nx: usize) -> Self {
        Self { ny, nx, ..Self::default() }
    }

    /// One of these stripes.
    pub fn of_stripes(ny: usize, nx: usize, stripes: Vec<Stripe>) -> Self {
        Self { ny, nx, canvas: Vec::new(), stripes }
    }

    /// The stripes.
    pub fn stripes(&self) -> &[Stripe] {
        &self.stripes
    }

    /// Adds light that stays within `columns`: `project` draws it on an image `[ny, nx]`. Light of the same columns as
    /// the last is of the same bundle.
    pub fn add(&mut self, columns: Range<usize>, project: impl FnOnce(&mut [f64])) {
        let (ny, nx) = (self.ny, self.nx);
        self.canvas.resize(ny * nx, 0.0);
        project(&mut self.canvas);
        let same = self.stripes.last().is_some_and(|last| (last.x0, last.nx) == (columns.start, columns.len()));
        if !same {
            self.stripes.push(Stripe { x0: columns.start, nx: columns.len(), pixels: vec![0.0; ny * columns.len()] });
        }
        let Some(last) = self.stripes.last_mut().filter(|last| last.nx > 0) else {
            return;
        };
        for (row, line) in last.pixels.chunks_exact_mut(last.nx).zip(self.canvas.chunks_exact_mut(nx)) {
            let drawn = &mut line[columns.clone()];
            row.iter_mut().zip(&*drawn).for_each(|(sum, new)| *sum += new);
            drawn.fill(0.0);
        }
    }

    /// Takes the stripes of further bundles.
    pub fn join(&mut self, more: Self) {
        self.stripes.extend(more.stripes);
    }

    /// The image, `[ny, nx]`.
    pub fn sum(self) -> Vec<f32> {
        let mut image = self.canvas;
        image.resize(self.ny * self.nx, 0.0);
        for stripe in self.stripes.iter().filter(|stripe| stripe.nx > 0) {
            for (row, line) in stripe.pixels.chunks_exact(stripe.nx).zip(image.chunks_exact_mut(self.nx)) {
                line[stripe.x0..][..stripe.nx].iter_mut().zip(row).for_each(|(sum, new)| *sum += new);
            }
        }
        image.into_iter().map(|v| v as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_adds_up_bundle_by_bundle() {
        let mut first = ModelImage::new(2, 4);
        first.add(0..3, |image| image[2] = 1.0);
        first.add(0..3, |image| (image[2], image[4]) = (2.0, 5.0));
        assert_eq!(first.stripes().len(), 1, "two windows of one bundle");
        let mut second = ModelImage::new(2, 4);
        second.add(2..4, |image| (image[2], image[7]) = (4.0, 8.0));
        second.add(4..4, |_| {});
        first.join(second);
        assert_eq!(first.sum(), [0.0, 0.0, 7.0, 0.0, 5.0, 0.0, 0.0, 8.0]);
    }
}
