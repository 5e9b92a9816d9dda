//! The model of a bundle: fibres, lines, and the unknowns that place and shape their spots.

use super::FitOptions;
use super::layout::Layout;
use crate::fits::Line;
use crate::geometry::{SpotShape, param};
use crate::psf::{LegendreSeries, Psf};
use crate::stages::legendre::{legendre, polynomials, unit};
use std::ops::Range;

/// A line's place in the list's polynomials, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct LineState {
    /// Wavelength in vacuum, Angstrom.
    pub wave: f64,
    /// Its place on the scale of the PSF's series, Angstrom: the wavelength itself where all fibres have one range.
    pub place: f64,
    /// The fibre that alone has the line at this place, where every fibre has a range of its own.
    pub only: Option<usize>,
    /// Its displacement among the unknowns; None for a line that the list lacks.
    pub listed: Option<usize>,
    /// Legendre polynomials of the traces along x and y.
    pub trace: [Vec<f64>; 2],
    /// Legendre polynomials of the shapes.
    pub shape: Vec<f64>,
    /// Why the line no longer moves traces and shapes.
    pub lost: Option<String>,
    /// Wavelength of an unlisted line that is too near for it to do so, as long as that is in the model.
    pub beside: Option<f64>,
}

impl LineState {
    /// Whether the line moves traces and shapes.
    pub fn is_trusted(&self) -> bool {
        self.lost.is_none() && self.beside.is_none()
    }

    /// Returns why it does not.
    pub fn reason(&self) -> Option<String> {
        let beside = |wave| format!("an unlisted line at {wave:.2} Angstrom is too near");
        self.lost.clone().or_else(|| self.beside.map(beside))
    }

    /// Whether a fibre has the line at this place.
    pub fn is_on(&self, fibre: usize) -> bool {
        self.only.is_none_or(|only| only == fibre)
    }
}

/// A bundle's model.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Size and orders of the spots.
    pub spot: SpotShape,
    pub layout: Layout,
    /// Rows of the PSF: own fibres, and neighbours of other bundles that share light with them.
    pub fibres: Range<usize>,
    /// The bundle's own fibres, counted from the first of `fibres`.
    pub own: Range<usize>,
    /// Position of each fibre in the bundle: -1 to 1 for its own.
    pub z: Vec<f64>,
    /// Powers of z and degrees in wavelength of the monomials.
    pub monomials: Vec<(usize, usize)>,
    /// Domains of the traces along x and y and of the shapes.
    pub domains: [[f64; 2]; 3],
    pub lines: Vec<LineState>,
    /// The unknowns.
    pub theta: Vec<f64>,
    /// The start's traces, in the places of the unknowns.
    pub start: Vec<f64>,
    /// Fibres that have light.
    pub live: Vec<bool>,
}

/// Position and shape of a spot.
#[derive(Clone, Debug, Default)]
pub(super) struct SpotParams {
    /// x and y, pixels.
    pub at: [f64; 2],
    /// In the order of [`param`].
    pub shape: Vec<f64>,
}

/// Fewest lines of an arc per degree of the slope of shapes across a bundle: 20 lines leave its curvature along wavelength to noise.
const LINES_PER_DEGREE: usize = 12;

impl Model {
    /// Builds the model of a bundle from the start PSF; Hermite terms begin at 0.
    pub fn new(psf: &Psf, own: Range<usize>, exposures: usize, lines: &[Line], options: &FitOptions) -> Self {
        let reach = |fibre: usize| psf.trace_x.of(fibre)[0];
        let width = (2 * psf.half_x + 2) as f64;
        let (first, last) = (reach(own.start), reach(own.end - 1));
        let before = (0..own.start).rev().take_while(|&f| (first - reach(f)).abs() < width).count();
        let after = (own.end..psf.nfibre).take_while(|&f| (reach(f) - last).abs() < width).count();
        let fibres = own.start - before..own.end + after;
        let has = |fibre: usize, line: &Line| psf.reaches(psf.on_scale(fibre, line.wave));
        let lines: Vec<&Line> = lines.iter().filter(|line| fibres.clone().any(|fibre| has(fibre, line))).collect();
        let per_fibre =
            lines.iter().map(|line| fibres.clone().filter(|&fibre| has(fibre, line)).count()).sum::<usize>();
        let (middle, half) = (0.5 * (first + last), 0.5 * (last - first));
        let half = if half == 0.0 { 1.0 } else { half };
        let degree = |along: usize| options.gh_degree.unwrap_or(along);
        let spot = SpotShape {
            degree_x: degree(psf.gh_degree_x),
            degree_y: degree(psf.gh_degree_y),
            ..SpotShape::new(psf, false)
        };
        let along = options.legendre_degree.unwrap_or(psf.sigma_x.ncoeff - 1);
        // Curved across a bundle shapes are only in the mean and slope along wavelength, and so is their slope across by few lines.
        let is_told = per_fibre / fibres.len() >= LINES_PER_DEGREE * along;
        let degrees = |across: usize| if across == 1 && is_told { along } else { along.min(1) };
        let most_across = options.degree_across.unwrap_or(1).min(own.len() - 1);
        let across = (1..=most_across).flat_map(|a| (0..=degrees(a)).map(move |b| (a, b)));
        let monomials: Vec<_> = (0..=along).map(|b| (0, b)).chain(across).collect();
        let layout = Layout {
            terms: 1 + (spot.degree_x + 1) * (spot.degree_y + 1),
            monomials: monomials.len(),
            fibres: fibres.len(),
            orders: [psf.trace_x.ncoeff, psf.trace_y.ncoeff],
            exposures,
            lines: lines.len(),
        };
        let mut model = Self {
            spot,
            layout,
            z: fibres.clone().map(|f| (reach(f) - middle) / half).collect(),
            monomials,
            domains: [psf.trace_x.domain, psf.trace_y.domain, psf.sigma_x.domain],
            lines: Vec::new(),
            theta: vec![0.0; layout.len()],
            start: Vec::new(),
            live: vec![true; fibres.len()],
            own: before..before + own.len(),
            fibres,
        };
        let states = lines.iter().enumerate().flat_map(|(l, line)| model.states(psf, line.wave, l));
        model.lines = states.collect();
        for (axis, trace) in [&psf.trace_x, &psf.trace_y].into_iter().enumerate() {
            for (k, fibre) in model.fibres.clone().enumerate() {
                let at = layout.trace(axis, k);
                model.theta[at..at + trace.ncoeff].copy_from_slice(trace.of(fibre));
            }
        }
        model.start = model.theta.clone();
        for (term, width) in [&psf.sigma_x, &psf.sigma_y].into_iter().enumerate() {
            model.theta[layout.shape(term, 0)] = model.mean_width(width);
        }
        model
    }

    /// Returns the mean width of the own fibres at the lines.
    pub fn mean_width(&self, width: &LegendreSeries) -> f64 {
        let at = |line: &LineState| {
            let own =
                self.own.clone().map(|k| legendre(width.of(self.fibres.start + k), unit(width.domain, line.place)));
            own.sum::<f64>()
        };
        self.lines.iter().map(at).sum::<f64>() / (self.lines.len() * self.own.len()) as f64
    }

    /// Returns a listed line at its place of all fibres, or at that of each fibre that has it.
    fn states(&self, psf: &Psf, wave: f64, listed: usize) -> Vec<LineState> {
        if psf.ranges.is_none() {
            return vec![self.line(wave, Some(listed))];
        }
        let places = self.fibres.clone().map(|fibre| psf.on_scale(fibre, wave)).enumerate();
        let inside = places.filter(|(_, place)| psf.reaches(*place));
        inside.map(|(k, place)| LineState { wave, only: Some(k), ..self.line(place, Some(listed)) }).collect()
    }

    /// Returns a line at a place on the scale, which all fibres have.
    pub fn line(&self, place: f64, listed: Option<usize>) -> LineState {
        let at = |which: usize, count: usize| polynomials(count, unit(self.domains[which], place));
        let degrees = self.monomials.iter().map(|m| m.1 + 1).max().unwrap_or(1);
        let [x, y] = self.layout.orders;
        let (trace, shape) = ([at(0, x), at(1, y)], at(2, degrees));
        LineState { wave: place, place, only: None, listed, trace, shape, lost: None, beside: None }
    }

    /// Number of powers of z among the monomials.
    pub fn powers(&self) -> usize {
        self.monomials.iter().map(|m| m.0 + 1).max().unwrap_or(1)
    }

    /// Returns the values of the monomials for a fibre at a line.
    pub fn monomials_at(&self, fibre: usize, line: &LineState) -> impl Iterator<Item = f64> {
        let z = self.z[fibre];
        self.monomials.iter().map(move |&(a, b)| z.powi(a as i32) * line.shape[b])
    }

    /// Returns the position of a spot of an exposure under the unknowns `theta`.
    pub fn at(&self, theta: &[f64], exposure: usize, fibre: usize, line: &LineState) -> [f64; 2] {
        std::array::from_fn(|axis| {
            let from = self.layout.trace(axis, fibre);
            let trace: f64 = theta[from..].iter().zip(&line.trace[axis]).map(|(c, p)| c * p).sum();
            let shift = theta[self.layout.shift(exposure, axis)];
            let moved = line.listed.filter(|_| axis == 1).map_or(0.0, |l| theta[self.layout.line(l)]);
            trace + shift + moved
        })
    }

    /// Returns position and shape of a spot under the unknowns `theta`.
    pub fn spot_at(&self, theta: &[f64], exposure: usize, fibre: usize, line: &LineState) -> SpotParams {
        let terms = self.layout.terms;
        let mut shape = vec![0.0; terms + 1];
        for (value, coeff) in self.monomials_at(fibre, line).zip(theta.chunks_exact(terms)) {
            let (widths, hermite) = coeff.split_at(param::GH);
            shape[..param::GH].iter_mut().zip(widths).for_each(|(s, c)| *s += value * c);
            // GH-0-0 belongs to the flux.
            shape[param::GH + 1..].iter_mut().zip(hermite).for_each(|(s, c)| *s += value * c);
        }
        shape[param::GH] = 1.0;
        SpotParams { at: self.at(theta, exposure, fibre, line), shape }
    }

    /// Returns dy/dlambda at a wavelength, pixels per Angstrom, by the middle of the own fibres.
    pub fn dispersion(&self, wave: f64) -> f64 {
        let middle = (self.own.start + self.own.end) / 2;
        let [low, high] = [-0.5, 0.5].map(|d| self.at(&self.theta, 0, middle, &self.line(wave + d, None))[1]);
        high - low
    }
}
