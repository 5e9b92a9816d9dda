//! One side of a comparison: spectra from a frame, in memory or on disk, or from a file of reference arrays.

use crate::fits::{FitsError, read_frame, read_image_f64};
use crate::frame::{Frame, RealArray, specmask};
use std::path::Path;
use thiserror::Error;

/// Fraction of a bin's PSF on masked pixels from which on the bin is not usable.
const USABLE: f64 = 0.5;
/// Mask bits of bins that are not usable.
pub(crate) const UNUSABLE: u32 = specmask::SOMEBADPIX | specmask::ALLBADPIX | specmask::NODATA;

/// Reason why two sets of spectra cannot be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A file cannot be read.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// An array has another shape than the flux.
    #[error("{path}: {hdu} has shape {found:?}, FLUX needs {expected:?}; are these spectra of one extraction?")]
    Shape {
        /// The file.
        path: String,
        /// The HDU.
        hdu: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it must have.
        expected: Vec<usize>,
    },
    /// The sides have no common fibre.
    #[error("no fibre is in both: {} has fibres {}, {} has {}", names[0], ranges[0], names[1], ranges[1])]
    NoFibres {
        /// Names of the sides.
        names: [String; 2],
        /// Their fibres.
        ranges: [String; 2],
    },
    /// The sides have no common wavelength.
    #[error("no wavelength is in both: the grid of {} is {}, that of {} is {}; extract both on the same grid",
        names[0], grids[0], names[1], grids[1])]
    NoWaves {
        /// Names of the sides.
        names: [String; 2],
        /// Their grids.
        grids: [String; 2],
    },
}

/// One side of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Its name in messages: the file's.
    pub name: String,
    /// Fibre numbers, `[nspec]`.
    pub fibres: Vec<i64>,
    /// Wavelengths in Angstrom, ascending, `[nwave]`.
    pub wave: Vec<f64>,
    /// Number of bins.
    pub nwave: usize,
    /// Flux in electron/Angstrom, `[nspec, nwave]`.
    pub flux: Vec<f64>,
    /// Inverse variance, `[nspec, nwave]`.
    pub ivar: Vec<f64>,
    /// Number of diagonals of R.
    pub ndiag: usize,
    /// Diagonals of R, `[nspec, ndiag, nwave]`, if it has any.
    pub resolution: Option<RealArray>,
    /// Whether less than half of a bin's PSF is on masked pixels, `[nspec, nwave]`.
    pub good: Vec<bool>,
    /// Mask bits, `[nspec, nwave]`, if it has any.
    pub mask: Option<Vec<u32>>,
}

impl Side {
    /// Returns the wavelengths of a row.
    pub(super) fn wave_of(&self, row: usize) -> &[f64] {
        if self.wave.len() == self.nwave { &self.wave } else { &self.wave[row * self.nwave..][..self.nwave] }
    }

    /// Takes a side from a frame.
    pub fn of_frame(name: &str, frame: &Frame) -> Self {
        let s = &frame.spectra;
        // A frame read from disk has no pixmask_fraction; its mask has the same information.
        let good = if s.pixmask_fraction.is_empty() {
            s.mask.iter().map(|m| m & UNUSABLE == 0).collect()
        } else {
            s.pixmask_fraction.iter().map(|f| *f < USABLE).collect()
        };
        Self {
            name: name.to_string(),
            fibres: fibre_numbers(frame),
            wave: frame.wave.clone(),
            nwave: s.nwave,
            flux: s.flux.clone(),
            ivar: s.ivar.clone(),
            ndiag: s.ndiag,
            resolution: Some(s.resolution.clone()),
            good,
            mask: Some(s.mask.clone()),
        }
    }
}

/// Returns FIBER of the fibermap; without one the numbers from FIBERMIN on.
pub(crate) fn fibre_numbers(frame: &Frame) -> Vec<i64> {
    let nspec = frame.spectra.nspec;
    let listed = frame.fibermap.as_ref().and_then(|table| table.column_i64("FIBER"));
    listed.filter(|fibres| fibres.len() == nspec).unwrap_or_else(|| {
        let first = frame.header.get_i64("FIBERMIN").unwrap_or(0);
        (0..nspec as i64).map(|row| first.saturating_add(row)).collect()
    })
}

/// Reads a frame file, or a file of the arrays FLUX, IVAR, RDIAGS, PIXMASK_FRACTION and WAVELENGTH.
///
/// # Errors
/// [`CompareError::Fits`] if the file cannot be read or is neither, [`CompareError::Shape`] if its arrays do not fit
/// together.
pub fn read(path: &Path) -> Result<Side, CompareError> {
    match read_image_f64(path, "RDIAGS") {
        Ok(rdiags) => read_arrays(path, rdiags),
        Err(FitsError::MissingHdu { .. }) => Ok(Side::of_frame(&file_name(path), &read_frame(path)?)),
        Err(error) => Err(error.into()),
    }
}

/// Returns the last part of a path, for messages.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_arrays(path: &Path, (rshape, resolution): (Vec<usize>, Vec<f64>)) -> Result<Side, CompareError> {
    let needs = |hdu: &str, found: &[usize], expected: &[usize]| {
        let (path, hdu) = (path.display().to_string(), hdu.to_string());
        let (found, expected) = (found.to_vec(), expected.to_vec());
        if found == expected { Ok(()) } else { Err(CompareError::Shape { path, hdu, found, expected }) }
    };
    let (wshape, wave) = read_image_f64(path, "WAVELENGTH")?;
    let (shape, flux) = read_image_f64(path, "FLUX")?;
    let [nspec, nwave] = [shape[0], wave.len()];
    needs("FLUX", &shape, &[nspec, nwave])?;
    needs("WAVELENGTH", &wshape, &[nwave])?;
    let ndiag = rshape.get(1).copied().unwrap_or(0);
    needs("RDIAGS", &rshape, &[nspec, ndiag, nwave])?;
    let (ishape, ivar) = read_image_f64(path, "IVAR")?;
    needs("IVAR", &ishape, &shape)?;
    let (mshape, masked) = read_image_f64(path, "PIXMASK_FRACTION")?;
    needs("PIXMASK_FRACTION", &mshape, &shape)?;
    let good = masked.into_iter().map(|f| f < USABLE).collect();
    let fibres = (0..nspec as i64).collect();
    let resolution = Some(resolution.into());
    Ok(Side { name: file_name(path), fibres, wave, nwave, flux, ivar, ndiag, resolution, good, mask: None })
}

/// Pairs the rows of the common fibres.
pub(super) fn common_fibres(a: &Side, b: &Side) -> Result<Vec<(usize, usize)>, CompareError> {
    let row_in_b = |fibre: i64| b.fibres.iter().position(|&f| f == fibre);
    let rows = a.fibres.iter().enumerate();
    let common: Vec<_> = rows.filter_map(|(i, &fibre)| Some((i, row_in_b(fibre)?))).collect();
    if common.is_empty() {
        let range = |s: &Side| match (s.fibres.iter().min(), s.fibres.iter().max()) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            _ => "none".into(),
        };
        let names = [a.name.clone(), b.name.clone()];
        return Err(CompareError::NoFibres { names, ranges: [range(a), range(b)] });
    }
    Ok(common)
}

/// Bins that a pair of rows has in common.
pub(super) type Paired = Vec<(usize, usize)>;

/// Pairs the bins of pairs of rows: `[pair]`, or one that serves all where no row has wavelengths of its own.
pub(super) fn common_waves(a: &Side, b: &Side, rows: &[(usize, usize)]) -> Result<Vec<Paired>, CompareError> {
    let alike = a.wave.len() == a.nwave && b.wave.len() == b.nwave;
    let rows = if alike { &rows[..1] } else { rows };
    let paired: Vec<Paired> = rows.iter().map(|&(ra, rb)| paired(a.wave_of(ra), b.wave_of(rb))).collect();
    if paired.iter().all(Vec::is_empty) {
        let grid = |s: &Side| match (s.wave.first(), s.wave.get(1), s.wave.last()) {
            (Some(first), Some(second), Some(last)) => format!("{first},{last},{:.4}", second - first),
            _ => "no bins".into(),
        };
        let names = [a.name.clone(), b.name.clone()];
        return Err(CompareError::NoWaves { names, grids: [grid(a), grid(b)] });
    }
    Ok(paired)
}

/// Pairs the bins whose wavelengths differ by less than a thousandth of B's step.
fn paired(a: &[f64], b: &[f64]) -> Paired {
    let step = b.windows(2).map(|w| w[1] - w[0]).fold(f64::MAX, f64::min);
    let near = |x: f64, y: f64| (x - y).abs() < 1e-3 * step.min(1.0);
    let mut common = Vec::new();
    let mut jb = 0;
    for (ja, &wave) in a.iter().enumerate() {
        while jb < b.len() && b[jb] < wave && !near(b[jb], wave) {
            jb += 1;
        }
        if jb < b.len() && near(b[jb], wave) {
            common.push((ja, jb));
        }
    }
    common
}
