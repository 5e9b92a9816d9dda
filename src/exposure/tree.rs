//! The folders of a DESI reduction: which frames an exposure has, where their PSFs are, where spectra go.

use crate::base::option_name::OptionName::{Expid, Night, Reduxdir};
use crate::extract::Request;
use std::path::{Path, PathBuf};

/// Endings of image files, the first that exists is taken.
const ENDINGS: [&str; 3] = ["fits.gz", "fits.fz", "fits"];

/// An exposure that is not there, or a name that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// There is no folder of preprocessed frames.
    #[error("cannot read {}: {source}; check {Reduxdir}, {Night} and {Expid}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no frame in it.
    #[error("{} has no preproc-CAMERA-{expid:08}.fits, .fits.gz or .fits.fz; check {Night} and {Expid}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
        /// The exposure.
        expid: u32,
    },
    /// A camera is a letter and a spectrograph.
    #[error("there is no camera {0}: give b, r or z and the number of the spectrograph, as b0,r0,z0")]
    Camera(String),
}

/// A reduction of one exposure.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Its root, which has `preproc`, `exposures`, `calibnight`.
    pub redux: PathBuf,
    /// The night, YYYYMMDD.
    pub night: u32,
    /// The exposure.
    pub expid: u32,
}

/// A camera's frame with the survey's own settings.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The camera, as r0.
    pub camera: String,
    /// The preprocessed image.
    pub input: PathBuf,
    /// Its PSF.
    pub psf: PathBuf,
    /// Where the spectra go: `frame-CAMERA-EXPID.fits`.
    pub output: PathBuf,
}

impl Frame {
    /// The survey's wavelengths (Angstrom) and PSF error for this camera, as defaults of a request.
    pub fn request(&self) -> Request {
        let mut request = Request::new(&self.input, &self.psf, &self.output);
        request.wavelength = Some(match self.camera.as_bytes()[0] {
            b'b' => (3600.0, 5800.0, 0.8),
            b'r' => (5760.0, 7620.0, 0.8),
            _ => (7520.0, 9824.0, 0.8),
        });
        request.options.psferr = self.camera.starts_with('b').then_some(0.04);
        request
    }
}

impl Tree {
    /// The frames of `cameras`, or of all there are. Files that are missing are for the one who reads to say.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn frames(&self, cameras: &[String], outdir: Option<&Path>) -> Result<Vec<Frame>, TreeError> {
        let cameras = if cameras.is_empty() { self.cameras()? } else { cameras.to_vec() };
        cameras.into_iter().map(|camera| self.frame(camera, outdir)).collect()
    }

    fn frame(&self, camera: String, outdir: Option<&Path>) -> Result<Frame, TreeError> {
        if !is_camera(&camera) {
            return Err(TreeError::Camera(camera));
        }
        let exposure = self.of_exposure("exposures");
        let name = |what: &str| format!("{what}-{camera}-{:08}.fits", self.expid);
        let own = first_of(&exposure, &name("psf"));
        let nightly = || {
            let folder = self.redux.join("calibnight").join(format!("{:08}", self.night));
            first_of(&folder, &format!("psfnight-{camera}-{:08}.fits", self.night))
        };
        let psf = own.or_else(nightly).unwrap_or_else(|| exposure.join(name("psf")));
        let preproc = self.of_exposure("preproc");
        let input = first_of(&preproc, &name("preproc")).unwrap_or_else(|| preproc.join(name("preproc")));
        let output = outdir.unwrap_or(&exposure).join(name("frame"));
        Ok(Frame { input, psf, output, camera })
    }

    fn of_exposure(&self, what: &str) -> PathBuf {
        self.redux.join(what).join(format!("{:08}", self.night)).join(format!("{:08}", self.expid))
    }

    /// The cameras that have a frame.
    fn cameras(&self) -> Result<Vec<String>, TreeError> {
        let path = self.of_exposure("preproc");
        let entries = std::fs::read_dir(&path).map_err(|source| TreeError::Folder { path: path.clone(), source })?;
        let tail = format!("-{:08}", self.expid);
        let camera_of = |name: &str| {
            let (stem, ending) = name.split_once('.')?;
            let camera = stem.strip_prefix("preproc-")?.strip_suffix(tail.as_str())?;
            (ENDINGS.contains(&ending) && is_camera(camera)).then(|| camera.to_string())
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

/// The file `name`, which ends in `.fits`, with the first ending that exists.
fn first_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let stem = name.strip_suffix("fits").unwrap_or(name);
    ENDINGS.iter().map(|ending| folder.join(format!("{stem}{ending}"))).find(|path| path.exists())
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
    fn cameras_are_found_with_their_psf_or_the_night_s() {
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
        assert!(elsewhere[0].input.ends_with("preproc-z9-00051060.fits"), "named as it should be, for the error");
    }

    #[test]
    fn the_survey_s_settings_are_those_of_the_camera() {
        let of = |camera: &str| {
            let frame = Frame { camera: camera.into(), input: "".into(), psf: "".into(), output: "".into() };
            (frame.request().wavelength.unwrap(), frame.request().options.psferr)
        };
        assert_eq!(of("b3"), ((3600.0, 5800.0, 0.8), Some(0.04)));
        assert_eq!(of("r3"), ((5760.0, 7620.0, 0.8), None));
        assert_eq!(of("z3"), ((7520.0, 9824.0, 0.8), None));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let (_home, tree) = tree(&["preproc/20200314/00051060/preproc-r0-00000001.fits"]);
        assert!(matches!(tree.frames(&[], None), Err(TreeError::Empty { .. })));
        assert!(matches!(tree.frames(&["q0".into()], None), Err(TreeError::Camera(name)) if name == "q0"));
        let nowhere = Tree { night: 1, ..tree };
        assert!(matches!(nowhere.frames(&[], None), Err(TreeError::Folder { .. })));
    }
}
