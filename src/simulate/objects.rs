//! The targets of the fibres: stars, galaxies, quasars, empty sky, or none for a broken fibre.

use super::random::{Purpose, stream};
use super::sky::add_line;
use rand::RngExt;
use rand_distr::{Distribution, Normal};
use rand_pcg::Pcg64;

/// Speed of light, km/s.
const LIGHT: f64 = 299_792.458;
/// Standard deviation of the throughput from fibre to fibre.
const THROUGHPUT_SCATTER: f64 = 0.04;

/// The kind of a fibre's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Empty sky.
    Sky,
    /// No light: a broken fibre.
    Dark,
    /// A star, of any brightness up to very bright.
    Star,
    /// An emission line galaxy.
    Elg,
    /// A luminous red galaxy.
    Lrg,
    /// A quasar.
    Qso,
}

impl Kind {
    /// Returns SIMTYPE of the fibermap.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sky => "SKY",
            Kind::Dark => "DARK",
            Kind::Star => "STAR",
            Kind::Elg => "ELG",
            Kind::Lrg => "LRG",
            Kind::Qso => "QSO",
        }
    }

    /// Draws a kind with the frequencies of a dark-time tile: of 500 fibres 40 are on sky and 10 are broken.
    fn draw(rng: &mut Pcg64) -> Self {
        match rng.random_range(0..100) {
            0..8 => Kind::Sky,
            8..10 => Kind::Dark,
            10..24 => Kind::Star,
            24..60 => Kind::Elg,
            60..82 => Kind::Lrg,
            _ => Kind::Qso,
        }
    }
}

/// The target of one fibre.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Redshift; 0 for stars and sky.
    pub redshift: f64,
    /// Mean continuum over the grid, electron/Angstrom in 1000 s.
    pub level: f64,
    /// Throughput of the fibre, about 1.
    pub throughput: f64,
    /// Effective temperature of a star, 1000 K; slope of a quasar's power law.
    colour: f64,
    /// Electrons of the brightest emission line in 1000 s.
    line: f64,
    /// Width of the lines, km/s.
    dispersion: f64,
}

impl Target {
    /// Draws the target of `fibre`. It depends on `seed` and `fibre` alone.
    pub fn of_fibre(seed: u64, fibre: usize) -> Self {
        let rng = &mut stream(seed, Purpose::Target, fibre);
        let kind = Kind::draw(rng);
        let throughput = Normal::new(1.0, THROUGHPUT_SCATTER).expect("the scatter is a positive constant").sample(rng);
        let mut between = |low: f64, high: f64| rng.random_range(low..high);
        // Brightness is uniform in the logarithm, so that every frame has faint and bright targets.
        let (redshift, level, colour, line, dispersion) = match kind {
            Kind::Sky | Kind::Dark => (0.0, 0.0, 0.0, 0.0, 0.0),
            Kind::Star => (0.0, 10f64.powf(between(1.3, 4.1)), between(3.5, 9.5), 0.0, 150.0),
            Kind::Elg => {
                let level = 10f64.powf(between(0.2, 1.5));
                (between(0.05, 1.6), level, 0.0, 10f64.powf(between(2.0, 3.8)), between(50.0, 130.0))
            }
            Kind::Lrg => (between(0.2, 1.1), 10f64.powf(between(0.7, 2.2)), 0.0, 0.0, between(200.0, 300.0)),
            Kind::Qso => {
                let level = 10f64.powf(between(0.7, 2.3));
                (between(0.3, 3.5), level, between(-1.6, -0.4), 40.0 * level, between(1500.0, 4000.0))
            }
        };
        let throughput = if kind == Kind::Dark { 0.0 } else { throughput };
        Self { kind, redshift, level, throughput, colour, line, dispersion }
    }

    /// Computes the brightness without sky at `wave` (Angstrom), electron/Angstrom in 1000 s.
    pub fn spectrum(&self, wave: &[f64]) -> Vec<f64> {
        let stretch = 1.0 + self.redshift;
        let mut flux: Vec<f64> = wave.iter().map(|w| self.continuum(w / stretch)).collect();
        let mean = flux.iter().sum::<f64>() / flux.len().max(1) as f64;
        if mean > 0.0 {
            flux.iter_mut().for_each(|f| *f *= self.level / mean);
        }
        for &(rest, depth) in self.absorption() {
            let sigma = rest * stretch * self.dispersion / LIGHT;
            for (w, f) in wave.iter().zip(&mut flux) {
                let t = (w - rest * stretch) / sigma;
                *f *= 1.0 - depth * (-0.5 * t * t).exp();
            }
        }
        for &(rest, strength) in self.emission() {
            let sigma = rest * stretch * self.dispersion / LIGHT;
            add_line(wave, &mut flux, rest * stretch, sigma, strength * self.line);
        }
        flux
    }

    /// Returns the shape of the continuum at a wavelength in the target's frame, Angstrom.
    fn continuum(&self, rest: f64) -> f64 {
        match self.kind {
            Kind::Sky | Kind::Dark => 0.0,
            Kind::Star => {
                // Planck's law in photons, hc/k = 1.4388e8 Angstrom K.
                let x = 1.4388e8 / (rest * 1000.0 * self.colour);
                (5000.0 / rest).powi(4) / x.exp_m1()
            }
            Kind::Elg => (rest / 4000.0).powf(-0.7) * break_at_4000(rest, 0.25),
            Kind::Lrg => (rest / 4000.0).powf(0.6) * break_at_4000(rest, 0.55),
            Kind::Qso => {
                // The Lyman alpha forest takes about a third of the light shortward of the line.
                let forest = 0.35 * (1.0 + (0.9 * rest).sin() * (0.37 * rest).sin());
                (rest / 3000.0).powf(self.colour) * if rest < 1215.67 { 1.0 - forest } else { 1.0 }
            }
        }
    }

    /// Returns the absorption lines: wavelength in the target's frame (Angstrom, vacuum) and depth.
    fn absorption(&self) -> &'static [(f64, f64)] {
        match self.kind {
            Kind::Star if self.colour > 6.0 => &[(4102.9, 0.5), (4341.7, 0.5), (4862.7, 0.5), (6564.6, 0.45)],
            Kind::Star => &[
                (5168.7, 0.3),
                (5174.1, 0.4),
                (5185.0, 0.45),
                (5891.6, 0.6),
                (5897.6, 0.5),
                (6564.6, 0.25),
                (7667.0, 0.3),
            ],
            Kind::Lrg => &[(3934.8, 0.5), (3969.6, 0.5), (4305.6, 0.25), (4862.7, 0.15), (5176.6, 0.3), (5895.6, 0.25)],
            _ => &[],
        }
    }

    /// Returns the emission lines: wavelength in the target's frame (Angstrom, vacuum) and strength by the brightest's.
    fn emission(&self) -> &'static [(f64, f64)] {
        match self.kind {
            Kind::Elg => &[
                (3727.1, 0.55),
                (3729.9, 0.75),
                (4341.7, 0.15),
                (4862.7, 0.33),
                (4960.3, 0.3),
                (5008.2, 0.9),
                (6549.9, 0.1),
                (6564.6, 1.0),
                (6585.3, 0.3),
                (6718.3, 0.2),
                (6732.7, 0.15),
            ],
            Kind::Qso => &[(1215.7, 1.0), (1549.1, 0.5), (1908.7, 0.35), (2799.1, 0.4), (4862.7, 0.5), (6564.6, 1.0)],
            _ => &[],
        }
    }
}

/// Returns the fibres, rows of the PSF, that have no light in simulations of a seed: the broken ones of `nfibre`.
pub fn broken_fibres(seed: u64, nfibre: usize) -> impl Iterator<Item = usize> {
    (0..nfibre).filter(move |&fibre| Target::of_fibre(seed, fibre).kind == Kind::Dark)
}

/// Returns the 4000 Angstrom break, smoothed over 60 Angstrom: `1 - depth` shortward of it, 1 longward.
fn break_at_4000(rest: f64, depth: f64) -> f64 {
    1.0 - depth / (1.0 + ((rest - 4000.0) / 30.0).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<f64> {
        (0..2800).map(|k| 5560.0 + 0.8 * k as f64).collect()
    }

    #[test]
    fn every_kind_appears_and_brightness_spans_three_decades() {
        let targets: Vec<_> = (0..500).map(|f| Target::of_fibre(1, f)).collect();
        for kind in [Kind::Sky, Kind::Dark, Kind::Star, Kind::Elg, Kind::Lrg, Kind::Qso] {
            assert!(targets.iter().filter(|t| t.kind == kind).count() >= 2, "{kind:?}");
        }
        let levels: Vec<f64> = targets.iter().map(|t| t.level).filter(|&l| l > 0.0).collect();
        let low = levels.iter().copied().fold(f64::MAX, f64::min);
        let high = levels.iter().copied().fold(0.0, f64::max);
        assert!(low < 5.0 && high > 5000.0, "{low} to {high}");
    }

    #[test]
    fn spectra_are_finite_and_not_negative() {
        for fibre in 0..300 {
            let target = Target::of_fibre(5, fibre);
            let flux = target.spectrum(&grid());
            assert!(flux.iter().all(|f| f.is_finite() && *f >= 0.0), "{target:?}");
        }
    }

    #[test]
    fn emission_lines_stand_at_their_redshift() {
        let mut target = Target::of_fibre(2, (0..).find(|&f| Target::of_fibre(2, f).kind == Kind::Elg).unwrap());
        (target.redshift, target.line) = (0.3, 1e4);
        let wave = grid();
        let flux = target.spectrum(&wave);
        let peak = (0..wave.len()).max_by(|&a, &b| flux[a].total_cmp(&flux[b])).unwrap();
        assert!((wave[peak] - 5008.2 * 1.3).abs() < 0.8, "{}", wave[peak]);
    }
}
