//! The simulated frame sim11 through whole extractions, against other programs' results and against the truth.

use spextral::extract::{Options, Solver};
use spextral::fits::read_image_f64;
use spextral::frame::{Spectra, specmask};
use spextral::geometry::WaveGrid;
use std::sync::OnceLock;
use testkit::{Sim11, cpu, maximum, shared};

fn patches() -> Options {
    Options { solver: Solver::Patches, ..Options::default() }
}

fn r_grid() -> WaveGrid {
    WaveGrid::new(5760.0, 7620.0, 0.8).unwrap()
}

/// The whole first bundle on the survey's grid: minutes of one core, so it is shared.
fn bundle0() -> &'static Spectra {
    static SPECTRA: OnceLock<Spectra> = OnceLock::new();
    SPECTRA.get_or_init(|| Sim11::open().extract(&r_grid(), &Options { nspec: Some(25), ..patches() }, &cpu()).spectra)
}

fn chi(ours: &Spectra, reference: &[f64], ivar: &[f64], keep: impl Fn(usize) -> bool) -> Vec<f64> {
    (0..ours.flux.len()).filter(|&k| keep(k)).map(|k| (ours.flux[k] - reference[k]) * ivar[k].sqrt()).collect()
}

#[test]
fn every_bin_of_sim11_is_within_1e_4_sigma_of_the_published_patches() {
    let (path, ours) = (shared("reference/sim11-patches50.fits.gz"), bundle0());
    let array = |name: &str| read_image_f64(&path, name).unwrap().1;
    let (flux, ivar, masked) = (array("FLUX"), array("IVAR"), array("PIXMASK_FRACTION"));
    let usable = |k: usize| masked[k] < 0.5;
    let worst = maximum(chi(ours, &flux, &ivar, usable).into_iter().map(f64::abs));
    note!("worst {worst:.1e} sigma");
    assert!(worst < 1e-4, "{worst:e}");
    let usable: Vec<usize> = (0..flux.len()).filter(|&k| usable(k)).collect();
    let ratio = maximum(usable.iter().map(|&k| (ours.ivar[k] / ivar[k] - 1.0).abs()));
    note!("worst ivar {ratio:.1e}");
    assert!(ratio < 1e-4, "ivar {ratio:e}");
    let rdiags = array("RDIAGS");
    let (nwave, ndiag) = (ours.nwave, ours.ndiag);
    let mut differences = Vec::new();
    for k in usable {
        // Element d of column j is in row j - ndiag/2 + d; rows of masked bins are the reference's own affair.
        for d in 0..ndiag {
            let row = (k % nwave + d).checked_sub(ndiag / 2).filter(|&i| i < nwave && masked[k - k % nwave + i] < 0.5);
            let at = ((k / nwave) * ndiag + d) * nwave + k % nwave;
            differences.extend(row.map(|_| (ours.resolution.at(at) - rdiags[at]).abs()));
        }
    }
    let r = maximum(differences.into_iter());
    note!("worst R {r:.1e}");
    assert!(r < 1e-5, "R {r:e}");
}

#[test]
fn residuals_against_the_truth_are_normal() {
    let (path, ours) = (shared("frames/truth-r0-sim11.fits"), bundle0());
    let wave = read_image_f64(&path, "WAVELENGTH").unwrap().1;
    let truth = read_image_f64(&path, "FLUX").unwrap().1;
    let (grid, nwave, half) = (r_grid(), ours.nwave, ours.ndiag / 2);
    let first = wave.iter().position(|w| (w - grid.wave()[0]).abs() < 1e-6).unwrap();
    // Truth is in electron per bin of 0.8 Angstrom; R reaches beyond the grid's ends, and is not stored there.
    let resolved: Vec<f64> = (0..ours.flux.len())
        .map(|k| {
            let (s, i) = (k / nwave, k % nwave);
            let columns = i.saturating_sub(half)..(i + half + 1).min(nwave);
            let r = |j: usize| ours.resolution.at((s * ours.ndiag + i + half - j) * nwave + j);
            columns.map(|j| r(j) * truth[s * wave.len() + first + j] / grid.step()).sum()
        })
        .collect();
    let inner = |k: usize| (6..nwave - 6).contains(&(k % nwave)) && ours.pixmask_fraction[k] < 0.5;
    let chi = chi(ours, &resolved, &ours.ivar, inner);
    let n = chi.len() as f64;
    let mean = chi.iter().sum::<f64>() / n;
    let std = (chi.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / n).sqrt();
    note!("chi: mean {mean:.4}, std {std:.4} of {n} bins");
    assert!(mean.abs() < 0.02 && (std - 1.0).abs() < 0.01, "mean {mean}, std {std}");
}

#[test]
fn bins_without_information_have_ivar_0_and_their_bits() {
    let ours = bundle0();
    let mut none = 0;
    for k in 0..ours.flux.len() {
        if ours.pixmask_fraction[k] > 1.0 - 1e-4 {
            none += 1;
            assert_eq!((ours.flux[k], ours.ivar[k]), (0.0, 0.0));
            assert_ne!(ours.mask[k] & specmask::ALLBADPIX, 0);
        } else {
            assert!(ours.ivar[k] > 0.0 && ours.flux[k].is_finite());
            assert_eq!(ours.mask[k] & specmask::NODATA, 0);
        }
        assert_eq!(ours.mask[k] & specmask::SOMEBADPIX != 0, ours.pixmask_fraction[k] > 0.5);
    }
    assert!(none > 0, "the frame has dead patches");
}

#[test]
fn a_fibre_is_bitwise_the_same_whatever_selected_it() {
    let sim = Sim11::open();
    let grid = WaveGrid::new(6400.0, 6500.0, 0.8).unwrap();
    let run =
        |specmin, nspec| sim.extract(&grid, &Options { specmin, nspec: Some(nspec), ..patches() }, &cpu()).spectra;
    let all = run(0, 25);
    for (specmin, nspec) in [(3, 1), (4, 9), (0, 7), (22, 5)] {
        let some = run(specmin, nspec);
        let common = nspec.min(25 - specmin) * grid.nwave();
        let from = specmin * grid.nwave();
        assert!(some.flux[..common] == all.flux[from..from + common], "flux of {nspec} fibres from {specmin}");
        assert!(some.ivar[..common] == all.ivar[from..from + common], "ivar of {nspec} fibres from {specmin}");
        let r = specmin * grid.nwave() * all.ndiag;
        assert!(some.resolution.part(0..common * all.ndiag) == all.resolution.part(r..r + common * all.ndiag));
    }
}

#[test]
fn bins_off_the_ccd_are_extracted_from_the_pixels_there_are() {
    let sim = Sim11::open();
    let options = Options { nspec: Some(5), ..patches() };
    for (wmin, wmax) in [(5500.0, 5640.0), (7680.0, 7800.0)] {
        let ours = sim.extract(&WaveGrid::new(wmin, wmax, 0.8).unwrap(), &options, &cpu()).spectra;
        let coverage = |k: usize| 1.0 - ours.pixmask_fraction[k];
        let off = |k: usize| ours.mask[k] & specmask::NODATA != 0;
        let bins = 0..ours.flux.len();
        assert!(bins.clone().any(off) && bins.clone().any(|k| coverage(k) > 0.99), "{wmin} runs off the CCD");
        assert!(bins.clone().filter(|&k| off(k)).all(|k| ours.ivar[k] == 0.0 && ours.flux[k] == 0.0));
        assert!(bins.clone().filter(|&k| coverage(k) > 0.5).all(|k| ours.ivar[k] > 0.0 && ours.flux[k].is_finite()));
    }
}
