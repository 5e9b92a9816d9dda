//! Properties of traces found in simulated frames.

use super::*;
use crate::fits::{Line, Preproc};
use crate::psf::Psf;
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Light, Simulation, broken_fibres, simulate};
use crate::stages::legendre::{legendre, unit};

/// A slit of 16 fibres without gaps, on 600 rows.
fn psf() -> Psf {
    let small = Synthetic {
        nfibre: 16,
        bundlesize: 16,
        spacing: 6.1,
        npix_y: Some(600),
        legendre_degree: 1,
        gh_degree: 2,
        seed: 3,
        ..Synthetic::default()
    };
    small.build().unwrap()
}

/// Lines at distances without a rule.
fn lines(psf: &Psf) -> Vec<f64> {
    const PLACES: [f64; 16] =
        [0.07, 0.13, 0.16, 0.25, 0.29, 0.36, 0.44, 0.47, 0.55, 0.58, 0.66, 0.69, 0.78, 0.83, 0.85, 0.94];
    PLACES.map(|place| psf.wave_min + place * (psf.wave_max - psf.wave_min)).to_vec()
}

/// A flat and an arc, those of broken fibres dark; the seed has others than the simulation's defaults.
fn frames(psf: &Psf, lines: &[f64], seed: u64) -> [Preproc; 2] {
    let lines = lines.iter().map(|&wave| Line { wave, ion: String::new(), weight: None }).collect();
    [Light::Flat, Light::Arc { lines, electrons: 20_000.0 }].map(|light| {
        let request = Simulation { light, seed, unmasked_cosmics: 0.5, cosmics: 3.0, ..Simulation::default() };
        simulate(psf, &request).unwrap().preproc.masked_by(u32::MAX).unwrap()
    })
}

/// A seed with this number of broken fibres.
fn seed(broken: usize) -> u64 {
    (0..).find(|&seed| broken_fibres(seed, 16).count() == broken).unwrap()
}

fn plane(frame: &Preproc) -> Plane<'_> {
    Plane { nx: frame.ccd.nx(), ny: frame.ccd.ny(), data: frame.ccd.image(), ivar: frame.ccd.ivar() }
}

/// Largest distances of places on the frame from the truth, across and along the dispersion.
fn distances(psf: &Psf, found: &Found) -> [f64; 2] {
    let spots = &found.spots;
    let mut most = [0.0f64; 2];
    for k in 0..spots.wave.len() {
        let at = [&psf.trace_x, &psf.trace_y]
            .map(|trace| legendre(trace.of(spots.fibre[k] as usize), unit(trace.domain, spots.wave[k])));
        if (0.0..(psf.npix_y - 1) as f64).contains(&at[1]) {
            let off = [spots.x[k] - at[0], spots.y[k] - at[1]];
            (0..2).for_each(|axis| most[axis] = most[axis].max(off[axis].abs()));
        }
    }
    most
}

#[test]
fn traces_and_wavelengths_are_found_without_a_start_in_either_sense_of_the_dispersion() {
    let psf = psf();
    let lines = lines(&psf);
    let [flat, arc] = frames(&psf, &lines, seed(0));
    let [flat, arc] = [plane(&flat), plane(&arc)];
    assert!(flat.runs_along_y());
    // The list has lines that the lamp lacks.
    let listed: Vec<f64> = lines.iter().copied().chain((0..12).map(|k| 5200.0 + 171.3 * f64::from(k))).collect();
    let found = find_traces(&flat, &arc, &listed, &FindOptions::default()).unwrap();
    let [dx, dy] = distances(&psf, &found);
    assert!(dx < 0.15 && dy < 0.3 && found.rms < 0.1, "{dx} {dy} {}", found.rms);
    assert!(found.lines.len() >= 12 && found.dark.is_empty() && found.spots.fibre.last() == Some(&15));
    assert!(found.spots.sigma_x.iter().chain(&found.spots.sigma_y).all(|sigma| (0.85..1.4).contains(sigma)));

    let upside_down = |plane: &Plane| -> [Vec<f32>; 2] {
        [plane.data, plane.ivar].map(|values| values.chunks(plane.nx).rev().flatten().copied().collect())
    };
    let turned = [&flat, &arc].map(upside_down);
    let of = |[data, ivar]: &'_ [Vec<f32>; 2]| Plane { nx: flat.nx, ny: flat.ny, data, ivar }.turned();
    let [flat_x, arc_x] = [&turned[0], &turned[1]].map(of);
    let along_x = Plane { nx: flat.ny, ny: flat.nx, data: &flat_x[0], ivar: &flat_x[1] };
    assert!(!along_x.runs_along_y());
    let [flat, arc] =
        [&turned[0], &turned[1]].map(|planes| Plane { nx: flat.nx, ny: flat.ny, data: &planes[0], ivar: &planes[1] });
    assert_eq!(Plane { nx: arc.ny, ny: arc.nx, data: &arc_x[0], ivar: &arc_x[1] }.turned()[0], arc.data);
    let mut mirrored = find_traces(&flat, &arc, &listed, &FindOptions::default()).unwrap();
    mirrored.spots.y.iter_mut().for_each(|y| *y = (flat.ny - 1) as f64 - *y);
    let [dx, dy] = distances(&psf, &mirrored);
    assert!(dx < 0.15 && dy < 0.3, "{dx} {dy}");
}

#[test]
fn a_fibre_without_light_keeps_its_number_and_its_place() {
    let psf = psf();
    let lines = lines(&psf);
    let seed = (0..).find(|&seed| {
        let broken: Vec<usize> = broken_fibres(seed, 16).collect();
        broken.len() == 1 && (1..15).contains(&broken[0])
    });
    let broken: Vec<usize> = broken_fibres(seed.unwrap(), 16).collect();
    let [flat, arc] = frames(&psf, &lines, seed.unwrap());
    let find = |options| find_traces(&plane(&flat), &plane(&arc), &lines, &options);
    let unknown = find(FindOptions::default()).unwrap();
    let said = format!("without light between fibres {} and {}", broken[0] - 1, broken[0]);
    assert!(unknown.notes.iter().any(|note| note.contains(&said)), "{said}: {:?}", unknown.notes);
    let counted = FindOptions { nfibre: Some(16), ..FindOptions::default() };
    let named = FindOptions { broken_fibres: broken.clone(), ..FindOptions::default() };
    for options in [counted, named] {
        let found = find(options).unwrap();
        let [dx, dy] = distances(&psf, &found);
        assert!(found.dark == broken && dx < 0.6 && dy < 0.5, "{:?} {dx} {dy}", found.dark);
    }
    let error = find(FindOptions { nfibre: Some(17), ..FindOptions::default() }).unwrap_err().to_string();
    assert!(error.starts_with("the flat shows 15 fibres, not 17, with room for one more at pixel"), "{error}");
}

#[test]
fn two_fibres_without_light_next_to_each_other_keep_their_numbers() {
    let psf = psf();
    let lines = lines(&psf);
    let is_pair = |seed: &u64| {
        let broken: Vec<usize> = broken_fibres(*seed, 16).collect();
        broken.len() == 2 && broken[1] == broken[0] + 1 && broken[0] > 1 && broken[1] < 14
    };
    let seed = (0..).find(is_pair).unwrap();
    let broken: Vec<usize> = broken_fibres(seed, 16).collect();
    let [flat, arc] = frames(&psf, &lines, seed);
    let find = |options| find_traces(&plane(&flat), &plane(&arc), &lines, &options);
    let said = format!("room for 2 fibres without light between fibres {} and {}", broken[0] - 1, broken[0]);
    let notes = find(FindOptions::default()).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains(&said)), "{said}: {notes:?}");
    let found = find(FindOptions { nfibre: Some(16), ..FindOptions::default() }).unwrap();
    let [dx, dy] = distances(&psf, &found);
    assert!(found.dark == broken && dx < 0.6 && dy < 0.5, "{:?} {dx} {dy}", found.dark);
    let error = find(FindOptions { nfibre: Some(17), ..FindOptions::default() }).unwrap_err().to_string();
    assert!(error.starts_with("the flat shows 14 fibres, not 17, with room for 2 more at pixel"), "{error}");
}

#[test]
fn a_masked_amplifier_and_a_gap_of_the_flat_are_bridged() {
    let psf = psf();
    let lines = lines(&psf);
    let [flat, arc] = frames(&psf, &lines, seed(0));
    let (nx, half) = (psf.npix_x, psf.npix_x / 2);
    let [image, mut ivar] = flat.ccd.clone().into_planes();
    for (i, weight) in ivar.iter_mut().enumerate() {
        let (x, y) = (i % nx, i / nx);
        if (y >= 330 && x > half) || (150..200).contains(&y) {
            *weight = 0.0;
        }
    }
    let spoiled = Preproc::new([psf.npix_y, nx], image, ivar, None, 0).unwrap();
    let found = find_traces(&plane(&spoiled), &plane(&arc), &lines, &FindOptions::default()).unwrap();
    let [dx, dy] = distances(&psf, &found);
    assert!(found.spots.fibre.last() == Some(&15) && dx < 1.5 && dy < 0.3, "{dx} {dy}");
}

#[test]
fn frames_and_lists_that_do_not_serve_end_with_a_sentence() {
    let psf = psf();
    let lines = lines(&psf);
    let [flat, arc] = frames(&psf, &lines, seed(0));
    let [flat, arc] = [plane(&flat), plane(&arc)];
    let error = |flat: &Plane, arc: &Plane, lines: &[f64], options: &FindOptions| {
        find_traces(flat, arc, lines, options).unwrap_err().to_string()
    };
    let none = FindOptions::default();
    let dark: Vec<f32> = (0..flat.data.len()).map(|i| (1.7 * i as f32).sin() * 3.0).collect();
    assert!(error(&Plane { data: &dark, ..flat }, &arc, &lines, &none).contains("the flat shows no fibres"));
    assert!(error(&flat, &Plane { data: &dark, ..arc }, &lines, &none).contains("at least 5 are needed"));
    let of_another_lamp: Vec<f64> = lines.iter().enumerate().map(|(k, w)| w + 7.0 * (2.7 * k as f64).sin()).collect();
    assert!(error(&flat, &arc, &of_another_lamp, &none).contains("lines of the arc are not identified"));
    let far = FindOptions { range: Some([3000.0, 3300.0]), ..FindOptions::default() };
    assert!(error(&flat, &arc, &lines, &far).contains("the list has 0 lines"));
    let short = Plane { ny: flat.ny - 1, data: &flat.data[flat.nx..], ivar: &flat.ivar[flat.nx..], ..flat };
    assert!(error(&short, &arc, &lines, &none).contains("give frames of one camera"));
    let no_weight = vec![0.0; flat.data.len()];
    assert!(error(&Plane { ivar: &no_weight, ..flat }, &arc, &lines, &none).contains("the flat shows no fibres"));
}

#[test]
fn a_fibre_without_light_is_refused_where_its_neighbours_leave_no_room() {
    let psf = psf();
    let lines = lines(&psf);
    let [flat, arc] = frames(&psf, &lines, seed(0));
    let options = FindOptions { broken_fibres: vec![7], ..FindOptions::default() };
    let refused = find_traces(&plane(&flat), &plane(&arc), &lines, &options).unwrap_err();
    assert!(matches!(refused, FindError::NoRoom { fibre: 7, .. }), "{refused}");
    assert!(refused.to_string().contains("no room for fibre 7"), "{refused}");
}
