//! Decorrelation: resolution, flux and inverse variance from the eigenmodes of the inverse covariance.

use std::ops::Range;

/// Eigenmodes of a symmetric matrix of `n` unknowns: of S_f for one fibre, or of a whole patch's K.
#[derive(Clone, Copy, Debug)]
pub struct Modes<'a> {
    /// Number of unknowns.
    pub n: usize,
    /// Eigenvalues, `[n]`.
    pub values: &'a [f64],
    /// Eigenvectors, `[n, n]`, one per row.
    pub vectors: &'a [f64],
}

/// Which unknowns of the modes are one fibre's bins: `start + bin * stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibreIndex {
    /// Index of the fibre's first bin.
    pub start: usize,
    /// Distance of its bins.
    pub stride: usize,
}

/// Eigenvalues are clipped from below at this fraction of the largest, as the peers do.
pub const EIGENVALUE_FLOOR: f64 = 1e-14;

/// Output of decorrelation for one fibre.
pub struct Decorrelated<'a> {
    /// R x, `[nbin]`, electron per bin.
    pub flux: &'a mut [f64],
    /// s^2, `[nbin]`.
    pub ivar: &'a mut [f64],
    /// Noise of a bin of x over that of a bin alone: the square root of `matrix[i, i] matrix^-1[i, i]`, `[nbin]`.
    pub gain: &'a mut [f64],
    /// R's rows within `half` of the diagonal, `[nbin, 2 half + 1]`: element k of row i is `R[i, i + k - half]`,
    /// 0 beyond the matrix.
    pub resolution: &'a mut [f64],
}

/// Decorrelates one fibre (BS10 eq. 16-19, or eq. 10-13 for the modes of all fibres together).
/// `Q = sqrt(matrix)`, `s = Q 1`, `R = Q / s` row by row, `ivar = s^2`, `flux = R x`.
///
/// `x` is the deconvolved flux of all unknowns of the modes, `[n]`. Rows of R are formed for the bins in `bins`,
/// `half` bins to each side; others stay 0.
pub fn decorrelate(modes: Modes, fibre: FibreIndex, x: &[f64], bins: Range<usize>, half: usize, out: Decorrelated) {
    let nbin = out.flux.len();
    let at = |bin: usize| fibre.start + bin * fibre.stride;
    let floor = EIGENVALUE_FLOOR * modes.values.iter().copied().fold(0.0, f64::max);
    let (mut s, mut qx) = (vec![0.0; nbin], vec![0.0; nbin]);
    let (mut own, mut inverse) = (vec![0.0; nbin], vec![0.0; nbin]);
    let width = 2 * half + 1;
    out.resolution.fill(0.0);
    let mut scaled = vec![0.0; nbin];
    let mut mode_of_fibre = vec![0.0; nbin];
    for (k, &value) in modes.values.iter().enumerate() {
        let vector = &modes.vectors[k * modes.n..(k + 1) * modes.n];
        let value = value.max(floor);
        let root = value.sqrt();
        let ones = root * vector.iter().sum::<f64>();
        let flux = root * vector.iter().zip(x).map(|(v, x)| v * x).sum::<f64>();
        for b in 0..nbin {
            mode_of_fibre[b] = vector[at(b)];
            scaled[b] = root * mode_of_fibre[b];
            s[b] += ones * mode_of_fibre[b];
            qx[b] += flux * mode_of_fibre[b];
            own[b] += value * mode_of_fibre[b] * mode_of_fibre[b];
            inverse[b] += mode_of_fibre[b] * mode_of_fibre[b] / value;
        }
        for i in bins.clone() {
            let columns = i.saturating_sub(half)..(i + half + 1).min(nbin);
            let first = i * width + columns.start + half - i;
            let row = &mut out.resolution[first..first + columns.len()];
            row.iter_mut().zip(&mode_of_fibre[columns]).for_each(|(r, v)| *r += scaled[i] * v);
        }
    }
    for i in 0..nbin {
        out.flux[i] = qx[i] / s[i];
        out.ivar[i] = s[i] * s[i];
        out.gain[i] = (own[i] * inverse[i]).sqrt();
        out.resolution[i * width..(i + 1) * width].iter_mut().for_each(|r| *r /= s[i]);
    }
}
