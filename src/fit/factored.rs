//! The factor of a symmetric positive definite matrix, and what is solved with it.

use crate::stages::simd::{Octet, dispatch};
use crate::stages::skyline::{BadPivot, Both, Factor, ForwardRows, Skyline, TILE};

/// The factor L of `L L^T`.
#[derive(Debug)]
pub(super) struct Factored(Skyline);

impl Factored {
    /// Factors a matrix of rows in a multiple of eight.
    pub fn new(mut matrix: Skyline) -> Result<Self, BadPivot> {
        let leading = matrix.strips();
        dispatch(Factor { matrix: &mut matrix, leading })?;
        Ok(Self(matrix))
    }

    /// Factors a dense matrix of `n` rows, of which `of` returns elements on and left of the diagonal.
    pub fn dense(n: usize, of: impl Fn(usize, usize) -> f64) -> Result<Self, BadPivot> {
        let mut matrix = Skyline::default();
        matrix.reshape(&vec![0; n.next_multiple_of(TILE)]);
        for i in 0..n {
            (0..=i).for_each(|j| *matrix.at_mut(i, j) = of(i, j));
        }
        (n..n.next_multiple_of(TILE)).for_each(|i| *matrix.at_mut(i, i) = 1.0);
        Self::new(matrix)
    }

    /// Number of rows, a multiple of eight.
    pub fn rows(&self) -> usize {
        TILE * self.0.strips()
    }

    /// Solves for one right-hand side.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = vec![Octet::default(); self.0.strips()];
        bytemuck::cast_slice_mut::<_, f64>(&mut x)[..right.len()].copy_from_slice(right);
        dispatch(Both { factor: &self.0, x: &mut x });
        bytemuck::cast_slice(&x)[..right.len()].to_vec()
    }

    /// Makes `L^-1 X` of a matrix with rows of `width` octets.
    pub fn forward(&self, rows: &mut [Octet], width: usize) {
        dispatch(ForwardRows { factor: &self.0, rows, width });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solutions_and_halves_of_solutions_satisfy_the_matrix() {
        let n = 29;
        let of = |i: usize, j: usize| if i == j { 5.0 } else { 1.0 / (1 + i + 2 * j) as f64 };
        let factor = Factored::dense(n, of).unwrap();
        let full = |i: usize, j: usize| of(i.max(j), i.min(j));
        let right: Vec<f64> = (0..n).map(|k| (0.3 * k as f64).cos()).collect();
        let x = factor.solve(&right);
        for i in 0..n {
            let product: f64 = (0..n).map(|j| full(i, j) * x[j]).sum();
            assert!((product - right[i]).abs() < 1e-12);
        }
        // |L^-1 b|^2 = b^T A^-1 b, of a column in each block of five octets.
        let width = 5;
        let mut rows = vec![Octet::default(); factor.rows() * width];
        let all: &mut [f64] = bytemuck::cast_slice_mut(&mut rows);
        for column in [3, 38] {
            (0..n).for_each(|i| all[i * 8 * width + column] = right[i]);
        }
        factor.forward(&mut rows, width);
        let all: &[f64] = bytemuck::cast_slice(&rows);
        let want: f64 = x.iter().zip(&right).map(|(x, b)| x * b).sum();
        for column in [3, 38] {
            let square: f64 = (0..n).map(|i| all[i * 8 * width + column].powi(2)).sum();
            assert!((square - want).abs() < 1e-12 * want);
        }
        assert!(all.iter().skip(4).step_by(8).all(|x| *x == 0.0));
        assert!(Factored::dense(3, |i, j| if i == 2 && j == 2 { -1.0 } else { f64::from(u8::from(i == j)) }).is_err());
    }
}
