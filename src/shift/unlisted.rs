//! Lines that the list lacks: found in the residual of a chunk, by all fibres together.

use super::bundle::Blend;
use super::chunk::{Chunk, Spectrum};
use super::local::{Frame, Solved};
use super::moves::{FibreShapes, Moves, Shapes};
use super::rounds::State;
use crate::base::median::median;

/// Step of the search, pixels.
const STEP: f64 = 0.4;
/// Least signal over noise.
const SIGNAL: f64 = 5.0;
/// Least distance to lines that are there, pixels.
const APART: f64 = 1.2;
/// Most lines of a chunk in a round.
const MOST: usize = 2;

impl State<'_> {
    /// Adds lines to the chunks; returns their number.
    pub(super) fn add_lines(&mut self, found: Vec<Vec<f64>>) -> usize {
        let mut count = 0;
        for (chunk, found) in self.chunks.iter_mut().zip(found) {
            for wave in found {
                chunk.lines.push(Blend { parts: vec![(wave, 1.0)], only: None, listed: false });
                if (chunk.wave[0]..chunk.wave[1]).contains(&wave) {
                    self.unlisted.push(wave);
                }
                count += 1;
            }
        }
        count
    }

    /// Returns the wavelengths of lines in the residual of a chunk.
    pub(super) fn search(&self, chunk: &Chunk, frame: &Frame, solved: &Solved<'_>) -> Vec<f64> {
        let field = &self.field;
        let fibres: Vec<usize> = field.own.clone().filter(|&f| chunk.spectra[f] == Spectrum::Lines).collect();
        // Of fibres with a range each none has another's pixels to judge a find by.
        if fibres.len() < 2 || field.psf.ranges.is_some() {
            return Vec::new();
        }
        let reach = 2.0 / chunk.dispersion;
        let step = STEP / chunk.dispersion;
        let count = ((chunk.wave[1] - chunk.wave[0] + 2.0 * reach) / step) as usize;
        let from = frame.rows.start * field.region.nx;
        let residual: Vec<f64> =
            solved.model.iter().zip(&field.region.data[from..]).map(|(model, data)| data - model).collect();
        let mut moves = Moves::new(field.psf);
        let mut spot = Vec::new();
        let waves: Vec<f64> = (0..=count).map(|k| chunk.wave[0] - reach + step * k as f64).collect();
        let shapes = Shapes::new(field.psf, &waves);
        let shapes: Vec<FibreShapes> = fibres.iter().map(|f| shapes.of(field.fibres.start + f)).collect();
        let signals: Vec<f64> = (0..=count)
            .map(|k| {
                let wave = waves[k];
                let mut of_fibres = Vec::new();
                for (&f, shapes) in fibres.iter().zip(&shapes) {
                    let change = field.change(&self.coeff, f, wave);
                    let spot_of = (field.fibres.start + f, wave);
                    let corner = moves.values(spot_of, shapes.at(k), change, &mut spot);
                    of_fibres.extend(signal(self, frame, &residual, corner, &spot));
                }
                if 2 * of_fibres.len() <= fibres.len() {
                    return 0.0;
                }
                let root = (of_fibres.len() as f64).sqrt();
                median(of_fibres) * root
            })
            .collect();
        let mut order: Vec<usize> = (1..count).filter(|&k| signals[k] > SIGNAL).collect();
        order.retain(|&k| signals[k] >= signals[k - 1] && signals[k] >= signals[k + 1]);
        order.sort_by(|&a, &b| signals[b].total_cmp(&signals[a]));
        let mut found: Vec<f64> = Vec::new();
        for k in order {
            let (low, top, high) = (signals[k - 1], signals[k], signals[k + 1]);
            let bend = (low - 2.0 * top + high).min(-1e-12);
            let wave = waves[k] + step * (0.5 * (low - high) / bend).clamp(-0.5, 0.5);
            let near = |other: f64| (other - wave).abs() * chunk.dispersion < APART;
            let crowded = chunk.lines.iter().any(|blend| blend.parts.iter().any(|part| near(part.0)));
            if found.len() < MOST
                && !crowded
                && !found.iter().any(|other| (other - wave).abs() < 4.0 * APART / chunk.dispersion)
            {
                found.push(wave);
            }
        }
        found
    }
}

/// Signal over noise of a spot in the residual; None where most of it is not usable.
fn signal(state: &State, frame: &Frame, residual: &[f64], corner: [i64; 2], spot: &[f64]) -> Option<f64> {
    let (width, nx) = (state.field.region.nx, 2 * state.field.psf.half_x + 1);
    let (mut sum, mut power, mut cover) = (0.0, 0.0, 0.0);
    let x = corner[0] - i64::from(state.field.region.x0);
    let columns = (-x).clamp(0, nx as i64) as usize..(width as i64 - x).clamp(0, nx as i64) as usize;
    for (k, row) in spot.chunks_exact(nx).enumerate().filter(|_| !columns.is_empty()) {
        let y = corner[1] + k as i64 - frame.rows.start as i64;
        let Some(y) = usize::try_from(y).ok().filter(|y| *y < frame.rows.len()) else { continue };
        let at = y * width + (x + columns.start as i64) as usize;
        let pixels = frame.weights[at..].iter().zip(&residual[at..]);
        for (value, (weight, residual)) in row[columns.clone()].iter().zip(pixels).filter(|(value, _)| **value > 0.0) {
            sum += weight * value * residual;
            power += weight * value * value;
            cover += if *weight > 0.0 { *value } else { 0.0 };
        }
    }
    (cover > 0.5).then(|| sum / f64::sqrt(power))
}
