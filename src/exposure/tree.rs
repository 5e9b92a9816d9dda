//! The folders of a DESI reduction: the frames of an exposure, their PSFs, and the paths of the spectra.

use crate::base::option_name::OptionName::{Expid, Night, Reduxdir};
use crate::extract::Request;
use std::path::{Path, PathBuf};

/// Extensions of image files, in order of preference.
const EXTENSIONS: [&str; 3] = ["fits.gz", "fits.fz", "fits"];

/// An exposure or camera that does not exist.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The folder of preprocessed frames cannot be read.
    #[error("cannot read {}: {source}; check {Reduxdir}, {Night} and {Expid}", path.display())]
    Folder {
        /// Folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The folder has no frame of the exposure.
    #[error("{} has no preproc-CAMERA-{expid:08}.fits, .fits.gz or .fits.fz; check {Night} and {Expid}", path.display())]
    Empty {
        /// Folder.
        path: PathBuf,
        /// Exposure.
        expid: u32,
    },
    /// The name is not a letter and the number of a spectrograph.
    #[error("there is no camera {0}: give b, r or z and the number of the spectrograph, as b0,r0,z0")]
    Camera(String),
}

/// One exposure of a reduction.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Root folder, with `preproc`, `exposures`, `calibnight`.
    pub redux: PathBuf,
    /// Night, YYYYMMDD.
    pub night: u32,
    /// Exposure.
    pub expid: u32,
}

/// The frame of a camera.
#[derive(Clone, Debug)]
pub struct CameraFrame {
    /// Camera, such as r0.
    pub camera: String,
    /// Preprocessed image.
    pub input: PathBuf,
    /// PSF.
    pub psf: PathBuf,
    /// The second place where it was looked for, where it is in neither.
    pub psf_or: Option<PathBuf>,
    /// Spectra: `frame-CAMERA-EXPID.fits`.
    pub output: PathBuf,
}

impl CameraFrame {
    /// Builds a request with the survey's wavelengths (Angstrom) and PSF error for this camera.
    pub fn request(&self) -> Request {
        let mut request = Request::new(&self.input, &self.psf, &self.output);
        let survey = match self.camera.as_bytes()[0] {
            b'b' => (3600.0, 5800.0, 0.8),
            b'r' => (5760.0, 7620.0, 0.8),
            _ => (7520.0, 9824.0, 0.8),
        };
        request.wavelength = Some(survey.into());
        request.psf_or.clone_from(&self.psf_or);
        request.options.psferr = self.camera.starts_with('b').then_some(0.04);
        request
    }
}

impl Tree {
    /// Returns the frames of `cameras`, or of all cameras that have one. The existence of files is not checked.
    ///
    /// # Errors
    /// [`TreeError::Camera`] for an invalid name; [`TreeError::Folder`] or [`TreeError::Empty`] if `cameras` is empty and
    /// no camera is found.
    pub fn frames(&self, cameras: &[String], outdir: Option<&Path>) -> Result<Vec<CameraFrame>, TreeError> {
        let cameras = if cameras.is_empty() { self.cameras()? } else { cameras.to_vec() };
        cameras.into_iter().map(|camera| self.frame(camera, outdir)).collect()
    }

    fn frame(&self, camera: String, outdir: Option<&Path>) -> Result<CameraFrame, TreeError> {
        if !is_camera(&camera) {
            return Err(TreeError::Camera(camera));
        }
        let exposure = self.folder("exposures");
        let name = |kind: &str| format!("{kind}-{camera}-{:08}.fits", self.expid);
        let nights = self.redux.join("calibnight").join(format!("{:08}", self.night));
        let of_night = format!("psfnight-{camera}-{:08}.fits", self.night);
        let found = first_of(&exposure, &name("psf")).or_else(|| first_of(&nights, &of_night));
        let psf_or = found.is_none().then(|| nights.join(of_night));
        let psf = found.unwrap_or_else(|| exposure.join(name("psf")));
        let preproc = self.folder("preproc");
        let input = first_of(&preproc, &name("preproc")).unwrap_or_else(|| preproc.join(name("preproc")));
        let output = outdir.unwrap_or(&exposure).join(name("frame"));
        Ok(CameraFrame { input, psf, psf_or, output, camera })
    }

    fn folder(&self, kind: &str) -> PathBuf {
        self.redux.join(kind).join(format!("{:08}", self.night)).join(format!("{:08}", self.expid))
    }

    /// Lists the cameras that have a frame.
    fn cameras(&self) -> Result<Vec<String>, TreeError> {
        let path = self.folder("preproc");
        let entries = std::fs::read_dir(&path).map_err(|source| TreeError::Folder { path: path.clone(), source })?;
        let tail = format!("-{:08}", self.expid);
        let camera_of = |name: &str| {
            let (stem, extension) = name.split_once('.')?;
            let camera = stem.strip_prefix("preproc-")?.strip_suffix(tail.as_str())?;
            (EXTENSIONS.contains(&extension) && is_camera(camera)).then(|| camera.to_string())
        };
        let mut cameras: Vec<String> =
            entries.flatten().filter_map(|entry| camera_of(entry.file_name().to_str()?)).collect();
        cameras.sort();
        cameras.dedup();
        if cameras.is_empty() { Err(TreeError::Empty { path, expid: self.expid }) } else { Ok(cameras) }
    }
}

fn is_camera(name: &str) -> bool {
    matches!(name.as_bytes(), [b'b' | b'r' | b'z', b'0'..=b'9'])
}

/// Finds the file `name`, which ends in `.fits`, with the first extension that exists.
fn first_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let stem = name.strip_suffix("fits").unwrap_or(name);
    EXTENSIONS.iter().map(|extension| folder.join(format!("{stem}{extension}"))).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let tree = Tree { redux: home.path().into(), night: 20200314, expid: 51060 };
        (home, tree)
    }

    #[test]
    fn cameras_are_found_with_the_psf_of_the_exposure_or_else_of_the_night() {
        let (home, tree) = tree(&[
            "preproc/20200314/00051060/preproc-r0-00051060.fits.gz",
            "preproc/20200314/00051060/preproc-b1-00051060.fits",
            "preproc/20200314/00051060/preproc-z0-00051061.fits",
            "exposures/20200314/00051060/psf-r0-00051060.fits",
            "calibnight/20200314/psfnight-r0-20200314.fits",
            "calibnight/20200314/psfnight-b1-20200314.fits",
        ]);
        let frames = tree.frames(&[], None).unwrap();
        let at = |path: &str| home.path().join(path);
        assert_eq!(frames.iter().map(|f| f.camera.as_str()).collect::<Vec<_>>(), ["b1", "r0"]);
        assert_eq!(frames[0].psf, at("calibnight/20200314/psfnight-b1-20200314.fits"));
        assert_eq!(frames[1].psf, at("exposures/20200314/00051060/psf-r0-00051060.fits"));
        assert_eq!(frames[1].input, at("preproc/20200314/00051060/preproc-r0-00051060.fits.gz"));
        assert_eq!(frames[1].output, at("exposures/20200314/00051060/frame-r0-00051060.fits"));
        let elsewhere = tree.frames(&["z9".into()], Some(Path::new("out"))).unwrap();
        assert_eq!(elsewhere[0].output, Path::new("out/frame-z9-00051060.fits"));
        let places = [&elsewhere[0].psf, elsewhere[0].psf_or.as_ref().unwrap()];
        let expected =
            ["exposures/20200314/00051060/psf-z9-00051060.fits", "calibnight/20200314/psfnight-z9-20200314.fits"]
                .map(at);
        assert_eq!(places, expected.each_ref(), "both places, for the error message");
        assert!(frames.iter().all(|frame| frame.psf_or.is_none()));
        assert!(elsewhere[0].input.ends_with("preproc-z9-00051060.fits"), "the expected name, for the error message");
    }

    #[test]
    fn wavelengths_and_psf_error_depend_on_the_camera() {
        let of = |camera: &str| {
            let frame = CameraFrame {
                camera: camera.into(),
                input: "".into(),
                psf: "".into(),
                psf_or: None,
                output: "".into(),
            };
            (frame.request().wavelength.unwrap(), frame.request().options.psferr)
        };
        assert_eq!(of("b3"), ((3600.0, 5800.0, 0.8).into(), Some(0.04)));
        assert_eq!(of("r3"), ((5760.0, 7620.0, 0.8).into(), None));
        assert_eq!(of("z3"), ((7520.0, 9824.0, 0.8).into(), None));
    }

    #[test]
    fn a_missing_folder_frame_or_camera_is_named() {
        let (_home, tree) = tree(&["preproc/20200314/00051060/preproc-r0-00000001.fits"]);
        assert!(matches!(tree.frames(&[], None), Err(TreeError::Empty { .. })));
        assert!(matches!(tree.frames(&["q0".into()], None), Err(TreeError::Camera(name)) if name == "q0"));
        let nowhere = Tree { night: 1, ..tree };
        assert!(matches!(nowhere.frames(&[], None), Err(TreeError::Folder { .. })));
    }
}
