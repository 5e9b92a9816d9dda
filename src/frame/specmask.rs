//! Bits of the mask of spectra, as in desispec's `specmask`.

/// More than half of the PSF falls on masked pixels.
pub const SOMEBADPIX: u32 = 1 << 0;
/// All of the PSF falls on masked pixels.
pub const ALLBADPIX: u32 = 1 << 1;
/// Bad chi2 of the 2-D fit.
pub const BAD2DFIT: u32 = 1 << 7;
/// All of the PSF falls off the CCD.
pub const NODATA: u32 = 1 << 8;
