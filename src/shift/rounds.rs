//! Rounds of a bundle: Gauss-Newton steps of the coefficients, and what is left out on the way.

use super::bundle::Field;
use super::chunk::{Chunk, Spectrum};
use super::coarse;
use super::kept::Kept;
use super::local::{Frame, Local, Solved};
use super::moves::Moves;
use super::terms::{TERMS, terms};
use crate::base::cancel::CancelToken;
use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

/// Coefficients: four quantities of [`TERMS`] terms.
pub(super) const COEFFICIENTS: usize = 4 * TERMS;

/// How far coefficients may be from the start, of the terms in their order: of positions, pixels, and of logarithms of widths.
const PRIOR: [[f64; TERMS]; 2] = [[2.0, 0.1, 0.2, 0.1], [0.3, 0.03, 0.05, 0.03]];
/// Largest step of a coefficient: of positions, pixels, and of logarithms of widths.
const STEP: [f64; 2] = [0.7, 0.15];
/// Error of dx from which on a bundle has no light worth more rounds, pixels.
const DARK: f64 = 0.5;
/// Most rounds.
const ROUNDS: usize = 8;
/// Steps below this part of the error end the rounds.
const ENOUGH: f64 = 0.05;
/// Pixels are rejected if off by so many sigma and by so large a part of the model about them. The second round, then later ones.
const REJECT: [[f64; 2]; 2] = [[8.0, 0.5], [5.0, 0.1]];
/// Misfit of a fibre's light beyond the noise from which on its spectrum is free.
const MISFIT: f64 = 0.02;

/// The state of a bundle's measurement.
pub(super) struct State<'a> {
    pub field: Field<'a>,
    pub chunks: Vec<Chunk>,
    kept: Vec<Kept>,
    pub coeff: Vec<f64>,
    pub covariance: DMatrix<f64>,
    /// Quantities that are measured: dx, dy, ln sigma x, ln sigma y.
    pub wanted: [bool; 4],
    /// Spots of listed lines that move something.
    pub lines: usize,
    pub rejected: usize,
    /// Wavelengths of lines found that the list lacks.
    pub unlisted: Vec<f64>,
}

impl<'a> State<'a> {
    /// Prepares the rounds of a bundle from where its light is.
    pub fn new(field: Field<'a>) -> Self {
        let (start, lines) = coarse::shift(&field);
        Self::at(field, start, lines)
    }

    /// Prepares the rounds of a bundle from a rigid shift that others have.
    pub fn from(field: Field<'a>, start: [f64; 2]) -> Self {
        let lines = coarse::lines_match(&field, start);
        Self::at(field, start, lines)
    }

    fn at(mut field: Field<'a>, start: [f64; 2], lines: bool) -> Self {
        let widths = Moves::have_widths(field.psf);
        field.start = start;
        if !lines {
            field.lines = &[];
        }
        let mut coeff = vec![0.0; COEFFICIENTS];
        (coeff[0], coeff[TERMS]) = (start[0], start[1]);
        let chunks = Chunk::choose(&field);
        Self {
            kept: chunks.iter().map(|_| Kept::default()).collect(),
            chunks,
            field,
            coeff,
            covariance: DMatrix::zeros(COEFFICIENTS, COEFFICIENTS),
            wanted: [true, lines, widths, lines && widths],
            lines: 0,
            rejected: 0,
            unlisted: Vec::new(),
        }
    }

    /// Takes rounds until nothing moves.
    pub fn run(&mut self, cancel: &CancelToken) {
        for round in 0..ROUNDS {
            if cancel.is_cancelled() {
                return;
            }
            let (locals, found): (Vec<Local>, Vec<Vec<f64>>) = self.locals(round).into_iter().unzip();
            let step = self.step(&locals);
            self.lines = locals.iter().map(|local| local.lines).sum();
            self.renew_variance(&locals);
            if round > 0 && self.covariance[(0, 0)].sqrt() > DARK {
                return;
            }
            // Lines that the list lacks before anything else: they would be rejected, or their spectra freed.
            let mut changed = self.add_lines(found);
            if (2..5).contains(&round) {
                changed += self.reject(&locals, REJECT[usize::from(round > 2)]);
                changed += self.free_spectra(&locals);
            }
            if (3..7).contains(&round) {
                changed += self.distrust(&locals);
            }
            if round > 2 {
                self.forget_faint(&locals);
            }
            let small = step < ENOUGH;
            tracing::debug!(
                "fibres {} to {}, round {round}: step {step:.3} sigma, {changed} changes, {:?}",
                self.field.fibres.start + self.field.own.start,
                self.field.fibres.start + self.field.own.end - 1,
                self.coeff
            );
            if (round > 2 && small && changed == 0) || round + 1 == ROUNDS {
                self.scale_errors(&locals);
                return;
            }
        }
    }

    /// Returns what the chunks know, and wavelengths of lines that the list lacks. They are looked for in the first rounds that know
    /// all others, where images have changed since.
    fn locals(&mut self, round: usize) -> Vec<(Local, Vec<f64>)> {
        let mut kept = std::mem::take(&mut self.kept);
        let of = |(chunk, kept): (&Chunk, &mut Kept)| {
            let frame = Frame::new(&self.field, chunk, &self.coeff);
            kept.renew(&self.field, chunk, &self.coeff, &frame.rows);
            let solved = Solved::new(&self.field, &kept.lights, &frame);
            let search = round == 1 || (kept.new && (2..4).contains(&round));
            let found = if search { self.search(chunk, &frame, &solved) } else { Vec::new() };
            (solved.learn(&self.field, chunk, &frame), found)
        };
        let locals = self.chunks.par_iter().zip(&mut kept).map(of).collect();
        self.kept = kept;
        locals
    }

    /// Takes the place from lines that are too faint to move traces: at the limit they would come and go, and the rounds not end.
    fn forget_faint(&mut self, locals: &[Local]) {
        for (kept, local) in self.kept.iter_mut().zip(locals) {
            local.faint.iter().for_each(|&[fibre, part]| kept.lights[fibre].parts[part].placed = false);
        }
    }

    /// Moves the coefficients; returns the largest step in units of its error.
    fn step(&mut self, locals: &[Local]) -> f64 {
        let (mut matrix, mut right) = (DMatrix::zeros(COEFFICIENTS, COEFFICIENTS), DVector::zeros(COEFFICIENTS));
        for (chunk, local) in self.chunks.iter().zip(locals) {
            let spread = self.spread(chunk);
            matrix += spread.transpose() * &local.information * &spread;
            right += spread.transpose() * &local.gradient;
        }
        for k in 0..COEFFICIENTS {
            let (q, term) = (k / TERMS, k % TERMS);
            let sigma = PRIOR[q / 2][term];
            let from = if q < 2 && term == 0 { self.field.start[q] } else { 0.0 };
            let (weight, off) = if self.wanted[q] { (sigma.powi(-2), self.coeff[k] - from) } else { (1e20, 0.0) };
            matrix[(k, k)] += weight;
            right[k] -= weight * off;
        }
        let Some(factor) = Cholesky::new(matrix) else { return 0.0 };
        let step = factor.solve(&right);
        self.covariance = factor.inverse();
        let most = (0..COEFFICIENTS).map(|k| step[k].abs() / STEP[k / TERMS / 2]).fold(1.0, f64::max);
        (0..COEFFICIENTS).for_each(|k| self.coeff[k] += step[k] / most);
        let relative = |k: usize| step[k].abs() / self.covariance[(k, k)].max(1e-30).sqrt();
        (0..COEFFICIENTS).filter(|k| self.wanted[k / TERMS]).map(relative).fold(0.0, f64::max)
    }

    /// The quantities of the own fibres in a chunk by the coefficients.
    fn spread(&self, chunk: &Chunk) -> DMatrix<f64> {
        let own = &self.field.own;
        let mut spread = DMatrix::zeros(4 * own.len(), COEFFICIENTS);
        for (k, fibre) in own.clone().enumerate() {
            for (t, value) in terms(self.field.z(fibre), self.field.u(chunk.middle())).into_iter().enumerate() {
                (0..4).filter(|q| self.wanted[*q]).for_each(|q| spread[(4 * k + q, q * TERMS + t)] = value);
            }
        }
        spread
    }

    /// Takes the variance of the model: that of the data biases widths.
    fn renew_variance(&mut self, locals: &[Local]) {
        let region = &mut self.field.region;
        let mut model = vec![0.0; region.data.len()];
        for local in locals {
            let to = &mut model[local.rows.start * region.nx..];
            to.iter_mut().zip(&local.model).for_each(|(to, m)| *to = f64::max(*to, *m));
        }
        for local in locals {
            for i in local.rows.start * region.nx..local.rows.end * region.nx {
                region.var[i] = region.read[i] + model[i].max(0.0);
            }
        }
        region.model = model;
    }

    /// Leaves out pixels that are far off; returns their number.
    fn reject(&mut self, locals: &[Local], [nsigma, fraction]: [f64; 2]) -> usize {
        let mut bad = Vec::new();
        for (chunk, local) in self.chunks.iter().zip(locals) {
            let frame = Frame::new(&self.field, chunk, &self.coeff);
            let (nx, ny) = (self.field.region.nx, frame.rows.len());
            let peak = |x: usize, y: usize| {
                let rows = y.saturating_sub(2)..(y + 3).min(ny);
                let columns = x.saturating_sub(2)..(x + 3).min(nx);
                rows.flat_map(|y| &local.model[y * nx..][columns.clone()]).copied().fold(0.0, f64::max)
            };
            for (i, _) in frame.weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
                let at = frame.rows.start * nx + i;
                let off = (self.field.region.data[at] - local.model[i]).abs();
                let noise = nsigma * self.field.region.var[at].sqrt();
                if off > noise && off > noise + fraction * peak(i % nx, i / nx) {
                    bad.push(at);
                }
            }
        }
        bad.iter().for_each(|&at| self.field.region.ok[at] = false);
        self.rejected += bad.len();
        bad.len()
    }

    /// Frees the spectra of fibres that a continuum with lines does not describe.
    fn free_spectra(&mut self, locals: &[Local]) -> usize {
        let mut count = 0;
        for (chunk, local) in self.chunks.iter_mut().zip(locals) {
            for (spectrum, [chi2, pixels, power]) in chunk.spectra.iter_mut().zip(&local.fit) {
                let excess = chi2 - pixels;
                let misfit = (excess.max(0.0) / power.max(1.0)).sqrt();
                if *spectrum == Spectrum::Lines && excess > 6.0 * (2.0 * pixels).sqrt() && misfit > MISFIT {
                    *spectrum = Spectrum::Free;
                    count += 1;
                }
            }
        }
        count
    }

    /// Takes trust from chunks whose own displacement along y or widening departs from all others': the list lacks a line there,
    /// or has one wrong.
    fn distrust(&mut self, locals: &[Local]) -> usize {
        let mut worst: Vec<(f64, usize)> = Vec::new();
        for (c, (chunk, local)) in self.chunks.iter().zip(locals).enumerate().filter(|(_, (c, _))| c.trusted) {
            if local.lines == 0 || chunk.lines.is_empty() {
                continue;
            }
            let Some(alone) = self.alone(local) else { continue };
            let far = |q: usize, floor: f64| alone.off[q].abs() / (5.0 * alone.error[q]).max(floor);
            let far = far(1, 0.02).max(far(3, 0.03));
            if far > 1.0 {
                worst.push((far, c));
            }
        }
        worst.sort_by(|a, b| b.0.total_cmp(&a.0));
        worst.truncate(3);
        worst.iter().for_each(|&(_, c)| self.chunks[c].trusted = false);
        worst.len()
    }
}
