//! Arcs and starts with defects, and shapes that a plain model does not have.

use super::{arc, arc_of, distances, fit, lines, moved, psf};
use crate::fit::remarks;
use crate::psf::PsfParts;
use crate::simulate::{Light, Simulation, simulate};

#[test]
fn lines_that_saturate_are_named_and_their_wings_count() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let arc = arc_of(&psf, &lines, 20_000.0, 3, Some(1.5e4));
    let fitted = fit(&moved(&psf, [0.3, -0.3], 1.05), &[&arc], &lines);
    for bundle in &fitted.bundles {
        let named = remarks(&fitted.psf, bundle).iter().any(|remark| remark.contains("bright lines are masked"));
        assert!(bundle.outcome.is_ok() && named != bundle.coreless.is_empty(), "{:?}", bundle.outcome);
    }
    assert!(fitted.bundles.iter().any(|bundle| !bundle.coreless.is_empty()));
    let [dx, dy] = distances(&psf, &fitted.psf, 0..10, &lines);
    assert!(dx < 0.06 && dy < 0.1, "{dx} {dy}");
}

#[test]
fn a_line_whose_core_is_all_masked_leaves_no_light_that_passes_for_others() {
    let psf = psf();
    let mut lines = lines(&psf, 24);
    lines.iter_mut().for_each(|line| line.weight = Some(1.0));
    lines[11].weight = Some(60.0);
    let arc = arc_of(&psf, &lines, 20_000.0, 3, Some(3e4));
    for bundle in &fit(&moved(&psf, [0.3, -0.3], 1.05), &[&arc], &lines).bundles {
        assert!(bundle.found.is_empty() && bundle.lost.is_empty(), "{:?} {:?}", bundle.found, bundle.lost);
        assert_eq!(bundle.coreless, [lines[11].wave]);
        assert!((0.9..1.1).contains(&bundle.outcome.as_ref().unwrap().reduced_chi2), "{:?}", bundle.outcome);
    }
}

#[test]
fn traces_that_cross_in_the_start_spoil_neither_other_bundles_nor_other_fibres() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let mut start = moved(&psf, [0.2, 0.2], 1.0);
    let crossed = |p: &mut PsfParts| {
        let [a, b] = [7, 8].map(|fibre| p.trace_x.of(fibre).to_vec());
        p.trace_x.set(7, &b);
        p.trace_x.set(8, &a);
    };
    start.update(crossed).unwrap();
    let fitted = fit(&start, &[&arc(&psf, &lines, 3)], &lines);
    assert_eq!(fitted.bundles.len(), 2);
    for bundle in &fitted.bundles {
        assert!((0.9..1.1).contains(&bundle.outcome.as_ref().unwrap().reduced_chi2), "{:?}", bundle.outcome);
    }
    for fibres in [0..5, 5..7, 9..10] {
        let [dx, dy] = distances(&psf, &fitted.psf, fibres, &lines);
        assert!(dx < 0.05 && dy < 0.08, "{dx} {dy}");
    }
}

#[test]
fn a_flat_or_the_sky_is_no_arc() {
    let psf = psf();
    let lines = lines(&psf, 24);
    for light in [Light::Flat, Light::Sky] {
        let arc = simulate(&psf, &Simulation { light, ..Simulation::default() }).unwrap().preproc;
        let fitted = fit(&psf, &[&arc.masked_by(u32::MAX).unwrap()], &lines);
        let all: Vec<_> = fitted.bundles.iter().map(|bundle| &bundle.outcome).collect();
        assert!(all.iter().all(|outcome| outcome.as_ref().is_err_and(|why| why.contains("is it an arc"))), "{all:?}");
    }
}

#[test]
fn what_gaussians_leave_of_bright_skew_lines_is_taken_for_lines_at_first_only() {
    let mut psf = psf();
    let skew = |p: &mut PsfParts| {
        let term = &mut p.gh[3];
        term.coeff.iter_mut().step_by(term.ncoeff).for_each(|c| *c = 0.15);
    };
    psf.update(skew).unwrap();
    let lines = lines(&psf, 24);
    let (arc, start) = (arc_of(&psf, &lines, 1e5, 4, None), moved(&psf, [0.3, -0.3], 1.05));
    let lacking: Vec<_> = lines.iter().enumerate().filter(|(k, _)| *k != 12).map(|(_, line)| line.clone()).collect();
    for (listed, count) in [(&lines, 0), (&lacking, 1)] {
        let fitted = fit(&start, &[&arc], listed);
        for bundle in &fitted.bundles {
            assert!(bundle.lost.is_empty() && bundle.found.len() == count, "{:?} {:?}", bundle.lost, bundle.found);
            assert!(bundle.found.iter().all(|found| (found.wave - lines[12].wave).abs() < 0.3), "{:?}", bundle.found);
            assert!(bundle.outcome.is_ok(), "{:?}", bundle.outcome);
        }
        let [dx, dy] = distances(&psf, &fitted.psf, 0..10, &lines);
        assert!(dx < 0.05 && dy < 0.05, "{dx} {dy}");
    }
}
