//! A small synthetic PSF and a frame simulated on it: seconds to extract, all features present.

use crate::extracting::{cpu, extract, try_extract};
use spextral::backend::Engine;
use spextral::extract::{ExtractError, Extraction, ModelFlux, Options, Solver};
use spextral::fits::Preproc;
use spextral::geometry::{Ccd, WaveGrid};
use spextral::plan::WeightScale;
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Light, Simulated, Simulation, simulate};

/// A frame; its planes may be changed before it is extracted.
pub struct Small {
    pub psf: Psf,
    pub sim: Simulated,
    pub image: Vec<f32>,
    pub ivar: Vec<f32>,
    pub grid: WaveGrid,
}

/// Returns image and ivar of a simulated frame, ivar 0 where its mask has any bit. Only a reader applies the mask, and this
/// frame was never read.
pub fn masked_planes(preproc: &Preproc) -> [Vec<f32>; 2] {
    let [image, mut ivar] = preproc.ccd.clone().into_planes();
    let mask = preproc.mask.as_ref().expect("a simulated frame has a mask");
    ivar.iter_mut().zip(mask).filter(|(_, m)| **m != 0).for_each(|(w, _)| *w = 0.0);
    [image, ivar]
}

impl Small {
    /// Builds eight fibres in bundles of five on a short CCD; the grid runs off neither end.
    pub fn new(seed: u64) -> Self {
        let psf = Synthetic { nfibre: 8, bundlesize: 5, npix_y: Some(300), ..Synthetic::default() };
        Self::on(psf.build().unwrap(), seed)
    }

    /// Builds a frame on a PSF; the grid is its middle 100 bins.
    pub fn on(psf: Psf, seed: u64) -> Self {
        let sim = simulate(&psf, &Simulation { seed, light: Light::ModelSky, ..Simulation::default() }).unwrap();
        let [image, ivar] = masked_planes(&sim.preproc);
        let (wave, middle) = (&sim.truth.wave, sim.truth.wave.len() / 2);
        let grid = WaveGrid::new(wave[middle - 50], wave[middle + 50], 0.8).unwrap();
        Self { psf, sim, image, ivar, grid }
    }

    /// Returns options that cut the frame into several patches.
    pub fn options() -> Options {
        let mut options = Options { solver: Solver::Patches, ..Options::default() };
        options.patches.bundlesize = Some(5);
        options.patches.nsubbundles = Some(5);
        options.patches.nwavestep = 40;
        options
    }

    /// Returns options for the banded solver.
    pub fn banded() -> Options {
        Options { solver: Solver::Banded, ..Self::options() }
    }

    /// Returns the CCD of the planes.
    pub fn ccd(&self) -> Ccd<'_> {
        self.with_planes(&self.image, &self.ivar)
    }

    /// Returns the CCD of other planes.
    pub fn with_planes<'a>(&self, image: &'a [f32], ivar: &'a [f32]) -> Ccd<'a> {
        Ccd::new(self.psf.npix_y, self.psf.npix_x, image, ivar).unwrap()
    }

    /// Masks some rows, and the pixels nearest to a fibre.
    pub fn mask_rows_and_fibre(&mut self, rows: std::ops::Range<usize>, fibre: usize) {
        let nx = self.psf.npix_x;
        let x = self.psf.trace_x.of(fibre)[0] as usize;
        for (k, w) in self.ivar.iter_mut().enumerate() {
            if rows.contains(&(k / nx)) || (x - 3..x + 4).contains(&(k % nx)) {
                *w = 0.0;
            }
        }
    }

    /// Adds `times` the light of a fibre to it, and its noise.
    pub fn brighten(&mut self, fibre: usize, times: f32) {
        let model = Some(ModelFlux::Deconvolved);
        let alone = Options { specmin: fibre, nspec: Some(1), model, ..Self::banded() };
        let light = self.extract(&alone, &cpu()).model.unwrap();
        for ((v, w), light) in self.image.iter_mut().zip(&mut self.ivar).zip(light) {
            *v += times * light;
            if *w > 0.0 {
                *w = 1.0 / (1.0 / *w + times * light.max(0.0));
            }
        }
    }

    /// Extracts the frame.
    #[track_caller]
    pub fn extract(&self, options: &Options, engine: &Engine) -> Extraction {
        self.extract_ccd(&self.ccd(), options, engine)
    }

    /// Extracts the frame of another CCD.
    #[track_caller]
    pub fn extract_ccd(&self, ccd: &Ccd, options: &Options, engine: &Engine) -> Extraction {
        extract(&self.psf, ccd, &self.grid, options, engine)
    }

    /// Extracts the frame; the error if it cannot be extracted.
    pub fn try_extract(&self, options: &Options, engine: &Engine) -> Result<Extraction, ExtractError> {
        try_extract(&self.psf, &self.ccd(), &self.grid, options, engine)
    }
}

/// One patch per bundle, with all pixels and `beyond` bins beyond each end.
pub fn dense(nwave: usize, beyond: usize) -> Options {
    let mut options = Small::options();
    options.patches.nsubbundles = Some(1);
    options.patches.nwavestep = nwave;
    options.patches.wavepad = beyond;
    options.patches.wavepad_frac = 0.0;
    options.patches.pixpad_frac = 1.0;
    options.patches.weight_scale = WeightScale::Group;
    options
}
