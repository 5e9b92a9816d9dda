//! The extracted frame: spectra with their inverse variances, resolution and goodness.

mod scores;

pub use scores::Scores;

use crate::fits::{Header, Table};

/// Bits of [`Spectra::mask`], as in desispec's `specmask`.
pub mod specmask {
    /// More than half of the PSF falls on masked pixels.
    pub const SOMEBADPIX: u32 = 1 << 0;
    /// All of the PSF falls on masked pixels.
    pub const ALLBADPIX: u32 = 1 << 1;
    /// Bad chi2 of the 2-D fit.
    pub const BAD2DFIT: u32 = 1 << 7;
    /// All of the PSF falls off the CCD.
    pub const NODATA: u32 = 1 << 8;
}

/// Extracted spectra of `nspec` fibres on `nwave` bins, in f64 as computed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectra {
    /// Number of fibres.
    pub nspec: usize,
    /// Number of wavelength bins.
    pub nwave: usize,
    /// Number of resolution diagonals, `2 HSIZEY + 1`.
    pub ndiag: usize,
    /// Flux in electron/Angstrom, `[nspec, nwave]`.
    pub flux: Vec<f64>,
    /// Inverse variance of `flux`, `[nspec, nwave]`.
    pub ivar: Vec<f64>,
    /// Diagonals of R, `[nspec, ndiag, nwave]`: element (k, j) is `R[j - ndiag/2 + k, j]`.
    pub resolution: Vec<f64>,
    /// Goodness of the 2-D fit per bin, `[nspec, nwave]`.
    pub chi2pix: Vec<f64>,
    /// Fraction of the PSF on masked or absent pixels, in 0..=1, `[nspec, nwave]`.
    pub pixmask_fraction: Vec<f64>,
    /// Bits of [`specmask`], `[nspec, nwave]`.
    pub mask: Vec<u32>,
}

/// An extracted frame, as written to a frame file.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The spectra.
    pub spectra: Spectra,
    /// The extraction grid in Angstrom, `[nwave]`.
    pub wave: Vec<f64>,
    /// Cards of the primary HDU: those of the input's IMAGE and those of the run.
    pub header: Header,
    /// Rows specmin..specmin+nspec of the input's fibermap.
    pub fibermap: Option<Table>,
    /// Per-fibre summaries, left out with `--no-scores`.
    pub scores: Option<Scores>,
}
