//! Properties of the comparison, on frames made for it.

use super::*;
use crate::fits::Truth;
use crate::frame::Header;
use crate::frame::{Frame, Spectra, SpectraParts, specmask};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const NDIAG: usize = 5;

/// `nspec` spectra of 100 electron/Angstrom with sigma 2 and R = 1, on a grid from 6000 by 0.8.
fn frame(nspec: usize, nwave: usize) -> Frame {
    let n = nspec * nwave;
    let mut resolution = vec![0.0; nspec * NDIAG * nwave];
    for f in 0..nspec {
        resolution[(f * NDIAG + 2) * nwave..(f * NDIAG + 3) * nwave].fill(1.0);
    }
    let spectra = Spectra::new(SpectraParts {
        nspec,
        nwave,
        ndiag: NDIAG,
        flux: vec![100.0; n],
        ivar: vec![0.25; n],
        resolution: resolution.into(),
        chi2pix: vec![1.0; n],
        pixmask_fraction: vec![0.0; n],
        mask: vec![0; n],
    })
    .unwrap();
    let wave = (0..nwave).map(|j| 6000.0 + 0.8 * j as f64).collect();
    Frame { spectra, wave, header: Header::new(), fibermap: None, scores: None }
}

fn parity(a: &Frame, b: &Frame) -> Parity {
    compare(&Side::of_frame("a", a), &Side::of_frame("b", b)).unwrap()
}

#[test]
fn a_frame_agrees_with_itself_at_any_tolerance() {
    let a = frame(3, 40);
    let p = parity(&a, &a);
    assert_eq!((p.fibres, p.waves, p.good.flux.bins), (3, 40, 120));
    assert_eq!(p.good.flux.below, [120; 6]);
    assert!(p.within(0.0));
}

#[test]
fn each_difference_is_counted_below_the_limits_above_it() {
    let a = frame(1, 40);
    let mut b = a.clone();
    // Differences of 0.5 sigma, 5e-3 sigma; sigma halved; one diagonal off by 2e-4.
    b.spectra.update(|s| s.flux[7] += 1.0).unwrap();
    b.spectra.update(|s| s.flux[8] += 0.01).unwrap();
    b.spectra.update(|s| s.ivar[20] = 1.0).unwrap();
    b.spectra.update(|s| s.resolution.make_f64()[3 * 40 + 30] += 2e-4).unwrap();
    let p = parity(&a, &b);
    assert_eq!(p.good.flux.below, [38, 38, 38, 39, 39, 40]);
    assert_eq!(p.good.sigma.below, [39, 39, 39, 39, 39, 39]);
    assert_eq!(p.good.resolution.as_ref().unwrap().below, [39, 39, 40, 40, 40, 40]);
    assert!((p.good.sigma.worst - 1.0).abs() < 1e-12, "2 against 1 is off by all of B's sigma");
    assert_eq!((p.worst[0].wave, p.worst[1].wave), (b.wave[7], b.wave[8]));
    assert!(!p.within(0.99) && p.within(1.01));
}

#[test]
fn masked_bins_count_among_all_but_not_among_the_good() {
    let mut a = frame(2, 30);
    a.spectra.update(|s| s.pixmask_fraction[5] = 0.7).unwrap();
    let mut b = a.clone();
    b.spectra.update(|s| s.flux[5] += 1e3).unwrap();
    let p = parity(&a, &b);
    assert_eq!((p.all.flux.bins, p.good.flux.bins), (60, 59));
    assert!(p.within(0.0) && p.all.flux.worst > 400.0);
    assert!(p.worst.iter().all(|w| w.good), "usable bins are listed before masked ones");
}

#[test]
fn nan_fails_every_tolerance_wherever_it_is() {
    let a = frame(1, 30);
    for spoil in [
        |f: &mut Frame| f.spectra.update(|s| s.flux[3] = f64::NAN).unwrap(),
        |f: &mut Frame| f.spectra.update(|s| s.ivar[3] = f64::NAN).unwrap(),
        |f: &mut Frame| f.spectra.update(|s| s.resolution.make_f64()[3] = f64::NAN).unwrap(),
    ] {
        let mut b = a.clone();
        spoil(&mut b);
        for p in [parity(&a, &b), parity(&b, &a), parity(&b, &b)] {
            assert!(!p.within(1e9), "{p}");
        }
    }
    let mut b = a.clone();
    b.spectra.update(|s| s.flux[3] = f64::NAN).unwrap();
    b.spectra.update(|s| s.flux[4] += 100.0).unwrap();
    let p = parity(&a, &b);
    assert!(p.worst[0].difference.is_nan() && p.good.flux.not_finite == 1);
}

#[test]
fn a_usable_bin_with_information_on_one_side_only_fails() {
    let a = frame(1, 30);
    let mut b = a.clone();
    b.spectra.update(|s| s.ivar[9] = 0.0).unwrap();
    assert_eq!(parity(&a, &b).one_sided, [1, 0]);
    assert_eq!(parity(&b, &a).one_sided, [0, 1]);
    assert!(!parity(&a, &b).within(1e9));
    assert!(parity(&b, &b).within(0.0), "both agree that there is nothing");
}

#[test]
fn a_bin_usable_on_one_side_only_fails_whatever_the_other_side_says_of_it() {
    let a = frame(1, 30);
    for spoil in [
        |f: &mut Frame| f.spectra.update(|s| s.pixmask_fraction[9] = 0.7).unwrap(),
        |f: &mut Frame| f.spectra.update(|s| (s.pixmask_fraction[9], s.ivar[9]) = (1.0, 0.0)).unwrap(),
    ] {
        let mut b = a.clone();
        spoil(&mut b);
        assert_eq!((parity(&a, &b).one_sided, parity(&b, &a).one_sided), ([1, 0], [0, 1]));
        assert!(!parity(&a, &b).within(1e9) && parity(&b, &b).within(0.0));
    }
}

#[test]
fn frames_without_a_usable_bin_agree_within_no_tolerance() {
    let mut empty = frame(2, 30);
    empty.spectra.update(|s| s.ivar.fill(0.0)).unwrap();
    let mut masked = frame(2, 30);
    masked.spectra.update(|s| s.pixmask_fraction.fill(1.0)).unwrap();
    for a in [empty, masked] {
        assert!(!parity(&a, &a).within(f64::INFINITY));
    }
}

#[test]
fn only_common_fibres_and_wavelengths_are_compared() {
    let a = frame(3, 50);
    let mut b = frame(2, 20);
    b.header.set("FIBERMIN", 2i64, "");
    b.wave.iter_mut().for_each(|w| *w += 8.0);
    let p = parity(&a, &b);
    assert_eq!((p.fibres, p.waves, p.all.flux.bins), (1, 20, 20));
    assert_eq!(p.worst[0].fibre, 2);
}

#[test]
fn sides_with_nothing_in_common_are_refused_with_what_they_have() {
    let refused = |a: &Frame, b: &Frame| {
        compare(&Side::of_frame("left.fits", a), &Side::of_frame("right.fits", b)).unwrap_err().to_string()
    };
    let a = frame(2, 20);
    let mut b = a.clone();
    b.header.set("FIBERMIN", 25i64, "");
    assert!(refused(&a, &b).contains("left.fits has fibres 0 to 1, right.fits has 25 to 26"));
    let mut b = a.clone();
    b.wave.iter_mut().for_each(|w| *w += 0.4);
    assert!(refused(&a, &b).contains("the grid of left.fits is 6000"));
}

#[test]
fn diagonals_that_one_side_lacks_count_as_0() {
    let wide = frame(2, 20);
    let narrow = |value: f64| {
        let mut narrow = wide.clone();
        let change = |s: &mut SpectraParts| (s.ndiag, s.resolution) = (1, vec![value; 40].into());
        narrow.spectra.update(change).unwrap();
        narrow
    };
    let worst = |a: &Frame, b: &Frame| parity(a, b).all.resolution.unwrap().worst;
    assert_eq!([worst(&wide, &narrow(1.0)), worst(&narrow(1.0), &wide)], [0.0, 0.0]);
    assert_eq!(worst(&wide, &narrow(0.75)), 0.25);
    let mut tailed = wide.clone();
    tailed.spectra.update(|s| s.resolution.make_f64()[3] = 0.5).unwrap();
    assert_eq!(worst(&tailed, &narrow(1.0)), 0.5);
}

/// A truth that rises along the grid, and the frame of it: smeared by an asymmetric R, with unit noise.
fn smeared(scale: f64) -> (Frame, Truth) {
    let (nspec, nwave) = (4, 3000);
    let mut frame = frame(nspec, nwave);
    let flux: Vec<f64> = (0..nspec * nwave).map(|i| 40.0 + (i % 7) as f64 * 20.0).collect();
    let weights = [0.1, 0.2, 0.4, 0.2, 0.1];
    let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
    for f in 0..nspec {
        for j in 0..nwave {
            for (k, w) in weights.into_iter().enumerate() {
                // R's column j spreads the light of bin j over bins j - 2 .. j + 2, more to the red.
                let tilt = 1.0 + 0.2 * (k as f64 - 2.0);
                frame.spectra.update(|s| s.resolution.make_f64()[(f * NDIAG + k) * nwave + j] = w * tilt).unwrap();
            }
        }
        for i in 0..nwave {
            let noise: f64 = StandardNormal.sample(&mut rng);
            let smeared: f64 = (0..NDIAG)
                .filter_map(|k| {
                    let j = (i + 2).checked_sub(k).filter(|&j| j < nwave)?;
                    Some(frame.spectra.resolution.at((f * NDIAG + k) * nwave + j) * flux[f * nwave + j] / 0.8)
                })
                .sum();
            frame.spectra.update(|s| s.flux[f * nwave + i] = smeared + 2.0 * scale * noise).unwrap();
        }
    }
    let truth = Truth { fibres: (0..nspec as i64).collect(), wave: frame.wave.clone(), flux };
    (frame, truth)
}

#[test]
fn chi_of_a_true_frame_is_standard_normal() {
    let (frame, truth) = smeared(1.0);
    let report = against_truth(&frame, &truth).unwrap();
    assert_eq!(report.bins, 4 * (3000 - 6));
    assert!(report.mean.abs() < 0.03 && (report.std - 1.0).abs() < 0.02, "{report}");
    assert_eq!(report.by_snr.iter().map(|b| b.bins).sum::<usize>(), report.bins);
}

#[test]
fn chi_tells_noise_larger_than_stated_and_a_shifted_flux() {
    let (frame, truth) = smeared(1.5);
    assert!((against_truth(&frame, &truth).unwrap().std - 1.5).abs() < 0.03);
    let (mut frame, truth) = smeared(1.0);
    frame.spectra.update(|s| s.flux.iter_mut().for_each(|f| *f += 1.0)).unwrap();
    assert!((against_truth(&frame, &truth).unwrap().mean - 0.5).abs() < 0.03);
}

#[test]
fn bins_without_information_or_mostly_masked_are_not_judged_by_the_truth() {
    let (mut frame, truth) = smeared(1.0);
    frame.spectra.update(|s| s.pixmask_fraction.clear()).unwrap();
    frame.spectra.update(|s| s.mask[100] = specmask::SOMEBADPIX).unwrap();
    frame.spectra.update(|s| s.ivar[200] = 0.0).unwrap();
    frame.spectra.update(|s| (s.flux[100], s.flux[200]) = (1e9, 1e9)).unwrap();
    let report = against_truth(&frame, &truth).unwrap();
    assert_eq!(report.bins, 4 * (3000 - 6) - 2);
    assert!(report.largest < 6.0);
}
