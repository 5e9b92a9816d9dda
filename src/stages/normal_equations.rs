//! Normal equations: K = A^T W A + prior, y = A^T W p and the flux weight A^T W 1 of a patch (BS10 eq. 4).

use super::aligned::{AlignedPixels, AlignedSpots};
use super::patch::PatchSpots;
use super::simd::{Kernel, Octet, Simd, dispatch};
use crate::geometry::PatchPixels;

/// The prior that keeps unknowns without information finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Added (squared) to the diagonal of unknowns with information.
    pub regularize: f64,
    /// Up to this flux weight, 1/electron^2, an unknown counts as without information, unless [`Prior::COVERED`] of its spot
    /// lies on good pixels.
    pub least_weight: f64,
}

/// The prior of patches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchPrior {
    /// See [`Prior::regularize`].
    pub regularize: f64,
    /// The largest weight of a spot of the group, 1/electron^2. None takes the largest flux weight of each patch, as the peers do.
    pub largest_weight: Option<f64>,
}

impl PatchPrior {
    /// Returns the prior of a patch whose largest flux weight is `largest`.
    pub fn of(self, largest: f64) -> Prior {
        Prior::new(self.regularize, self.largest_weight.unwrap_or(largest))
    }
}

impl Prior {
    /// Fraction of the largest weight up to which an unknown counts as without information; gpu_specter's `weight_scale`.
    pub const MIN_WEIGHT: f64 = 1e-4;

    /// Fraction of a spot on good pixels from which its unknown has information, however small their weight. Pixels of a star
    /// have little weight because of its own noise. The peers have no such rule; beside a read noise of 3 electron only pixels
    /// of 1e5 electron need it.
    pub const COVERED: f64 = 0.5;

    /// Added to the diagonal of every unknown, so that none is zero.
    pub const FLOOR: f64 = 1e-15;

    /// Makes the prior with the given regularisation. `largest_weight` is that of a spot of the group over the whole range of the
    /// PSF, see [`largest_spot_weights`](super::spot_weight::largest_spot_weights). So a bin's prior does not depend on which
    /// other bins and fibres are extracted.
    pub fn new(regularize: f64, largest_weight: f64) -> Self {
        Self { regularize, least_weight: Self::MIN_WEIGHT * largest_weight }
    }

    /// Returns alpha of an unknown whose flux weight is `weight` and `coverage` of whose spot lies on good pixels.
    pub(crate) fn alpha(&self, weight: f64, coverage: f64) -> f64 {
        if weight <= self.least_weight && coverage < Self::COVERED {
            self.least_weight - weight
        } else {
            self.regularize
        }
    }
}

/// The normal equations of one patch; unknowns are ordered bin by bin, `i = bin * nspec + fibre`.
pub struct NormalEquations<'a> {
    /// K in row-aligned lower band storage, `[n, half_bandwidth + 1]`: column j of row i at `j + half_bandwidth - i`.
    pub band: &'a mut [f64],
    /// y, `[n]`.
    pub rhs: &'a mut [f64],
    /// A^T W 1, `[n]`.
    pub flux_weight: &'a mut [f64],
    /// The prior's alpha, `[n]`.
    pub alpha: &'a mut [f64],
}

/// Forms the normal equations of one patch. Pixels that are absent or have ivar 0 do not enter.
pub fn normal_equations(
    spots: &PatchSpots,
    pixels: &PatchPixels,
    half_bandwidth: usize,
    prior: PatchPrior,
    mut out: NormalEquations,
) {
    let (spots, pixels) = (AlignedSpots::new(spots), AlignedPixels::new(pixels));
    let mut coverage = vec![0.0; out.rhs.len()];
    dispatch(Products { spots: &spots, pixels: &pixels, half_bandwidth, coverage: &mut coverage, out: &mut out });
    add_prior(prior, half_bandwidth, &coverage, out);
}

/// A^T W A, A^T W p, A^T W 1 and A^T [W > 0].
struct Products<'a, 'b> {
    spots: &'a AlignedSpots,
    pixels: &'a AlignedPixels,
    half_bandwidth: usize,
    coverage: &'a mut [f64],
    out: &'a mut NormalEquations<'b>,
}

impl Kernel for Products<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.half_bandwidth + 1;
        let mut weighted = vec![Octet::default(); self.spots.size()];
        for i in 0..self.spots.y.len() {
            [self.out.rhs[i], self.out.flux_weight[i], self.coverage[i]] =
                weigh(simd, self.spots, self.pixels, i, &mut weighted);
            let first = i.saturating_sub(self.half_bandwidth);
            let row = &mut self.out.band[i * width..(i + 1) * width];
            let (outside, inside) = row.split_at_mut(width - 1 - (i - first));
            outside.fill(0.0);
            for (j, value) in (first..=i).zip(inside) {
                *value = overlap(simd, (self.spots, i), &weighted, self.spots, j);
            }
        }
    }
}

/// Fills `weighted` with spot i times W, 0 off the pixels, and gives the spot's sums with W p, W and [W > 0].
#[inline(always)]
fn weigh<S: Simd>(simd: S, spots: &AlignedSpots, pixels: &AlignedPixels, i: usize, weighted: &mut [Octet]) -> [f64; 3] {
    let (y, x) = (spots.y[i] - pixels.y, spots.octet[i] - pixels.x);
    let [mut value, mut weight, mut coverage] = [simd.splat(0.0); 3];
    let columns = (-x).max(0)..(pixels.octets - x).min(spots.octets as i64);
    let rows = (-y).max(0)..(pixels.ny - y).min(spots.ny as i64);
    if columns.is_empty() || rows.is_empty() {
        weighted.fill(Octet::default());
        return [0.0; 3];
    }
    let (first, last) = (rows.start as usize, rows.end as usize);
    let octets = spots.columns(i).zip(weighted.chunks_exact_mut(spots.ny));
    for (k, (spot, out)) in octets.enumerate() {
        if !columns.contains(&(k as i64)) {
            out.fill(Octet::default());
            continue;
        }
        out[..first].fill(Octet::default());
        out[last..].fill(Octet::default());
        let at = ((x + k as i64) * pixels.ny + y + rows.start) as usize;
        let pixels = pixels.weight[at..].iter().zip(&pixels.weighted[at..]).zip(&pixels.used[at..]);
        for ((out, spot), ((w, wp), used)) in out[first..last].iter_mut().zip(&spot[first..last]).zip(pixels) {
            let spot = simd.load(spot);
            let product = simd.mul(spot, simd.load(w));
            simd.store(product, out);
            weight = simd.add(weight, product);
            value = simd.mul_add(spot, simd.load(wp), value);
            coverage = simd.mul_add(spot, simd.load(used), coverage);
        }
    }
    [simd.sum(value), simd.sum(weight), simd.sum(coverage)]
}

/// Sum over the common pixels of spot i of `left` times W (`weighted`) and spot j of `spots`.
#[inline(always)]
fn overlap<S: Simd>(simd: S, left: (&AlignedSpots, usize), weighted: &[Octet], spots: &AlignedSpots, j: usize) -> f64 {
    let mut lanes = Octet::default();
    overlap_lanes(simd, left, weighted, spots, j, &mut lanes);
    simd.sum(simd.load(&lanes))
}

/// Computes the lanes of [`overlap`], not yet summed; leaves `out` untouched if there are no common pixels.
#[inline(always)]
pub(super) fn overlap_lanes<S: Simd>(
    simd: S,
    left: (&AlignedSpots, usize),
    weighted: &[Octet],
    spots: &AlignedSpots,
    j: usize,
    out: &mut Octet,
) {
    let (down, right) = (spots.y[j] - left.0.y[left.1], spots.octet[j] - left.0.octet[left.1]);
    let (ny, octets) = (spots.ny, spots.octets);
    if down.unsigned_abs() as usize >= ny || right.unsigned_abs() as usize >= octets {
        return;
    }
    let (left, spot) = (weighted, spots.stamp(j));
    // First row and octet of the common part in either stamp, and its size.
    let ((y_left, y_right), (x_left, x_right)) = (common(down), common(right));
    let (rows, columns) = (ny - y_left - y_right, octets - x_left - x_right);
    let mut sums = [simd.splat(0.0); 4];
    for octet in 0..columns {
        let a = &left[(x_left + octet) * ny + y_left..][..rows];
        let b = &spot[(x_right + octet) * ny + y_right..][..rows];
        let (a4, a) = a.as_chunks::<4>();
        let (b4, b) = b.as_chunks::<4>();
        for (a, b) in a4.iter().zip(b4) {
            for k in 0..4 {
                sums[k] = simd.mul_add(simd.load(&a[k]), simd.load(&b[k]), sums[k]);
            }
        }
        for (k, (a, b)) in a.iter().zip(b).enumerate() {
            sums[k] = simd.mul_add(simd.load(a), simd.load(b), sums[k]);
        }
    }
    simd.store(simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])), out);
}

/// Returns where the common part begins in a stamp and in one that lies `apart` farther.
#[inline(always)]
fn common(apart: i64) -> (usize, usize) {
    (apart.max(0) as usize, (-apart).max(0) as usize)
}

/// Adds `alpha^2 + Prior::FLOOR` to the diagonal. alpha is `least_weight - fluxweight` if that is not negative and the spot is not
/// [`Prior::COVERED`], else `regularize`.
fn add_prior(prior: PatchPrior, half_bandwidth: usize, coverage: &[f64], out: NormalEquations) {
    let prior = prior.of(out.flux_weight.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    for (i, (alpha, &weight)) in out.alpha.iter_mut().zip(out.flux_weight.iter()).enumerate() {
        *alpha = prior.alpha(weight, coverage[i]);
        out.band[i * (half_bandwidth + 1) + half_bandwidth] += *alpha * *alpha + Prior::FLOOR;
    }
}
