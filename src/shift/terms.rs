//! The quantities, and the terms that they are made of over a bundle.

/// A property of the spots of a PSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Displacement along x, pixels.
    X = 0,
    /// Displacement along y, pixels.
    Y = 1,
    /// Logarithm of the width along x over the PSF's.
    SigmaX = 2,
    /// Logarithm of the width along y over the PSF's.
    SigmaY = 3,
}

impl Quantity {
    /// All of them in order.
    pub const ALL: [Self; 4] = [Self::X, Self::Y, Self::SigmaX, Self::SigmaY];
}

/// Number of terms of a quantity.
pub(super) const TERMS: usize = 4;

/// Returns the values of the terms at a fibre's place z in its bundle, -1 to 1, and a wavelength's u in the PSF's range.
pub(super) fn terms(z: f64, u: f64) -> [f64; TERMS] {
    [1.0, z, u, u * u]
}
