//! Properties of whole simulated frames.

use super::project::project;
use super::request::MARGIN;
use super::synthetic::Synthetic;
use super::*;
use crate::fits::Line;
use crate::psf::Psf;

fn small_psf() -> Psf {
    Synthetic { nfibre: 60, npix_y: Some(500), ..Synthetic::default() }.build().unwrap()
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn same_seed_gives_the_same_frame_for_any_number_of_threads() {
    let psf = small_psf();
    let make = |seed| simulate(&psf, &Simulation { seed, ..Simulation::default() }).unwrap();
    let one = in_pool(1, || make(4));
    let two = in_pool(3, || make(4));
    assert_eq!(one.preproc, two.preproc);
    assert_eq!(one.truth, two.truth);
    let other = make(5);
    assert_ne!(one.preproc.ccd.image(), other.preproc.ccd.image());
}

#[test]
fn pixels_that_are_not_ruined_lie_about_the_projected_truth() {
    let psf = small_psf();
    let s = simulate(&psf, &Simulation { seed: 2, ..Simulation::default() }).unwrap();
    let expected = project(&psf, 0..60, &s.truth.wave, &s.truth.flux, false);
    let mask = s.preproc.mask.as_ref().unwrap();
    let chi: Vec<f64> = (0..expected.len())
        .filter(|&i| mask[i] == 0 && s.preproc.ccd.ivar()[i] > 0.0)
        .map(|i| (f64::from(s.preproc.ccd.image()[i]) - expected[i]) * f64::from(s.preproc.ccd.ivar()[i]).sqrt())
        .collect();
    let n = chi.len() as f64;
    let mean = chi.iter().sum::<f64>() / n;
    let std = (chi.iter().map(|c| c * c).sum::<f64>() / n - mean * mean).sqrt();
    assert!(n > 0.95 * expected.len() as f64);
    assert!(mean.abs() < 0.01 && (std - 1.0).abs() < 0.01, "mean {mean}, std {std}");
}

#[test]
fn a_fibre_has_the_same_truth_whatever_others_are_lit() {
    let psf = small_psf();
    let all = simulate(&psf, &Simulation::default()).unwrap();
    let part = simulate(&psf, &Simulation { specmin: 30, nspec: Some(7), ..Simulation::default() }).unwrap();
    let n = all.truth.wave.len();
    assert_eq!(part.truth.fibres, (30..37).collect::<Vec<i64>>());
    assert_eq!(part.truth.flux, all.truth.flux[30 * n..37 * n]);
    assert_eq!(part.preproc.fibermap, all.preproc.fibermap);
}

#[test]
fn fibermap_has_a_row_for_every_fibre_of_the_psf() {
    let psf = small_psf();
    let s = simulate(&psf, &Simulation { nspec: Some(2), ..Simulation::default() }).unwrap();
    let table = s.preproc.fibermap.unwrap();
    assert_eq!(table.nrows(), 60);
    assert_eq!(table.column_i64("FIBER").unwrap(), (0..60).collect::<Vec<i64>>());
    let types = table.column_str("OBJTYPE").unwrap();
    assert!(types.iter().any(|t| t.trim_end() == "SKY") && types.iter().any(|t| t.trim_end() == "TGT"));
}

#[test]
fn truth_covers_the_extraction_grid_and_a_margin() {
    let psf = small_psf();
    let middle = (0.5 * (psf.wave_min + psf.wave_max)).round();
    let request = Simulation { wave: Some((middle, middle + 40.0, 0.8).into()), ..Simulation::default() };
    let wave = simulate(&psf, &request).unwrap().truth.wave;
    assert_eq!(wave.len(), 51 + 2 * MARGIN);
    assert_eq!(wave[MARGIN], middle);
    assert!((wave[MARGIN + 50] - middle - 40.0).abs() < 1e-9);
}

#[test]
fn requests_that_make_no_frame_are_named() {
    let psf = small_psf();
    let refused = |request: Simulation| simulate(&psf, &request).unwrap_err().to_string();
    let base = Simulation::default;
    assert!(refused(Simulation { specmin: 50, nspec: Some(11), ..base() }).contains("specmin 50 with nspec 11"));
    assert!(refused(Simulation { specmin: usize::MAX, nspec: Some(5), ..base() }).contains("the PSF's 60 fibres"));
    assert!(
        refused(Simulation { specmin: 60, ..base() }).starts_with("specmin 60 leaves the PSF's 60 fibres (0 to 59)")
    );
    assert!(refused(Simulation { nspec: Some(0), ..base() }).contains("nspec is 0"));
    assert!(refused(Simulation { wave: Some((6600.0, 6650.0, 0.0).into()), ..base() }).contains("no bins"));
    assert!(
        refused(Simulation { wave: Some((3600.0, 3650.0, 0.8).into()), ..base() }).contains("leaves the PSF's range")
    );
    assert!(refused(Simulation { wave: Some((1e300, 2e300, 1e299).into()), ..base() }).contains("grid 1e300 to 2e300"));
    assert!(refused(Simulation { bad_columns: Some(psf.npix_x + 1), ..base() }).contains("number of bad columns is"));
    assert!(refused(Simulation { dead_patches: Some(usize::MAX), ..base() }).contains("dead patches is 1.8"));
    assert!(refused(Simulation { readnoise: 0.0, ..base() }).contains("read noise is 0"));
    assert!(refused(Simulation { exptime: f64::NAN, ..base() }).contains("exposure time is NaN"));
}

/// Four lines of a lamp from the middle of a PSF's range on; the first is far from it.
fn lamp(psf: &Psf) -> Vec<Line> {
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let line = |wave, weight| Line { wave, ion: "Ne".into(), weight };
    vec![
        line(middle / 2.0, None),
        line(middle, Some(2.0)),
        line(middle + 30.0, Some(1.0)),
        line(middle + 40.0, Some(1.0)),
    ]
}

#[test]
fn an_arc_has_the_lines_of_its_list_by_their_weights_in_every_fibre_but_broken_ones() {
    let psf = small_psf();
    let light = Light::Arc { lines: lamp(&psf), electrons: 1000.0 };
    let s = simulate(&psf, &Simulation { light, seed: 2, ..Simulation::default() }).unwrap();
    assert_eq!(s.truth.wave.len(), 3);
    let status = s.preproc.fibermap.unwrap().column_i64("FIBERSTATUS").unwrap();
    for (flux, status) in s.truth.flux.chunks(3).zip(status) {
        assert!(if status == 0 { flux[0] > 1.5 * flux[1] } else { flux == [0.0; 3] }, "{flux:?}");
    }
    assert_eq!(s.preproc.header.get_str("OBSTYPE").as_deref(), Some("ARC"));
}

#[test]
fn spectra_of_a_file_are_the_light_and_those_that_cannot_be_are_refused() {
    let psf = small_psf();
    let with = |truth: Truth| {
        let light = Light::Spectra(truth);
        simulate(&psf, &Simulation { light, specmin: 3, nspec: Some(2), ..Simulation::default() })
    };
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let truth = Truth { fibres: vec![0], wave: vec![middle, middle + 1.0], flux: vec![7.0, 9.0] };
    assert_eq!(with(truth.clone()).unwrap().truth.flux, [7.0, 9.0, 7.0, 9.0]);
    let refused = |change: &dyn Fn(&mut Truth)| {
        let mut truth = truth.clone();
        change(&mut truth);
        with(truth).unwrap_err().to_string()
    };
    assert!(refused(&|t| t.flux[1] = f64::NAN).contains("spectrum 0 has NaN electron at bin 1"));
    assert!(refused(&|t| t.wave[1] = 9000.0).contains("leaves the PSF's range"));
    // A truth of this program serves, its margin beyond the range of a short CCD, too.
    let short = Synthetic { nfibre: 2, bundlesize: 2, npix_y: Some(100), ..Synthetic::default() }.build().unwrap();
    let written = simulate(&short, &Simulation::default()).unwrap().truth;
    assert!(written.wave[0] < short.wave_min && !short.reaches(written.wave[0]));
    let again = Simulation { light: Light::Spectra(written.clone()), ..Simulation::default() };
    assert_eq!(simulate(&short, &again).unwrap().truth.flux, written.flux);
    // Rows belong to the fibres of their numbers.
    let two = |fibres: [i64; 2]| Truth { fibres: fibres.into(), flux: vec![7.0, 9.0, 1.0, 2.0], ..truth.clone() };
    assert_eq!(with(two([3, 4])).unwrap().truth.flux, [7.0, 9.0, 1.0, 2.0]);
    assert_eq!(with(two([4, 3])).unwrap().truth.flux, [1.0, 2.0, 7.0, 9.0]);
    let error = with(two([103, 104])).unwrap_err().to_string();
    assert!(error.contains("no spectrum of fibre 3: their numbers (FIBER) are 103 to 104"), "{error}");
    assert!(refused(&|t| (t.fibres, t.flux) = (vec![0; 3], vec![1.0; 6])).contains("3 spectra for 2 lit fibres"));
}

#[test]
fn a_flat_lamp_lights_every_bin_and_a_lamp_without_lines_is_refused() {
    let psf = small_psf();
    let flat = simulate(&psf, &Simulation { light: Light::Flat, seed: 2, ..Simulation::default() }).unwrap().truth;
    let dark = flat.flux.chunks(flat.wave.len()).filter(|flux| flux.iter().all(|f| *f == 0.0)).count();
    assert!(flat.flux.iter().filter(|f| **f > 100.0).count() == (60 - dark) * flat.wave.len());
    let light = Light::Arc { lines: lamp(&psf)[..1].to_vec(), electrons: 1000.0 };
    let error = simulate(&psf, &Simulation { light, ..Simulation::default() }).unwrap_err();
    assert!(error.to_string().contains("no line within"));
}
