//! Where the unknowns of a bundle stand in one vector.

/// Unknowns: shapes, traces, shifts of exposures, displacements of lines. Fluxes are eliminated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Terms of a shape: sigma x, sigma y, Hermite terms but GH-0-0.
    pub terms: usize,
    /// Monomials of fibre and wavelength per term.
    pub monomials: usize,
    /// Fibres.
    pub fibres: usize,
    /// Coefficients of a trace along x and y.
    pub orders: [usize; 2],
    /// Exposures.
    pub exposures: usize,
    /// Listed lines.
    pub lines: usize,
}

impl Layout {
    /// Place of a monomial of a shape term; terms of a monomial are neighbours.
    pub fn shape(&self, term: usize, monomial: usize) -> usize {
        monomial * self.terms + term
    }

    /// Number of unknowns of shapes, which stand first.
    pub fn shapes(&self) -> usize {
        self.terms * self.monomials
    }

    /// Place of the first coefficient of a trace along `axis`.
    pub fn trace(&self, axis: usize, fibre: usize) -> usize {
        self.shapes() + if axis == 0 { 0 } else { self.fibres * self.orders[0] } + fibre * self.orders[axis]
    }

    /// Place of an exposure's shift along `axis`.
    pub fn shift(&self, exposure: usize, axis: usize) -> usize {
        self.trace(1, self.fibres) + 2 * exposure + axis
    }

    /// Place of a line's displacement along y.
    pub fn line(&self, line: usize) -> usize {
        self.shift(self.exposures, 0) + line
    }

    /// Number of unknowns.
    pub fn len(&self) -> usize {
        self.line(self.lines)
    }
}
