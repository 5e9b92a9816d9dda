//! Files made by other programs, in the `shared` folder beside the checkout. Tests that want one are ignored without it.

use crate::extracting::extract;
use crate::harness::ignore;
use spextral::backend::Engine;
use spextral::extract::{Extraction, Options};
use spextral::fits::{Preproc, PreprocOptions, read_image_f64, read_preproc, read_psf};
use spextral::geometry::WaveGrid;
use spextral::psf::Psf;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Returns the path of a shared file; ignores the test if it is absent.
pub fn shared(name: &str) -> PathBuf {
    try_shared(name).unwrap_or_else(|| ignore(format!("the folder `shared` beside the checkout has no {name}")))
}

/// Returns the path of a shared file, or None if it is absent.
pub fn try_shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    path.exists().then_some(path)
}

/// The simulated frame sim11 on the PSF of a real r camera.
pub struct Sim11 {
    pub psf: Psf,
    pub preproc: Preproc,
}

impl Sim11 {
    /// Reads it, once per test binary.
    pub fn open() -> &'static Self {
        static FRAME: OnceLock<Sim11> = OnceLock::new();
        FRAME.get_or_init(|| {
            let [psf, frame] = ["psf/psf-r0-00051060.fits", "frames/preproc-r0-sim11.fits.gz"].map(shared);
            let preproc = read_preproc(frame, &PreprocOptions::default()).unwrap();
            Self { psf: read_psf(psf).unwrap(), preproc }
        })
    }

    /// Extracts it.
    #[track_caller]
    pub fn extract(&self, grid: &WaveGrid, options: &Options, engine: &Engine) -> Extraction {
        extract(&self.psf, &self.preproc.ccd, grid, options, engine)
    }
}

/// One reference patch: every intermediate in f64.
pub struct Reference {
    path: PathBuf,
    pub psf: Psf,
    /// First fibre, a row of the PSF.
    pub fibre0: usize,
    pub nspec: usize,
    pub nbin: usize,
    pub tails: bool,
    /// First row and column of the pixels.
    pub corner: (usize, usize),
    /// First core fibre, counted from `fibre0`.
    pub core0: usize,
    pub pad: usize,
    pub regularize: f64,
}

impl Reference {
    pub const ALL: [&str; 6] = ["mid", "edge", "masked", "lastpartial", "topedge", "v2tails"];

    /// Opens one of [`Self::ALL`].
    pub fn open(name: &str) -> Self {
        let path = shared(&format!("reference/patch-{name}.fits.gz"));
        let v2 = name == "v2tails";
        let psf = if v2 { "psf/psf-gausshermite-v2.fits" } else { "psf/psf-r0-00051060.fits" };
        let psf = read_psf(shared(psf)).unwrap();
        let header = spextral::fits::read_headers(&path).unwrap().remove(0);
        let int = |key: &str| header.get_i64(key).unwrap() as usize;
        Self {
            psf,
            fibre0: int("BUNDLE") + int("SPECMIN"),
            nspec: int("NSPECPAD"),
            nbin: int("NWAVESTE") + 2 * int("WAVEPAD"),
            tails: v2,
            corner: (int("Y0"), int("X0")),
            core0: int("ISPEC") - int("SPECMIN"),
            pad: int("WAVEPAD"),
            regularize: header.get_f64("REGULARI").unwrap_or(0.0),
            path,
        }
    }

    pub fn image(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        read_image_f64(&self.path, name).unwrap()
    }

    pub fn array(&self, name: &str) -> Vec<f64> {
        self.image(name).1
    }

    /// Values of `[nspec, nbin]` (fibre by fibre) in the order of our unknowns (bin by bin).
    pub fn by_bin(&self, values: &[f64]) -> Vec<f64> {
        let (nspec, nbin) = (self.nspec, self.nbin);
        (0..nspec * nbin).map(|i| values[(i % nspec) * nbin + i / nspec]).collect()
    }
}
