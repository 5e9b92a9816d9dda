//! The CPU stages, one after another, against every intermediate of the reference patches.

use spextral::geometry::Positions;
use spextral::geometry::SpotShape;
use spextral::geometry::{PatchPixels, Rectangle};
use spextral::plan::half_bandwidth;
use spextral::stages::cholesky::{self, Layout};
use spextral::stages::decorrelate::{Decorrelated, FibreIndex, Modes, decorrelate};
use spextral::stages::goodness::{goodness, pixel_chi2};
use spextral::stages::jacobi::eigen;
use spextral::stages::model::add_model;
use spextral::stages::normal_equations::{NormalEquations, PatchPrior, normal_equations};
use spextral::stages::patch::PatchSpots;
use spextral::stages::schur::{Block, schur};
use spextral::stages::spots::spots;
use spextral::stages::traces::{Traces, param, traces};
use testkit::{Reference, largest, maximum, worst};

/// A reference patch and our first two stages on it.
struct Case {
    reference: Reference,
    name: &'static str,
    shape: SpotShape,
    traces: Traces,
    spots: Vec<f64>,
    pixels: PatchPixels,
}

/// Our normal equations, unknowns bin by bin.
struct Normal {
    layout: Layout,
    band: Vec<f64>,
    rhs: Vec<f64>,
    weight: Vec<f64>,
    alpha: Vec<f64>,
}

/// Our spectra of all fibres of the patch, padding included, `[nspec, nbin]`, and R `[nspec, nbin, nbin]`.
struct Spectra {
    flux: Vec<f64>,
    ivar: Vec<f64>,
    r: Vec<f64>,
}

impl Case {
    fn all() -> impl Iterator<Item = Self> {
        Reference::ALL.into_iter().map(Self::open)
    }

    fn open(name: &'static str) -> Self {
        let reference = Reference::open(name);
        let wave = reference.array("WAVE");
        let fibres = reference.fibre0..reference.fibre0 + reference.nspec;
        let traces = traces(&reference.psf, fibres, &wave, reference.tails);
        let shape = SpotShape::new(&reference.psf, reference.tails);
        let (size, image) = reference.image("PIXELS");
        let at = Rectangle { y0: reference.corner.0, x0: reference.corner.1, ny: size[0], nx: size[1] };
        let pixels = PatchPixels { at, image, ivar: reference.array("PIXIVAR") };
        Self { spots: spots(&traces, &shape), name, reference, shape, traces, pixels }
    }

    fn spots(&self) -> PatchSpots<'_> {
        PatchSpots {
            spots: &self.spots,
            pixel_x: &self.traces.pixel_x,
            pixel_y: &self.traces.pixel_y,
            stride: self.reference.nbin,
            ny: self.shape.ny(),
            nx: self.shape.nx(),
            fibre0: 0,
            nspec: self.reference.nspec,
            bin0: 0,
            nbin: self.reference.nbin,
        }
    }

    fn normal(&self, regularize: f64) -> Normal {
        let (nspec, nbin) = (self.reference.nspec, self.reference.nbin);
        let (n, t) = (nspec * nbin, &self.traces);
        let positions = Positions { nfibre: nspec, nbin, pixel_x: &t.pixel_x, pixel_y: &t.pixel_y, spot: self.shape };
        let hb = half_bandwidth(&positions, nspec, nbin);
        let (mut band, mut rhs) = (vec![0.0; n * (hb + 1)], vec![0.0; n]);
        let (mut weight, mut alpha) = (vec![0.0; n], vec![0.0; n]);
        let out = NormalEquations { band: &mut band, rhs: &mut rhs, flux_weight: &mut weight, alpha: &mut alpha };
        normal_equations(&self.spots(), &self.pixels, hb, PatchPrior { regularize, largest_weight: None }, out);
        Normal { layout: Layout::band(n, hb), band, rhs, weight, alpha }
    }

    fn deconvolve(&self, normal: &Normal) -> Vec<f64> {
        let mut x = normal.rhs.clone();
        let status = cholesky::factor_solve(normal.layout, &normal.band, &mut x).unwrap();
        assert_eq!(status, vec![Ok(())], "{}", self.name);
        x
    }

    /// Every fibre decorrelated by itself.
    fn decorrelate(&self, normal: &Normal, x: &[f64]) -> Spectra {
        let (nspec, nbin) = (self.reference.nspec, self.reference.nbin);
        let blocks: Vec<Block> = (0..nspec).map(|fibre| Block { patch: 0, fibre }).collect();
        let mut s = vec![0.0; nspec * nbin * nbin];
        assert!(schur(normal.layout, &normal.band, nspec, &blocks, &mut s).unwrap().iter().all(Result::is_ok));
        let (mut values, mut vectors) = (vec![0.0; nspec * nbin], vec![0.0; s.len()]);
        assert!(eigen(nbin, &s, &mut values, &mut vectors).unwrap().iter().all(|s| s.is_ok_and(|s| s.converged)));
        let mut out = Spectra::zero(nspec, nbin);
        for f in 0..nspec {
            let modes = Modes {
                n: nbin,
                values: &values[f * nbin..][..nbin],
                vectors: &vectors[f * nbin * nbin..][..nbin * nbin],
            };
            let own: Vec<f64> = x.iter().skip(f).step_by(nspec).copied().collect();
            out.decorrelate(f, nbin, modes, FibreIndex { start: 0, stride: 1 }, &own);
        }
        out
    }

    /// All fibres decorrelated together.
    fn decorrelate_together(&self, normal: &Normal, x: &[f64]) -> Spectra {
        let (nspec, nbin) = (self.reference.nspec, self.reference.nbin);
        let n = nspec * nbin;
        let mut full = vec![0.0; n * n];
        for i in 0..n {
            for j in normal.layout.first_column(i)..=i {
                full[i * n + j] = normal.band[normal.layout.index(i, j)];
            }
        }
        let (mut values, mut vectors) = (vec![0.0; n], vec![0.0; n * n]);
        assert!(eigen(n, &full, &mut values, &mut vectors).unwrap()[0].is_ok_and(|s| s.converged));
        let mut out = Spectra::zero(nspec, nbin);
        for f in 0..nspec {
            let modes = Modes { n, values: &values, vectors: &vectors };
            out.decorrelate(f, nbin, modes, FibreIndex { start: f, stride: nspec }, x);
        }
        out
    }

    /// (fibre, bin) pairs of the core, with their index in `[ncore, 50]` and in `[nspec, nbin]`.
    fn core(&self) -> Vec<(usize, usize)> {
        let r = &self.reference;
        let core = |k: usize| (k, (r.core0 + k / 50) * r.nbin + r.pad + k % 50);
        (0..self.reference.array("FLUX").len()).map(core).collect()
    }

    /// Returns the bound for the patch `masked`, or the tighter one for the others.
    fn bound(&self, clean: f64, masked: f64) -> f64 {
        if self.name == "masked" { masked } else { clean }
    }
}

impl Spectra {
    fn zero(nspec: usize, nbin: usize) -> Self {
        let n = nspec * nbin;
        Self { flux: vec![0.0; n], ivar: vec![0.0; n], r: vec![0.0; n * nbin] }
    }

    fn decorrelate(&mut self, f: usize, nbin: usize, modes: Modes, index: FibreIndex, x: &[f64]) {
        let half = nbin - 1;
        let mut resolution = vec![0.0; nbin * (2 * half + 1)];
        let out = Decorrelated {
            flux: &mut self.flux[f * nbin..(f + 1) * nbin],
            ivar: &mut self.ivar[f * nbin..(f + 1) * nbin],
            gain: &mut vec![0.0; nbin],
            resolution: &mut resolution,
        };
        decorrelate(modes, index, x, 0..nbin, half, out);
        for i in 0..nbin {
            let row = &resolution[i * (2 * half + 1) + half - i..][..nbin];
            self.r[(f * nbin + i) * nbin..][..nbin].copy_from_slice(row);
        }
    }
}

/// Worst |a - b| in units of the reference's sigma.
fn worst_sigma(ours: &[f64], flux: &[f64], ivar: &[f64]) -> f64 {
    let sigma = |v: &[f64]| -> Vec<f64> { v.iter().zip(ivar).map(|(f, w)| f * w.sqrt()).collect() };
    worst(&sigma(ours), &sigma(flux))
}

/// Worst relative difference.
fn worst_ratio(ours: &[f64], reference: &[f64]) -> f64 {
    maximum(ours.iter().zip(reference).map(|(a, b)| (a / b - 1.0).abs()))
}

#[test]
fn traces_agree_to_1e_9_px() {
    for case in Case::all() {
        let (r, t) = (&case.reference, &case.traces);
        let whole = |pixel: &[i32], offset: &[f64]| -> Vec<f64> {
            pixel.iter().zip(offset).map(|(&p, o)| f64::from(p) + o).collect()
        };
        assert!(worst(&whole(&t.pixel_x, &t.offset_x), &r.array("TRACE_X")) < 1e-9, "{}", case.name);
        assert!(worst(&whole(&t.pixel_y, &t.offset_y), &r.array("TRACE_Y")) < 1e-9, "{}", case.name);
        let count = r.nspec * r.nbin;
        let parameter = |k: usize| &t.shape[k * count..(k + 1) * count];
        assert!(worst(parameter(param::SIGMA_X), &r.array("GHSIGX")) < 1e-9, "{}", case.name);
        assert!(worst(parameter(param::SIGMA_Y), &r.array("GHSIGY")) < 1e-9, "{}", case.name);
        // The PSFVER 2 reference has no GH; its spots show that they are right.
        if !r.tails {
            let gh = r.array("GH");
            assert!(worst(&t.shape[param::GH * count..][..gh.len()], &gh) < 1e-9, "{}", case.name);
        }
    }
}

#[test]
fn spots_agree_to_1e_11_and_stand_on_the_same_corners() {
    for case in Case::all() {
        let (r, t) = (&case.reference, &case.traces);
        let d = worst(&case.spots, &r.array("SPOTS"));
        note!("{}: spots {d:.1e}", case.name);
        assert!(d < 1e-11, "{}: {d:e}", case.name);
        let corner =
            |pixel: &[i32], half: usize| -> Vec<f64> { pixel.iter().map(|&p| f64::from(p) - half as f64).collect() };
        assert_eq!(corner(&t.pixel_x, case.shape.half_x), r.array("CORNER_X"), "{}", case.name);
        assert_eq!(corner(&t.pixel_y, case.shape.half_y), r.array("CORNER_Y"), "{}", case.name);
    }
}

#[test]
fn spots_without_tails_agree_to_1e_11() {
    let case = Case::open("v2tails");
    let plain = SpotShape { tails: false, ..case.shape };
    assert!(worst(&spots(&case.traces, &plain), &case.reference.array("SPOTS_PLAIN")) < 1e-11);
}

#[test]
fn normal_equations_agree_to_1e_11_of_the_largest() {
    for case in Case::all() {
        let r = &case.reference;
        let normal = case.normal(0.0);
        let icov = r.array("ICOV");
        let n = r.nspec * r.nbin;
        let theirs = |i: usize| (i % r.nspec) * r.nbin + i / r.nspec;
        let mut error = 0.0f64;
        for i in 0..n {
            for j in 0..=i {
                let inside = j >= normal.layout.first_column(i);
                let ours = if inside { normal.band[normal.layout.index(i, j)] } else { 0.0 };
                error = error.max((ours - icov[theirs(i) * n + theirs(j)]).abs());
            }
        }
        note!("{}: icov {:.1e}", case.name, error / largest(&icov));
        assert!(error < 1e-11 * largest(&icov), "{}: {error:e} of {:e}", case.name, largest(&icov));
        for (ours, name) in [(&normal.rhs, "RHS"), (&normal.weight, "FLUXWEIGHT"), (&normal.alpha, "ALPHA")] {
            let reference = r.by_bin(&r.array(name));
            // Alpha is a difference of flux weights: its error is theirs.
            let scale = if name == "ALPHA" { largest(&normal.weight) } else { largest(&reference) };
            assert!(worst(ours, &reference) < 1e-11 * scale, "{} {name}", case.name);
        }
    }
}

#[test]
fn spectra_agree_fibre_by_fibre() {
    for case in Case::all() {
        let r = &case.reference;
        let normal = case.normal(0.0);
        let x = case.deconvolve(&normal);
        let ours = case.decorrelate(&normal, &x);
        let (flux, ivar) = (r.array("FLUX_FULL"), r.array("IVAR_FULL"));
        let d_flux = worst_sigma(&ours.flux, &flux, &ivar);
        let d_ivar = worst_ratio(&ours.ivar, &ivar);
        let d_r = worst(&ours.r, &r.array("RBLOCKS"));
        note!("{}: flux {d_flux:.1e} sigma, ivar {d_ivar:.1e}, R {d_r:.1e}", case.name);
        assert!(d_flux < 1e-5, "{}: flux {d_flux:e} sigma", case.name);
        assert!(d_ivar < case.bound(1e-6, 1e-5), "{}: ivar {d_ivar:e}", case.name);
        assert!(d_r < case.bound(1e-7, 2e-6), "{}: R {d_r:e}", case.name);
    }
}

#[test]
fn goodness_and_model_image_agree() {
    for case in Case::all() {
        let r = &case.reference;
        let normal = case.normal(0.0);
        let x = case.deconvolve(&normal);
        let (spots, at) = (case.spots(), case.pixels.at);
        let mut model = vec![0.0; at.len()];
        add_model(&spots, &at, &x, &mut model);
        let chi2 = pixel_chi2(&case.pixels, &model, case.reference.psf.psferr);
        let (chi2pix, masked) = (r.array("CHI2PIX"), r.array("PIXMASK_FRACTION"));
        let mut compared = 0;
        for (k, full) in case.core() {
            let g = goodness(&spots, &case.pixels, &chi2, (full % r.nbin) * r.nspec + full / r.nbin);
            if g.off_ccd == 0.0 {
                compared += 1;
                assert!((g.chi2pix - chi2pix[k]).abs() < 1e-8, "{} {k}: {} {}", case.name, g.chi2pix, chi2pix[k]);
                assert!((g.pixmask_fraction - masked[k]).abs() < 1e-8, "{} {k}", case.name);
            }
        }
        assert!(compared > 100, "{}: only {compared} bins on the CCD", case.name);
    }
}

#[test]
fn the_decorrelated_model_image_agrees() {
    for case in Case::all() {
        let r = &case.reference;
        let normal = case.normal(0.0);
        let ours = case.decorrelate(&normal, &case.deconvolve(&normal));
        let reference = r.array("MODELIMAGE");
        let error = |flux_of: &dyn Fn(usize, usize) -> f64| {
            let mut flux = vec![0.0; r.nspec * r.nbin];
            for (k, full) in case.core() {
                flux[(full % r.nbin) * r.nspec + full / r.nbin] = flux_of(k, full);
            }
            let mut model = vec![0.0; case.pixels.at.len()];
            add_model(&case.spots(), &case.pixels.at, &flux, &mut model);
            worst(&model, &reference) / largest(&reference)
        };
        let theirs = r.array("FLUX");
        let (projection, whole) = (error(&|k, _| theirs[k]), error(&|_, full| ours.flux[full]));
        note!("{}: projection {projection:.1e}, with our flux {whole:.1e}", case.name);
        assert!(projection < 1e-9, "{}: {projection:e}", case.name);
        // The masked reference's own flux, from eigenvalues of C_ff, is off by 4e-6 sigma: its image cannot be met closer.
        assert!(whole < case.bound(1e-9, 2e-7), "{}: {whole:e}", case.name);
    }
}

#[test]
fn spectra_of_all_fibres_decorrelated_together_agree() {
    for name in ["mid", "masked"] {
        let case = Case::open(name);
        let normal = case.normal(0.0);
        let ours = case.decorrelate_together(&normal, &case.deconvolve(&normal));
        let (flux, ivar) = (case.reference.array("NOISE_FLUX"), case.reference.array("NOISE_IVAR"));
        let (d_flux, d_ivar) = (worst_sigma(&ours.flux, &flux, &ivar), worst_ratio(&ours.ivar, &ivar));
        note!("{name}: flux {d_flux:.1e} sigma, ivar {d_ivar:.1e}");
        assert!(d_flux < 1e-5 && d_ivar < case.bound(1e-6, 1e-5), "{name}: {d_flux:e} {d_ivar:e}");
    }
}

#[test]
fn regularised_spectra_agree() {
    let case = Case::open("mid");
    let r = &case.reference;
    let normal = case.normal(r.regularize);
    let x = case.deconvolve(&normal);
    let ours = case.decorrelate(&normal, &x);
    let (flux, ivar) = (r.array("REG_FLUX"), r.array("REG_IVAR"));
    assert!(worst_sigma(&ours.flux, &flux, &ivar) < 1e-5);
    assert!(worst_ratio(&ours.ivar, &ivar) < 1e-6);
    assert!(worst_sigma(&x, &r.by_bin(&r.array("REG_XFLUX")), &r.by_bin(&ivar)) < 1e-5);
}
