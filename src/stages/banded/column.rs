//! A column of a banded factor and of its inverse.

use crate::stages::simd::Octet;

/// Column j of the factor, later of the inverse.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Column<const B: usize> {
    /// d_j.
    pub(super) pivot: Octet,
    /// 1/d_j, then element (j, j) of the inverse.
    pub(crate) diagonal: Octet,
    /// L_{j+1+k, j}, then those elements of the inverse.
    pub(crate) lower: [Octet; B],
}

impl<const B: usize> Column<B> {
    pub(crate) const ZERO: Self =
        Self { pivot: Octet([0.0; 8]), diagonal: Octet([0.0; 8]), lower: [Octet([0.0; 8]); B] };
}
