//! The distance of two PSFs, image by image.

use super::rms;
use nalgebra::{Matrix4, Vector4};
use spextral::fit::TraceError;
use spextral::geometry::SpotShape;
use spextral::psf::{LegendreSeries, Psf};
use spextral::stages::spots::spot;
use spextral::stages::traces::{legendre, shape_series, split, unit};

/// Step of the differences that are the true image's derivatives.
const STEP: f64 = 1e-4;

/// How far fitted images are from true ones.
pub struct Distance {
    /// Largest difference over the peak, %: half of the images, 99 %, the worst.
    pub peak: [f64; 3],
    /// Displacements along x and y, pixels: rms, mean, worst.
    pub at: [[f64; 3]; 2],
    /// Widenings along x and y, %, rms.
    pub widths: [f64; 2],
}

/// Position and parameters of a spot.
struct Place {
    at: [f64; 2],
    shape: Vec<f64>,
}

fn place(psf: &Psf, fibre: usize, wave: f64) -> Place {
    let value = |series: &LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
    let shape = shape_series(psf, false).into_iter().map(value).collect();
    Place { at: [value(&psf.trace_x), value(&psf.trace_y)], shape }
}

impl Distance {
    /// Measures the fibres but those of `without`.
    pub fn measure(truth: &Psf, fitted: &Psf, without: &[usize], waves: &[f64]) -> Self {
        let (mut peaks, mut moved) = (Vec::new(), Vec::new());
        for fibre in (0..truth.nfibre).filter(|fibre| !without.contains(fibre)) {
            for &wave in waves {
                let (peak, departure) = compare(truth, fitted, fibre, wave);
                peaks.push(100.0 * peak);
                moved.push(departure);
            }
        }
        peaks.sort_by(f64::total_cmp);
        let n = peaks.len();
        let mean = |k: usize| moved.iter().map(|m| m[k]).sum::<f64>() / n as f64;
        let worst = |k: usize| moved.iter().map(|m| m[k].abs()).fold(0.0, f64::max);
        Self {
            peak: [peaks[n / 2], peaks[n * 99 / 100], peaks[n - 1]],
            at: [0, 1].map(|k| [rms(moved.iter().map(|m| m[k])), mean(k), worst(k)]),
            widths: [2, 3].map(|k| 100.0 * rms(moved.iter().map(|m| m[k]))),
        }
    }

    /// Returns the rms of displacements along x and y in units of the errors that are stated, of fibres but those of `without`.
    pub fn pulls(truth: &Psf, fitted: &Psf, errors: &[TraceError], without: &[usize]) -> [f64; 2] {
        let stated = errors.iter().filter(|e| !without.contains(&e.fibre));
        let off: Vec<[f64; 2]> = stated
            .map(|e| {
                let (_, moved) = compare(truth, fitted, e.fibre, e.wave);
                [moved[0] / e.at[0], moved[1] / e.at[1]]
            })
            .collect();
        [0, 1].map(|k| rms(off.iter().map(|o| o[k])))
    }
}

/// Returns the largest difference over the peak, and the displacements and widenings that describe the difference best.
fn compare(truth: &Psf, fitted: &Psf, fibre: usize, wave: f64) -> (f64, [f64; 4]) {
    let [own, theirs] = [truth, fitted].map(|psf| place(psf, fibre, wave));
    let pixel = own.at.map(|at| f64::from(split(at).0));
    let image = |psf: &Psf, place: &Place| {
        let shape = SpotShape::new(psf, false);
        let mut out = vec![0.0; shape.size()];
        spot(&shape, (place.at[0] - pixel[0], place.at[1] - pixel[1]), &place.shape, &mut out);
        out
    };
    let (a, b) = (image(truth, &own), image(fitted, &theirs));
    let derivative = |k: usize| -> Vec<f64> {
        let at = |step: f64| {
            let mut place = Place { at: own.at, shape: own.shape.clone() };
            match k {
                0 | 1 => place.at[k] += step,
                _ => place.shape[k - 2] *= 1.0 + step,
            }
            image(truth, &place)
        };
        at(STEP).iter().zip(at(-STEP)).map(|(above, below)| (above - below) / (2.0 * STEP)).collect()
    };
    let derivatives: Vec<Vec<f64>> = (0..4).map(derivative).collect();
    let (mut normal, mut right) = (Matrix4::<f64>::zeros(), Vector4::<f64>::zeros());
    let (mut peak, mut largest) = (0.0f64, 0.0f64);
    for p in 0..a.len() {
        let d = Vector4::from_fn(|k, _| derivatives[k][p]);
        normal += d * d.transpose();
        right += d * (b[p] - a[p]);
        (peak, largest) = (peak.max(a[p]), largest.max((b[p] - a[p]).abs()));
    }
    let moved = normal.try_inverse().expect("an image has four independent derivatives") * right;
    (largest / peak, [moved[0], moved[1], moved[2], moved[3]])
}
