//! Errors of a spot's image: its position and widths.
//!
//! Single coefficients are degenerate, a trace with GH-1-0, a width with GH-2-0. So errors are those of the image's best
//! displacement and widening, which every unknown moves a little.

use super::bundle::Bundle;
use super::factored::Factored;
use super::result::TraceError;
use super::spot::Spot;
use crate::stages::simd::Octet;
use crate::stages::spot_derivatives::{SpotDerivatives, column};
use nalgebra::{DMatrix, Matrix4};

/// Wavelengths per fibre, from the first line to the last; of ranges per fibre on their scale.
const PLACES: usize = 9;

impl Bundle<'_> {
    /// Returns the errors of the images of all own fibres.
    pub(super) fn image_errors(&self) -> Vec<TraceError> {
        let curvature = self.final_curvature();
        let Ok(factor) = Factored::dense(curvature.free.len(), |i, j| curvature.matrix[[i, j]]) else {
            return Vec::new();
        };
        let mut place: Vec<Option<usize>> = vec![None; self.model.layout.len()];
        curvature.free.iter().enumerate().for_each(|(k, &unknown)| place[unknown] = Some(k));
        let listed = self.model.lines.iter().filter(|line| line.listed.is_some()).map(|line| line.place);
        let ends = listed.fold([f64::MAX, f64::MIN], |[low, high], wave| [low.min(wave), high.max(wave)]);
        let waves = (0..PLACES).map(|k| ends[0] + (ends[1] - ends[0]) * k as f64 / (PLACES - 1) as f64);
        let waves: Vec<f64> = waves.collect();
        self.model.own.clone().flat_map(|fibre| self.fibre_errors(fibre, &waves, &factor, &place)).collect()
    }

    fn fibre_errors(&self, fibre: usize, waves: &[f64], factor: &Factored, place: &[Option<usize>]) -> Vec<TraceError> {
        // Of each displacement and widening d by the unknowns the variance is |L^-1 d|^2.
        let width = (4 * waves.len()).div_ceil(8);
        let mut rows = vec![Octet::default(); factor.rows() * width];
        let columns: &mut [f64] = bytemuck::cast_slice_mut(&mut rows);
        let mut known = vec![false; waves.len()];
        for (k, &wave) in waves.iter().enumerate() {
            let Some(moves) = self.image_moves(fibre, wave) else { continue };
            known[k] = true;
            for (row, by) in moves.into_iter().filter_map(|(unknown, by)| Some((place[unknown]?, by))) {
                (0..4).for_each(|a| columns[row * 8 * width + 4 * k + a] += by[a]);
            }
        }
        factor.forward(&mut rows, width);
        let columns: &[f64] = bytemuck::cast_slice(&rows);
        let error = |column: usize| columns.iter().skip(column).step_by(8 * width).map(|v| v * v).sum::<f64>().sqrt();
        let of = |k: usize| TraceError {
            fibre: self.model.fibres.start + fibre,
            wave: self.psf.wavelength(self.model.fibres.start + fibre, waves[k]),
            at: [error(4 * k), error(4 * k + 1)],
            widths: [error(4 * k + 2), error(4 * k + 3)],
        };
        (0..waves.len()).filter(|&k| known[k]).map(of).collect()
    }

    /// Returns how far each unknown moves and widens the image of a spot.
    fn image_moves(&self, fibre: usize, wave: f64) -> Option<Vec<(usize, [f64; 4])>> {
        let (model, layout) = (&self.model, &self.model.layout);
        let line = model.line(wave, None);
        let params = model.spot_at(&model.theta, 0, fibre, &line);
        let widths = [params.shape[0], params.shape[1]];
        let spot = Spot::new(0, model, &self.exposures[0].region, [0, fibre], params);
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let octets = evaluator.octets();
        let mut table = vec![Octet::default(); model.spot.size() * octets];
        evaluator.all(spot.offset, &spot.shape, &mut table);
        let columns = evaluator.columns();
        // The image's own displacements and widenings, and their products with all local derivatives.
        let mut own = Matrix4::<f64>::zeros();
        let mut all = DMatrix::<f64>::zeros(4, columns);
        for pixel in table.chunks_exact(octets) {
            let d: &[f64] = bytemuck::cast_slice(pixel);
            let image = [d[column::X], d[column::Y], d[column::SHAPE] * widths[0], d[column::SHAPE + 1] * widths[1]];
            for a in 0..4 {
                (0..4).for_each(|b| own[(a, b)] += image[a] * image[b]);
                (0..columns).for_each(|k| all[(a, k)] += image[a] * d[k]);
            }
        }
        let response = own.try_inverse()? * all;
        let monomials: Vec<f64> = model.monomials_at(fibre, &line).collect();
        let by = |local: usize, weight: f64| [0, 1, 2, 3].map(|a| weight * response[(a, local)]);
        let mut moves = Vec::new();
        for (m, value) in monomials.iter().enumerate() {
            moves.extend((0..layout.terms).map(|term| (layout.shape(term, m), by(column::SHAPE + term, *value))));
        }
        for (axis, local) in [column::X, column::Y].into_iter().enumerate() {
            let at = layout.trace(axis, fibre);
            moves.extend(line.trace[axis].iter().enumerate().map(|(j, p)| (at + j, by(local, *p))));
        }
        Some(moves)
    }
}
