//! Sweeps of the rotations over all pairs of columns.

/// Sweeps after which the rotations end, converged or not.
pub const MAX_SWEEPS: usize = 15;

/// How the rotations on one matrix ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweeps {
    /// Sweeps over all pairs of columns, the one that found nothing left to rotate included.
    pub sweeps: usize,
    /// Whether all columns are orthogonal to working precision; if not, the output is the approximation reached.
    pub converged: bool,
}
