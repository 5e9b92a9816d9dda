//! The self-test a device must pass at opening: wrong drivers are fast and silent.

use super::{Gpu, GpuError, Recording, Variant};

/// Turns of the counted loop. Mesa 22.3's software Vulkan ends every loop after 65 535 turns in all.
const TURNS: u32 = 70_000;

/// Threads of a workgroup.
const THREADS: usize = 64;

/// Workgroups of the barrier test.
const GROUPS: usize = 3;

/// Relative error that exp and sqrt may have. Vulkan allows exp `3 + 2 |x|` units of the last place, 4e-6 at
/// |x| = 16; what is sought here are functions that return garbage.
const TOLERANCE: f32 = 1e-5;

/// The variants this file dispatches.
pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("selftest").set("THREADS", THREADS)
}

/// Runs all checks; the error says which one failed and how.
pub(super) fn run(gpu: &Gpu) -> Result<(), GpuError> {
    let x: Vec<f32> = (0..THREADS).map(|i| (i as f32 + 0.5) * 0.25).collect();
    let x_buffer = gpu.upload("x", &x)?;
    let roots = gpu.zeros::<f32>("roots", THREADS)?;
    let powers = gpu.zeros::<f32>("powers", THREADS)?;
    let counts = gpu.zeros::<u32>("counts", 2)?;
    let sums = gpu.zeros::<u32>("sums", GROUPS)?;
    let mut recording = Recording::new();
    recording.dispatch(&gpu.kernel(&variant(), "loop_count")?, 1, &TURNS, &[counts.named("counts")])?;
    let bound = [x_buffer.named("x"), roots.named("roots"), powers.named("powers")];
    recording.dispatch(&gpu.kernel(&variant(), "functions")?, 1, &(THREADS as u32), &bound)?;
    let barrier_sum = gpu.kernel(&variant(), "barrier_sum")?;
    recording.dispatch(&barrier_sum, GROUPS, &(GROUPS as u32), &[sums.named("sums")])?;
    gpu.run(recording)?;
    judge(&counts.download()?, &x, &roots.download()?, &powers.download()?, &sums.download()?)
        .map_err(|reason| GpuError::Refused { device: gpu.name().to_string(), reason })
}

/// Compares what the device returned with what the host computes.
fn judge(counts: &[u32], x: &[f32], roots: &[f32], powers: &[f32], sums: &[u32]) -> Result<(), String> {
    let state = (0..TURNS).fold(1u32, |state, _| state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    if counts != [TURNS, state] {
        let update = "a driver that ends loops early computes wrong numbers; update it (Mesa 25 or later)";
        return Err(format!("a loop of {TURNS} turns counted {}: {update}", counts[0]));
    }
    for (i, &x) in x.iter().enumerate() {
        for (name, found, expected) in [("sqrt", roots[i], x.sqrt()), ("exp", powers[i], x.exp())] {
            // Written so that a NaN fails.
            let close = (found - expected).abs() <= TOLERANCE * expected;
            if !close {
                return Err(format!("{name}({x}) gave {found} where {expected} is right"));
            }
        }
    }
    for (group, &found) in sums.iter().enumerate() {
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

    #[test]
    fn a_device_that_ends_loops_early_is_refused_with_the_reason() {
        let error = judge(&[65_535, 0], &[], &[], &[], &[]).unwrap_err();
        assert!(error.contains("counted 65535"), "{error}");
    }

    #[test]
    fn a_device_that_returns_nan_is_refused() {
        let state = (0..TURNS).fold(1u32, |s, _| s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        let error = judge(&[TURNS, state], &[4.0], &[f32::NAN], &[4f32.exp()], &[]).unwrap_err();
        assert!(error.contains("sqrt(4)"), "{error}");
    }
}
