//! The files of a page: those given, else those that the frame's header records.

use super::device_arguments::open;
use super::like::Like;
use spextral::extract::{ModelFlux, Request, extract_model};
use spextral::fits::{Header, read_headers};
use spextral::report::{Model, Sources};
use std::error::Error;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The files of a page, and the folder of what an extraction leaves for it.
pub struct Files {
    pub sources: Sources,
    pub folder: Option<TempDir>,
}

impl Files {
    /// Takes files as they are.
    pub fn given(sources: Sources) -> Self {
        Self { sources, folder: None }
    }

    /// Takes a frame with its image and the model in a folder that goes with these files.
    pub fn in_folder(frame: &Path, [image, psf]: [&Path; 2], folder: TempDir) -> Self {
        let ccd = Some((image.to_path_buf(), Model::File(folder.path().join(MODEL))));
        let sources = Sources { frame: frame.into(), ccd, psf: Some(psf.into()), truth: None };
        Self { sources, folder: Some(folder) }
    }

    /// Finds the image of a frame by its header and extracts its model again, by the recorded options and on the CPU. Without
    /// them the page has no residual, and the log has the reason.
    pub fn of_frame(frame: &Path, truth: Option<PathBuf>) -> Self {
        let alone = Sources { frame: frame.into(), ccd: None, psf: None, truth: truth.clone() };
        let is_frame = |header: &Header| header.get_str("EXTNAME").is_some_and(|name| name == "FLUX");
        if !read_headers(frame).is_ok_and(|headers| headers.iter().any(is_frame)) {
            // The page will say so.
            return Self::given(alone);
        }
        match again(frame) {
            Ok(found) => Self::given(Sources { truth, ..found }),
            Err(error) => {
                tracing::warn!("no residual of the CCD: {}", spextral::error_chain(error.as_ref()));
                Self::given(alone)
            }
        }
    }
}

/// Name of a model within a folder of its own.
pub const MODEL: &str = "model.fits";

/// Extracts the model of a frame again; returns the frame's image with it, and its PSF.
fn again(frame: &Path) -> Result<Sources, Box<dyn Error>> {
    let like = Like::read(frame)?;
    let gone = |what: String| format!("{}; give --image and --model", what.split("; give").next().unwrap_or_default());
    let [input, psf] = like.inputs(None, None).map_err(gone)?;
    // Nothing is written there.
    let folder = tempfile::tempdir()?;
    let mut request = Request {
        model: Some((folder.path().join(MODEL), ModelFlux::default())),
        scores: false,
        ..Request::new(&input, &psf, folder.path().join("frame.fits"))
    };
    like.set(&mut request, |_| false, false)?;
    tracing::debug!("extracting the model of {} again", frame.display());
    let device = spextral::gpu::DeviceChoice::Cpu;
    let model = extract_model(&request, &open(&device, &[], false)?, &|_, _| ())?;
    let ccd = model.map(|model| (input, Model::Pixels(model)));
    Ok(Sources { frame: frame.into(), ccd, psf: Some(psf), truth: None })
}
