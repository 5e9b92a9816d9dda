//! Grids so fine that deconvolved bins are all noise, and what helps.

use super::Job;
use super::padding::Correlation;
use crate::base::option_name::{OptionName, Remedy};
use crate::geometry::WaveGrid;
use crate::stages::traces::{legendre, unit};

/// Noise gain from which on a grid is called too fine: bands reach 1e-5 sigma to some hundreds on any PSF.
const NOISY: f64 = 300.0;

/// Noise gain that no bands serve: on PSFs whose fibres hardly touch they did to 6e3.
const BEYOND_BANDS: f64 = 5e4;

/// Steps that are looked at for a remedy are multiples of this, Angstrom.
const ROUND: f64 = 0.05;

/// A grid whose bins are too narrow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FineGrid {
    /// Its step, Angstrom.
    pub step: f64,
    /// CCD rows per bin.
    pub rows: f64,
    /// Noise of a deconvolved bin over that of a bin alone.
    pub gain: f64,
    /// A step that serves, Angstrom, if one was found.
    pub enough: Option<f64>,
}

impl FineGrid {
    /// Returns the grid of a job if its step is too fine.
    pub fn of(job: &Job) -> Option<Self> {
        let gain = job.noise_gain();
        if job.options.regularize > 0.0 || gain <= NOISY {
            return None;
        }
        let (psf, step, middle) = (job.psf, job.grid.step(), job.grid.wave()[job.grid.nwave() / 2]);
        let y = |wave: f64| legendre(psf.trace_y.of(psf.nfibre / 2), unit(psf.trace_y.domain, wave));
        let rows = (y(middle + 0.5 * step) - y(middle - 0.5 * step)).abs();
        let serves = |&step: &f64| {
            let ends = [job.grid.wave()[0], job.grid.wave()[job.grid.nwave() - 1]];
            let grid = WaveGrid::new(ends[0], ends[1].max(ends[0] + step), step).ok();
            grid.is_some_and(|grid| (1e-9..=NOISY).contains(&Correlation::measure(psf, &grid, job.options).noise_gain))
        };
        let steps = (1..=16).map(|k| ((step * 1.08f64.powi(k)) / ROUND).ceil() * ROUND);
        let mut tried: Vec<f64> = steps.filter(|tried| *tried > step).collect();
        tried.dedup();
        Some(Self { step, rows, gain, enough: tried.into_iter().find(serves) })
    }

    /// Whether no bands serve.
    pub fn is_beyond_bands(&self) -> bool {
        self.gain > BEYOND_BANDS
    }
}

/// Returns the sentence about a grid, and what helps.
pub(super) fn sentence(grid: &FineGrid) -> String {
    let FineGrid { step, rows, gain, enough } = grid;
    let noise = match gain.is_finite() {
        true => format!("deconvolved they are {gain:.0} times noisier than alone"),
        false => "f64 cannot separate them".to_string(),
    };
    let coarser =
        enough.map_or("take a coarser step".to_string(), |enough| format!("take {enough:.2} Angstrom or more"));
    let regularize = Remedy::Set(OptionName::Regularize, "1e-5");
    format!("bins by {step:.2} Angstrom are narrow ({rows:.2} CCD rows): {noise}; {coarser}, or give {regularize}")
}
