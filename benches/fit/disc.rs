//! Spots outside the family of the fit: a fibre's disc, blurred and with coma, as Gauss-Hermite terms of twice the degree.

use spextral::psf::{LegendreSeries, Psf, PsfParts};

/// Degree of the terms that describe the disc, and of those that are fitted.
const DEGREE: usize = 12;
pub const FITTED: usize = 6;
/// Radius of the disc, the Gaussian that blurs it, and the width of the functions, pixels.
const RADIUS: f64 = 1.55;
const BLUR: f64 = 0.66;
const SIGMA: f64 = 1.02;
/// Coma at the ends of the bundle.
const COMA: f64 = 0.03;
/// Step and half size of the grid on which the disc is blurred, pixels.
const STEP: f64 = 0.05;
const HALF: i32 = 110;

/// Returns the blurred disc on the grid, `[2 HALF + 1]` squared.
fn blurred() -> Vec<f64> {
    let n = (2 * HALF + 1) as usize;
    let place = |i: usize| f64::from(i as i32 - HALF) * STEP;
    let disc: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(place(i % n).hypot(place(i / n)) < RADIUS))).collect();
    let reach = (4.0 * BLUR / STEP) as i32;
    let kernel: Vec<(i32, f64)> =
        (-reach..=reach).map(|k| (k, (-0.5 * (f64::from(k) * STEP / BLUR).powi(2)).exp())).collect();
    let pass = |from: &[f64], by: [i32; 2]| -> Vec<f64> {
        let at = |x: i32, y: i32| {
            let inside = (0..n as i32).contains(&x) && (0..n as i32).contains(&y);
            if inside { from[y as usize * n + x as usize] } else { 0.0 }
        };
        let of = |i: usize| {
            let (x, y) = ((i % n) as i32, (i / n) as i32);
            kernel.iter().map(|(k, weight)| weight * at(x + k * by[0], y + k * by[1])).sum()
        };
        (0..n * n).map(of).collect()
    };
    pass(&pass(&disc, [1, 0]), [0, 1])
}

/// Values of the Hermite polynomials He_0, He_1, … at `e`.
fn hermite(e: f64) -> Vec<f64> {
    let mut values = vec![1.0, e];
    (1..DEGREE).for_each(|k| values.push(e * values[k] - k as f64 * values[k - 1]));
    values
}

/// Returns the terms c_ij of the disc, relative to c_00: its moments by Hermite polynomials over i! j!.
fn terms() -> Vec<f64> {
    let (image, n) = (blurred(), (2 * HALF + 1) as usize);
    let tables: Vec<Vec<f64>> = (0..n).map(|i| hermite(f64::from(i as i32 - HALF) * STEP / SIGMA)).collect();
    let factorial = |k: usize| (1..=k).map(|f| f as f64).product::<f64>();
    let moment = |i: usize, j: usize| -> f64 {
        let sum: f64 = (0..n * n).map(|p| image[p] * tables[p % n][i] * tables[p / n][j]).sum();
        sum / (factorial(i) * factorial(j))
    };
    let first = moment(0, 0);
    (0..=DEGREE).flat_map(|i| (0..=DEGREE).map(move |j| (i, j))).map(|(i, j)| moment(i, j) / first).collect()
}

/// Returns the PSF with such spots on its traces.
pub fn with_discs(psf: &Psf) -> Psf {
    let terms = terms();
    let series = |of: &dyn Fn(usize) -> f64| {
        let ncoeff = psf.sigma_x.ncoeff;
        let mut coeff = vec![0.0; ncoeff * psf.nfibre];
        coeff.chunks_mut(ncoeff).enumerate().for_each(|(fibre, own)| own[0] = of(fibre));
        LegendreSeries { domain: psf.sigma_x.domain, ncoeff, coeff }
    };
    let middle = 0.5 * (psf.nfibre - 1) as f64;
    let coma = |fibre: usize| COMA * (fibre as f64 - middle) / middle;
    let mut changed = psf.clone();
    let change = |p: &mut PsfParts| {
        (p.sigma_x, p.sigma_y) = (series(&|_| SIGMA), series(&|_| SIGMA));
        (p.gh_degree_x, p.gh_degree_y) = (DEGREE, DEGREE);
        let of = |(at, term): (usize, &f64)| {
            let is_coma = [[3, 0], [1, 2]].contains(&[at / (DEGREE + 1), at % (DEGREE + 1)]);
            series(&|fibre| term + if is_coma { coma(fibre) } else { 0.0 })
        };
        p.gh = terms.iter().enumerate().map(of).collect();
    };
    changed.update(change).expect("a PSF with other spots");
    changed
}
