//! traces.wgsl against its twin and the references.

use super::case::Case;
use spextral::gpu::Gpu;
use spextral::gpu::traces::{Traces, traces};
use spextral::psf::LegendreSeries;
use testkit::{Reference, allowed, gpu_with_default_limits, in_each_precision, worst};

/// Positions x, y in pixels; every offset is within half a pixel.
fn positions(found: &Traces) -> (Vec<f64>, Vec<f64>) {
    let (pixel, offset) = (found.pixel.download().unwrap(), found.offset.download().unwrap());
    assert!(offset.iter().all(|o| (-0.5..0.5).contains(o)));
    let all: Vec<f64> = pixel.iter().zip(&offset).map(|(&p, o)| f64::from(p) + o).collect();
    let (x, y) = all.split_at(all.len() / 2);
    (x.to_vec(), y.to_vec())
}

fn compare(gpu: &Gpu, case: &Case) {
    let found = traces(gpu, &case.psf, case.fibres(), &case.wave, case.shape.tails).unwrap();
    let (x, y) = positions(&found);
    let sum = |p: &[i32], o: &[f64]| -> Vec<f64> { p.iter().zip(o).map(|(&p, o)| f64::from(p) + o).collect() };
    let t = &case.traces;
    let (dx, dy) = (worst(&x, &sum(&t.pixel_x, &t.offset_x)), worst(&y, &sum(&t.pixel_y, &t.offset_y)));
    note!("{}: x {dx:.1e} px, y {dy:.1e} px", case.name);
    let most = allowed(gpu, 2e-6, 1e-11);
    assert!(dx < most && dy < most, "{}: {dx:e} {dy:e}", case.name);
    let shape = found.shape.download().unwrap();
    let d_shape = worst(&shape, &t.shape);
    assert!(d_shape < allowed(gpu, 1e-6, 1e-13), "{}: shape {d_shape:e}", case.name);
}

#[test]
fn positions_are_within_2e_6_px_and_shapes_within_1e_6_of_the_twin() {
    for gpu in in_each_precision() {
        compare(&gpu, &Case::synthetic(false));
        compare(&gpu, &Case::synthetic(true));
    }
}

#[test]
fn positions_of_every_reference_patch_are_within_2e_6_px() {
    let gpu = gpu_with_default_limits();
    for name in Reference::ALL {
        let (case, reference) = Case::reference(name);
        compare(&gpu, &case);
        let found = traces(&gpu, &case.psf, case.fibres(), &case.wave, case.shape.tails).unwrap();
        let (x, y) = positions(&found);
        assert!(worst(&x, &reference.array("TRACE_X")) < 2e-6, "{name}");
        assert!(worst(&y, &reference.array("TRACE_Y")) < 2e-6, "{name}");
    }
}

#[test]
fn coarse_and_uneven_grids_and_high_degrees_keep_their_precision() {
    let gpu = gpu_with_default_limits();
    let mut case = Case::synthetic(false);
    let coeff: Vec<f64> = (0..6 * 14).map(|k| 2000.0 / (1.0 + f64::from(k % 14)).powi(3)).collect();
    for step in [0.01, 0.3, 2.0, 25.0] {
        case.wave = (0..150).map(|b| 5500.0 + step * f64::from(b) * (1.0 + 1e-3 * f64::from(b))).collect();
        // Both ends are a little beyond the domain.
        let domain = [5500.0 + 2.0 * step, 5500.0 + 160.0 * step];
        let series = LegendreSeries { domain, ncoeff: 14, coeff: coeff.clone() };
        case.psf.update(|parts| parts.trace_y = series).unwrap();
        case.traces = spextral::stages::traces::traces(&case.psf, case.fibres(), &case.wave, false);
        let found = traces(&gpu, &case.psf, case.fibres(), &case.wave, false).unwrap();
        let t = &case.traces;
        let twin: Vec<f64> = t.pixel_y.iter().zip(&t.offset_y).map(|(&p, o)| f64::from(p) + o).collect();
        let error = worst(&positions(&found).1, &twin);
        note!("step {step}: {error:.1e} px");
        assert!(error < 2e-6, "step {step}: {error:e} px");
    }
}
