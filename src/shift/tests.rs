//! Properties of shifts measured on simulated frames.

use super::*;
use crate::base::cancel::CancelToken;
use crate::fit::ArcFrame;
use crate::fits::{Preproc, night_sky_lines};
use crate::psf::{Psf, PsfParts};
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Light, Simulation, simulate};
use crate::stages::spot_samples::{GridSize, sampled};
use rand::{RngExt, SeedableRng};

/// A bundle of fibres on 1200 rows.
pub(super) fn psf() -> Psf {
    let small = Synthetic { nfibre: 12, bundlesize: 12, npix_y: Some(1200), gh_degree: 3, ..Synthetic::default() };
    small.build().unwrap()
}

/// The PSF with traces moved and widths scaled.
fn moved(psf: &Psf, [dx, dy]: [f64; 2], [wide, high]: [f64; 2]) -> Psf {
    let mut moved = psf.clone();
    let change = |p: &mut PsfParts| {
        for (trace, d) in [(&mut p.trace_x, dx), (&mut p.trace_y, dy)] {
            trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += d);
        }
        p.sigma_x.coeff.iter_mut().for_each(|c| *c *= wide);
        p.sigma_y.coeff.iter_mut().for_each(|c| *c *= high);
    };
    moved.update(change).unwrap();
    moved
}

pub(super) fn frame(psf: &Psf, seed: u64) -> Preproc {
    let request = Simulation { seed, ..Simulation::default() };
    simulate(psf, &request).unwrap().preproc.masked_by(u32::MAX).unwrap()
}

fn measure(psf: &Psf, frame: &Preproc, options: &ShiftOptions) -> Shifts {
    let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
    measure_shifts(psf, &arc, 0..psf.nfibre, options, &CancelToken::default(), &|_, _| ()).unwrap()
}

pub(super) fn options(frame: &Preproc) -> ShiftOptions {
    ShiftOptions::night_sky(&frame.header)
}

/// How far quantities are from the truth over all fibres and wavelengths, rms.
fn distance(psf: &Psf, found: &Shifts, truth: [f64; 4]) -> [f64; 4] {
    Quantity::ALL.map(|q| {
        let waves = (1..10).map(|k| psf.wave_min + (psf.wave_max - psf.wave_min) * f64::from(k) / 10.0);
        let places = waves.flat_map(|wave| (0..psf.nfibre).map(move |fibre| (fibre, wave)));
        let off: Vec<f64> =
            places.filter_map(|(f, w)| found.at(psf, q, f, w)).map(|[value, _]| value - truth[q as usize]).collect();
        (off.iter().map(|d| d * d).sum::<f64>() / off.len() as f64).sqrt()
    })
}

/// Returns random numbers from 0 to 1.
fn random_numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
    move || rng.random()
}

const SHIFT: [f64; 2] = [0.1, -0.12];
const WIDER: [f64; 2] = [1.02, 1.03];

#[test]
fn a_shift_and_wider_spots_are_found_also_with_a_list_that_lacks_faint_lines() {
    let psf = psf();
    let frame = frame(&moved(&psf, SHIFT, WIDER), 1);
    let truth = [SHIFT[0], SHIFT[1], WIDER[0].ln(), WIDER[1].ln()];
    let mut options = options(&frame);
    for lacking in [false, true] {
        if lacking {
            let mut faint = 0;
            options.lines.retain(|line| {
                faint += usize::from(line.weight.unwrap() < 1500.0);
                line.weight.unwrap() >= 1500.0 || faint % 3 != 0
            });
        }
        let found = measure(&psf, &frame, &options);
        let [dx, dy, wide, high] = distance(&psf, &found, truth);
        // Of lines in a row that are all gone, ends of a short CCD are left to the prior.
        let [far, broad] = if lacking { [0.06, 0.03] } else { [0.03, 0.02] };
        assert!(dx < 0.01 && dy < far && wide < 0.006 && high < broad, "{lacking}: {dx} {dy} {wide} {high}");
        for (quantity, truth) in Quantity::ALL.into_iter().zip(truth).filter(|_| !lacking) {
            let departure = found.departure(quantity).unwrap();
            assert!((departure.mean - truth).abs() < 6.0 * departure.error + 0.004, "{quantity:?}: {departure:?}");
        }
        let sentence = found.sentence().unwrap();
        assert!(sentence.contains("pixels off in x") && sentence.contains("in width along x"), "{sentence}");
        // The PSF that is made of it has the traces and widths of the frame.
        let shifted = found.apply(&psf).unwrap();
        let again = measure(&shifted, &frame, &options);
        assert_eq!(again.sentence(), None);
    }
}

#[test]
fn a_psf_that_fits_says_nothing_and_results_do_not_depend_on_threads() {
    let psf = psf();
    for seed in [2, 3] {
        let frame = frame(&psf, seed);
        let found = measure(&psf, &frame, &options(&frame));
        assert_eq!((found.sentence(), found.unmeasured()), (None, None));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| measure(&psf, &frame, &options(&frame))), found);
    }
}

#[test]
fn without_lines_only_places_and_widths_along_x_are_measured() {
    let psf = psf();
    let frame = frame(&moved(&psf, [0.1, 0.0], [1.02, 1.0]), 4);
    let options = ShiftOptions { lines: Vec::new(), ..options(&frame) };
    let found = measure(&psf, &frame, &options);
    let [dx, _, wide, _] = distance(&psf, &found, [0.1, 0.0, 1.02f64.ln(), 0.0]);
    assert!(dx < 0.01 && wide < 0.006, "{dx} {wide}");
    assert!(found.departure(Quantity::Y).is_none() && found.departure(Quantity::SigmaY).is_none());
    assert!(found.unmeasured().unwrap().ends_with("dy, sigma y"));
    let shifted = found.apply(&psf).unwrap();
    assert_eq!((&shifted.trace_y, &shifted.sigma_y), (&psf.trace_y, &psf.sigma_y));
    assert_ne!(shifted.trace_x, psf.trace_x);
}

#[test]
fn lines_that_are_not_those_of_the_list_give_no_place_along_the_dispersion() {
    let psf = psf();
    for seed in [11, 12, 13] {
        // Lines at random: as many as the sky's, as bright as the sky's.
        let mut random = random_numbers(seed);
        let mut lines = night_sky_lines();
        lines.retain(|line| psf.reaches(line.wave));
        lines
            .iter_mut()
            .for_each(|line| line.wave = psf.wave_min + 4.0 + (psf.wave_max - psf.wave_min - 8.0) * random());
        lines.sort_by(|a, b| a.wave.total_cmp(&b.wave));
        let light = Light::Arc { lines, electrons: 400.0 };
        let made = simulate(&moved(&psf, [0.1, 0.0], [1.0, 1.0]), &Simulation { seed, light, ..Simulation::default() });
        let frame = made.unwrap().preproc.masked_by(u32::MAX).unwrap();
        let found = measure(&psf, &frame, &options(&frame));
        assert!(found.are_unmatched() && found.departure(Quantity::Y).is_none(), "{seed}: {:?}", found.sentence());
        assert!(found.unmeasured().unwrap().contains("match no list"));
        // Places across the dispersion need no list.
        let dx = found.departure(Quantity::X).unwrap();
        assert!((dx.mean - 0.1).abs() < 0.02, "{seed}: {dx:?}");
    }
}

#[test]
fn a_frame_without_light_gives_nothing_and_one_of_another_ccd_is_refused() {
    let psf = psf();
    let dark = simulate(&psf, &Simulation { nspec: Some(1), exptime: 0.001, ..Simulation::default() }).unwrap();
    let dark = dark.preproc.masked_by(u32::MAX).unwrap();
    let found = measure(&psf, &dark, &options(&dark));
    assert_eq!(found.bundles[0].measured, [false; 4]);
    assert_eq!(found.apply(&psf).unwrap().trace_x, psf.trace_x);
    let mut other = psf.clone();
    other.update(|p| p.npix_y += 1).unwrap();
    let arc = ArcFrame { ccd: &dark.ccd, readnoise: None };
    let refused = measure_shifts(&other, &arc, 0..12, &options(&dark), &CancelToken::default(), &|_, _| ());
    assert!(refused.unwrap_err().to_string().contains("[1200, "));
}

#[test]
fn traces_that_are_pixels_off_are_found() {
    let psf = psf();
    let truth = [2.7, -3.4, 0.0, 0.0];
    let frame = frame(&moved(&psf, [truth[0], truth[1]], [1.0, 1.0]), 5);
    let found = measure(&psf, &frame, &options(&frame));
    let [dx, dy, ..] = distance(&psf, &found, truth);
    assert!(dx < 0.01 && dy < 0.03, "{dx} {dy}");
}

/// Two bundles on 600 rows.
fn two_bundles() -> Psf {
    let small = Synthetic { nfibre: 16, bundlesize: 8, npix_y: Some(600), gh_degree: 3, ..Synthetic::default() };
    small.build().unwrap()
}

#[test]
fn a_long_shift_is_measured_in_every_bundle_as_well_as_a_short_one() {
    let psf = two_bundles();
    let frame = frame(&psf, 1);
    let errors = |off: [f64; 2]| {
        let start = moved(&psf, off.map(|d| -d), [1.0, 1.0]);
        let found = measure(&start, &frame, &options(&frame));
        let [dx, dy, ..] = distance(&start, &found, [off[0], off[1], 0.0, 0.0]);
        assert!(dx < 0.02 && dy < 0.2, "{off:?}: {dx} {dy}");
        assert!(found.bundles.iter().all(|bundle| bundle.measured[1] && bundle.taken == [false; 2]), "{off:?}");
        found.departure(Quantity::Y).unwrap().error
    };
    let (short, long) = (errors([0.3, 0.2]), errors([-3.6, -7.0]));
    assert!(long < 1.25 * short, "{long} {short}");
}

#[test]
fn a_bundle_without_light_takes_the_shift_of_the_others_and_the_notes_name_it() {
    let psf = two_bundles();
    let off = [0.8, -5.2];
    let request = Simulation { seed: 3, specmin: 8, ..Simulation::default() };
    let frame = simulate(&moved(&psf, off, [1.0, 1.0]), &request).unwrap().preproc.masked_by(u32::MAX).unwrap();
    let found = measure(&psf, &frame, &options(&frame));
    assert_eq!((found.bundles[0].taken, found.bundles[1].taken), ([true; 2], [false; 2]));
    assert_eq!(found.counts(Quantity::Y), [1, 2]);
    let notes = found.notes();
    assert!(notes[1].starts_with("dy is not measured in 1 of 2 bundles, fibres 0 to 7 "), "{notes:?}");
    assert!(notes[1].ends_with("they take the mean shift of the other bundles"), "{notes:?}");
    let shifted = found.apply(&psf).unwrap();
    for (axis, (new, old)) in [(&shifted.trace_x, &psf.trace_x), (&shifted.trace_y, &psf.trace_y)].iter().enumerate() {
        for fibre in 0..16 {
            let moved = new.of(fibre)[0] - old.of(fibre)[0];
            assert!((moved - off[axis]).abs() < 0.15, "{axis} {fibre}: {moved}");
        }
    }
    // A selection gives what the whole gives.
    let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
    let of = measure_shifts(&psf, &arc, 0..8, &options(&frame), &CancelToken::default(), &|_, _| ()).unwrap();
    assert_eq!(of.bundles[..], found.bundles[..1]);
    assert!(!of.unmeasured().unwrap().contains("dx"), "{:?}", of.unmeasured());
}

#[test]
fn a_verdict_says_what_is_not_measured_and_images_are_not_blamed_on_the_light() {
    let psf = two_bundles();
    let frame = frame(&psf, 2);
    let bare = ShiftOptions { lines: Vec::new(), ..options(&frame) };
    let found = measure(&psf, &frame, &bare);
    assert_eq!(found.verdict(), "dx, sigma x of the PSF fit the frame; dy, sigma y not measured");
    let grid = sampled(&psf, GridSize { oversampling: 3, positions: 2, waves: 2 }).unwrap();
    let found = measure(&grid, &frame, &options(&frame));
    let reason = found.unmeasured().unwrap();
    assert!(reason.starts_with("sigma x, sigma y: not measured, as the spots of this kind"), "{reason}");
}

#[test]
fn errors_of_a_short_frame_with_few_lines_are_not_too_small() {
    let small = Synthetic { nfibre: 12, bundlesize: 12, npix_y: Some(400), gh_degree: 3, ..Synthetic::default() };
    let psf = small.build().unwrap();
    let frame = frame(&psf, 7);
    let found = measure(&psf, &frame, &options(&frame));
    for q in Quantity::ALL {
        let Some(departure) = found.departure(q) else { continue };
        assert!(departure.mean.abs() < 4.5 * departure.error, "{q:?}: {departure:?}");
    }
}

#[test]
fn a_shift_is_found_where_every_fibre_has_a_range_of_its_own() {
    let mut psf = psf();
    let width = psf.wave_max - psf.wave_min;
    let range = |k: usize| {
        let low = psf.wave_min + 0.12 * width * k as f64;
        [low, low + width]
    };
    let ranges = (0..12).map(range).collect();
    psf.update(|parts| parts.ranges = Some(ranges)).unwrap();
    let frame = frame(&moved(&psf, SHIFT, WIDER), 1);
    let found = measure(&psf, &frame, &options(&frame));
    let [dx, dy, wide, high] = distance(&psf, &found, [SHIFT[0], SHIFT[1], WIDER[0].ln(), WIDER[1].ln()]);
    assert!(dx < 0.01 && dy < 0.03 && wide < 0.006 && high < 0.02, "{dx} {dy} {wide} {high}");
    let shifted = found.apply(&psf).unwrap();
    assert_eq!(shifted.ranges, psf.ranges);
    assert_eq!(measure(&shifted, &frame, &options(&frame)).sentence(), None);
}
