//! Errors of a spot's image: its position and widths.
//!
//! Single coefficients are degenerate, a trace with GH-1-0, a width with GH-2-0. So errors are those of the image's best
//! displacement and widening, which every unknown moves a little.

use super::bundle::Bundle;
use super::result::TraceError;
use super::spot::Spot;
use crate::stages::simd::Octet;
use crate::stages::spot_derivatives::{SpotDerivatives, column};
use nalgebra::{Cholesky, DMatrix, DVector, Matrix4};

/// Wavelengths per fibre, from the first line to the last.
const PLACES: usize = 9;

impl Bundle<'_> {
    /// Returns the errors of the images of all own fibres.
    pub(super) fn image_errors(&self) -> Vec<TraceError> {
        let curvature = self.final_curvature();
        let Some(factor) = Cholesky::new(curvature.matrix.clone()) else { return Vec::new() };
        let covariance = factor.inverse();
        let place: Vec<Option<usize>> = {
            let mut place = vec![None; self.model.layout.len()];
            curvature.free.iter().enumerate().for_each(|(k, &unknown)| place[unknown] = Some(k));
            place
        };
        let listed = self.model.lines.iter().filter(|line| line.listed.is_some()).map(|line| line.wave);
        let ends = listed.fold([f64::MAX, f64::MIN], |[low, high], wave| [low.min(wave), high.max(wave)]);
        let waves = (0..PLACES).map(|k| ends[0] + (ends[1] - ends[0]) * k as f64 / (PLACES - 1) as f64);
        let waves: Vec<f64> = waves.collect();
        let own = self.model.own.clone();
        own.flat_map(|fibre| waves.iter().map(move |&wave| (fibre, wave)))
            .filter_map(|(fibre, wave)| self.image_error(fibre, wave, &covariance, &place))
            .collect()
    }

    fn image_error(
        &self,
        fibre: usize,
        wave: f64,
        covariance: &DMatrix<f64>,
        place: &[Option<usize>],
    ) -> Option<TraceError> {
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
        let mut moved: Vec<(usize, usize, f64)> = Vec::new();
        for (m, value) in monomials.iter().enumerate() {
            moved.extend((0..layout.terms).map(|term| (layout.shape(term, m), column::SHAPE + term, *value)));
        }
        for (axis, local) in [column::X, column::Y].into_iter().enumerate() {
            let at = layout.trace(axis, fibre);
            moved.extend(line.trace[axis].iter().enumerate().map(|(j, p)| (at + j, local, *p)));
        }
        let moved: Vec<(usize, usize, f64)> =
            moved.into_iter().filter_map(|(unknown, local, weight)| Some((place[unknown]?, local, weight))).collect();
        let error = |a: usize| {
            let row = DVector::from_iterator(
                moved.len(),
                moved.iter().map(|&(_, local, weight)| weight * response[(a, local)]),
            );
            let sum: f64 = (0..moved.len())
                .map(|i| row[i] * (0..moved.len()).map(|j| covariance[(moved[i].0, moved[j].0)] * row[j]).sum::<f64>())
                .sum();
            sum.max(0.0).sqrt()
        };
        Some(TraceError {
            fibre: model.fibres.start + fibre,
            wave,
            at: [error(0), error(1)],
            widths: [error(2), error(3)],
        })
    }
}
