//! Properties of fits to simulated arcs.

use super::bundle::Bundle;
use super::normal::Normal;
use super::*;
use crate::base::cancel::CancelToken;
use crate::fits::{Line, Preproc};
use crate::psf::Psf;
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Light, Simulation, simulate};
use crate::stages::traces::{Traces, traces};
use nalgebra::{DMatrix, DVector};

mod defects;
mod ranges;

/// Two bundles of five fibres on 500 rows.
fn psf() -> Psf {
    let small = Synthetic {
        nfibre: 10,
        bundlesize: 5,
        npix_y: Some(500),
        legendre_degree: 1,
        gh_degree: 3,
        ..Synthetic::default()
    };
    small.build().unwrap()
}

/// Lines at uneven distances over the whole range.
fn lines(psf: &Psf, count: usize) -> Vec<Line> {
    let step = (psf.wave_max - psf.wave_min) / count as f64;
    let at = |k: usize| psf.wave_min + step * (k as f64 + 0.5 + 0.3 * (2.3 * k as f64).sin());
    (0..count).map(|k| Line { wave: at(k), ion: "X".into(), weight: None }).collect()
}

/// An arc without defects.
fn arc(psf: &Psf, lines: &[Line], seed: u64) -> Preproc {
    arc_of(psf, lines, 20_000.0, seed, None)
}

/// One of a brightness whose pixels saturate.
fn arc_of(psf: &Psf, lines: &[Line], electrons: f64, seed: u64, saturation: Option<f64>) -> Preproc {
    let light = Light::Arc { lines: lines.to_vec(), electrons };
    let clean = Simulation { cosmics: 0.0, bad_columns: Some(0), dead_patches: Some(0), ..Simulation::default() };
    let request = Simulation { light, seed, saturation, ..clean };
    simulate(psf, &request).unwrap().preproc.masked_by(u32::MAX).unwrap()
}

/// The PSF with traces moved and widths scaled.
fn moved(psf: &Psf, [dx, dy]: [f64; 2], width: f64) -> Psf {
    let mut moved = psf.clone();
    let change = |p: &mut crate::psf::PsfParts| {
        for (trace, d) in [(&mut p.trace_x, dx), (&mut p.trace_y, dy)] {
            trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += d);
        }
        [&mut p.sigma_x, &mut p.sigma_y].into_iter().flat_map(|s| &mut s.coeff).for_each(|c| *c *= width);
    };
    moved.update(change).unwrap();
    moved
}

fn fit(start: &Psf, arcs: &[&Preproc], lines: &[Line]) -> Fitted {
    let arcs: Vec<ArcFrame> = arcs.iter().map(|arc| ArcFrame { ccd: &arc.ccd, readnoise: None }).collect();
    fit_psf(start, &arcs, lines, &FitOptions::default(), &CancelToken::default(), &|_, _| ()).unwrap()
}

/// Largest distances of the traces along x and y at the lines within the CCD, pixels, and of the widths, as a fraction.
fn distances(psf: &Psf, fitted: &Psf, fibres: std::ops::Range<usize>, lines: &[Line]) -> [f64; 2] {
    let waves: Vec<f64> = lines.iter().map(|line| line.wave).collect();
    let [a, b] = [psf, fitted].map(|psf| traces(psf, fibres.clone(), &waves, false));
    let x = |t: &Traces, k: usize| f64::from(t.pixel_x[k]) + t.offset_x[k];
    let y = |t: &Traces, k: usize| f64::from(t.pixel_y[k]) + t.offset_y[k];
    let inside = |k: &usize| (2.0..f64::from(psf.npix_y as u32) - 3.0).contains(&y(&a, *k));
    let all = || (0..a.pixel_x.len()).filter(inside);
    let most = |of: &dyn Fn(&Traces, usize) -> f64| all().map(|k| (of(&a, k) - of(&b, k)).abs()).fold(0.0, f64::max);
    [most(&x), most(&y)]
}

#[test]
fn a_start_that_is_off_leads_back_to_the_truth_with_the_errors_that_are_stated() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let arc = arc(&psf, &lines, 3);
    let start = moved(&psf, [-2.0, 6.3], 1.1);
    let fitted = fit(&start, &[&arc], &lines);
    for bundle in &fitted.bundles {
        let quality = bundle.outcome.as_ref().unwrap();
        assert!((0.95..1.06).contains(&quality.reduced_chi2), "{quality:?}");
        assert!((bundle.shifts[0][0] - 2.0).abs() < 0.6 && (bundle.shifts[0][1] + 6.3).abs() < 0.6);
        assert!(bundle.lost.is_empty() && bundle.found.is_empty(), "{:?} {:?}", bundle.lost, bundle.found);
        let live = bundle.errors.iter().filter(|e| !bundle.dead.contains(&e.fibre));
        assert!(
            live.clone().count() > 0 && live.clone().all(|e| e.at[0] > 1e-4 && e.at[0] < 0.1 && e.widths[0] < 0.02)
        );
    }
    let [dx, dy] = distances(&psf, &fitted.psf, 0..10, &lines);
    assert!(dx < 0.05 && dy < 0.08, "{dx} {dy}");
    assert!(fitted.status().iter().all(|status| *status < 2.0));
}

#[test]
fn a_line_that_the_list_lacks_is_found_and_one_that_it_has_wrong_loses_trust() {
    let psf = psf();
    let all = lines(&psf, 24);
    let arc = arc(&psf, &all, 5);
    let mut listed = all.clone();
    let missing = listed.remove(12).wave;
    listed[6].wave += 0.12;
    let fitted = fit(&moved(&psf, [0.3, -0.3], 1.05), &[&arc], &listed);
    for bundle in &fitted.bundles {
        assert!(bundle.found.iter().any(|line| (line.wave - missing).abs() < 0.3), "{:?}", bundle.found);
        assert!(bundle.lost.iter().any(|line| line.wave == listed[6].wave), "{:?}", bundle.lost);
    }
    let [dx, dy] = distances(&psf, &fitted.psf, 0..10, &all);
    assert!(dx < 0.05 && dy < 0.1, "{dx} {dy}");
}

#[test]
fn a_bundle_without_pixels_keeps_the_start_and_the_others_their_bits_for_any_number_of_threads() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let whole = arc(&psf, &lines, 3);
    let start = moved(&psf, [0.2, 0.2], 1.0);
    let (nx, cut) = (psf.npix_x, 0.5 * (psf.trace_x.of(4)[0] + psf.trace_x.of(5)[0]));
    let [image, mut ivar] = whole.ccd.clone().into_planes();
    ivar.iter_mut().enumerate().filter(|(i, _)| ((i % nx) as f64) > cut).for_each(|(_, w)| *w = 0.0);
    let half = Preproc::new([psf.npix_y, nx], image, ivar, None, 0).unwrap();
    let in_pool = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fit(&start, &[&half], &lines))
    };
    let [one, three] = [1, 3].map(in_pool);
    assert_eq!((&one.psf, &one.bundles), (&three.psf, &three.bundles));
    assert_eq!(one.bundles[1].outcome, Err("no fibre has light".into()));
    assert!(one.bundles[0].outcome.is_ok());
    assert_eq!(one.status()[5..], [2.0; 5]);
    assert_eq!(one.psf.trace_x.of(7), start.trace_x.of(7));
    assert_eq!(one.psf.sigma_x.of(7), start.sigma_x.of(7));
}

/// The arc with pixels changed: of a column and a row, value and weight.
fn spoiled(psf: &Psf, arc: &Preproc, change: impl Fn(usize, usize, &mut f32, &mut f32)) -> Preproc {
    let nx = psf.npix_x;
    let [mut image, mut ivar] = arc.ccd.clone().into_planes();
    for (i, (value, weight)) in image.iter_mut().zip(&mut ivar).enumerate() {
        change(i % nx, i / nx, value, weight);
    }
    Preproc::new([psf.npix_y, nx], image, ivar, None, 0).unwrap()
}

#[test]
fn a_bad_column_and_a_cosmic_ray_on_a_spot_do_little_harm_and_only_nearby() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let whole = arc(&psf, &lines, 3);
    let start = moved(&psf, [0.3, -0.3], 1.05);
    let at = |fibre: usize, line: usize| {
        let t = traces(&psf, fibre..fibre + 1, &[lines[line].wave], false);
        [t.pixel_x[0] as usize, t.pixel_y[0] as usize]
    };
    let (column, hit) = (at(2, 12)[0] + 1, at(7, 10));
    let bad = spoiled(&psf, &whole, |x, y, value, weight| {
        if x == column {
            *weight = 0.0;
        }
        if (x == hit[0] || x == hit[0] + 1) && y.abs_diff(hit[1]) < 2 {
            *value += 30_000.0;
        }
    });
    let fitted = fit(&start, &[&bad], &lines);
    assert!(fitted.bundles.iter().all(|bundle| bundle.outcome.is_ok() && bundle.dead.is_empty()));
    assert!(fitted.bundles[1].rejected > 0 || fitted.bundles[1].spots.iter().any(|spot| spot.reason.is_some()));
    for (fibres, bound) in [(0..2, 0.05), (2..3, 0.15), (3..7, 0.05), (7..8, 0.1), (8..10, 0.05)] {
        let [dx, dy] = distances(&psf, &fitted.psf, fibres.clone(), &lines);
        assert!(dx < bound && dy < bound + 0.03, "{fibres:?}: {dx} {dy}");
    }
}

#[test]
fn a_masked_amplifier_costs_what_is_under_it_and_ends_with_a_sentence() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let start = moved(&psf, [0.3, -0.3], 1.05);
    let cut = 0.5 * (psf.trace_x.of(4)[0] + psf.trace_x.of(5)[0]);
    let amplifier = spoiled(&psf, &arc(&psf, &lines, 3), |x, y, _, weight| {
        if x as f64 > cut && y >= 250 {
            *weight = 0.0;
        }
    });
    let fitted = fit(&start, &[&amplifier], &lines);
    assert!(fitted.bundles[0].outcome.is_ok());
    let [dx, dy] = distances(&psf, &fitted.psf, 0..5, &lines);
    assert!(dx < 0.05 && dy < 0.08, "{dx} {dy}");
    match &fitted.bundles[1].outcome {
        Ok(_) => {
            let below: Vec<Line> = lines.iter().filter(|line| at_row(&psf, 7, line.wave) < 235.0).cloned().collect();
            let [dx, dy] = distances(&psf, &fitted.psf, 5..10, &below);
            assert!(below.len() > 4 && dx < 0.1 && dy < 0.15, "{dx} {dy}");
        }
        Err(reason) => assert!(!reason.is_empty() && fitted.status()[5..] == [2.0; 5]),
    }
}

fn at_row(psf: &Psf, fibre: usize, wave: f64) -> f64 {
    let t = traces(psf, fibre..fibre + 1, &[wave], false);
    f64::from(t.pixel_y[0]) + t.offset_y[0]
}

#[test]
fn a_fibre_without_light_follows_its_bundle_and_is_extracted() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let seed = (0..).find(|&seed| crate::simulate::broken_fibres(seed, 10).count() == 1).unwrap();
    let broken: Vec<usize> = crate::simulate::broken_fibres(seed, 10).collect();
    let fitted = fit(&moved(&psf, [0.3, -0.3], 1.05), &[&arc(&psf, &lines, seed)], &lines);
    assert_eq!((fitted.dark_fibres(), fitted.status()[broken[0]]), (broken.clone(), 0.0));
    let [dx, dy] = distances(&psf, &fitted.psf, broken[0]..broken[0] + 1, &lines);
    assert!(dx < 0.1 && dy < 0.1, "{dx} {dy}");
}

#[test]
fn exposures_are_fitted_together_whatever_their_shifts() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let arcs = [arc(&psf, &lines, 3), arc(&moved(&psf, [0.2, -0.25], 1.0), &lines, 4), arc(&psf, &lines, 6)];
    let alone = fit(&psf, &[&arcs[0]], &lines);
    let all = fit(&psf, &arcs.iter().collect::<Vec<_>>(), &lines);
    for (bundle, single) in all.bundles.iter().zip(&alone.bundles) {
        let [first, second, _] = bundle.shifts[..] else { panic!("three exposures") };
        assert!(
            (second[0] - first[0] - 0.2).abs() < 0.02 && (second[1] - first[1] + 0.25).abs() < 0.02,
            "{:?}",
            bundle.shifts
        );
        let error = |bundle: &BundleFit| bundle.errors.iter().map(|e| e.at[0]).sum::<f64>();
        assert!((1.3..2.3).contains(&(error(single) / error(bundle))), "{} {}", error(single), error(bundle));
        // Along y the list's own error stays, however many exposures there are.
        let along = |bundle: &BundleFit| bundle.errors.iter().map(|e| e.at[1]).sum::<f64>();
        assert!(along(bundle) < 1.01 * along(single));
    }
    let [dx, dy] = distances(&psf, &all.psf, 0..10, &lines);
    assert!(dx < 0.04 && dy < 0.06, "{dx} {dy}");
}

#[test]
fn errors_along_y_fall_with_exposures_where_the_list_is_exact() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let arcs: Vec<Preproc> = (3..7).map(|seed| arc(&psf, &lines, seed)).collect();
    let along = |arcs: &[Preproc]| {
        let frames: Vec<ArcFrame> = arcs.iter().map(|arc| ArcFrame { ccd: &arc.ccd, readnoise: None }).collect();
        let exact = FitOptions { line_error: 0.0, ..FitOptions::default() };
        let fitted = fit_psf(&psf, &frames, &lines, &exact, &CancelToken::default(), &|_, _| ()).unwrap();
        fitted.bundles.iter().flat_map(|b| &b.errors).map(|e| e.at[1]).sum::<f64>()
    };
    let ratio = along(&arcs[..1]) / along(&arcs);
    assert!((1.5..2.7).contains(&ratio), "{ratio}");
}

#[test]
fn an_easy_arc_is_fitted_whatever_its_bright_lines_are() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let start = moved(&psf, [0.3, -0.3], 1.05);
    // With the first of these a few bright pixels beside the start's spots once decided all steps.
    for seed in [1, 2] {
        for bundle in &fit(&start, &[&arc(&psf, &lines, seed)], &lines).bundles {
            let quality = bundle.outcome.as_ref().unwrap();
            assert!((0.95..1.08).contains(&quality.reduced_chi2), "seed {seed}: {quality:?}");
        }
    }
}

#[test]
fn chosen_fibres_have_the_bits_of_a_whole_fit_and_the_others_the_start() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let (start, arc) = (moved(&psf, [0.2, 0.2], 1.0), arc(&psf, &lines, 3));
    let whole = fit(&start, &[&arc], &lines);
    let frame = ArcFrame { ccd: &arc.ccd, readnoise: None };
    let chosen = |fibres: std::ops::Range<usize>, bundlesize| {
        let options = FitOptions { fibres: Some(fibres), bundlesize, ..FitOptions::default() };
        fit_psf(&start, &[frame], &lines, &options, &CancelToken::default(), &|_, _| ())
    };
    for bundlesize in [None, Some(5)] {
        let part = chosen(5..usize::MAX, bundlesize).unwrap();
        assert_eq!((&part.bundles[..], part.status()), (&whole.bundles[1..], [[2.0; 5], [0.0; 5]].concat()));
        assert_eq!(part.psf.trace_y.of(3), start.trace_y.of(3));
        assert_eq!(part.psf.trace_y.of(7), whole.psf.trace_y.of(7));
    }
    let none = chosen(10..12, None).unwrap_err().to_string();
    assert!(none.contains("fibres 10 to 11 are none") && none.contains("0 to 9"), "{none}");
}

#[test]
fn a_start_beyond_the_reach_ends_with_a_sentence_and_keeps_the_start() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let start = moved(&psf, [0.0, 70.0], 1.0);
    let fitted = fit(&start, &[&arc(&psf, &lines, 3)], &lines);
    for bundle in &fitted.bundles {
        let reason = bundle.outcome.as_ref().unwrap_err();
        assert!(reason.contains("lines") || reason.contains("does not describe the arc"), "{reason}");
    }
    assert_eq!((fitted.psf.trace_y.of(2), fitted.status()), (start.trace_y.of(2), vec![2.0; 10]));
}

#[test]
fn inputs_that_do_not_fit_together_are_refused() {
    let psf = psf();
    let lines = lines(&psf, 24);
    let arc = arc(&psf, &lines, 3);
    let options = FitOptions::default();
    let refused = |start: &Psf, arcs: &[ArcFrame], lines: &[Line]| {
        fit_psf(start, arcs, lines, &options, &CancelToken::default(), &|_, _| ()).unwrap_err().to_string()
    };
    let frame = ArcFrame { ccd: &arc.ccd, readnoise: None };
    assert!(refused(&psf, &[], &lines).contains("no arc frame"));
    assert!(refused(&psf, &[frame], &lines[..3]).contains("3 lines of the list are within"));
    let mut other = psf.clone();
    other.update(|p| p.npix_y += 1).unwrap();
    assert!(refused(&other, &[frame], &lines).contains("arc frame 0 has [500, "));
}

#[test]
fn reduced_normal_equations_are_those_of_the_whole_jacobian() {
    let psf = psf();
    let lines = lines(&psf, 12);
    let (one, two) = (arc(&psf, &lines, 3), arc(&psf, &lines, 4));
    let arcs = [&one, &two].map(|arc| ArcFrame { ccd: &arc.ccd, readnoise: None });
    let (options, cancel) = (FitOptions::default(), CancelToken::default());
    let mut bundle = Bundle::new(&psf, 0..5, &arcs, &lines, &options, &cancel);
    bundle.choose_spots();
    for (k, theta) in bundle.model.theta.iter_mut().enumerate().take(bundle.model.layout.shapes()) {
        *theta += 0.004 * (1.9 * k as f64).sin();
    }
    let solutions = bundle.solutions(&bundle.model.theta);
    bundle.exposures.iter_mut().zip(solutions.iter().cloned()).for_each(|(e, s)| s.give_to(e));
    let e = 1;
    let (exposure, solution) = (&bundle.exposures[e], &solutions[e]);
    let weights = exposure.region.weights();
    let all: Vec<usize> = (0..bundle.model.layout.len()).collect();
    let mut normal = Normal::new(&all);
    normal.add(&bundle.model, e, exposure, solution, &weights);

    // The Jacobian by differences of whole images: fluxes first, then the unknowns, which move trusted spots only.
    let image = |theta: &[f64], only: Option<usize>| -> DVector<f64> {
        let mut image = DVector::zeros(weights.len());
        let mut spots = crate::stages::spot_derivatives::SpotDerivatives::new(&bundle.model.spot, true);
        let mut values = vec![0.0; bundle.model.spot.size()];
        for (n, spot) in placed::Placed::new(&bundle.model, theta, e, exposure).spots.iter().enumerate() {
            let flux = match only {
                Some(only) => f64::from(u8::from(only == n)),
                None => exposure.moving(spot),
            };
            spots.value(spot.offset, &spot.shape, &mut values);
            for row in spot.window.rows.clone() {
                let columns = &spot.window.columns;
                let places = spot.window.in_spot(bundle.model.spot.nx(), row, columns);
                for (place, column) in places.zip(columns.clone()) {
                    image[row * exposure.region.nx + column] += flux * values[place];
                }
            }
        }
        image
    };
    let (count, unknowns, h) = (solution.flux.len(), bundle.model.layout.len(), 1e-5);
    let mut jacobian = DMatrix::zeros(weights.len(), count + unknowns);
    (0..count).for_each(|n| jacobian.set_column(n, &image(&bundle.model.theta, Some(n))));
    for k in 0..unknowns {
        let at = |step: f64| {
            let mut theta = bundle.model.theta.clone();
            theta[k] += step;
            image(&theta, None)
        };
        jacobian.set_column(count + k, &((at(h) - at(-h)) / (2.0 * h)));
    }
    let weighted = DMatrix::from_fn(weights.len(), count + unknowns, |p, k| weights[p] * jacobian[(p, k)]);
    let residual = DVector::from_fn(weights.len(), |p, _| exposure.region.data[p] - solution.image[p]);
    let (full, gradient) = (weighted.transpose() * &jacobian, weighted.transpose() * residual);
    let fluxes = full.view((0, 0), (count, count)).into_owned().cholesky().unwrap();
    let mixed = full.view((0, count), (count, unknowns)).into_owned();
    let reduced = full.view((count, count), (unknowns, unknowns)) - mixed.transpose() * fluxes.solve(&mixed);
    let pull = gradient.rows(count, unknowns) - mixed.transpose() * fluxes.solve(&gradient.rows(0, count).into_owned());
    let scale = |k: usize| full[(count + k, count + k)].sqrt().max(1e-30);
    let largest = (0..unknowns).map(|k| pull[k].abs() / scale(k)).fold(0.0, f64::max);
    for i in 0..unknowns {
        for j in 0..=i {
            let off = (normal.matrix[[i, j]] - reduced[(i, j)]).abs();
            assert!(off < 1e-5 * scale(i) * scale(j), "{i}, {j}: {} {}", normal.matrix[[i, j]], reduced[(i, j)]);
        }
        let off = (normal.gradient[i] - pull[i]).abs();
        assert!(off < 1e-4 * scale(i) * largest, "{i}: {} {}", normal.gradient[i], pull[i]);
    }
}
