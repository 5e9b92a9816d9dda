//! The folders of a DESI reduction: the frames of an exposure, their PSFs, and the paths of the spectra.

use crate::base::option_name::OptionName::{Expid, Night, Reduxdir};
use crate::extract::Request;
use crate::fits::read_first_cards;
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
    /// Spectra before their bad columns are masked: `frame-CAMERA-EXPID-no-badcolumn-mask.fits`.
    pub output: PathBuf,
    /// The survey's frame, which is made of `output`: `frame-CAMERA-EXPID.fits`.
    pub last: PathBuf,
}

impl CameraFrame {
    /// Builds a request as the survey has it, with wavelengths (Angstrom) and PSF error of this camera. Sky and science
    /// exposures get barycentric wavelengths if `barycentric`.
    pub fn request(&self, barycentric: bool) -> Request {
        let mut request = Request::new(&self.input, &self.psf, &self.output);
        let survey = match self.camera.as_bytes()[0] {
            b'b' => (3600.0, 5800.0, 0.8),
            b'r' => (5760.0, 7620.0, 0.8),
            _ => (7520.0, 9824.0, 0.8),
        };
        request.wavelength = Some(survey.into());
        request.psf_or.clone_from(&self.psf_or);
        request.options.psferr = Some(if self.camera.starts_with('b') { 0.04 } else { 0.01 });
        request.barycentric = barycentric && self.is_on_sky();
        request
    }

    /// Whether the exposure is of the sky, by OBSTYPE of the image.
    fn is_on_sky(&self) -> bool {
        let kind = read_first_cards(&self.input).and_then(|cards| cards.get_str("OBSTYPE"));
        kind.is_some_and(|kind| ["SCIENCE", "SKY"].iter().any(|of_sky| kind.eq_ignore_ascii_case(of_sky)))
    }
}

impl Tree {
    /// Lists the exposures of a night that have a folder of preprocessed frames.
    ///
    /// # Errors
    /// [`TreeError::Folder`] if the night's folder cannot be read.
    pub fn exposures(redux: &Path, night: u32) -> Result<Vec<u32>, TreeError> {
        let path = redux.join("preproc").join(format!("{night:08}"));
        let entries = std::fs::read_dir(&path).map_err(|source| TreeError::Folder { path: path.clone(), source })?;
        let mut exposures: Vec<u32> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        exposures.sort_unstable();
        Ok(exposures)
    }

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
        let last = outdir.unwrap_or(&exposure).join(name("frame"));
        let output = last.with_file_name(format!("frame-{camera}-{:08}-no-badcolumn-mask.fits", self.expid));
        Ok(CameraFrame { input, psf, psf_or, output, last, camera })
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
        assert_eq!(frames[1].output, at("exposures/20200314/00051060/frame-r0-00051060-no-badcolumn-mask.fits"));
        assert_eq!(frames[1].last, at("exposures/20200314/00051060/frame-r0-00051060.fits"));
        let elsewhere = tree.frames(&["z9".into()], Some(Path::new("out"))).unwrap();
        assert_eq!(elsewhere[0].output, Path::new("out/frame-z9-00051060-no-badcolumn-mask.fits"));
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
                last: "".into(),
            };
            (frame.request(true).wavelength.unwrap(), frame.request(true).options.psferr)
        };
        assert_eq!(of("b3"), ((3600.0, 5800.0, 0.8).into(), Some(0.04)));
        assert_eq!(of("r3"), ((5760.0, 7620.0, 0.8).into(), Some(0.01)));
        assert_eq!(of("z3"), ((7520.0, 9824.0, 0.8).into(), Some(0.01)));
    }

    #[test]
    fn wavelengths_are_barycentric_for_exposures_of_the_sky_alone() {
        let home = tempfile::tempdir().unwrap();
        for (kind, expected) in [("SCIENCE", true), ("SKY", true), ("ARC", false), ("FLAT", false)] {
            let input = home.path().join(format!("{kind}.fits"));
            let cards = [
                format!("SIMPLE  = {:>20}", "T"),
                format!("NAXIS   = {:>20}", 2),
                format!("OBSTYPE = '{kind:<8}'"),
                "END".into(),
            ];
            std::fs::write(&input, format!("{:<2880}", cards.map(|card| format!("{card:<80}")).concat())).unwrap();
            let [psf, output, last] = ["", "", ""].map(PathBuf::from);
            let frame = CameraFrame { camera: "r0".into(), input, psf, psf_or: None, output, last };
            assert_eq!(frame.request(true).barycentric, expected, "{kind}");
            assert!(!frame.request(false).barycentric);
        }
    }

    #[test]
    fn the_exposures_of_a_night_are_its_folders() {
        let (home, _) =
            tree(&["preproc/20200314/00051062/x", "preproc/20200314/00051060/x", "preproc/20200314/notes/x"]);
        assert_eq!(Tree::exposures(home.path(), 20200314).unwrap(), [51060, 51062]);
        assert!(matches!(Tree::exposures(home.path(), 1), Err(TreeError::Folder { .. })));
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
