//! Lines that the list lacks, found in the residual.

use super::bundle::Bundle;
use super::exposure::Exposure;
use super::model::LineState;
use super::spot::Spot;
use crate::base::median::median;
use crate::stages::spot_derivatives::SpotDerivatives;

/// Step of the search along wavelength, pixels.
const STEP: f64 = 0.4;
/// Least signal over noise, and that of a quick look at the pixels in the middle.
const SIGNAL: f64 = 10.0;
const QUICK: f64 = 4.0;
/// Least usable fraction of a spot's light.
const COVER: f64 = 0.6;
/// Most lines of one pass.
const MOST: usize = 20;
/// Distance within which listed lines set the least brightness of a find, pixels.
const NEIGHBOUR: f64 = 8.0;
/// Least distance to a listed line, to another find of the same pass, to an earlier find; pixels.
const LISTED: f64 = 1.2;
const APART: f64 = 12.0;
const EARLIER: f64 = 4.0;

impl Bundle<'_> {
    /// Finds lines that the list lacks, at least `fraction` of what listed lines nearby have. They join the model with free
    /// fluxes; listed lines nearer than a window no longer move traces and shapes. Returns how many there are.
    pub(super) fn find_lines(&mut self, fraction: f64) -> usize {
        // Of fibres with a range each none has another's pixels to judge a find by.
        if !self.options.find_lines || self.model.lines.iter().any(|line| line.only.is_some()) {
            return 0;
        }
        let mut found: Vec<f64> = Vec::new();
        for e in 0..self.exposures.len() {
            self.find_in(e, fraction, &mut found);
        }
        if found.is_empty() {
            return 0;
        }
        found.sort_by(f64::total_cmp);
        for &wave in &found {
            let near = (self.model.spot.half_y + 1) as f64 / self.model.dispersion(wave).abs();
            for line in self.model.lines.iter_mut().filter(|line| line.listed.is_some()) {
                if (line.wave - wave).abs() < near && line.lost.is_none() {
                    line.lost = Some(format!("an unlisted line at {wave:.2} Angstrom is too near"));
                }
            }
            let mut line = self.model.line(wave, None);
            line.lost = Some("not in the list".into());
            self.model.lines.push(line);
        }
        self.choose_spots();
        self.renew_variance();
        found.len()
    }

    fn find_in(&self, number: usize, fraction: f64, found: &mut Vec<f64>) {
        let (model, exposure) = (&self.model, &self.exposures[number]);
        let live: Vec<usize> = (0..model.fibres.len()).filter(|&f| model.live[f]).collect();
        let waves = model.lines.iter().map(|line| line.wave);
        let ends = [waves.clone().fold(f64::MAX, f64::min), waves.fold(f64::MIN, f64::max)];
        let per_pixel = 1.0 / model.dispersion(0.5 * (ends[0] + ends[1])).abs();
        if live.is_empty() || !per_pixel.is_finite() {
            return;
        }
        // A line whose window meets that of the last one.
        let beyond = (model.spot.half_y + 2) as f64 * per_pixel;
        let count = ((ends[1] - ends[0] + 2.0 * beyond) / (STEP * per_pixel)) as usize;
        let grid: Vec<LineState> =
            (0..count).map(|i| model.line(ends[0] - beyond + STEP * per_pixel * i as f64, None)).collect();
        let search = Search { bundle: self, exposure, number, live: &live };
        let quick: Vec<f64> = grid.iter().map(|line| search.quick(line)).collect();
        let mut signal = vec![0.0; count];
        let mut flux = vec![0.0; count];
        for i in 0..count {
            if quick[i.saturating_sub(1)..(i + 2).min(count)].iter().any(|quick| *quick > QUICK) {
                [signal[i], flux[i]] = search.full(&grid[i]);
            }
        }
        let mut order: Vec<usize> = (0..count).filter(|&i| signal[i] > SIGNAL).collect();
        order.sort_by(|&a, &b| signal[b].total_cmp(&signal[a]));
        let brightness = |l: usize| {
            let spots = (0..exposure.fibres).map(|f| &exposure.spots[exposure.index(l, f)]);
            let used: Vec<f64> = spots.filter(|spot| spot.used && spot.sn > SIGNAL).map(|spot| spot.flux).collect();
            if used.is_empty() { 0.0 } else { median(used) }
        };
        let bright: Vec<f64> = (0..model.lines.len()).map(brightness).collect();
        let coreless: Vec<bool> = (0..model.lines.len()).map(|l| self.is_coreless(exposure, l)).collect();
        for i in order {
            let wave = grid[i].wave;
            let distance = |other: f64| (other - wave).abs() / per_pixel;
            let faint =
                |(l, line): (usize, &LineState)| distance(line.wave) < NEIGHBOUR && bright[l] * fraction >= flux[i];
            let crowded = model.lines.iter().zip(&coreless).any(|(line, coreless)| {
                let least = match (line.listed, coreless) {
                    (None, _) => EARLIER,
                    // Beside a core without pixels the wings' model is free: an arc of 1e6 electron per line that saturates at 3e4
                    // showed two lines 2.5 pixels from it.
                    (_, true) => (model.spot.half_y + 1) as f64,
                    _ => LISTED,
                };
                distance(line.wave) < least
            });
            let twice = found.iter().any(|other| distance(*other) < APART);
            if found.len() < MOST && !crowded && !twice && !model.lines.iter().enumerate().any(faint) {
                found.push(wave + STEP * per_pixel * top(&signal, i));
            }
        }
    }

    /// Whether the core of a bright line is masked in most fibres: saturated, as a rule.
    fn is_coreless(&self, exposure: &Exposure, line: usize) -> bool {
        let live =
            (0..exposure.fibres).filter(|&f| self.model.live[f]).map(|f| &exposure.spots[exposure.index(line, f)]);
        let bright: Vec<bool> = live.filter(|spot| spot.used && spot.sn > SIGNAL).map(|spot| spot.coreless).collect();
        2 * bright.iter().filter(|coreless| **coreless).count() > bright.len()
    }

    /// Returns the listed lines whose cores are masked in any exposure.
    pub(super) fn coreless(&self) -> Vec<f64> {
        let masked = |l: &usize| {
            let counts = |e: &Exposure| !e.spots.is_empty() && self.is_coreless(e, *l);
            self.model.lines[*l].listed.is_some() && self.exposures.iter().any(counts)
        };
        let mut waves: Vec<f64> =
            (0..self.model.lines.len()).filter(masked).map(|l| self.model.lines[l].wave).collect();
        waves.dedup();
        waves
    }

    /// Moves a found line by its displacement along y.
    pub(super) fn move_line(&mut self, line: usize, dy: f64) {
        let wave = self.model.lines[line].wave;
        let moved = wave + dy.clamp(-1.0, 1.0) / self.model.dispersion(wave);
        if moved.is_finite() {
            let lost = self.model.lines[line].lost.take();
            self.model.lines[line] = LineState { lost, ..self.model.line(moved, None) };
        }
    }
}

/// Place of a parabola's top through a peak and its neighbours, in steps.
fn top(signal: &[f64], i: usize) -> f64 {
    let (Some(below), Some(above)) = (i.checked_sub(1).map(|k| signal[k]), signal.get(i + 1)) else { return 0.0 };
    let bend = (2.0 * (below - 2.0 * signal[i] + above)).min(-f64::MIN_POSITIVE);
    ((below - above) / bend).clamp(-0.5, 0.5)
}

struct Search<'a> {
    bundle: &'a Bundle<'a>,
    exposure: &'a Exposure,
    number: usize,
    live: &'a [usize],
}

impl Search<'_> {
    /// Signal over noise of the 3 x 3 pixels in the middle: the median of the fibres, and as of all together.
    fn quick(&self, line: &LineState) -> f64 {
        let (model, region) = (&self.bundle.model, &self.exposure.region);
        let of = |&fibre: &usize| {
            let at = model.at(&model.theta, self.number, fibre, line);
            let [x, y] = [(at[0] + 0.5).floor() as i64 - i64::from(region.x0), (at[1] + 0.5).floor() as i64];
            let (mut sum, mut power) = (0.0, 0.0);
            for (dx, dy) in (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))) {
                let (x, y) = (x + dx, y + dy);
                if (0..region.nx as i64).contains(&x) && (0..region.ny as i64).contains(&y) {
                    let pixel = y as usize * region.nx + x as usize;
                    let (profile, weight) = (0.6f64.powi((dx.abs() + dy.abs()) as i32), region.weight(pixel));
                    sum += profile * weight * (region.data[pixel] - region.model[pixel]);
                    power += profile * profile * weight;
                }
            }
            if power > 0.0 { sum / power.sqrt() } else { 0.0 }
        };
        median(self.live.iter().map(of).collect()) * (self.live.len() as f64).sqrt()
    }

    /// Signal over noise and flux of a spot there: medians of the fibres. A mean would be fooled by cosmic rays.
    fn full(&self, line: &LineState) -> [f64; 2] {
        let (model, region) = (&self.bundle.model, &self.exposure.region);
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let mut values = vec![0.0; model.spot.size()];
        let (mut signals, mut fluxes) = (Vec::new(), Vec::new());
        for &fibre in self.live {
            let params = model.spot_at(&model.theta, self.number, fibre, line);
            let spot = Spot::new(0, model, region, [0, fibre], params);
            evaluator.value(spot.offset, &spot.shape, &mut values);
            let (mut sum, mut power, mut cover) = (0.0, 1e-30, 0.0);
            for row in spot.window.rows.clone() {
                let columns = &spot.window.columns;
                let places = spot.window.in_spot(model.spot.nx(), row, columns);
                for (place, column) in places.zip(columns.clone()) {
                    let pixel = row * region.nx + column;
                    let weight = region.weight(pixel);
                    sum += values[place] * weight * (region.data[pixel] - region.model[pixel]);
                    power += values[place] * values[place] * weight;
                    cover += if weight > 0.0 { values[place] } else { 0.0 };
                }
            }
            // Beyond the CCD's end and on masked cores the wings of other lines would pass for a line.
            if cover > COVER {
                signals.push(sum / f64::sqrt(power));
                fluxes.push(sum / power);
            }
        }
        if 2 * signals.len() <= self.live.len() {
            return [0.0; 2];
        }
        [median(signals) * (self.live.len() as f64).sqrt(), median(fluxes)]
    }
}
