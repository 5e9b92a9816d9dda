//! Frames one after another on one device.

use spextral::extract::{Options, Solver};
use spextral::geometry::WaveGrid;
use spextral::gpu::{DeviceChoice, Gpu, GpuError, OpenOptions, Precision, list};
use testkit::{Engine, Small, bits, gpu, on};

#[test]
fn later_frames_of_a_stream_make_no_buffers_and_no_bind_groups() {
    let engine = Engine::on_gpu(Gpu::without_kernels(&OpenOptions::default()).unwrap(), &[]);
    let small = Small::new(3);
    let options = Options { solver: Solver::Banded, precision: Some(Precision::F32), ..Small::options() };
    let traffic = || {
        small.extract(&options, &engine);
        engine.traffic().unwrap()
    };
    let (first, second, third) = (traffic(), traffic(), traffic());
    assert!(first.buffers > 0 && first.bind_groups > 0);
    assert_eq!((second.buffers, second.bind_groups), (0, 0));
    assert!(second.submissions <= 6, "{second:?}");
    assert_eq!(second, third);
    assert_eq!([second.bytes_down, second.submissions], [first.bytes_down, first.submissions]);
    // The PSF's series stay on the device.
    assert!(second.bytes_up < first.bytes_up, "{} and {}", first.bytes_up, second.bytes_up);
}

#[test]
fn frames_of_a_stream_have_the_bits_of_frames_alone() {
    let gpu = gpu();
    let options = Options { solver: Solver::Banded, ..Small::options() };
    let frames = [Small::new(3), Small::new(4)];
    let alone: Vec<_> = frames.iter().map(|small| bits(&small.extract(&options, &on(&gpu)))).collect();
    let engine = on(&gpu);
    // Of another shape, on the buffers that both have in common.
    let mut other = Small::new(5);
    let first = other.grid.wave()[0];
    other.grid = WaveGrid::new(first, first + 60.0 * 0.8, 0.8).unwrap();
    let others = bits(&other.extract(&options, &on(&gpu)));
    for k in [0, 1, 0, 1] {
        assert!(bits(&frames[k].extract(&options, &engine)) == alone[k], "frame {k}");
        assert!(bits(&other.extract(&options, &engine)) == others, "the other after frame {k}");
    }
}

#[test]
fn each_frame_of_a_stream_has_the_series_of_its_own_psf() {
    let options = Options { solver: Solver::Banded, ..Small::options() };
    let of_psf = |more: f64| {
        let mut small = Small::new(3);
        small
            .psf
            .update(|parts| parts.trace_x.coeff.iter_mut().step_by(parts.trace_x.ncoeff).for_each(|c| *c += more))
            .unwrap();
        small
    };
    let frames = [0.0, 0.3].map(of_psf);
    let alone: Vec<_> = frames.iter().map(|small| bits(&small.extract(&options, &on(&gpu())))).collect();
    assert!(alone[0] != alone[1]);
    let engine = on(&gpu());
    for k in [0, 1, 1, 0, 1] {
        assert!(bits(&frames[k].extract(&options, &engine)) == alone[k], "frame {k}");
    }
}

#[test]
fn commands_and_writes_keep_their_order() {
    let gpu = gpu();
    // Small writes go before commands, large ones through memory that the device sees.
    for len in [1000, 1 << 19] {
        let source = gpu.upload("source", &vec![1u32; len]).unwrap();
        let first = source.duplicate().unwrap();
        source.write(&vec![2; len]).unwrap();
        let second = source.duplicate().unwrap();
        second.write(&vec![3; len]).unwrap();
        let third = second.duplicate().unwrap();
        source.write(&vec![4; len]).unwrap();
        for (buffer, value) in [(source, 4), (first, 1), (second, 3), (third, 3)] {
            assert!(buffer.download().unwrap().iter().all(|found| *found == value), "{len} {value}");
        }
    }
}

#[test]
fn a_new_buffer_is_zero_whatever_its_memory_held() {
    let gpu = gpu();
    for _ in 0..2 {
        let ones = gpu.upload("ones", &[1u32; 1000]).unwrap();
        assert_eq!(ones.download().unwrap(), [1; 1000]);
        drop(ones);
        let zeros = gpu.zeros::<u32>("ones", 1000).unwrap();
        assert_eq!(zeros.download().unwrap(), [0; 1000]);
        zeros.write(&[2; 1000]).unwrap();
        assert_eq!(zeros.download().unwrap(), [2; 1000]);
    }
}

#[test]
fn no_choice_selects_the_device_without_kernels() {
    let gpu = Gpu::without_kernels(&OpenOptions::default()).unwrap();
    assert!(list().iter().all(|entry| entry.name != gpu.name()));
    let choice: DeviceChoice = "noop".parse().unwrap();
    let refused = spextral::gpu::Device::open(&choice, &OpenOptions::default());
    assert!(matches!(refused, Err(GpuError::NoSuchDevice { .. })), "{refused:?}");
}
