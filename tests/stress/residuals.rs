//! chi = (flux - R truth) sqrt(ivar) is normal: its mean, scatter and tails, for both solvers.

use spextral::extract::{Options, Solver};
use spextral::frame::Spectra;
use spextral::simulate::synthetic::Synthetic;
use testkit::cpu;
use testkit::worlds::{BEYOND, Defect, Light, Sky, World};

/// Returns chi of the bins of `fibres` with more than half of their PSF on good pixels, with R of the file.
pub fn chi(sky: &Sky, s: &Spectra, fibres: impl Iterator<Item = usize>) -> Vec<f64> {
    let (half, width) = (s.ndiag / 2, sky.grid.widths());
    let nodes = sky.truth_wave.len();
    let of_bin = |k: usize| {
        let (fibre, row) = (k / s.nwave, k % s.nwave);
        let element = |d: usize| s.resolution.at((fibre * s.ndiag + d) * s.nwave + row + half - d);
        let truth = |column: usize| sky.truth[fibre * nodes + BEYOND + column] / width[column];
        let resolved: f64 = (0..s.ndiag).map(|d| element(d) * truth(row + half - d)).sum();
        (s.flux[k] - resolved) * s.ivar[k].sqrt()
    };
    let good = |k: &usize| s.pixmask_fraction[*k] < 0.5 && s.ivar[*k] > 0.0;
    let inner = move |f: usize| (f * s.nwave + half..(f + 1) * s.nwave - half).filter(good);
    fibres.flat_map(inner).map(of_bin).collect()
}

/// Mean, scatter, and the fractions beyond 1 and 3.
fn moments(chi: &[f64]) -> [f64; 4] {
    let n = chi.len() as f64;
    let mean = chi.iter().sum::<f64>() / n;
    let scatter = (chi.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / n).sqrt();
    let beyond = |sigma: f64| chi.iter().filter(|c| c.abs() > sigma).count() as f64 / n;
    [mean, scatter, beyond(1.0), beyond(3.0)]
}

/// Twenty-five fibres by 200 bins, and their chi by a solver.
fn residuals(seed: u64, light: Light, defects: &[Defect], solver: Solver) -> Vec<f64> {
    // Enough diagonals for whole rows of R: at S/N 1000 those of 11 rows of a spot are 0.1 sigma short.
    let psf = Synthetic { nfibre: 25, bundlesize: 25, npix_y: Some(560), half_y: 9, ..Synthetic::default() };
    let mut world = World { psf, light, defects: defects.to_vec(), ..World::plain(seed, 560, 200) };
    (world.options.patches.bundlesize, world.options.patches.nsubbundles) = (Some(25), Some(5));
    let sky = world.make();
    let s = sky.try_extract(&Options { solver, ..sky.options.clone() }, &cpu()).unwrap();
    assert_eq!(s.summary.banded, usize::from(solver == Solver::Banded));
    chi(&sky, &s.spectra, 0..25)
}

#[test]
fn residuals_are_normal_for_both_solvers() {
    let masks = [Defect::Columns(0.3, 2), Defect::Rows(0.4, 3), Defect::Pixels(0.02)];
    for solver in [Solver::Banded, Solver::Patches] {
        for (light, defects) in [(Light::Sky, &[][..]), (Light::Sky, &masks), (Light::Decades(2.0), &masks)] {
            let chi: Vec<f64> = (1..=4).flat_map(|seed| residuals(seed, light, defects, solver)).collect();
            let [mean, scatter, one, three] = moments(&chi);
            let largest = chi.iter().fold(0.0f64, |m, c| m.max(c.abs()));
            let what = format!(
                "{solver:?}, {light:?}, {} defects: {} bins, mean {mean:.4}, scatter {scatter:.4}, beyond 1: {one:.4}, \
                 beyond 3: {three:.5}, largest {largest:.2}",
                defects.len(),
                chi.len()
            );
            println!("{what}");
            // Some 19 000 bins: standard errors of 0.0073, 0.0051, 0.0034 and 0.0004.
            assert!(chi.len() > 15_000, "{what}");
            assert!(mean.abs() < 0.03 && (scatter - 1.0).abs() < 0.02, "{what}");
            assert!((one - 0.3173).abs() < 0.014 && (three - 0.0027).abs() < 0.0016 && largest < 5.5, "{what}");
        }
    }
}
