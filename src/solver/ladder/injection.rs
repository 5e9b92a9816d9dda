//! Failures that fault injection requests in place of results, for the test that walks the table.

use super::Level;
use super::climb::Climb;
use super::table::is_of_gpu;
use crate::backend::Engine;
use crate::solver::{Reason, Unserved};

impl Climb<'_> {
    /// Returns the failure that fault injection requests, if its reason is one of `reasons` and can occur at the present rung.
    pub(super) fn injected(&self, engine: &Engine, reasons: &[Reason]) -> Option<Unserved> {
        let name = engine.injected_reason()?;
        let reason = *reasons.iter().find(|reason| format!("{reason:?}") == name)?;
        let on_gpu = engine.is_gpu() && self.at().level != Level::Cpu;
        if on_gpu || !is_of_gpu(reason) { example(reason) } else { None }
    }
}

/// Returns a failure of each reason.
#[cfg(feature = "fault-injection")]
fn example(reason: Reason) -> Option<Unserved> {
    use crate::backend::{EngineError, PatchFailure, Stage};
    use crate::gpu::{GpuError, Precision};
    use crate::stages::banded::{BandFailure, CouplingError};
    let (device, what, precision) = ("injected".to_string(), "injected".to_string(), Precision::F32);
    let of_device = |error: GpuError| Unserved::Engine(error.into());
    Some(match reason {
        Reason::Tolerance => Unserved::Tolerance { least: 1e-3, tolerance: 1e-4 },
        Reason::Coupling => CouplingError::SecondNeighbours { found: 0.5, allowed: 0.1, tolerance: 1e-4 }.into(),
        Reason::Limit => Unserved::Limit("injected".into()),
        Reason::StageLimit => {
            let source = GpuError::Limit { what, value: 2, limit: 1 };
            EngineError::StageLimit { stage: Stage::Cholesky, source }.into()
        }
        Reason::LittleMemory => {
            Unserved::LittleMemory(GpuError::LittleMemory { device, limit: 1, least: 2, optional: false })
        }
        Reason::NoBands => Unserved::Bands(BandFailure::NotConverged { error: 1.0, iterations: 1 }),
        Reason::NotDefinite => Unserved::NotDefinite { precision, fibre: 0, bin: 0 },
        Reason::IllConditioned => Unserved::IllConditioned { condition: 1e9, precision },
        Reason::NotConverged => Unserved::NotConverged { error: 1.0, precision },
        Reason::Inaccurate => Unserved::Inaccurate { error: 1.0, precision, above: Vec::new() },
        Reason::Patch => Unserved::Patch(PatchFailure::Sweeps { sweeps: 0 }),
        Reason::OutOfMemory => of_device(GpuError::OutOfMemory { device, what }),
        Reason::Lost => of_device(GpuError::Lost { device, reason: what }),
        Reason::NoMemory => of_device(GpuError::LittleMemory { device, limit: 1, least: 2, optional: true }),
        Reason::Device => of_device(GpuError::Driver { device, message: what }),
        Reason::Final => EngineError::Cancelled.into(),
    })
}

/// Returns nothing: failures are not injected in this build.
#[cfg(not(feature = "fault-injection"))]
fn example(_: Reason) -> Option<Unserved> {
    None
}
