//! A group of bundles, and what the CPU's stages need to know of it besides.

use crate::geometry::WaveGrid;
use crate::gpu::banded::Group;
use crate::stages::banded::Coupling;
use std::ops::Range;

/// Bundles of equally many fibres that go through the banded stages together.
#[derive(Clone, Debug)]
pub struct BandedGroup<'a> {
    /// Fibres, grid, bands and pixels.
    pub group: Group<'a>,
    /// Fibres of each bundle that spectra are computed for on the CPU, counted from the group's first; a GPU does all.
    pub wanted: Vec<Vec<usize>>,
    /// Error of flux allowed, sigma.
    pub tolerance: f64,
    /// The grid, not padded.
    pub grid: &'a WaveGrid,
    /// Correlation with the ends of the padded grid by the PSF alone, in units of a bin's own noise.
    pub end_correlation: f64,
    /// Bins beyond each end of the grid that may hold light.
    pub most_beyond_ends: usize,
    /// Whether x of a device is wanted, for a model image.
    pub with_x: bool,
    /// Bins over which correlations fall to the tolerance, by the PSF alone.
    pub correlated: usize,
}

/// Measurements of a bundle, or of a window of a long one, for the CPU.
#[derive(Clone, Debug)]
pub struct HostWindow {
    /// The fibres whose spectra are exact, counted from the window's first. The others share light with them.
    pub core: Range<usize>,
    /// Fibres around some of the core that matter to them; None for all of a bundle.
    pub around: Option<usize>,
    /// The largest distance at which fibres share light.
    pub neighbours: usize,
    /// How strongly fibres overlap.
    pub coupling: Coupling,
}

impl BandedGroup<'_> {
    /// Number of bundles.
    pub fn nbundle(&self) -> usize {
        self.group.nbundle()
    }

    /// Fibres of bundle `k`, counted from the group's first.
    pub(super) fn fibres_of(&self, k: usize) -> Range<usize> {
        k * self.group.bundle()..(k + 1) * self.group.bundle()
    }
}
