//! The light of one bundle on the columns that it can reach: a stripe of the model image.

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

impl Stripe {
    /// Sums the stripes of bundles, in their order, to an image of `[ny, nx]` pixels. The bits of the sum do not depend on who
    /// made which stripe.
    pub fn sum(stripes: &[Self], [ny, nx]: [usize; 2]) -> Vec<f32> {
        let mut image = vec![0.0; ny * nx];
        for stripe in stripes.iter().filter(|stripe| stripe.nx > 0) {
            for (row, line) in stripe.pixels.chunks_exact(stripe.nx).zip(image.chunks_exact_mut(nx)) {
                line[stripe.x0..][..stripe.nx].iter_mut().zip(row).for_each(|(sum, new)| *sum += new);
            }
        }
        image.into_iter().map(|v: f64| v as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_adds_up_where_stripes_overlap() {
        let stripe = |x0: usize, pixels: &[f64]| Stripe { x0, nx: pixels.len() / 2, pixels: pixels.to_vec() };
        let stripes = [stripe(0, &[0.0, 0.0, 3.0, 5.0, 0.0, 0.0]), stripe(2, &[4.0, 0.0, 0.0, 8.0]), stripe(4, &[])];
        assert_eq!(Stripe::sum(&stripes, [2, 4]), [0.0, 0.0, 7.0, 0.0, 5.0, 0.0, 0.0, 8.0]);
    }
}
