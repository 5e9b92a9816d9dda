//! PSFs of every kind, sampled on a grid of images.

use crate::psf_kinds::read;
use spextral::Psf;
use spextral::psf::LegendreSeries;
use spextral::stages::spot_samples::{GridSize, sampled};
use spextral::stages::spots::SpotModel;
use spextral::stages::traces::{legendre, shape_series, unit};
use testkit::psf_kinds::{mono_spot, pca_pix, spot_grid, two_cores};

/// Returns how far spots of a PSF on a grid are from its own, in peaks: those that lie on samples, and those between samples.
fn farthest(psf: &Psf, r: usize) -> [f64; 2] {
    // Fibres of all groups have images of their own, and images between wavelengths are lines.
    let grid = sampled(psf, GridSize { oversampling: r, positions: psf.nfibre, waves: 2 }).unwrap();
    let wave = psf.trace_y.domain[0];
    let [own, other] = [psf, &grid].map(|psf| (SpotModel::new(psf, false), shape_series(psf, false)));
    let spot = |(model, series): &(SpotModel, Vec<&LegendreSeries>), fibre: usize, offset: (f64, f64)| {
        let params: Vec<f64> = series.iter().map(|s| legendre(s.of(fibre), unit(s.domain, wave))).collect();
        let mut spot = vec![0.0; model.shape().size()];
        model.spot(offset, &params, &mut spot);
        spot
    };
    let (nx, wide) = (own.0.shape().nx(), other.0.shape().nx());
    let dx = other.0.shape().half_x - own.0.shape().half_x;
    let dy = other.0.shape().half_y - own.0.shape().half_y;
    let mut worst = [0.0f64; 2];
    for (fibre, k) in (0..psf.nfibre).flat_map(|fibre| (0..2 * r - 1).map(move |k| (fibre, k))) {
        let at = (k as f64 - (r as f64 - 1.0)) / (2 * r) as f64;
        let (a, b) = (spot(&own, fibre, (at, -at)), spot(&other, fibre, (at, -at)));
        let peak = a.iter().copied().fold(0.0, f64::max);
        let off = |(k, p): (usize, &f64)| (p - b[(k / nx + dy) * wide + k % nx + dx]).abs() / peak;
        worst[k % 2] = worst[k % 2].max(a.iter().enumerate().map(off).fold(0.0, f64::max));
    }
    worst
}

#[test]
fn a_psf_of_any_kind_on_a_grid_has_its_spots_on_samples_and_nearly_between_them() {
    // A window cuts off light that depends on the displacement, and spots are normalised: by the even window of two cores most.
    // Between samples a grid is linear. Nine samples are a multiple of the three of this SPOTGRID.
    for (name, bytes, on_samples, between_samples) in [
        ("SPOTGRID", spot_grid(&[]), 3e-4, 3e-4),
        ("MONOSPOT", mono_spot(), 3e-4, 1e-2),
        ("PCA-PIX", pca_pix(), 1.5e-3, 4e-3),
        ("GAUSS-HERMITE2", two_cores(), 3e-3, 6e-3),
    ] {
        let psf = read(&bytes);
        assert_eq!(psf.form.name(), name);
        let [few, many] = [5, 9].map(|r| farthest(&psf, r));
        assert!(few[0] < on_samples && many[0] < on_samples, "{name}: {few:?}, {many:?}");
        assert!(many[1] < between_samples && many[1] < 0.7 * few[1], "{name}: {few:?}, {many:?}");
    }
}
