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
/// Least signal over noise and brightness of a find that stays, in those that it needed, and steps to either side where it may be.
const KEPT: f64 = 0.7;
const NEAR: i32 = 3;

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
        let (first, last) = (self.first_fibre(), self.last_fibre());
        tracing::debug!("fibres {first} to {last}: unlisted lines at {found:.2?} Angstrom");
        for &wave in &found {
            let mut line = self.model.line(wave, None);
            line.lost = Some("not in the list".into());
            self.model.lines.push(line);
        }
        self.crowd();
        self.choose_spots();
        self.renew_variance();
        found.len()
    }

    /// Takes finds back that would not be found now: what a bright line leaves over before all shapes are free looks like
    /// another. Listed lines beside them move traces and shapes again. Returns how many there are.
    pub(super) fn reconsider(&mut self, fraction: f64) -> usize {
        let finds = (0..self.model.lines.len()).rev().filter(|l| self.model.lines[*l].listed.is_none());
        let mut count = 0;
        // The last first: those before it keep their numbers.
        for l in finds.collect::<Vec<_>>() {
            let mut without = self.clone();
            let found = without.withdraw(l);
            if !without.shows(found.wave, fraction) {
                let (first, last) = (self.first_fibre(), self.last_fibre());
                tracing::debug!("fibres {first} to {last}: no line at {:.2} Angstrom any more", found.wave);
                *self = without;
                count += 1;
            }
        }
        count
    }

    /// Takes a found line out of the model.
    fn withdraw(&mut self, line: usize) -> LineState {
        let found = self.model.lines.remove(line);
        for exposure in &mut self.exposures {
            exposure.spots.drain(exposure.index(line, 0)..exposure.index(line + 1, 0));
        }
        self.crowd();
        self.choose_spots();
        self.renew_variance();
        found
    }

    /// Whether the residual of an exposure has a line near a place, or too few good pixels to tell.
    fn shows(&self, wave: f64, fraction: f64) -> bool {
        (0..self.exposures.len()).filter_map(|e| Search::new(self, e)).any(|search| {
            let at = |k: i32| self.model.line(wave + STEP * search.per_pixel * f64::from(k), None);
            let mut near = (-NEAR..=NEAR).map(at).filter(|line| search.is_free(line.wave));
            let stands_out = |line: LineState| {
                let [signal, flux] = search.full(&line).unwrap_or_default();
                signal > KEPT * SIGNAL && !search.is_faint(line.wave, flux, KEPT * fraction)
            };
            near.any(stands_out) || search.full(&at(0)).is_none()
        })
    }

    /// Takes trust from listed lines nearer than a window to one that the list lacks, and gives it back to others.
    fn crowd(&mut self) {
        let found = self.model.lines.iter().filter(|line| line.listed.is_none()).map(|line| line.wave);
        let reach = |wave: f64| (wave, (self.model.spot.half_y + 1) as f64 / self.model.dispersion(wave).abs());
        let found: Vec<(f64, f64)> = found.map(reach).collect();
        for line in self.model.lines.iter_mut().filter(|line| line.listed.is_some()) {
            let near = found.iter().find(|(wave, reach)| (line.wave - wave).abs() < *reach);
            line.beside = near.map(|(wave, _)| *wave);
        }
    }

    fn find_in(&self, number: usize, fraction: f64, found: &mut Vec<f64>) {
        let model = &self.model;
        let Some(search) = Search::new(self, number) else { return };
        let per_pixel = search.per_pixel;
        let waves = model.lines.iter().map(|line| line.wave);
        let ends = [waves.clone().fold(f64::MAX, f64::min), waves.fold(f64::MIN, f64::max)];
        // A line whose window meets that of the last one.
        let beyond = (model.spot.half_y + 2) as f64 * per_pixel;
        let count = ((ends[1] - ends[0] + 2.0 * beyond) / (STEP * per_pixel)) as usize;
        let grid: Vec<LineState> =
            (0..count).map(|i| model.line(ends[0] - beyond + STEP * per_pixel * i as f64, None)).collect();
        let quick: Vec<f64> = grid.iter().map(|line| search.quick(line)).collect();
        let mut signal = vec![0.0; count];
        let mut flux = vec![0.0; count];
        for i in 0..count {
            if quick[i.saturating_sub(1)..(i + 2).min(count)].iter().any(|quick| *quick > QUICK) {
                [signal[i], flux[i]] = search.full(&grid[i]).unwrap_or_default();
            }
        }
        let mut order: Vec<usize> = (0..count).filter(|&i| signal[i] > SIGNAL).collect();
        order.sort_by(|&a, &b| signal[b].total_cmp(&signal[a]));
        for i in order {
            let wave = grid[i].wave;
            let twice = found.iter().any(|other| search.distance(*other, wave) < APART);
            if found.len() < MOST && !twice && search.is_free(wave) && !search.is_faint(wave, flux[i], fraction) {
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

/// The search for lines in the residual of an exposure.
struct Search<'a> {
    bundle: &'a Bundle<'a>,
    exposure: &'a Exposure,
    number: usize,
    live: Vec<usize>,
    /// Angstrom.
    per_pixel: f64,
    /// Median light of each line's spots that stand out, electron.
    bright: Vec<f64>,
    /// Whether a line has no core.
    coreless: Vec<bool>,
}

impl<'a> Search<'a> {
    /// Prepares the search; None where no fibre has light.
    fn new(bundle: &'a Bundle, number: usize) -> Option<Self> {
        let (model, exposure) = (&bundle.model, &bundle.exposures[number]);
        let live: Vec<usize> = (0..model.fibres.len()).filter(|&f| model.live[f]).collect();
        let waves = model.lines.iter().map(|line| line.wave);
        let ends = [waves.clone().fold(f64::MAX, f64::min), waves.fold(f64::MIN, f64::max)];
        let per_pixel = 1.0 / model.dispersion(0.5 * (ends[0] + ends[1])).abs();
        if live.is_empty() || !per_pixel.is_finite() {
            return None;
        }
        let brightness = |l: usize| {
            let spots = (0..exposure.fibres).map(|f| &exposure.spots[exposure.index(l, f)]);
            let used: Vec<f64> = spots.filter(|spot| spot.used && spot.sn > SIGNAL).map(|spot| spot.flux).collect();
            if used.is_empty() { 0.0 } else { median(used) }
        };
        let bright = (0..model.lines.len()).map(brightness).collect();
        let coreless = (0..model.lines.len()).map(|l| bundle.is_coreless(exposure, l)).collect();
        Some(Self { bundle, exposure, number, live, per_pixel, bright, coreless })
    }

    /// Distance of two wavelengths, pixels.
    fn distance(&self, a: f64, b: f64) -> f64 {
        (a - b).abs() / self.per_pixel
    }

    /// Whether a place is far enough from the lines of the model.
    fn is_free(&self, wave: f64) -> bool {
        let model = &self.bundle.model;
        model.lines.iter().zip(&self.coreless).all(|(line, coreless)| {
            let least = match (line.listed, coreless) {
                (None, _) => EARLIER,
                // Beside a core without pixels the wings' model is free: an arc of 1e6 electron per line that saturates at 3e4
                // showed two lines 2.5 pixels from it.
                (_, true) => (model.spot.half_y + 1) as f64,
                _ => LISTED,
            };
            self.distance(line.wave, wave) >= least
        })
    }

    /// Whether a spot has no more than a fraction of the light of a line nearby.
    fn is_faint(&self, wave: f64, flux: f64, fraction: f64) -> bool {
        let mut lines = self.bundle.model.lines.iter().zip(&self.bright);
        lines.any(|(line, bright)| self.distance(line.wave, wave) < NEIGHBOUR && bright * fraction >= flux)
    }

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

    /// Signal over noise and flux of a spot there: medians of the fibres. A mean would be fooled by cosmic rays. None where most
    /// fibres have too few good pixels.
    fn full(&self, line: &LineState) -> Option<[f64; 2]> {
        let (model, region) = (&self.bundle.model, &self.exposure.region);
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let mut values = vec![0.0; model.spot.size()];
        let (mut signals, mut fluxes) = (Vec::new(), Vec::new());
        for &fibre in &self.live {
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
            return None;
        }
        Some([median(signals) * (self.live.len() as f64).sqrt(), median(fluxes)])
    }
}
