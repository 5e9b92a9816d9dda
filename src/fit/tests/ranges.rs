//! Fibres with a range of wavelengths each.

use super::*;
use crate::stages::traces::{legendre, unit};

/// Ten fibres; each range is higher than the last one by a part of its width, and wider.
fn staggered(part: f64) -> Psf {
    let mut psf = psf();
    let width = psf.wave_max - psf.wave_min;
    let range = |k: usize| {
        let low = psf.wave_min + part * width * k as f64;
        [low, low + (1.0 + 0.02 * k as f64) * width]
    };
    let ranges = (0..psf.nfibre).map(range).collect();
    psf.update(|parts| parts.ranges = Some(ranges)).unwrap();
    psf
}

/// Lines over all ranges, about 24 in each.
fn lines(psf: &Psf) -> Vec<Line> {
    let ends = [psf.range(0)[0], psf.range(psf.nfibre - 1)[1]];
    let step = (psf.wave_max - psf.wave_min) / 24.0;
    let at = |k: usize| ends[0] + step * (k as f64 + 0.5 + 0.3 * (2.3 * k as f64).sin());
    let count = ((ends[1] - ends[0]) / step) as usize;
    (0..count).map(|k| Line { wave: at(k), ion: "X".into(), weight: None }).collect()
}

/// Position of a wavelength of a fibre, pixels.
fn place(psf: &Psf, fibre: usize, wave: f64) -> [f64; 2] {
    let at = psf.on_scale(fibre, wave);
    [&psf.trace_x, &psf.trace_y].map(|series| legendre(series.of(fibre), unit(series.domain, at)))
}

#[test]
fn fibres_with_a_range_each_are_fitted_by_the_lines_that_each_has() {
    // Neighbours share most lines; none of them.
    for part in [0.2, 1.1] {
        let psf = staggered(part);
        let all = lines(&psf);
        let mut listed = all.clone();
        // One that several fibres have.
        let wrong = (part < 1.0).then_some(all.len() / 2);
        wrong.into_iter().for_each(|at| listed[at].wave += 0.15);
        let fitted = fit(&moved(&psf, [0.4, -1.3], 1.05), &[&arc(&psf, &all, 3)], &listed);
        assert_eq!(fitted.psf.ranges, psf.ranges);
        for bundle in &fitted.bundles {
            let quality = bundle.outcome.as_ref().unwrap();
            assert!((0.95..1.06).contains(&quality.reduced_chi2) && bundle.dead.is_empty(), "{quality:?}");
            let lost: Vec<f64> = bundle.lost.iter().map(|line| line.wave).collect();
            assert_eq!(lost, wrong.map(|at| listed[at].wave).into_iter().collect::<Vec<_>>(), "{:?}", bundle.lost);
            for fibre in bundle.fibres.clone() {
                let of_fibre = bundle.spots.iter().filter(|spot| spot.fibre == fibre);
                let used: Vec<f64> = of_fibre.filter(|spot| spot.reason.is_none()).map(|spot| spot.wave).collect();
                let [low, high] = psf.range(fibre);
                let beside = 0.05 * (high - low);
                assert!(used.len() > 12 && used.iter().all(|w| (low - beside..high + beside).contains(w)), "{used:?}");
                for &wave in &used {
                    let [a, b] = [&psf, &fitted.psf].map(|psf| place(psf, fibre, wave));
                    // Spots at the edges of the CCD lack half of their light.
                    let near = (a[0] - b[0]).abs() < 0.05 && (a[1] - b[1]).abs() < 0.06;
                    assert!(near || !(10.0..490.0).contains(&a[1]), "{fibre} {wave}: {a:?} {b:?}");
                }
            }
            for error in &bundle.errors {
                let [low, high] = psf.range(error.fibre);
                let beside = 0.06 * (high - low);
                assert!((low - beside..high + beside).contains(&error.wave), "{error:?}");
            }
        }
    }
}
