//! The self-test that a device must pass when it is opened: drivers that compute wrongly report no error.

use super::{Gpu, GpuError, Precision, Recording, Variant};
use std::f64::consts::FRAC_1_SQRT_2;

/// Turns of the counted loop. Mesa 22.3's software Vulkan ends loops after 65 535 turns in all.
const TURNS: u32 = 70_000;

/// Invocations of a workgroup.
const THREADS: usize = 64;

/// Workgroups of the barrier test.
const GROUPS: usize = 3;

/// Returns the relative error allowed for sqrt, exp and the normal distribution. In f32 Vulkan allows exp `3 + 2 |x|` units in
/// the last place, 4e-6 at |x| = 16. In f64 the shaders' own functions are good to 1e-15. The test looks for garbage.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-5,
        Precision::F64 => 1e-13,
    }
}

/// Returns the variants that this file dispatches.
pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("selftest").set("THREADS", THREADS)
}

/// Results of a device.
#[derive(Default)]
struct Found {
    counts: Vec<u32>,
    roots: Vec<f64>,
    powers: Vec<f64>,
    fractions: Vec<f64>,
    sums: Vec<u32>,
}

/// Runs all checks in the precision of the handle; the error reports which one failed and how.
pub(super) fn run(gpu: &Gpu) -> Result<(), GpuError> {
    let x: Vec<f64> = (0..THREADS).map(|i| (i as f64 + 0.5) * if i % 2 == 0 { 0.25 } else { -0.25 }).collect();
    let inputs = gpu.upload_reals("x", &x)?;
    let (roots, powers) = (gpu.reals("roots", THREADS)?, gpu.reals("powers", THREADS)?);
    let fractions = gpu.reals("fractions", THREADS)?;
    let counts = gpu.zeros::<u32>("counts", 2)?;
    let sums = gpu.zeros::<u32>("sums", GROUPS)?;
    let mut recording = Recording::new();
    recording.dispatch(&gpu.kernel(&variant(), "loop_count")?, 1, &TURNS, &[counts.named("counts")])?;
    let bound = [inputs.named("x"), roots.named("roots"), powers.named("powers"), fractions.named("fractions")];
    recording.dispatch(&gpu.kernel(&variant(), "functions")?, 1, &(THREADS as u32), &bound)?;
    let barrier_sum = gpu.kernel(&variant(), "barrier_sum")?;
    recording.dispatch(&barrier_sum, GROUPS, &(GROUPS as u32), &[sums.named("sums")])?;
    gpu.run(recording)?;
    let found = Found {
        counts: counts.download()?,
        roots: roots.download()?,
        powers: powers.download()?,
        fractions: fractions.download()?,
        sums: sums.download()?,
    };
    judge(&x, &found, gpu.precision()).map_err(|reason| GpuError::Refused { device: gpu.name().to_string(), reason })
}

/// Compares a device's results with the host's.
fn judge(x: &[f64], found: &Found, precision: Precision) -> Result<(), String> {
    let state = (0..TURNS).fold(1u32, |state, _| state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    if found.counts != [TURNS, state] {
        let update = "a driver that ends loops early computes wrong numbers; update it (Mesa 25 or later)";
        return Err(format!("a loop of {TURNS} turns counted {}: {update}", found.counts[0]));
    }
    for (i, &x) in x.iter().enumerate() {
        let all = [
            ("sqrt of the size of", found.roots[i], x.abs().sqrt()),
            ("exp of", found.powers[i], x.exp()),
            ("the normal distribution from 0 to", found.fractions[i], 0.5 * libm::erf(x * FRAC_1_SQRT_2)),
        ];
        for (what, value, expected) in all {
            // Written so that a NaN fails.
            let close = (value - expected).abs() <= tolerance(precision) * expected.abs();
            if !close {
                return Err(format!("{what} {x} is {value} in {precision} where {expected} is right"));
            }
        }
    }
    for (group, &found) in found.sums.iter().enumerate() {
        let expected = (0..THREADS).map(|thread| (group + thread) as u32).sum::<u32>();
        if found != expected {
            return Err(format!("a sum across barriers gave {found} where {expected} is right"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a right device's results for no numbers.
    fn right() -> Found {
        let state = (0..TURNS).fold(1u32, |s, _| s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        Found { counts: vec![TURNS, state], ..Found::default() }
    }

    #[test]
    fn a_device_that_ends_loops_early_is_refused_with_the_reason() {
        let found = Found { counts: vec![65_535, 0], ..right() };
        let error = judge(&[], &found, Precision::F32).unwrap_err();
        assert!(error.contains("counted 65535"), "{error}");
    }

    #[test]
    fn a_device_that_returns_nan_or_f32_for_f64_is_refused() {
        let (powers, fractions) = (vec![4f64.exp()], vec![0.5 * libm::erf(4.0 * FRAC_1_SQRT_2)]);
        let of_roots =
            |root: f64| Found { roots: vec![root], powers: powers.clone(), fractions: fractions.clone(), ..right() };
        let error = judge(&[4.0], &of_roots(f64::NAN), Precision::F32).unwrap_err();
        assert!(error.contains("sqrt of the size of 4 is NaN"), "{error}");
        assert!(judge(&[4.0], &of_roots(2.0 + 1e-8), Precision::F32).is_ok());
        let error = judge(&[4.0], &of_roots(2.0 + 1e-8), Precision::F64).unwrap_err();
        assert!(error.contains("in f64 where 2 is right"), "{error}");
    }
}
