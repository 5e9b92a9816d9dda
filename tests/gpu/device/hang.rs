//! A failure that is real, not injected: a dispatch that takes too long.

use spextral::gpu::{GpuError, OpenOptions, Recording, Variant};
use std::time::{Duration, Instant};
use testkit::open;

#[test]
fn a_dispatch_that_takes_longer_than_the_devices_patience_counts_as_hung_for_good() {
    let patience = Duration::from_secs(1);
    // Without timestamps a stage that is timed is waited for; Mesa's software Vulkan would block in the next submission.
    let options = OpenOptions { webgpu_defaults: true, patience: Some(patience), ..OpenOptions::default() };
    let gpu = open(&options);
    gpu.time_stages();
    let kernel = gpu.kernel(&Variant::new("selftest").set("THREADS", 64), "loop_count").unwrap();
    let counts = gpu.zeros::<u32>("counts", 2).unwrap();
    let turns = |turns: u32| {
        let mut recording = Recording::new();
        recording.dispatch(&kernel, 1, &turns, &[counts.named("counts")]).unwrap();
        gpu.run(recording)
    };
    turns(1000).unwrap();
    let start = Instant::now();
    // Seconds on a core of a CPU.
    let error = turns(2_000_000_000).unwrap_err();
    note!("after {:?}: {error}", start.elapsed());
    assert!(matches!(error, GpuError::Hung { seconds, .. } if seconds == patience.as_secs_f64()), "{error}");
    assert!(start.elapsed() >= patience);
    assert!(matches!(turns(1), Err(GpuError::Hung { .. })), "it is not used any more");
}
