//! Small bundles by the banded solver, against dense elimination of the whole bundle as a single patch.

use spextral::backend::Decorrelate;
use spextral::extract::{ExtractError, JobError, Options, Solver};
use spextral::frame::Spectra;
use spextral::geometry::WaveGrid;
use spextral::simulate::synthetic::Synthetic;
use spextral::stages::traces::traces;
use testkit::{Small, cpu, dense, in_pool};

/// Relative rounding error of a frame file's f4.
const F4: f64 = 6e-8;

/// Returns the largest errors of flux (sigma, beyond the rounding of f4), of ivar (relative) and of R. They are over bins
/// with more than half of their PSF on good pixels.
pub fn worst(ours: &Spectra, exact: &Spectra) -> [f64; 3] {
    let mut worst = [0.0f64; 3];
    let good = |k: usize| exact.pixmask_fraction[k] < 0.5;
    let half = ours.ndiag / 2;
    for k in (0..ours.flux.len()).filter(|&k| good(k)) {
        let beyond_f4 = (ours.flux[k] - exact.flux[k]).abs() - F4 * exact.flux[k].abs();
        worst[0] = worst[0].max(beyond_f4 * exact.ivar[k].sqrt());
        worst[1] = worst[1].max((ours.ivar[k] / exact.ivar[k] - 1.0).abs());
        for d in 0..ours.ndiag {
            let row = (k % ours.nwave + d).checked_sub(half).filter(|&row| row < ours.nwave);
            if row.is_some_and(|row| good(k - k % ours.nwave + row)) {
                let at = ((k / ours.nwave) * ours.ndiag + d) * ours.nwave + k % ours.nwave;
                worst[2] = worst[2].max((ours.resolution.at(at) - exact.resolution.at(at)).abs());
            }
        }
    }
    note!("worst flux {:.1e} sigma, ivar {:.1e}, R {:.1e}", worst[0], worst[1], worst[2]);
    worst
}

fn check(small: &Small, what: &str) {
    let ours = small.extract(&Small::banded(), &cpu()).spectra;
    let exact = small.extract(&dense(small.grid.nwave(), 80), &cpu()).spectra;
    note!("{what}:");
    let [flux, ivar, r] = worst(&ours, &exact);
    assert!(flux < 1e-4 && ivar < 1e-5 && r < 1e-6, "{what}");
    // Beside masked bins the model is in part the prior's, or depends on bins beyond the ends.
    let good = |k: usize| exact.pixmask_fraction[k] < 1e-3;
    let goodness =
        |a: &[f64], b: &[f64]| (0..a.len()).filter(|k| good(*k)).all(|k| (a[k] - b[k]).abs() < 1e-4 * (1.0 + b[k]));
    assert!(goodness(&ours.chi2pix, &exact.chi2pix), "{what}: chi2pix");
    assert!(goodness(&ours.pixmask_fraction, &exact.pixmask_fraction), "{what}: pixmask_fraction");
    assert!(ours.mask == exact.mask, "{what}: mask");
}

#[test]
fn a_frame_is_exact_on_grids_of_any_step() {
    let mut small = Small::new(21);
    let middle = small.grid.wave()[50];
    for step in [0.6, 0.8, 1.0, 1.2] {
        small.grid = WaveGrid::new(middle - 45.0 * step, middle + 45.0 * step, step).unwrap();
        check(&small, &format!("step {step}"));
    }
}

#[test]
fn a_frame_is_exact_beside_masked_pixels() {
    let mut small = Small::new(22);
    // Sixty dead rows, and a fibre all of whose pixels are masked.
    small.mask_rows_and_fibre(130..190, 2);
    check(&small, "masked rows and columns");
}

#[test]
fn a_long_bundle_of_two_fibres_is_exact_where_what_is_measured_is_dead() {
    let psf = Synthetic { nfibre: 2, bundlesize: 2, npix_y: Some(900), ..Synthetic::default() }.build().unwrap();
    let mut small = Small::on(psf, 32);
    let (wave, step) = (small.grid.wave()[50] - 160.0, 0.8);
    small.grid = WaveGrid::new(wave, wave + 399.0 * step, step).unwrap();
    // Correlations are measured at one place of each fibre: every sixth bin and some after it are dead.
    let nx = small.psf.npix_x;
    let rows = |bins: std::ops::Range<usize>| {
        let ends = [bins.start, bins.end].map(|bin| wave + (bin as f64 - 34.0) * step);
        let y = traces(&small.psf, 0..1, &ends, false).pixel_y;
        y[0] as usize..y[1] as usize
    };
    let dead = [rows(14..46), rows(74..106)];
    let ivar = small.ivar.iter_mut().enumerate();
    ivar.filter(|(k, _)| dead.iter().any(|rows| rows.contains(&(k / nx)))).for_each(|(_, w)| *w = 0.0);
    let exact = small.extract(&dense(small.grid.nwave(), 80), &cpu()).spectra;
    let [flux, ..] = worst(&small.extract(&Small::banded(), &cpu()).spectra, &exact);
    assert!(flux < 1e-5, "more than the tolerance: {flux:e} sigma");
}

#[test]
fn a_frame_is_exact_beside_a_dead_amplifier() {
    let mut small = Small::new(31);
    let (ny, nx) = (small.psf.npix_y, small.psf.npix_x);
    let ivar = small.ivar.iter_mut().enumerate();
    ivar.filter(|(k, _)| k / nx >= ny / 2 && k % nx < nx / 2).for_each(|(_, w)| *w = 0.0);
    check(&small, "a dead amplifier");
}

#[test]
fn a_fibre_is_exact_beside_one_a_thousand_times_brighter() {
    let mut small = Small::new(23);
    small.brighten(6, 1000.0);
    check(&small, "a bright neighbour");
}

#[test]
fn fibres_that_share_light_with_two_and_three_neighbours_are_exact() {
    for (seed, width) in [(35, 2.0), (36, 3.0)] {
        let mut small = Small::new(seed);
        small.psf.update(|psf| psf.sigma_x.coeff.iter_mut().for_each(|c| *c *= width)).unwrap();
        small.brighten(3, 100.0);
        small.mask_rows_and_fibre(130..136, 1);
        let ours = small.extract(&Small::banded(), &cpu());
        let exact = small.extract(&dense(small.grid.nwave(), 80), &cpu()).spectra;
        note!("spots {width} times as wide:");
        let [flux, ivar, r] = worst(&ours.spectra, &exact);
        // So close to a bright fibre the widest band may not do.
        let told = ours.summary.above_tolerance.iter().map(|excess| 2.0 * excess.error).fold(1e-5, f64::max);
        assert_eq!(ours.summary.solver(), "banded");
        assert!(flux < told && ivar < 1e-5 && r < 1e-6, "spots {width} times as wide: told {told:.1e} sigma");
    }
}

#[test]
fn fibres_without_gaps_are_exact_at_any_pitch() {
    for (seed, nfibre, pitch, sigma) in [(51, 14, 6.4, 1.3), (52, 14, 5.5, 1.3), (53, 14, 5.0, 1.3), (54, 48, 4.0, 1.1)]
    {
        let psf = Synthetic {
            nfibre,
            bundlesize: nfibre,
            spacing: pitch,
            sigma_x: sigma,
            sigma_y: sigma,
            npix_y: Some(320),
            ..Synthetic::default()
        };
        let mut small = Small::on(psf.build().unwrap(), seed);
        let middle = small.grid.wave()[50];
        small.grid = WaveGrid::new(middle - 16.0, middle + 16.0, 0.8).unwrap();
        let whole = |mut options: Options| {
            options.patches.bundlesize = Some(nfibre);
            small.extract(&options, &cpu())
        };
        let (ours, exact) = (whole(Small::banded()), whole(dense(small.grid.nwave(), 80)));
        note!("{nfibre} fibres, {pitch} pixels apart, of a width of {sigma}:");
        assert_eq!(ours.summary.solver(), "banded");
        let [flux, ivar, r] = worst(&ours.spectra, &exact.spectra);
        assert!(flux < 1e-5 && ivar < 1e-5 && r < 1e-6, "{nfibre} fibres, {pitch} pixels apart");
    }
}

#[test]
fn windows_of_a_long_group_are_exact_where_they_meet_and_cost_no_bits_of_a_selection() {
    let psf = Synthetic { nfibre: 140, bundlesize: 140, spacing: 6.4, npix_y: Some(220), ..Synthetic::default() };
    let mut small = Small::on(psf.build().unwrap(), 55);
    let middle = small.grid.wave()[50];
    small.grid = WaveGrid::new(middle - 8.0, middle + 8.0, 0.8).unwrap();
    small.mask_rows_and_fibre(90..94, 69);
    let solve = |bundlesize: usize, fibres: std::ops::Range<usize>| {
        let mut options = Options { specmin: fibres.start, nspec: Some(fibres.len()), ..Small::banded() };
        options.patches.bundlesize = Some(bundlesize);
        small.extract(&options, &cpu()).spectra
    };
    // Two windows that meet at fibre 70, and one window of the first 132 fibres.
    let (ours, one) = (solve(140, 60..80), solve(132, 60..80));
    let [flux, ivar, r] = worst(&ours, &one);
    assert!(flux < 1e-5 && ivar < 1e-5 && r < 1e-6);
    let all = solve(140, 0..140);
    assert_eq!(all.flux[60 * ours.nwave..80 * ours.nwave], ours.flux);
}

#[test]
fn a_fibre_without_light_is_exact() {
    let mut small = Small::new(24);
    small.image.fill(0.0);
    check(&small, "no light at all");
}

#[test]
fn bins_partly_off_the_ccd_are_exact() {
    let psf = Synthetic { nfibre: 8, bundlesize: 5, npix_y: Some(1000), ..Synthetic::default() }.build().unwrap();
    let mut small = Small::on(psf, 25);
    let step = small.grid.step();
    for start in [small.psf.wave_min, small.psf.wave_max - 100.0 * step] {
        small.grid = WaveGrid::new(start, start + 100.0 * step, step).unwrap();
        let spectra = small.extract(&Small::banded(), &cpu()).spectra;
        assert!(spectra.ivar.contains(&0.0) && spectra.ivar.iter().any(|&w| w > 0.0), "the grid runs off the CCD");
        check(&small, &format!("off the CCD from {start}"));
    }
}

#[test]
fn spectra_are_bitwise_equal_for_any_thread_count_and_selection() {
    let small = Small::new(26);
    let all = in_pool(1, || small.extract(&Small::banded(), &cpu())).spectra;
    let again = in_pool(3, || small.extract(&Small::banded(), &cpu())).spectra;
    assert!(all == again);
    for (specmin, nspec) in [(0, 1), (3, 4), (7, 1)] {
        let some = Options { specmin, nspec: Some(nspec), ..Small::banded() };
        let some = small.extract(&some, &cpu()).spectra;
        let bins = specmin * all.nwave..(specmin + nspec) * all.nwave;
        assert!(some.flux == all.flux[bins.clone()] && some.ivar == all.ivar[bins.clone()]);
        assert!(some.chi2pix == all.chi2pix[bins.clone()]);
        assert!(some.resolution.all() == all.resolution.part(bins.start * all.ndiag..bins.end * all.ndiag));
    }
}

/// A grid with more bins under a spot than there is code for.
fn too_fine(small: &Small) -> WaveGrid {
    let start = small.grid.wave()[0];
    WaveGrid::new(start, start + 20.0, 0.08).unwrap()
}

fn refusal(small: &Small, options: &Options) -> String {
    let error = small.try_extract(options, &cpu()).map(|_| ());
    error.unwrap_err().to_string()
}

#[test]
fn what_the_bands_cannot_hold_is_refused_with_a_way_out() {
    let mut small = Small::new(27);
    let noise = Options { decorrelate: Decorrelate::Noise, ..Small::banded() };
    assert!(refusal(&small, &noise).contains("solver patches"));
    let negative = Options { tolerance: Some(-1.0), ..Small::banded() };
    let error = small.try_extract(&negative, &cpu()).map(|_| ());
    assert!(matches!(error, Err(ExtractError::Job(JobError::Tolerance(t))) if t == -1.0));
    // More bins under a spot than there is code for.
    small.grid = too_fine(&small);
    assert!(matches!(small.try_extract(&Small::banded(), &cpu()), Err(ExtractError::Coupling(_))));
    assert!(refusal(&small, &Small::banded()).contains("solver patches"));
}

#[test]
fn without_a_word_bands_serve_where_they_can_and_else_patches() {
    let mut small = Small::new(30);
    let auto = Options { solver: Solver::Auto, ..Small::options() };
    let served = |small: &Small, options: &Options| small.extract(options, &cpu()).summary.solver();
    assert_eq!(served(&small, &auto), "banded");
    assert_eq!(served(&small, &Options { decorrelate: Decorrelate::Noise, ..auto.clone() }), "patches");
    small.grid = too_fine(&small);
    let fine = small.extract(&auto, &cpu());
    assert_eq!(fine.summary.solver(), "patches");
    assert!(fine.spectra == small.extract(&Small::options(), &cpu()).spectra);
}

#[test]
fn a_step_too_fine_for_the_bands_is_refused_with_a_way_out() {
    let mut small = Small::new(28);
    small.grid = too_fine(&small);
    assert!(refusal(&small, &Small::banded()).contains("coarser step"));
}

#[test]
fn dark_pixels_everywhere_give_no_information_and_no_failure() {
    let small = Small::new(29);
    let dark = vec![0.0; small.ivar.len()];
    let ccd = &small.with_planes(&small.image, &dark);
    let out = small.extract_ccd(ccd, &Small::banded(), &cpu());
    assert!(out.spectra.flux.iter().chain(&out.spectra.ivar).all(|&v| v == 0.0));
    assert_eq!(out.summary.no_information, out.spectra.flux.len());
}
