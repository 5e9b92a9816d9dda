//! The reference files, where they are present.

use spextral::fits::{read_image_f64, read_psf};
use spextral::psf::Psf;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

/// Path of a shared file, or None (said aloud) where the shared folder is missing.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).join(name);
    if !path.exists() {
        // Past the test harness, which swallows what a passing test prints; once for all tests.
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            let _ = writeln!(std::io::stderr(), "REFERENCE TESTS SKIPPED: {} is not there", path.display());
        });
        return None;
    }
    Some(path)
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

    pub fn open(name: &str) -> Option<Self> {
        let path = shared(&format!("reference/patch-{name}.fits.gz"))?;
        let v2 = name == "v2tails";
        let psf = if v2 { "psf/psf-gausshermite-v2.fits" } else { "psf/psf-r0-00051060.fits" };
        let psf = read_psf(shared(psf)?).unwrap();
        let header = spextral::fits::read_headers(&path).unwrap().remove(0);
        let int = |key: &str| header.get_i64(key).unwrap() as usize;
        Some(Self {
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
        })
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

/// Largest |a - b|.
pub fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    maximum(a.iter().zip(b).map(|(a, b)| (a - b).abs()))
}

/// The largest value, or NaN if any is: a NaN must not pass as small.
pub fn maximum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |m, v| if v > m || v.is_nan() || m.is_nan() { v + 0.0 * m } else { m })
}

/// Largest magnitude.
pub fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| v.abs().max(m))
}
