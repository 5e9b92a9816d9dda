//! Bundles that go through the banded stages together, and the windows of bins that their spots are made in.

use super::shape::{BLOCK, Shape};
use crate::geometry::{Patch, SpotShape};
use crate::gpu::Gpu;
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::normal_equations::Prior;
use std::ops::Range;

/// Bundles of equally many fibres, consecutive on the PSF.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// The PSF.
    pub psf: &'a Psf,
    /// Their fibres, rows of the PSF.
    pub fibres: Range<usize>,
    /// The padded grid, Angstrom.
    pub wave: &'a [f64],
    /// Whether spots have tails.
    pub with_tails: bool,
    /// Diagonals of R to each side of its main one.
    pub half_diagonals: usize,
    /// Half bandwidth of K, bins, at most that kept of S_f.
    pub reach: usize,
    /// Half bandwidth of S_f, one of [`super::kept`].
    pub kept: usize,
    /// Fibres over which spots overlap.
    pub distances: usize,
    /// Whether x takes the longer refinement.
    pub long_refinement: bool,
    /// Bins that goodness is computed for.
    pub core_bins: Range<usize>,
    /// Rows and columns of the CCD that the spots of each bundle reach, with a margin.
    pub pixels: Vec<(Range<usize>, Range<usize>)>,
    /// The prior of each bundle.
    pub priors: Vec<Prior>,
    /// Fractional error of the PSF.
    pub psferr: f64,
}

impl Group<'_> {
    /// Number of bundles.
    pub fn nbundle(&self) -> usize {
        self.pixels.len().max(1)
    }

    /// Fibres per bundle.
    pub fn bundle(&self) -> usize {
        self.fibres.len() / self.nbundle()
    }

    /// Size and orders of the spots.
    pub fn spot(&self) -> SpotShape {
        SpotShape::new(self.psf, self.with_tails)
    }

    /// Returns the sizes of the group with chunks that overlap by `overlap` bins.
    pub fn shape(&self, overlap: usize) -> Shape {
        Shape {
            nfibre: self.fibres.len(),
            bundle: self.bundle(),
            nbin: self.wave.len(),
            reach: self.reach,
            kept: self.kept,
            distances: self.distances,
            frontier: self.distances.max(1),
            overlap,
            half: self.half_diagonals,
        }
    }

    /// Cuts the bins into windows whose spots fit the device.
    pub fn windows(&self, gpu: &Gpu, shape: &Shape) -> Windows {
        let reach = BLOCK * shape.blocks();
        Windows { nbin: shape.nbin, reach, cores: cores(gpu, shape.nfibre, shape.nbin, &self.spot(), reach) }
    }

    /// Returns a window as one patch per bundle.
    pub fn batch(&self, windows: &Windows, window: usize) -> Batch {
        let (bins, core) = (windows.bins(window), &windows.cores[window]);
        let nspec = self.bundle();
        let patch = |(k, (rows, columns)): (usize, &(Range<usize>, Range<usize>))| Patch {
            fibres: k * nspec..(k + 1) * nspec,
            core: 0..nspec,
            bin0: bins.start,
            nbin: bins.len(),
            core_bins: core.start - bins.start..core.end - bins.start,
            rows: rows.clone(),
            columns: columns.clone(),
        };
        let patches = self.pixels.iter().enumerate().map(patch).collect();
        Batch { nspec, core: 0..nspec, nbin: bins.len(), half_bandwidth: 0, patches }
    }
}

/// Windows of bins whose spots fit a device.
#[derive(Clone, Debug)]
pub struct Windows {
    nbin: usize,
    /// Bins that a bin may be coupled to on either side.
    reach: usize,
    /// Bins of each window without those that it shares with others.
    pub cores: Vec<Range<usize>>,
}

impl Windows {
    /// Number of windows.
    pub fn count(&self) -> usize {
        self.cores.len()
    }

    /// Returns the bins of a window: its core and what that is coupled to.
    pub fn bins(&self, window: usize) -> Range<usize> {
        let core = &self.cores[window];
        core.start.saturating_sub(self.reach)..(core.end + self.reach).min(self.nbin)
    }
}

/// Cuts bins so that the spots of each part and its neighbours fit the device, or are as few as possible.
pub(super) fn cores(gpu: &Gpu, nfibre: usize, nbin: usize, spot: &SpotShape, reach: usize) -> Vec<Range<usize>> {
    let most = gpu.batch("spots of one bin", &[gpu.real_bytes(nfibre * spot.size())]).unwrap_or(1);
    let step = if most >= nbin { nbin } else { most.saturating_sub(2 * reach).max(1) };
    (0..nbin).step_by(step.max(1)).map(|first| first..(first + step).min(nbin)).collect()
}
