//! The fibres of a bundle, their pixels, and where they stand.

use super::ShiftOptions;
use super::terms::{Quantity, TERMS, terms};
use crate::fit::{ArcFrame, Region};
use crate::fits::Line;
use crate::psf::Psf;
use crate::stages::legendre::{legendre, unit};
use std::ops::Range;

/// Columns beside the windows of the outermost fibres.
const MARGIN: f64 = 8.0;

/// Lines that are too near to each other to be separated: wavelengths, on the scale of the PSF, and parts of the light.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blend {
    pub parts: Vec<(f64, f64)>,
    /// The fibre that alone has them at these places, where every fibre has a range of its own.
    pub only: Option<usize>,
    /// Whether the list has it; a line found in the residual does not move traces.
    pub listed: bool,
}

/// The fibres of a bundle on a frame.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub psf: &'a Psf,
    pub options: &'a ShiftOptions,
    /// The lines of its light; none if they are not those of the list.
    pub lines: &'a [Line],
    pub region: Region,
    /// Rows of the PSF: own fibres, and neighbours of other bundles that share light with them.
    pub fibres: Range<usize>,
    /// The bundle's own fibres, counted from the first of `fibres`.
    pub own: Range<usize>,
    /// Column of the bundle's middle, and half of its width.
    pub slit: [f64; 2],
    /// Rigid shift from which the rounds begin, x and y, pixels.
    pub start: [f64; 2],
}

impl<'a> Field<'a> {
    /// Cuts the pixels of the bundle of `own` fibres, rows of the PSF, out of a frame.
    pub fn new(psf: &'a Psf, own: Range<usize>, frame: &ArcFrame, options: &'a ShiftOptions) -> Self {
        let place = |fibre: usize| psf.trace_x.of(fibre)[0];
        let width = (2 * psf.half_x + 2) as f64;
        let (first, last) = (place(own.start), place(own.end - 1));
        let before = (0..own.start).rev().take_while(|&f| (first - place(f)).abs() < width).count();
        let after = (own.end..psf.nfibre).take_while(|&f| (place(f) - last).abs() < width).count();
        let fibres = own.start - before..own.end + after;
        let half = 0.5 * (last - first);
        let ends = fibres.clone().flat_map(|fibre| {
            let at = |k: usize| psf.wave_min + (psf.wave_max - psf.wave_min) * k as f64 / 8.0;
            (0..=8).map(move |k| legendre(psf.trace_x.of(fibre), unit(psf.trace_x.domain, at(k))))
        });
        let ends = ends.fold([f64::MAX, f64::MIN], |[low, high], x| [low.min(x), high.max(x)]);
        let margin = psf.half_x as f64 + MARGIN;
        let clip = |x: f64| x.clamp(0.0, frame.ccd.nx() as f64) as usize;
        let start = clip(ends[0] - margin);
        Self {
            psf,
            options,
            lines: &options.lines,
            region: Region::new(frame, start..clip(ends[1] + margin + 1.0).max(start)),
            own: before..before + own.len(),
            fibres,
            slit: [0.5 * (first + last), if half == 0.0 { 1.0 } else { half }],
            start: [0.0; 2],
        }
    }

    /// Place of a fibre of the field in its bundle.
    pub fn z(&self, fibre: usize) -> f64 {
        (self.psf.trace_x.of(self.fibres.start + fibre)[0] - self.slit[0]) / self.slit[1]
    }

    /// Place of a wavelength in the PSF's range, -1 to 1.
    pub fn u(&self, wave: f64) -> f64 {
        unit([self.psf.wave_min, self.psf.wave_max], wave)
    }

    /// Width along y of the middle fibre, pixels.
    pub fn sigma_y(&self, wave: f64) -> f64 {
        let series = &self.psf.sigma_y;
        let sigma =
            legendre(series.of(self.fibres.start + (self.own.start + self.own.end) / 2), unit(series.domain, wave));
        if sigma.is_finite() { sigma.abs().clamp(0.3, 20.0) } else { 1.0 }
    }

    /// Returns the quantities of a fibre at a wavelength by their coefficients.
    pub fn change(&self, coeff: &[f64], fibre: usize, wave: f64) -> [f64; 4] {
        let terms = terms(self.z(fibre), self.u(wave));
        Quantity::ALL.map(|q| coeff[q as usize * TERMS..][..TERMS].iter().zip(terms).map(|(c, t)| c * t).sum())
    }

    /// Returns the listed lines whose light reaches a chunk; those within `nearest` pixels of each other as one. Fibres with a
    /// range each have their own.
    pub fn blends(&self, wave: [f64; 2], dispersion: f64, nearest: f64) -> Vec<Blend> {
        match self.psf.ranges {
            None => self.blends_of(None, wave, dispersion, nearest),
            Some(_) => {
                let of = |fibre: usize| self.blends_of(Some(fibre), wave, dispersion, nearest);
                (0..self.fibres.len()).flat_map(of).collect()
            }
        }
    }

    /// Returns the width of a line, Angstrom of the scale.
    pub fn line_sigma(&self, blend: &Blend) -> f64 {
        self.options.line_sigma / blend.only.map_or(1.0, |k| self.psf.stretch(self.fibres.start + k))
    }

    fn blends_of(&self, only: Option<usize>, wave: [f64; 2], dispersion: f64, nearest: f64) -> Vec<Blend> {
        let reach = (self.psf.half_y + 2) as f64 / dispersion;
        let place = |line: &Line| only.map_or(line.wave, |k| self.psf.on_scale(self.fibres.start + k, line.wave));
        let places = self.lines.iter().map(|line| (place(line), line.weight.unwrap_or(1.0)));
        let mut blends: Vec<Blend> = Vec::new();
        for part in places.filter(|(at, _)| (wave[0] - reach..=wave[1] + reach).contains(at)) {
            match blends.last_mut() {
                Some(last) if (part.0 - last.parts[last.parts.len() - 1].0) * dispersion < nearest => {
                    last.parts.push(part);
                }
                _ => blends.push(Blend { parts: vec![part], only, listed: true }),
            }
        }
        for blend in &mut blends {
            let sum: f64 = blend.parts.iter().map(|part| part.1).sum();
            blend.parts.iter_mut().for_each(|part| part.1 /= sum);
        }
        blends
    }
}
