//! Properties of the synthetic PSF: ordered traces, plausible spots, parameters that are refused.

use super::*;
use crate::geometry::SpotShape;
use crate::psf::Psf;
use crate::stages::spots::spots;
use crate::stages::traces::traces;

fn grid(psf: &Psf, n: usize) -> Vec<f64> {
    let step = (psf.wave_max - psf.wave_min) / (n - 1) as f64;
    (0..n).map(|k| psf.wave_min + k as f64 * step).collect()
}

#[test]
fn default_matches_the_geometry_of_desi_r() {
    let psf = Synthetic::default().build().unwrap();
    assert_eq!((psf.nfibre, psf.npix_x, psf.npix_y, psf.ndiag()), (500, 4114, 4128, 11));
    let ends = traces(&psf, 0..500, &[psf.wave_min, psf.wave_max], false);
    assert!(ends.pixel_y.chunks(2).all(|y| y[0] < 0 && y[1] > 4128), "both ends run off the CCD");
    assert_eq!(ends.pixel_y[500], -114);
}

#[test]
fn traces_are_ordered_and_keep_to_the_ccd_at_every_wavelength() {
    let psf = Synthetic { seed: 7, ..Synthetic::default() }.build().unwrap();
    let n = 60;
    let t = traces(&psf, 0..psf.nfibre, &grid(&psf, n), false);
    let at = |f: usize, k: usize| t.pixel_x[f * n + k] as f64 + t.offset_x[f * n + k];
    for k in 0..n {
        for f in 1..psf.nfibre {
            let step = at(f, k) - at(f - 1, k);
            let between_bundles = f % 25 == 0;
            assert!(
                if between_bundles { (13.0..22.0).contains(&step) } else { (6.7..8.0).contains(&step) },
                "fibre {f} is {step} px from its neighbour"
            );
        }
        assert!(at(0, k) > 8.0 && at(499, k) < 4105.0);
    }
    for f in 0..psf.nfibre {
        let y: Vec<i32> = t.pixel_y[f * n..(f + 1) * n].to_vec();
        assert!(y.is_sorted() && y[0] < y[n - 1], "y rises with wavelength");
    }
}

#[test]
fn spots_are_positive_peaked_at_the_trace_and_of_the_width_asked_for() {
    let psf = Synthetic { nfibre: 50, sigma_x: 1.3, ..Synthetic::default() }.build().unwrap();
    let t = traces(&psf, 0..50, &grid(&psf, 9), false);
    let shape = SpotShape::new(&psf, false);
    for (k, spot) in spots(&t, &shape).chunks(shape.size()).enumerate() {
        let moment = |power: i32| -> f64 {
            spot.iter().enumerate().map(|(i, p)| p * ((i % shape.nx()) as f64 - 8.0 - t.offset_x[k]).powi(power)).sum()
        };
        assert!(moment(1).abs() < 0.2, "centre of spot {k} is {} px off", moment(1));
        let width = (moment(2) - moment(1).powi(2)).sqrt();
        assert!((1.0..1.9).contains(&width), "spot {k} is {width} px wide");
        let centre = spot[5 * shape.nx() + 8];
        assert!(centre > 0.04 && spot.iter().all(|&p| p <= 1.35 * centre));
    }
}

#[test]
fn no_hermite_terms_leave_gaussians() {
    let psf = Synthetic { nfibre: 30, gh_amplitude: 0.0, gh_degree: 2, ..Synthetic::default() }.build().unwrap();
    assert_eq!(psf.gh.len(), 9);
    assert!(psf.gh[1..].iter().all(|s| s.coeff.iter().all(|&c| c == 0.0)));
    assert_eq!(psf.gh[0].of(29), [1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn same_seed_same_psf_and_another_seed_another_one() {
    let build = |seed| Synthetic { nfibre: 60, seed, ..Synthetic::default() }.build().unwrap();
    assert_eq!(build(3), build(3));
    assert_ne!(build(3), build(4));
}

#[test]
fn shorter_ccd_keeps_the_dispersion() {
    let psf = Synthetic { nfibre: 25, npix_y: Some(1032), ..Synthetic::default() }.build().unwrap();
    let span = psf.wave_max - psf.wave_min;
    assert!((span - 2283.0 / 4.0).abs() <= 1.0, "{span}");
    assert!(psf.npix_x > 170 && psf.npix_x < 230, "{} columns", psf.npix_x);
}

#[test]
fn parameters_that_make_no_psf_are_named() {
    let refused = |s: Synthetic| s.build().unwrap_err().to_string();
    let base = Synthetic::default;
    assert!(refused(Synthetic { nfibre: 0, ..base() }).contains("number of fibres is 0"));
    assert!(refused(Synthetic { sigma_x: f64::NAN, ..base() }).contains("sigma along x is NaN"));
    assert!(refused(Synthetic { npix_x: Some(300), ..base() }).contains("the CCD has 300"));
    assert!(refused(Synthetic { half_x: 65, ..base() }).contains("half width of a spot is 65: it must be 1 to 64"));
    assert!(refused(Synthetic { spacing: 1e300, ..base() }).contains("spacing of fibres is 1e300:"));
    let backwards = Synthetic { wave_min: Some(7000.0), wave_max: Some(6000.0), ..base() };
    assert!(refused(backwards).contains("upper end of the wavelength range is 6000"));
}
