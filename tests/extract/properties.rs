//! Properties of every extraction, whatever the device, the batch and the selection.

use spextral::backend::Decorrelate;
use spextral::extract::{ExtractError, JobError, ModelFlux, Options};
use spextral::frame::{RealSlice, Spectra, specmask};
use spextral::geometry::{Ccd, WaveGrid};
use spextral::stages::spot_samples::{GridSize, sampled};
use testkit::{Small, cpu, in_pool, try_extract};

#[test]
fn spectra_are_bitwise_equal_for_any_thread_count_and_batch_size() {
    let small = Small::new(1);
    let options = Small::options();
    let reference = in_pool(1, || small.extract(&options, &cpu()));
    for (threads, batch) in [(2, 1), (3, 2), (1, 3), (4, 1000)] {
        let ours = in_pool(threads, || small.extract(&options, &cpu().with_batches_of(batch)));
        assert!(ours.spectra == reference.spectra, "{threads} threads, batches of {batch}");
    }
}

/// Cuts out the numbers that have the same bits in any selection of fibres. BAD2DFIT is none: it compares fibres with each
/// other.
fn cut(all: &Spectra, specmin: usize, nspec: usize) -> ([&[f64]; 4], RealSlice<'_>, Vec<u32>) {
    let bins = specmin * all.nwave..(specmin + nspec) * all.nwave;
    let r = bins.start * all.ndiag..bins.end * all.ndiag;
    let mask = all.mask[bins.clone()].iter().map(|m| m & !specmask::BAD2DFIT).collect();
    let planes = [&all.flux, &all.ivar, &all.chi2pix, &all.pixmask_fraction].map(|plane| &plane[bins.clone()]);
    (planes, all.resolution.part(r), mask)
}

#[test]
fn a_fibre_is_bitwise_the_same_whatever_selected_it() {
    let small = Small::new(2);
    let mut options = Small::options();
    for nsubbundles in [1, 5] {
        options.patches.nsubbundles = Some(nsubbundles);
        let all = small.extract(&options, &cpu()).spectra;
        for (specmin, nspec) in [(0, 1), (3, 4), (7, 1), (5, 3)] {
            let some = small.extract(&Options { specmin, nspec: Some(nspec), ..options.clone() }, &cpu()).spectra;
            assert!(cut(&some, 0, nspec) == cut(&all, specmin, nspec), "{nspec} fibres from {specmin}");
        }
    }
}

/// Returns mean and scatter of (flux - R truth) sqrt(ivar) off the ends of the grid, and the number of bins.
fn residuals(small: &Small, spectra: &Spectra) -> [f64; 3] {
    let (truth, half) = (&small.sim.truth, spectra.ndiag / 2);
    let node = |w: f64| truth.wave.iter().position(|t| (t - w).abs() < 1e-6).expect("nodes coincide");
    let first = node(small.grid.wave()[0]);
    let width = small.grid.step();
    let chi = |k: usize| {
        let (spec, row) = (k / spectra.nwave, k % spectra.nwave);
        let element = |d: usize| spectra.resolution.at((spec * spectra.ndiag + d) * spectra.nwave + row + half - d);
        let resolved = |d: usize| element(d) * truth.flux[spec * truth.wave.len() + first + row + half - d] / width;
        (spectra.flux[k] - (0..spectra.ndiag).map(resolved).sum::<f64>()) * spectra.ivar[k].sqrt()
    };
    let inner = |k: &usize| (6..spectra.nwave - 6).contains(&(k % spectra.nwave)) && spectra.pixmask_fraction[*k] < 0.5;
    let chi: Vec<f64> = (0..spectra.flux.len()).filter(inner).map(chi).collect();
    let n = chi.len() as f64;
    let mean = chi.iter().sum::<f64>() / n;
    let std = (chi.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / n).sqrt();
    [mean, std, n]
}

#[test]
fn residuals_against_the_truth_are_normal() {
    let small = Small::new(3);
    let spectra = small.extract(&Small::options(), &cpu()).spectra;
    let [mean, std, n] = residuals(&small, &spectra);
    // Some 700 bins: standard errors of 0.04 and 0.03, at four of them.
    assert!(n > 500.0 && mean.abs() < 0.16 && (std - 1.0).abs() < 0.11, "mean {mean}, std {std} of {n}");
}

#[test]
fn images_on_a_grid_serve_both_solvers_like_the_psf_that_they_were_sampled_from() {
    let own = Small::new(4);
    let size = GridSize { oversampling: 7, positions: 8, waves: 5 };
    let small = Small::on(sampled(&own.psf, size).unwrap(), 4);
    let both = [Small::options(), Small::banded()].map(|options| small.extract(&options, &cpu()).spectra);
    for spectra in &both {
        let [mean, std, n] = residuals(&small, spectra);
        assert!(n > 500.0 && mean.abs() < 0.12 && (std - 1.0).abs() < 0.1, "mean {mean}, scatter {std}, {n} bins");
    }
    // With the PSF of the samples the same frame differs by what linear weights smear, and the scatter stays.
    let crossed = Small { psf: own.psf, ..small };
    let [mean, std, _] = residuals(&crossed, &crossed.extract(&Small::banded(), &cpu()).spectra);
    assert!(mean.abs() < 0.12 && (std - 1.0).abs() < 0.1, "mean {mean}, scatter {std}");
}

#[test]
fn without_an_error_of_the_psf_chi2pix_is_that_of_the_noise_and_shows_a_cosmic_ray() {
    let mut small = Small::new(5);
    let [x, y] = [&small.psf.trace_x, &small.psf.trace_y].map(|trace| trace.of(2)[0] as usize);
    small.image[y * small.psf.npix_x + x] += 20_000.0;
    for options in [Small::options(), Small::banded()] {
        let of = |psferr| small.extract(&Options { psferr: Some(psferr), ..options.clone() }, &cpu()).spectra;
        let (none, tiny) = (of(0.0), of(1e-9));
        let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6 * (1.0 + b);
        assert!(none.chi2pix.iter().zip(&tiny.chi2pix).all(close) && none.mask == tiny.mask, "{:?}", options.solver);
        let flagged = (0..none.mask.len()).filter(|&at| none.mask[at] & specmask::BAD2DFIT != 0);
        assert!(flagged.filter(|at| at / none.nwave == 2).count() > 0, "{:?}", options.solver);
    }
}

#[test]
fn fibres_without_a_good_pixel_are_told_with_the_reason() {
    let mut small = Small::new(6);
    let (nx, x) = (small.psf.npix_x, small.psf.trace_x.of(3)[0] as usize);
    small.ivar.iter_mut().enumerate().filter(|(k, _)| (x - 9..x + 10).contains(&(k % nx))).for_each(|(_, w)| *w = 0.0);
    small.psf.update(|parts| parts.trace_y.coeff[6 * parts.trace_y.ncoeff] += 1e5).unwrap();
    for options in [Small::options(), Small::banded()] {
        let dark = small.extract(&options, &cpu()).summary.dark;
        assert!(dark.masked == [3] && dark.off_ccd == [6], "{dark:?}");
        let sentence = dark.sentence(8).unwrap();
        assert!(
            sentence.contains("fibre 3 has no good pixel") && sentence.contains("fibre 6 has no pixel"),
            "{sentence}"
        );
        let few = small.extract(&Options { specmin: 3, nspec: Some(1), ..options.clone() }, &cpu()).summary.dark;
        assert!(few.masked == [3] && few.sentence(1).unwrap().starts_with("nothing is left to extract"));
        let none = small.extract(&Options { nspec: Some(3), ..options }, &cpu()).summary.dark;
        assert_eq!(none.sentence(3), None);
    }
}

/// Bins beside dead rows have flux of 1e6 times their noise, with opposite signs: their light fits only together.
#[test]
fn the_model_fits_the_good_pixels_beside_dead_ones() {
    for (rows, step) in [(130..170, 40), (120..126, 40), (150..151, 40), (101..190, 7), (150..200, 1000)] {
        let mut small = Small::new(7);
        let nx = small.psf.npix_x;
        small.ivar[rows.start * nx..rows.end * nx].fill(0.0);
        small.mask_rows_and_fibre(0..0, 5);
        let grid_rows = [10, 90].map(|bin| {
            let at = spextral::stages::traces::traces(&small.psf, 0..8, &small.grid.wave()[bin..=bin], false);
            (*at.pixel_y.iter().min().unwrap() as usize, *at.pixel_y.iter().max().unwrap() as usize)
        });
        for mut options in [Small::options(), Small::banded()] {
            options.model = Some(ModelFlux::Deconvolved);
            options.patches.nwavestep = step;
            let model = small.extract(&options, &cpu()).model.unwrap();
            let chi = |k: usize| f64::from((small.image[k] - model[k]) * small.ivar[k].sqrt()).abs();
            let pixels = grid_rows[0].1 * nx..grid_rows[1].0 * nx;
            let worst = pixels.max_by(|&a, &b| chi(a).total_cmp(&chi(b))).unwrap();
            let place = (worst / nx, worst % nx);
            assert!(chi(worst) < 6.0, "rows {rows:?}, {:?}: {} sigma at {place:?}", options.solver, chi(worst));
        }
    }
}

#[test]
fn every_bin_of_a_fully_masked_frame_is_without_information() {
    let small = Small::new(4);
    let dark = vec![0.0; small.ivar.len()];
    let ccd = &small.with_planes(&small.image, &dark);
    let out = small.extract_ccd(ccd, &Small::options(), &cpu());
    assert!(
        out.spectra
            .flux
            .iter()
            .chain(&out.spectra.ivar)
            .copied()
            .chain(out.spectra.resolution.iter())
            .all(|v| v == 0.0)
    );
    assert!(out.spectra.mask.iter().all(|m| m & specmask::ALLBADPIX != 0));
    assert_eq!(out.summary.no_information, out.spectra.flux.len());
    assert_eq!(out.summary.dark.masked, (0..8).collect::<Vec<_>>());
}

#[test]
fn numbers_that_no_file_can_hold_are_masked_and_have_no_weight() {
    let small = Small::new(11);
    let mut image = small.image.clone();
    let (nx, middle) = (small.psf.npix_x, small.psf.npix_y / 2);
    image[middle * nx..(middle + 3) * nx].fill(3e38);
    let ccd = &small.with_planes(&image, &small.ivar);
    let s = small.extract_ccd(ccd, &Small::options(), &cpu()).spectra;
    assert!(s.flux.iter().chain(&s.ivar).all(|v| (*v as f32).is_finite()));
    let lost: Vec<usize> = (0..s.flux.len()).filter(|&k| s.ivar[k] == 0.0 && s.pixmask_fraction[k] < 0.5).collect();
    assert!(!lost.is_empty() && lost.iter().all(|&k| s.mask[k] & specmask::BAD2DFIT != 0 && s.flux[k] == 0.0));
}

#[test]
fn patches_without_a_solution_are_counted_and_masked() {
    let small = Small::new(12);
    let options = Options { regularize: 1e300, ..Small::options() };
    let out = small.extract(&options, &cpu());
    assert_eq!(out.summary.failed, out.summary.patches);
    assert!(out.spectra.ivar.iter().all(|w| *w == 0.0));
    assert!(out.spectra.mask.iter().all(|m| m & specmask::BAD2DFIT != 0));
}

#[test]
fn bins_off_the_ccd_have_no_data_and_the_others_lose_nothing_by_them() {
    let mut small = Small::new(5);
    let inner = small.extract(&Small::options(), &cpu()).spectra;
    let (step, wave) = (small.grid.step(), small.grid.wave().to_vec());
    let bins = wave.len();
    // The same nodes, continued beyond both ends of the CCD.
    let (first, last) = (wave[0] - 62.0 * step, wave[bins - 1] + 62.0 * step);
    small.grid = WaveGrid::new(first, last, step).unwrap();
    let outer = small.extract(&Small::options(), &cpu()).spectra;
    let off = |k: usize| outer.mask[k] & specmask::NODATA != 0;
    assert!(off(0) && off(outer.nwave - 1));
    assert!(
        (0..outer.flux.len()).filter(|&k| off(k)).all(|k| outer.ivar[k] == 0.0 && outer.pixmask_fraction[k] > 0.999)
    );
    for spec in 0..inner.nspec {
        for bin in 0..bins {
            let (a, b) = (spec * bins + bin, spec * outer.nwave + 62 + bin);
            let sigma = (inner.flux[a] - outer.flux[b]).abs() * inner.ivar[a].sqrt();
            // Patches are cut elsewhere: the published method's own 0.1 sigma, not a loss of pixels.
            assert!(sigma < 0.2, "fibre {spec} bin {bin}: {sigma} sigma");
        }
    }
}

#[test]
fn rows_of_the_resolution_sum_to_about_1_in_the_interior() {
    let small = Small::new(6);
    let s = small.extract(&Small::options(), &cpu()).spectra;
    let half = s.ndiag / 2;
    for spec in 0..s.nspec {
        for row in half..s.nwave - half {
            if s.pixmask_fraction[spec * s.nwave + row] > 0.0 {
                continue;
            }
            let element = |d: usize| s.resolution.at((spec * s.ndiag + d) * s.nwave + row + half - d);
            let sum: f64 = (0..s.ndiag).map(element).sum();
            assert!((sum - 1.0).abs() < 0.02, "fibre {spec} row {row}: {sum}");
        }
    }
}

#[test]
fn the_model_is_the_image_without_its_noise() {
    let small = Small::new(7);
    let options = Options { model: Some(ModelFlux::Deconvolved), ..Small::options() };
    let out = small.extract(&options, &cpu());
    let (model, ccd) = (out.model.unwrap(), small.ccd());
    let chi2: Vec<f64> = (0..model.len())
        .filter(|&k| model[k] > 20.0 && ccd.ivar()[k] > 0.0)
        .map(|k| f64::from((ccd.image()[k] - model[k]).powi(2) * ccd.ivar()[k]))
        .collect();
    let mean = chi2.iter().sum::<f64>() / chi2.len() as f64;
    // Each bin takes a degree of freedom from the ten pixels or so under it.
    assert!(chi2.len() > 500 && (0.6..1.1).contains(&mean), "{mean} over {} pixels", chi2.len());
}

#[test]
fn all_fibres_decorrelated_together_give_finite_spectra_that_differ() {
    let small = Small::new(8);
    let signal = small.extract(&Small::options(), &cpu()).spectra;
    let noise = Options { decorrelate: Decorrelate::Noise, ..Small::options() };
    let noise = small.extract(&noise, &cpu()).spectra;
    assert!(noise.flux.iter().chain(&noise.ivar).all(|v| v.is_finite()));
    assert!(noise.flux != signal.flux);
    let ratio: f64 = noise.flux.iter().sum::<f64>() / signal.flux.iter().sum::<f64>();
    assert!((ratio - 1.0).abs() < 0.05, "total flux changed by {ratio}");
}

#[test]
fn any_division_into_patches_extracts_every_bin() {
    let small = Small::new(9);
    for (bundlesize, nsubbundles, nwavestep, wavepad) in
        [(8, 2, 30, 12), (4, 4, 101, 10), (8, 1, 120, 0), (3, 1, 17, 2), (1, 1, 50, 10)]
    {
        let mut options = Small::options();
        options.patches.bundlesize = Some(bundlesize);
        options.patches.nsubbundles = Some(nsubbundles);
        options.patches.nwavestep = nwavestep;
        options.patches.wavepad = wavepad;
        let s = small.extract(&options, &cpu()).spectra;
        let informed = (0..s.flux.len()).filter(|&k| s.pixmask_fraction[k] < 0.9);
        assert!(informed.clone().all(|k| s.ivar[k] > 0.0), "{bundlesize} {nsubbundles} {nwavestep} {wavepad}");
        assert!(informed.count() * 10 > 9 * s.flux.len());
    }
}

#[test]
fn what_cannot_be_extracted_is_refused() {
    let small = Small::new(10);
    let run = |options: &Options, grid: &WaveGrid, ccd: &Ccd| {
        try_extract(&small.psf, ccd, grid, options, &cpu()).map(|_| ()).unwrap_err()
    };
    let grid = &small.grid;
    let beyond = Options { specmin: 8, ..Small::options() };
    assert!(matches!(run(&beyond, grid, &small.ccd()), ExtractError::Job(JobError::Plan(_))));
    for (wmin, wmax) in [(9000.0, 9100.0), (small.psf.wave_min, small.psf.wave_max + 50.0)] {
        let grid = WaveGrid::new(wmin, wmax, 0.8).unwrap();
        assert!(matches!(run(&Small::options(), &grid, &small.ccd()), ExtractError::Job(JobError::OutsidePsf { .. })));
    }
    let (ny, nx) = (small.psf.npix_y - 1, small.psf.npix_x);
    let short = &Ccd::new(ny, nx, &small.image[..ny * nx], &small.ivar[..ny * nx]).unwrap();
    assert!(matches!(run(&Small::options(), grid, short), ExtractError::Job(JobError::CcdSize { .. })));
    let negative = Options { regularize: -1.0, ..Small::options() };
    assert!(matches!(run(&negative, grid, &small.ccd()), ExtractError::Job(JobError::Negative { .. })));
}
