//! spots.wgsl against its twin and the references.

use super::case::Case;
use spextral::gpu::GpuError;
use spextral::gpu::spots::spots;
use testkit::{Reference, allowed, gpu_with_default_limits, in_each_precision, worst};

#[test]
fn spots_are_within_3e_7_of_the_twin_with_and_without_tails() {
    for gpu in in_each_precision() {
        for tails in [false, true] {
            let case = Case::synthetic(tails);
            let traces = case.traces_on(&gpu);
            let found = spots(&traces, &case.shape, 0..case.wave.len()).unwrap();
            let error = worst(&found.download().unwrap(), &case.spots);
            note!("{} tails {tails}: {error:.1e}", gpu.precision());
            assert!(error < allowed(&gpu, 3e-7, 2e-13), "{error:e}");
        }
    }
}

#[test]
fn spots_of_every_reference_patch_are_within_3e_7() {
    let gpu = gpu_with_default_limits();
    for name in Reference::ALL {
        let (case, reference) = Case::reference(name);
        let found = spots(&case.traces_on(&gpu), &case.shape, 0..case.wave.len()).unwrap();
        let error = worst(&found.download().unwrap(), &reference.array("SPOTS"));
        note!("{name}: {error:.1e}");
        assert!(error < 3e-7, "{name}: {error:e}");
    }
}

#[test]
fn spots_of_some_bins_are_bitwise_those_of_all() {
    let gpu = gpu_with_default_limits();
    let case = Case::synthetic(false);
    let (traces, nbin, size) = (case.traces_on(&gpu), case.wave.len(), case.shape.size());
    let all = spots(&traces, &case.shape, 0..nbin).unwrap().download().unwrap();
    let some = spots(&traces, &case.shape, 30..41).unwrap().download().unwrap();
    for fibre in 0..traces.nfibre {
        let from = (fibre * nbin + 30) * size;
        assert_eq!(some[fibre * 11 * size..(fibre + 1) * 11 * size], all[from..from + 11 * size]);
    }
}

#[test]
fn spots_of_narrow_and_wide_profiles_keep_their_precision() {
    for gpu in in_each_precision() {
        for sigma in [0.2, 0.5, 2.5, 20.0] {
            let mut case = Case::synthetic(false);
            let count = case.traces.nfibre * case.traces.nbin;
            case.traces.shape[..2 * count].fill(sigma);
            let twin = spextral::stages::spots::spots(&case.traces, &case.shape);
            let found = spots(&case.traces_on(&gpu), &case.shape, 0..case.wave.len()).unwrap();
            let error = worst(&found.download().unwrap(), &twin);
            note!("sigma {sigma}: {error:.1e}");
            assert!(error < allowed(&gpu, 1e-6, 1e-12), "sigma {sigma}: {error:e}");
        }
    }
}

#[test]
fn spots_beyond_workgroup_memory_are_refused() {
    let gpu = gpu_with_default_limits();
    let mut case = Case::synthetic(false);
    case.shape.half_x = 1000;
    let refused = spots(&case.traces_on(&gpu), &case.shape, 0..1).unwrap_err();
    assert!(matches!(refused, GpuError::Limit { value: 14_161.., .. }), "{refused}");
}
