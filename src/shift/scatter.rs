//! Errors by the scatter of chunks: a list of lines is wrong by more than the noise.

use super::chunk::Chunk;
use super::local::Local;
use super::rounds::{COEFFICIENTS, State};
use super::terms::TERMS;
use nalgebra::{Cholesky, DMatrix};

/// Unknowns of a quantity along wavelength.
const ALONG: usize = 3;
/// Error of a chunk beyond its noise, of dx, dy, ln sigma x and ln sigma y: blends and faint lines that lists lack.
const OWN: [f64; 4] = [0.0, 0.01, 0.0, 0.01];

/// How far a chunk alone is from the polynomials, and the errors: dx, dy, ln sigma x, ln sigma y.
pub(super) struct Alone {
    pub off: [f64; 4],
    pub error: [f64; 4],
}

impl State<'_> {
    /// Returns how far a chunk alone is off; None where it has no information.
    pub(super) fn alone(&self, local: &Local) -> Option<Alone> {
        let own = self.field.own.len();
        let constant = DMatrix::from_fn(4 * own, 4, |row, q| f64::from(u8::from(row % 4 == q && self.wanted[q])));
        let mut matrix = constant.transpose() * &local.information * &constant;
        (0..4).for_each(|q| matrix[(q, q)] += 1e-6 + if self.wanted[q] { 0.0 } else { 1.0 });
        let right = constant.transpose() * &local.gradient;
        let factor = Cholesky::new(matrix)?;
        let (off, covariance) = (factor.solve(&right), factor.inverse());
        Some(Alone { off: [0, 1, 2, 3].map(|q| off[q]), error: [0, 1, 2, 3].map(|q| covariance[(q, q)].sqrt()) })
    }

    /// Makes the errors so large that chunks depart from the polynomials by as much as the errors. Adds the error that
    /// a list leaves to every chunk.
    pub(super) fn scale_errors(&mut self, locals: &[Local]) {
        let (mut squares, mut counts) = ([0.0; 4], [0usize; 4]);
        for (chunk, local) in self.chunks.iter().zip(locals) {
            let Some(alone) = self.alone(local) else { continue };
            for q in (0..4).filter(|&q| self.wanted[q] && counts_for(q, chunk, local)) {
                squares[q] += (alone.off[q] / alone.error[q]).powi(2);
                counts[q] += 1;
            }
        }
        let scale = [0, 1, 2, 3].map(|q| match counts[q].checked_sub(ALONG) {
            Some(freedom @ 1..) => (squares[q] / freedom as f64).sqrt().max(1.0),
            _ => 1.0,
        });
        for i in 0..COEFFICIENTS {
            (0..COEFFICIENTS).for_each(|j| self.covariance[(i, j)] *= scale[i / TERMS] * scale[j / TERMS]);
        }
        for q in (0..4).filter(|&q| self.wanted[q]) {
            self.covariance[(q * TERMS, q * TERMS)] += OWN[q].powi(2) / counts[q].max(1) as f64;
        }
    }
}

/// Whether a chunk measures a quantity: places and widths along y need lines.
fn counts_for(quantity: usize, chunk: &Chunk, local: &Local) -> bool {
    quantity.is_multiple_of(2) || (chunk.trusted && local.lines > 0)
}
