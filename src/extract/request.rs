//! The request: which files to extract, with which options, to which files.

use super::{Digests, ModelFlux, Options};
use crate::backend::Stage;
use crate::base::output_path::{Format, check_outputs};
use crate::fits::{FitsError, PreprocOptions};
use crate::geometry::WaveRange;
use crate::psf::Gh00;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Files and options of one extraction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The preproc frame.
    pub input: PathBuf,
    /// The PSF.
    pub psf: PathBuf,
    /// The second place where the PSF was looked for; it is named where the PSF is in neither.
    pub psf_or: Option<PathBuf>,
    /// The frame to write.
    pub output: PathBuf,
    /// A file with the fibermap, in place of the frame's own.
    pub fibermap: Option<PathBuf>,
    /// The model image to write, and what it shows.
    pub model: Option<(PathBuf, ModelFlux)>,
    /// The grid; None for [`super::default_wavelength`].
    pub wavelength: Option<WaveRange>,
    /// A file with the wavelengths of every bin of every fibre, in place of the grid.
    pub wavelength_table: Option<PathBuf>,
    /// Pixels with any of these bits in MASK get ivar = 0.
    pub mask_bits: u32,
    /// HDU of the image, by EXTNAME or number; None for IMAGE, or a primary image without EXTNAME.
    pub image_hdu: Option<String>,
    /// Read noise, electron, of a frame without weights.
    pub readnoise: Option<f64>,
    /// Electrons of one unit of the image; None for an image in electron.
    pub gain: Option<f64>,
    /// GH-0-0 of the spots.
    pub psf_gh00: Gh00,
    /// Whether traces and widths of the PSF are those of the frame.
    pub fit_traces: bool,
    /// Whether a wrong DATASUM is no error where the data decide no number.
    pub ignore_checksum: bool,
    /// Whether the grid is barycentric.
    pub barycentric: bool,
    /// Whether the frame gets SCORES.
    pub scores: bool,
    /// Whether existing outputs are replaced.
    pub overwrite: bool,
    /// Stages that the CPU runs by request, for the record.
    pub on_cpu: Vec<Stage>,
    /// Required BLAKE3 of the inputs; None for any.
    pub expected: Option<Digests>,
    /// Everything else; `model` and `barycentric` are set from the above.
    pub options: Options,
}

impl Request {
    /// A request with the survey's defaults.
    pub fn new(input: impl Into<PathBuf>, psf: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            input: input.into(),
            psf: psf.into(),
            psf_or: None,
            output: output.into(),
            fibermap: None,
            model: None,
            wavelength: None,
            wavelength_table: None,
            mask_bits: PreprocOptions::default().mask_bits,
            image_hdu: None,
            readnoise: None,
            gain: None,
            psf_gh00: Gh00::default(),
            fit_traces: false,
            ignore_checksum: false,
            barycentric: false,
            scores: true,
            overwrite: false,
            on_cpu: Vec::new(),
            expected: None,
            options: Options::default(),
        }
    }

    /// How the preproc frame is read.
    pub fn preproc_options(&self) -> PreprocOptions {
        PreprocOptions {
            mask_bits: self.mask_bits,
            fibermap: self.fibermap.clone(),
            image_hdu: self.image_hdu.clone(),
            readnoise: self.readnoise,
            gain: self.gain,
            ignore_checksum: self.ignore_checksum,
        }
    }

    /// The files that are written.
    pub fn outputs(&self) -> impl Iterator<Item = &Path> {
        [&self.output].into_iter().chain(self.model.as_ref().map(|(path, _)| path)).map(PathBuf::as_path)
    }

    /// The files that are read.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        [&self.input, &self.psf].into_iter().chain(&self.fibermap).chain(&self.wavelength_table).map(PathBuf::as_path)
    }

    /// Refuses outputs that would destroy an input, each other, or an existing file, before any work.
    pub(super) fn check(&self) -> Result<(), FitsError> {
        let inputs: Vec<&Path> = self.inputs().collect();
        let outputs: Vec<(&Path, Format)> = self.outputs().map(|path| (path, Format::Fits)).collect();
        Ok(check_outputs(&inputs, &outputs, self.overwrite)?)
    }
}
