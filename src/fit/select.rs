//! Which spots are in the model, which may move it, and which pixels tell lies.

use super::bundle::Bundle;
use super::exposure::{Exposure, SpotState};
use super::region::Region;
use super::spot::Spot;
use crate::base::median::median;
use crate::stages::spot_derivatives::SpotDerivatives;

/// Least usable fraction of a spot's light, of one in the model: of a line of 1e6 electron that saturates at 3e4 a quarter is left, which
/// would pass for other lines.
const COVER: f64 = 0.003;
/// Least usable fraction of the light of a spot that counts where a fibre is judged to have light or none.
const TELLING: f64 = 0.3;
/// Least usable fraction of the sum of squares, of a spot that may move traces and shapes.
const CORE: f64 = 0.2;
/// Usable fraction of the sum of squares of a spot whose core is masked, at most.
const HALF: f64 = 0.5;
/// Least signal over noise of such a spot.
const SIGNAL: f64 = 5.0;
/// Least median signal over noise of a fibre that has light.
const ALIVE: f64 = 3.0;

impl Bundle<'_> {
    /// Chooses the spots anew: those off the CCD or mostly masked leave the model, faint ones give their flux only.
    pub(super) fn choose_spots(&mut self) {
        let model = &self.model;
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let mut values = vec![0.0; model.spot.size()];
        // Usable fractions of light and of squares.
        let mut usables: Vec<Vec<[f64; 2]>> = Vec::new();
        for (e, exposure) in self.exposures.iter_mut().enumerate() {
            exposure.spots.resize_with(model.lines.len() * exposure.fibres, SpotState::default);
            let mut of_exposure = vec![[0.0; 2]; exposure.spots.len()];
            for (l, line) in model.lines.iter().enumerate() {
                for fibre in (0..exposure.fibres).filter(|fibre| line.is_on(*fibre)) {
                    let index = exposure.index(l, fibre);
                    let params = model.spot_at(&model.theta, e, fibre, line);
                    let spot = Spot::new(index, model, &exposure.region, [l, fibre], params);
                    evaluator.value(spot.offset, &spot.shape, &mut values);
                    let [cover, squares] = usable(&exposure.region, &spot, &values, model.spot.nx());
                    exposure.spots[index].used = cover > COVER;
                    of_exposure[index] = [cover, squares / values.iter().map(|v| v * v).sum::<f64>()];
                }
            }
            usables.push(of_exposure);
        }
        let solutions = self.solutions(&self.model.theta);
        self.exposures.iter_mut().zip(solutions).for_each(|(e, solution)| solution.give_to(e));
        let layout = self.model.layout;
        for fibre in 0..layout.fibres {
            let alive = |(exposure, usables): (&Exposure, &Vec<[f64; 2]>)| {
                let indices = (0..self.model.lines.len()).map(|l| exposure.index(l, fibre));
                median(indices.filter(|i| usables[*i][0] > TELLING).map(|i| exposure.spots[i].sn).collect()) > ALIVE
            };
            let whole = !self.options.broken_fibres.contains(&(self.model.fibres.start + fibre));
            self.model.live[fibre] =
                self.model.own.contains(&fibre) && whole && self.exposures.iter().zip(&usables).any(alive);
        }
        for (exposure, usables) in self.exposures.iter_mut().zip(usables) {
            for (index, (spot, [_, core])) in exposure.spots.iter_mut().zip(usables).enumerate() {
                let (line, fibre) = (index / layout.fibres, index % layout.fibres);
                spot.coreless = core < HALF;
                let sound = spot.used && spot.sn > SIGNAL && core > CORE && spot.lost.is_none();
                spot.trusted = sound && self.model.live[fibre] && self.model.lines[line].is_trusted();
            }
        }
    }

    /// Takes trust from the spots of lost lines and from lost spots.
    pub(super) fn distrust(&mut self) {
        let fibres = self.model.layout.fibres;
        for exposure in &mut self.exposures {
            for (index, spot) in exposure.spots.iter_mut().enumerate() {
                spot.trusted &= spot.lost.is_none() && self.model.lines[index / fibres].is_trusted();
            }
        }
    }

    /// Masks pixels that are off by more than `nsigma` sigma and a fraction of the model's local peak, and their
    /// neighbours; returns their number.
    pub(super) fn reject(&mut self, nsigma: f64, fraction: f64) -> usize {
        let solutions = self.solutions(&self.model.theta);
        let mut count = 0;
        for (exposure, solution) in self.exposures.iter_mut().zip(solutions) {
            let region = &mut exposure.region;
            let (nx, ny) = (region.nx, region.ny);
            let peak = |i: usize| -> f64 {
                let (x, y) = (i % nx, i / nx);
                let rows = y.saturating_sub(2)..(y + 3).min(ny);
                let columns = x.saturating_sub(2)..(x + 3).min(nx);
                rows.flat_map(|y| &region.model[y * nx..][columns.clone()]).copied().fold(0.0, f64::max)
            };
            let off = |i: &usize| {
                let far = (region.data[*i] - region.model[*i]).abs();
                let noise = nsigma * region.var[*i].sqrt();
                region.ok[*i] && far > noise && far > noise + fraction * peak(*i)
            };
            let bad: Vec<usize> = solution.pixels(region).into_iter().filter(off).collect();
            for &i in &bad {
                let (x, y) = (i % nx, i / nx);
                region.ok[i] = false;
                for (near, inside) in
                    [(i.wrapping_sub(1), x > 0), (i + 1, x + 1 < nx), (i.wrapping_sub(nx), y > 0), (i + nx, y + 1 < ny)]
                {
                    if inside {
                        region.ok[near] = false;
                    }
                }
            }
            count += bad.len();
        }
        count
    }

    /// Computes the variances of all exposures anew.
    pub(super) fn renew_variance(&mut self) {
        let model = &self.model;
        self.exposures.iter_mut().enumerate().for_each(|(e, exposure)| exposure.renew_variance(model, e));
    }
}

/// Sums of a spot, as a fraction, and of its squares over usable pixels.
fn usable(region: &Region, spot: &Spot, values: &[f64], nx: usize) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for row in spot.window.rows.clone() {
        let columns = &spot.window.columns;
        let ok = &region.ok[row * region.nx..][columns.clone()];
        for (value, ok) in values[spot.window.in_spot(nx, row, columns)].iter().zip(ok) {
            if *ok {
                sums[0] += value;
                sums[1] += value * value;
            }
        }
    }
    sums
}
