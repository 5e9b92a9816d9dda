//! Reasons why an attempt gave no result.

use super::finer::{self, FineGrid};
use super::ladder::excess::{self, Excess};
use crate::backend::{BandedFailure, EngineError, PatchFailure};
use crate::base::option_name::{OptionName, Remedy};
use crate::gpu::{GpuError, Precision};
use crate::stages::banded::{BandFailure, CouplingError};

/// Why an attempt at a bundle, or at patches of it, gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unserved {
    /// f32 does not keep to the tolerance.
    #[error("f32 keeps to {least:.0e} sigma, not to {tolerance:.0e}")]
    Tolerance {
        /// The finest tolerance of f32, sigma.
        least: f64,
        /// The tolerance, sigma.
        tolerance: f64,
    },
    /// Fibres or bins are coupled over larger distances than the bands hold.
    #[error(transparent)]
    Coupling(#[from] CouplingError),
    /// The group, a spot or a row of R is beyond the limits of the GPU.
    #[error("{0}")]
    Limit(String),
    /// The limit on the GPU's memory is too small.
    #[error(transparent)]
    LittleMemory(GpuError),
    /// A matrix is not positive definite in the bands.
    #[error("K is not positive definite in {precision} at its fibre {fibre}, about bin {bin}")]
    NotDefinite {
        /// The precision.
        precision: Precision,
        /// Fibre of the bundle.
        fibre: usize,
        /// Bin of the padded grid.
        bin: usize,
    },
    /// Bins are too narrow for bands.
    #[error("{}", finer::sentence(.0))]
    TooFine(FineGrid),
    /// A matrix is not positive definite on the CPU.
    #[error("{}", singular(*.fibre, *.wave, *.step, *.gain))]
    Singular {
        /// Whether K itself is it, not K in bands.
        itself: bool,
        /// Fibre, a row of the PSF.
        fibre: usize,
        /// Wavelength, Angstrom.
        wave: f64,
        /// Step of the grid, Angstrom.
        step: f64,
        /// Noise of a deconvolved bin over that of a bin alone.
        gain: f64,
    },
    /// The CPU's bands gave no result.
    #[error(transparent)]
    Bands(BandFailure),
    /// K has too small pivots for the precision.
    #[error("a condition of about {condition:.0e} is beyond {precision}")]
    IllConditioned {
        /// The condition.
        condition: f64,
        /// The precision.
        precision: Precision,
    },
    /// The refinement of x leaves too much.
    #[error("flux may be {error:.1e} sigma off in {precision}")]
    NotConverged {
        /// Error of flux, sigma.
        error: f64,
        /// The precision.
        precision: Precision,
    },
    /// The estimated error of the bands is above the tolerance.
    #[error("flux may be {error:.1e} sigma off in {precision}{}", excess::sentence(.above))]
    Inaccurate {
        /// Error of flux, sigma.
        error: f64,
        /// The precision.
        precision: Precision,
        /// Where it is above the tolerance.
        above: Vec<Excess>,
    },
    /// A patch has no solution.
    #[error(transparent)]
    Patch(PatchFailure),
    /// The device failed, or cancellation was requested.
    #[error(transparent)]
    Engine(EngineError),
}

/// Kinds of [`Unserved`], the rows of the ladder's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// f32 does not keep to the tolerance.
    Tolerance,
    /// Coupled over larger distances than the bands hold.
    Coupling,
    /// Beyond a GPU's limits.
    Limit,
    /// A stage of the patches beyond a GPU's limits.
    StageLimit,
    /// The limit on a GPU's memory is too small for wider bands.
    LittleMemory,
    /// K itself is not positive definite, or the CPU's iteration for x fails.
    NoBands,
    /// Not positive definite in these bands.
    NotDefinite,
    /// Too small pivots.
    IllConditioned,
    /// x not exact enough.
    NotConverged,
    /// Truncation error above the tolerance.
    Inaccurate,
    /// A patch without solution.
    Patch,
    /// The GPU is out of memory.
    OutOfMemory,
    /// The GPU is lost or hangs.
    Lost,
    /// The limit on a GPU's memory is too small for anything, on a device chosen automatically.
    NoMemory,
    /// Another failure of the GPU.
    Device,
    /// Not a matter of the device: options, cancellation.
    Final,
}

impl Unserved {
    /// Returns the row of the ladder's table.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Tolerance { .. } => Reason::Tolerance,
            Self::Coupling(_) => Reason::Coupling,
            Self::Limit(_) => Reason::Limit,
            Self::LittleMemory(_) => Reason::LittleMemory,
            Self::NotDefinite { .. } => Reason::NotDefinite,
            Self::Singular { itself: false, .. } => Reason::NotDefinite,
            Self::TooFine(_) | Self::Singular { .. } | Self::Bands(_) => Reason::NoBands,
            Self::IllConditioned { .. } => Reason::IllConditioned,
            Self::NotConverged { .. } => Reason::NotConverged,
            Self::Inaccurate { .. } => Reason::Inaccurate,
            Self::Patch(_) => Reason::Patch,
            Self::Engine(EngineError::StageLimit { .. }) => Reason::StageLimit,
            Self::Engine(error) => match error.device_failure() {
                Some(GpuError::OutOfMemory { .. }) => Reason::OutOfMemory,
                Some(GpuError::Lost { .. } | GpuError::Hung { .. }) => Reason::Lost,
                Some(GpuError::LittleMemory { .. }) => Reason::NoMemory,
                Some(_) => Reason::Device,
                None => Reason::Final,
            },
        }
    }
}

/// Returns the sentence about bins that are too narrow, and what helps.
fn singular(fibre: usize, wave: f64, step: f64, gain: f64) -> String {
    let remedies = [Remedy::Set(OptionName::Regularize, "1e-5"), Remedy::Set(OptionName::Solver, "patches")];
    let gain = if gain.is_finite() { format!(", {gain:.1e} times noisier than alone") } else { String::new() };
    format!(
        "bins by {step:.2} Angstrom cannot be separated at fibre {fibre}, {wave:.1} Angstrom{gain}: take a coarser step, or {}",
        Remedy::any_of(&remedies)
    )
}

impl From<EngineError> for Unserved {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<BandedFailure> for Unserved {
    /// A stage of the bands beyond a GPU's limits is the group's failure: its stages share their buffers.
    fn from(failure: BandedFailure) -> Self {
        match failure {
            BandedFailure::Engine(EngineError::StageLimit { source, .. }) => Self::Limit(source.to_string()),
            BandedFailure::Engine(EngineError::Gpu(limit @ (GpuError::Limit { .. } | GpuError::TooLarge { .. }))) => {
                Self::Limit(limit.to_string())
            }
            BandedFailure::Engine(error) => Self::Engine(error),
            BandedFailure::Coupling(error) => Self::Coupling(error),
            BandedFailure::Band(error) => Self::Bands(error),
        }
    }
}
