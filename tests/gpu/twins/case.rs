//! Small batches of patches that the stages of both kinds work on: of a synthetic PSF, and the reference patches.

use spextral::geometry::Ccd;
use spextral::geometry::SpotShape;
use spextral::geometry::{Patch, Positions};
use spextral::gpu::patch::{BundleSpots, CcdBuffers};
use spextral::gpu::{self, Gpu};
use spextral::plan::{Batch, half_bandwidth};
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::stages::patch::PatchSpots;
use spextral::stages::spots::spots;
use spextral::stages::traces::{Traces, traces};
use testkit::Reference;

/// A batch of patches and everything it is made from, by the CPU stages.
pub struct Case {
    pub name: String,
    pub psf: Psf,
    pub first_fibre: usize,
    pub wave: Vec<f64>,
    pub traces: Traces,
    pub shape: SpotShape,
    /// `[nfibre, nbin, ny, nx]`.
    pub spots: Vec<f64>,
    pub batch: Batch,
    pub image: Vec<f32>,
    pub ivar: Vec<f32>,
}

/// Numbers in 0..1 that look random.
pub fn noise(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

impl Case {
    /// Three patches of 4 fibres by 14 bins, the first half off the CCD; a dead column and a dead block.
    pub fn synthetic(tails: bool) -> Self {
        Self::of_psf(Synthetic { tail_amplitude: if tails { 1e-3 } else { 0.0 }, ..Synthetic::default() })
    }

    /// Patches as [`Self::synthetic`] has, of spots of another half width and height.
    pub fn with_spots([half_x, half_y]: [usize; 2]) -> Self {
        Self::of_psf(Synthetic { half_x, half_y, ..Synthetic::default() })
    }

    fn of_psf(psf: Synthetic) -> Self {
        let tails = psf.tail_amplitude > 0.0;
        let psf = Synthetic { nfibre: 6, bundlesize: 6, npix_y: Some(240), ..psf }.build().unwrap();
        let wave: Vec<f64> = (0..180).map(|b| psf.wave_min - 12.0 + 0.8 * f64::from(b)).collect();
        let (ny, nx) = (psf.npix_y, psf.npix_x);
        let image: Vec<f32> = noise(1, ny * nx).iter().map(|v| (2000.0 * v * v * v) as f32).collect();
        let mut ivar: Vec<f32> = image.iter().map(|v| 1.0 / (v + 9.0)).collect();
        for y in 0..ny {
            ivar[y * nx + nx / 2] = 0.0;
            if (100..108).contains(&y) {
                ivar[y * nx..y * nx + nx / 2].fill(0.0);
            }
        }
        let mut case = Self::new("synthetic".to_string(), psf, 0..6, wave, tails, image, ivar);
        let first = case.traces.pixel_y.iter().position(|&y| y >= 3).unwrap();
        let starts = [first - 7, first + 30, case.wave.len() - 20];
        case.batch.patches = starts.map(|bin0| case.patch(1..5, 1..3, bin0, 14)).to_vec();
        case.finish()
    }

    /// A reference patch, all of its fibres in the core, on an otherwise dead CCD.
    pub fn reference(name: &str) -> (Self, Reference) {
        let reference = Reference::open(name);
        let r = &reference;
        let (size, pixels) = r.image("PIXELS");
        let weights = r.array("PIXIVAR");
        let (ny, nx) = (r.psf.npix_y, r.psf.npix_x);
        let (mut image, mut ivar) = (vec![0.0; ny * nx], vec![0.0; ny * nx]);
        for k in 0..pixels.len() {
            let at = (r.corner.0 + k / size[1]) * nx + r.corner.1 + k % size[1];
            (image[at], ivar[at]) = (pixels[k] as f32, weights[k] as f32);
        }
        let (wave, fibres) = (r.array("WAVE"), r.fibre0..r.fibre0 + r.nspec);
        let mut case = Self::new(name.to_string(), r.psf.clone(), fibres, wave, r.tails, image, ivar);
        let rows = r.corner.0..r.corner.0 + size[0];
        let columns = r.corner.1..r.corner.1 + size[1];
        let patch = case.patch(0..r.nspec, 0..r.nspec, 0, r.nbin);
        case.batch.patches = vec![Patch { rows, columns, ..patch }];
        (case.finish(), reference)
    }

    fn new(
        name: String,
        psf: Psf,
        fibres: std::ops::Range<usize>,
        wave: Vec<f64>,
        tails: bool,
        image: Vec<f32>,
        ivar: Vec<f32>,
    ) -> Self {
        let traces = traces(&psf, fibres.clone(), &wave, tails);
        let shape = SpotShape::new(&psf, tails);
        let spots = spots(&traces, &shape);
        let batch = Batch { patches: Vec::new(), nspec: 0, core: 0..0, nbin: 0, half_bandwidth: 0 };
        Self { name, psf, first_fibre: fibres.start, wave, traces, shape, spots, batch, image, ivar }
    }

    /// All fibres and bins as a single patch, as the banded solver takes a bundle.
    pub fn bundle(mut self) -> Self {
        let (nfibre, nbin) = (self.traces.nfibre, self.wave.len());
        self.batch.patches = vec![Patch { core_bins: 0..nbin, ..self.patch(0..nfibre, 0..nfibre, 0, nbin) }];
        self.finish()
    }

    /// A patch on all pixels that its spots reach.
    fn patch(&self, fibres: std::ops::Range<usize>, core: std::ops::Range<usize>, bin0: usize, nbin: usize) -> Patch {
        let extent = |pixel: &[i32], half: usize, size: usize| {
            let of_fibre = |f: usize| &pixel[f * self.wave.len()..][bin0..bin0 + nbin];
            let all = fibres.clone().flat_map(of_fibre);
            let (low, high) = all.fold((i32::MAX, i32::MIN), |(l, h), &p| (l.min(p), h.max(p)));
            let clip = |v: i32| v.clamp(0, size as i32) as usize;
            clip(low - half as i32)..clip(high + half as i32 + 1)
        };
        Patch {
            rows: extent(&self.traces.pixel_y, self.shape.half_y, self.psf.npix_y),
            columns: extent(&self.traces.pixel_x, self.shape.half_x, self.psf.npix_x),
            core_bins: 2..nbin - 2,
            fibres: fibres.clone(),
            core,
            bin0,
            nbin,
        }
    }

    /// Takes the batch's shape from its patches.
    fn finish(mut self) -> Self {
        let patch = self.batch.patches[0].clone();
        let positions = Positions {
            nfibre: self.traces.nfibre,
            nbin: self.wave.len(),
            pixel_x: &self.traces.pixel_x,
            pixel_y: &self.traces.pixel_y,
            spot: self.shape,
        };
        self.batch.half_bandwidth = half_bandwidth(&positions, patch.nspec(), patch.nbin);
        (self.batch.nspec, self.batch.core, self.batch.nbin) = (patch.nspec(), patch.core, patch.nbin);
        self
    }

    /// The CCD with its weights as they are: some cases need one that [`Ccd::new`] would mask.
    pub fn ccd(&self) -> Ccd<'_> {
        let shape = [self.psf.npix_y, self.psf.npix_x];
        Ccd::from_columns(shape, 0..self.psf.npix_x, [&self.image, &self.ivar], None).unwrap()
    }

    pub fn fibres(&self) -> std::ops::Range<usize> {
        self.first_fibre..self.first_fibre + self.traces.nfibre
    }

    pub fn view(&self, patch: &Patch) -> PatchSpots<'_> {
        PatchSpots {
            spots: &self.spots,
            pixel_x: &self.traces.pixel_x,
            pixel_y: &self.traces.pixel_y,
            stride: self.wave.len(),
            ny: self.shape.ny(),
            nx: self.shape.nx(),
            fibre0: patch.fibres.start,
            nspec: patch.nspec(),
            bin0: patch.bin0,
            nbin: patch.nbin,
        }
    }

    /// The CPU's traces on a device.
    pub fn traces_on(&self, gpu: &Gpu) -> gpu::traces::Traces {
        let t = &self.traces;
        let offset: Vec<f64> = t.offset_x.iter().chain(&t.offset_y).copied().collect();
        let pixel: Vec<i32> = t.pixel_x.iter().chain(&t.pixel_y).copied().collect();
        gpu::traces::Traces {
            nfibre: t.nfibre,
            nbin: t.nbin,
            pixel: gpu.upload("pixel", &pixel).unwrap(),
            offset: gpu.upload_reals("offset", &offset).unwrap(),
            shape: gpu.upload_reals("shape", &t.shape).unwrap(),
        }
    }

    /// The CPU's spots on a device.
    pub fn spots_on(&self, gpu: &Gpu) -> BundleSpots {
        BundleSpots {
            shape: self.shape,
            nfibre: self.traces.nfibre,
            nbin: self.traces.nbin,
            pixel: self.traces_on(gpu).pixel,
            bins: 0..self.traces.nbin,
            spots: gpu.upload_reals("spots", &self.spots).unwrap(),
        }
    }

    pub fn ccd_on(&self, gpu: &Gpu) -> CcdBuffers {
        CcdBuffers::upload(gpu, &self.ccd()).unwrap()
    }

    /// Some flux of the unknowns, `[patch, n]`.
    pub fn flux(&self) -> Vec<f64> {
        noise(7, self.batch.len() * self.batch.n()).into_iter().map(|v| 1000.0 * v - 100.0).collect()
    }
}
