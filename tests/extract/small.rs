//! A small synthetic PSF and a frame simulated on it: seconds to extract, all features present.

use spextral::backend::Engine;
use spextral::extract::{Extraction, ModelFlux, Options, Solver, extract};
use spextral::geometry::Ccd;
use spextral::geometry::WaveGrid;
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulated, Simulation, simulate};

pub struct Small {
    pub psf: Psf,
    pub sim: Simulated,
    pub image: Vec<f32>,
    pub ivar: Vec<f32>,
    pub grid: WaveGrid,
}

impl Small {
    /// Eight fibres in bundles of five on a short CCD; the grid runs off neither end.
    pub fn new(seed: u64) -> Self {
        Self::on(
            Synthetic { nfibre: 8, bundlesize: 5, npix_y: Some(300), ..Synthetic::default() }.build().unwrap(),
            seed,
        )
    }

    /// A frame on a PSF, its middle 100 bins.
    pub fn on(psf: Psf, seed: u64) -> Self {
        let sim = simulate(&psf, &Simulation { seed, ..Simulation::default() }).unwrap();
        // A reader sets ivar to 0 where the mask has bits; the simulated frame has not gone through one.
        let [image, mut ivar] = sim.preproc.ccd.clone().into_planes();
        let mask = sim.preproc.mask.as_ref().unwrap();
        ivar.iter_mut().zip(mask).filter(|(_, m)| **m != 0).for_each(|(w, _)| *w = 0.0);
        let (wave, middle) = (&sim.truth.wave, sim.truth.wave.len() / 2);
        let grid = WaveGrid::new(wave[middle - 50], wave[middle + 50], 0.8).unwrap();
        Self { psf, sim, image, ivar, grid }
    }

    pub fn options() -> Options {
        let mut options = Options { solver: Solver::Patches, ..Options::default() };
        options.patches.bundlesize = 5;
        options.patches.nsubbundles = 5;
        options.patches.nwavestep = 40;
        options
    }

    /// The options, on a grid divided by a barycentric `factor`.
    pub fn options_with(&self, factor: f64) -> Options {
        Options { barycentric: Some(factor), ..Self::options() }
    }

    pub fn ccd(&self) -> Ccd<'_> {
        self.with_planes(&self.image, &self.ivar)
    }

    /// The CCD with other planes.
    pub fn with_planes<'a>(&self, image: &'a [f32], ivar: &'a [f32]) -> Ccd<'a> {
        Ccd::new(self.psf.npix_y, self.psf.npix_x, image, ivar).unwrap()
    }

    /// Makes the pixels of some rows, and those nearest to a fibre, unusable.
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
        let alone = Options { specmin: fibre, nspec: Some(1), model, solver: Solver::Banded, ..Self::options() };
        let light = self.extract(&alone, &Engine::cpu()).model.unwrap();
        for ((v, w), light) in self.image.iter_mut().zip(&mut self.ivar).zip(light) {
            *v += times * light;
            if *w > 0.0 {
                *w = 1.0 / (1.0 / *w + times * light.max(0.0));
            }
        }
    }

    pub fn extract(&self, options: &Options, engine: &Engine) -> Extraction {
        extract(&self.psf, &self.ccd(), &self.grid, options, engine, &|_, _| {}).unwrap()
    }
}
