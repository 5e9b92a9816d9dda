//! The options of a fit.

use std::ops::Range;

/// Options of [`fit_psf`](super::fit_psf).
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Fibres that are fitted, rows of the PSF; the others keep the start's. None takes all.
    pub fibres: Option<Range<usize>>,
    /// Fibres that are fitted together; None cuts where the fibres leave gaps.
    pub bundlesize: Option<usize>,
    /// Highest Hermite order along either axis; None takes the start's.
    pub gh_degree: Option<usize>,
    /// Degree of widths and Hermite terms along wavelength; None takes the start's.
    pub legendre_degree: Option<usize>,
    /// Degree of widths and Hermite terms across the bundle; None takes 1, and 2 where that fits a bundle better by far.
    pub degree_across: Option<usize>,
    /// Error of a line's listed wavelength, pixels; 0 takes the list as exact.
    pub line_error: f64,
    /// How far a fibre's trace may depart from the start, after the correction that the whole bundle needs; pixels.
    pub trace_error: f64,
    /// How far traces are looked for across and along the dispersion, pixels.
    pub reach: [f64; 2],
    /// Fibres without light, rows of the PSF: they follow their bundles.
    pub broken_fibres: Vec<usize>,
    /// Whether lines that the list lacks are looked for.
    pub find_lines: bool,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            fibres: None,
            bundlesize: None,
            gh_degree: None,
            legendre_degree: None,
            degree_across: None,
            line_error: 0.01,
            trace_error: 0.1,
            reach: [4.0, 15.0],
            broken_fibres: Vec::new(),
            find_lines: true,
        }
    }
}
