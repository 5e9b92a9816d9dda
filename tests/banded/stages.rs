//! The banded solver's stages that work on pixels, against the patches' stages on the whole bundle as one patch.

use spextral::geometry::SpotShape;
use spextral::geometry::{Patch, Positions};
use spextral::geometry::{PatchPixels, Rectangle};
use spextral::plan::half_bandwidth;
use spextral::stages::banded::{self, add_banded_model, banded_goodness, banded_normal_equations};
use spextral::stages::goodness::{goodness, pixel_chi2};
use spextral::stages::model::add_model;
use spextral::stages::normal_equations::{NormalEquations, PatchPrior, normal_equations};
use spextral::stages::patch::PatchSpots;
use spextral::stages::spot_weight::largest_spot_weights;
use spextral::stages::spots::{SpotSource, spots};
use spextral::stages::traces::{Traces, traces};
use testkit::Small;

/// The first bundle of a small frame, both ways.
struct Bundle {
    small: Small,
    wave: Vec<f64>,
    traces: Traces,
    shape: SpotShape,
    spots: Vec<f64>,
}

impl Bundle {
    /// `nbin` bins from `first` of the frame's grid on, which may lie off the CCD; some pixels are masked.
    fn new(seed: u64, first: i64, nbin: usize, tails: bool) -> Self {
        let mut small = Small::new(seed);
        let ivar = &mut small.ivar;
        (0..ivar.len()).filter(|k| k % 97 < 3 || (40..48).contains(&(k / 300))).for_each(|k| ivar[k] = 0.0);
        let wave = |k: usize| small.grid.wave()[0] + (first + k as i64) as f64 * small.grid.step();
        let wave: Vec<f64> = (0..nbin).map(wave).collect();
        let traces = traces(&small.psf, 0..5, &wave, tails);
        let shape = SpotShape::new(&small.psf, tails);
        let spots = spots(&traces, &shape);
        Self { small, wave, traces, shape, spots }
    }

    fn source(&self) -> SpotSource<'_> {
        SpotSource::new(&self.small.psf, 0..5, &self.wave, self.shape.tails)
    }

    fn spots(&self) -> PatchSpots<'_> {
        PatchSpots {
            spots: &self.spots,
            pixel_x: &self.traces.pixel_x,
            pixel_y: &self.traces.pixel_y,
            stride: self.wave.len(),
            ny: self.shape.ny(),
            nx: self.shape.nx(),
            fibre0: 0,
            nspec: 5,
            bin0: 0,
            nbin: self.wave.len(),
        }
    }

    /// All pixels of the CCD.
    fn pixels(&self) -> PatchPixels {
        let ccd = self.small.ccd();
        let (rows, columns) = (0..ccd.ny(), 0..ccd.nx());
        ccd.cut(&Patch { fibres: 0..5, core: 0..5, bin0: 0, nbin: 0, core_bins: 0..0, rows, columns })
    }

    fn positions(&self) -> Positions<'_> {
        let Traces { nfibre, nbin, pixel_x, pixel_y, .. } = &self.traces;
        Positions { nfibre: *nfibre, nbin: *nbin, pixel_x, pixel_y, spot: self.shape }
    }
}

/// In the middle of the CCD, off its lower and its upper edge, with and without tails; odd numbers of bins.
fn bundles() -> impl Iterator<Item = Bundle> {
    [(31, 0, 101, false), (32, -60, 77, false), (33, 80, 60, false), (34, 3, 30, true), (35, 10, 1, false)]
        .into_iter()
        .map(|(seed, first, nbin, tails)| Bundle::new(seed, first, nbin, tails))
}

#[test]
fn normal_equations_in_bands_are_those_of_one_patch() {
    for bundle in bundles() {
        let (n, nbin) = (5 * bundle.wave.len(), bundle.wave.len());
        let width = half_bandwidth(&bundle.positions(), 5, nbin);
        let zeros = || vec![0.0; n];
        let (mut band, mut rhs, mut flux_weight, mut alpha) = (vec![0.0; n * (width + 1)], zeros(), zeros(), zeros());
        let out = NormalEquations { band: &mut band, rhs: &mut rhs, flux_weight: &mut flux_weight, alpha: &mut alpha };
        let prior = PatchPrior {
            regularize: 0.3,
            largest_weight: Some(largest_spot_weights(&bundle.small.psf, &bundle.small.ccd())[0]),
        };
        normal_equations(&bundle.spots(), &bundle.pixels(), width, prior, out);
        let element = |i: usize, j: usize| {
            let (i, j) = (i.max(j), i.min(j));
            if i - j > width { 0.0 } else { band[i * (width + 1) + j + width - i] }
        };

        let source = bundle.source();
        let half = banded::half_bandwidth(&source.positions(), 2);
        let ours = banded_normal_equations(&source, &bundle.small.ccd(), half, 2, prior.of(0.0));
        let largest = band.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12 * largest;
        for f in 0..5 {
            for i in 0..nbin {
                assert!(
                    (ours.rhs[f][i] - rhs[5 * i + f]).abs() < 1e-12 * rhs.iter().fold(0.0, |m: f64, v| m.max(v.abs()))
                );
                for d in (0..=half).filter(|d| i + d < nbin) {
                    assert!(close(ours.diagonal[f][i * (half + 1) + d], element(5 * (i + d) + f, 5 * i + f)));
                }
                for (apart, j) in (1..=f.min(2)).flat_map(|apart| (0..nbin).map(move |j| (apart, j))) {
                    let Some(at) = (j + half).checked_sub(i).filter(|at| *at <= 2 * half) else { continue };
                    let pair = ours.pairs[apart - 1][f - apart][i * (2 * half + 1) + at];
                    assert!(close(pair, element(5 * i + f, 5 * j + f - apart)), "fibre {f}, bins {i} and {j}");
                }
            }
        }
    }
}

#[test]
fn goodness_in_blocks_is_that_of_one_patch() {
    for bundle in bundles() {
        let (nbin, ccd, psferr) = (bundle.wave.len(), &bundle.small.ccd(), 0.02);
        let x: Vec<f64> = (0..5 * nbin).map(|i| 800.0 * (1.2 + (i as f64).sin())).collect();
        let (spots, pixels) = (bundle.spots(), bundle.pixels());
        let mut model = vec![0.0; pixels.image.len()];
        add_model(&spots, &pixels.at, &x, &mut model);
        let chi2 = pixel_chi2(&pixels, &model, psferr);

        let source = bundle.source();
        let half = banded::half_bandwidth(&source.positions(), 1);
        let of_fibre: Vec<Vec<f64>> = (0..5).map(|f| (0..nbin).map(|b| x[5 * b + f]).collect()).collect();
        let (wanted, bins) = (1..4, nbin / 7..nbin);
        let ours = banded_goodness(&source, ccd, &of_fibre, psferr, half, wanted.clone(), bins.clone());
        for (k, ours) in ours.iter().enumerate() {
            let (f, b) = (wanted.start + k / bins.len(), bins.start + k % bins.len());
            let theirs = goodness(&spots, &pixels, &chi2, 5 * b + f);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * (1.0 + b.abs());
            assert!(close(ours.chi2pix, theirs.chi2pix), "fibre {f}, bin {b}: {ours:?} {theirs:?}");
            assert!(close(ours.pixmask_fraction, theirs.pixmask_fraction), "fibre {f}, bin {b}: {ours:?} {theirs:?}");
            assert!(close(ours.off_ccd, theirs.off_ccd), "fibre {f}, bin {b}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn the_model_in_blocks_is_that_of_one_patch() {
    for bundle in bundles() {
        let (nbin, ccd) = (bundle.wave.len(), &bundle.small.ccd());
        let (wanted, bins) = (1..4, nbin / 5..nbin);
        let flux = |k: usize| 100.0 + (k as f64 * 0.3).sin();
        let x: Vec<f64> = (0..wanted.len() * bins.len()).map(flux).collect();
        let mut ours = vec![1.0; ccd.nx() * ccd.ny()];
        add_banded_model(&bundle.source(), ccd, &x, wanted.clone(), bins.clone(), &(0..ccd.nx()), &mut ours);

        let by_bin = bins.clone().flat_map(|b| (0..wanted.len()).map(move |f| (f, b)));
        let by_bin: Vec<f64> = by_bin.map(|(f, b)| x[f * bins.len() + b - bins.start]).collect();
        let some = PatchSpots { fibre0: 1, nspec: 3, bin0: bins.start, nbin: bins.len(), ..bundle.spots() };
        let mut theirs = vec![1.0; ccd.nx() * ccd.ny()];
        add_model(&some, &Rectangle { y0: 0, x0: 0, ny: ccd.ny(), nx: ccd.nx() }, &by_bin, &mut theirs);
        let largest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(largest < 1e-10, "{largest:e}");
        assert!(theirs.iter().any(|v| *v > 10.0) || bundle.wave.len() == 1);
    }
}
