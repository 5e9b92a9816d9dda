//! shared/functions_f64.wgsl against the host's exp and erf.

use spextral::gpu::{Gpu, OpenOptions, Recording, Variant};
use testkit::open_with_f64;

/// exp of x, and the normal distribution between 0 and x.
fn functions(gpu: &Gpu, x: &[f64]) -> [Vec<f64>; 2] {
    let inputs = gpu.upload_reals("x", x).unwrap();
    let [roots, powers, fractions] = ["roots", "powers", "fractions"].map(|name| gpu.reals(name, x.len()).unwrap());
    let bound = [inputs.named("x"), roots.named("roots"), powers.named("powers"), fractions.named("fractions")];
    let kernel = gpu.kernel(&Variant::new("selftest").set("THREADS", 64), "functions").unwrap();
    let mut recording = Recording::new();
    recording.dispatch(&kernel, x.len().div_ceil(64), &(x.len() as u32), &bound).unwrap();
    gpu.run(recording).unwrap();
    [powers, fractions].map(|found| found.download().unwrap())
}

fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |m, e| if e > m || e.is_nan() { e } else { m })
}

#[test]
fn exp_in_f64_is_within_5e_16_of_itself_and_erf_within_2e_15() {
    let gpu = open_with_f64(&OpenOptions { webgpu_defaults: true, ..OpenOptions::default() }).with_f64().unwrap();
    let count = 200_000;
    let over = |low: f64, high: f64| -> Vec<f64> {
        (0..=count).map(|k| low + (high - low) * f64::from(k) / f64::from(count)).collect()
    };
    let x = over(-170.0, 170.0);
    let [powers, _] = functions(&gpu, &x);
    let exp = largest(x.iter().zip(&powers).map(|(x, found)| (found / libm::exp(*x) - 1.0).abs()));
    // x squared is rounded before exp: by 3e-16 of the distribution at most.
    let x = over(-18.0, 18.0);
    let [_, fractions] = functions(&gpu, &x);
    let twin = |x: f64| libm::erf(x * std::f64::consts::FRAC_1_SQRT_2);
    let erf = largest(x.iter().zip(&fractions).map(|(x, found)| (2.0 * found - twin(*x)).abs()));
    note!("exp {exp:.1e} of itself, erf {erf:.1e}");
    assert!(exp < 5e-16 && erf < 2e-15, "{exp:e} {erf:e}");
    let below = [-170.5, -1e3, -1e300, -f64::MAX];
    assert_eq!(functions(&gpu, &below)[0], [0.0; 4]);
}
