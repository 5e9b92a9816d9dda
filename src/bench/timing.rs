//! One device, the CPU, or the host's part alone, timed on frames one after another.

use super::{BenchError, Case};
use crate::backend::{Engine, EngineError};
use crate::base::process::cpu_seconds;
use crate::base::trace::{Timed, Trace};
use crate::extract::{ExtractError, Extraction, Job, Options, extract};
use crate::frame::{Scores, Spectra};
use crate::gpu::roofs::{self, Roofs};
use crate::gpu::{DeviceChoice, Gpu, GpuError, OpenOptions, Precision, Traffic};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds of one step or stage.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Seconds.
    pub seconds: f64,
    /// Processor seconds of all threads meanwhile; None for a stage of a device or of the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
}

/// The host's part of a frame that a GPU extracts.
#[derive(Clone, Debug, serde::Serialize)]
pub struct HostTimes {
    /// Seconds of the first frame, with the compilation of kernels.
    pub first_seconds: f64,
    /// Seconds of a later frame: the fastest.
    pub seconds: f64,
    /// Processor seconds of all threads per later frame.
    pub cpu_seconds: f64,
    /// Processor seconds of these in which the host copies what a device would copy by itself.
    pub copy_seconds: f64,
    /// Seconds by step, on the thread that extracts: the fastest of each.
    pub steps: Vec<Step>,
    /// Seconds by step of the first frame.
    pub first_steps: Vec<Step>,
    /// Objects made, submissions and bytes of the last frame.
    pub traffic: Traffic,
}

/// Agreement with the CPU's spectra.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Agreement {
    /// Bins with information in both.
    pub bins: usize,
    /// The largest difference of flux, sigma; None if a value is not finite.
    pub largest_sigma: Option<f64>,
}

/// A device in one precision.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeviceTimes {
    /// Its description.
    pub device: String,
    /// The precision, `f32` or `f64`.
    pub precision: String,
    /// The most that the device does per second; None for the CPU.
    pub roofs: Option<Roofs>,
    /// Seconds of the first frame, with the compilation of kernels.
    pub first_seconds: f64,
    /// Seconds of a later frame without its files: the fastest.
    pub seconds: f64,
    /// Frames per hour at that pace.
    pub frames_per_hour: f64,
    /// Seconds by stage, each waited for.
    pub stages: Vec<Step>,
    /// Objects made, submissions and bytes of a frame; None for the CPU.
    pub traffic: Option<Traffic>,
    /// Bundles that another device or precision had to do.
    pub redone: usize,
    /// Agreement with the CPU; None for the CPU itself.
    pub agreement: Option<Agreement>,
}

/// A device that was not measured.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Refused {
    /// The choice.
    pub device: String,
    /// The precision, `f32` or `f64`.
    pub precision: String,
    /// Why not.
    pub reason: String,
}

/// Frames in a row on one device.
struct Row {
    first: f64,
    fastest: f64,
    cpu: f64,
    last: Extraction,
}

/// Extracts the frame again and again.
fn row(case: &Case, engine: &Engine, options: &Options, frames: usize) -> Result<Row, ExtractError> {
    let once = || {
        let start = Instant::now();
        let job =
            engine.region(|| "check the job".into(), || Job::new(&case.psf, &case.preproc.ccd, &case.grid, options))?;
        let extraction = extract(&job, engine, &|_, _| {})?;
        engine.region(|| "scores".into(), || Scores::of(&extraction.spectra, case.grid.wave(), None));
        Ok::<_, ExtractError>((start.elapsed().as_secs_f64(), extraction))
    };
    let (first, mut last) = once()?;
    let (mut fastest, begin) = (f64::INFINITY, cpu_seconds());
    for _ in 0..frames {
        drop(last);
        let (seconds, extraction) = once()?;
        (fastest, last) = (fastest.min(seconds), extraction);
    }
    Ok(Row { first, fastest, cpu: (cpu_seconds() - begin) / frames as f64, last })
}

fn options(case: &Case, precision: Option<Precision>) -> Options {
    Options { nspec: Some(case.size.fibres), precision, ..Options::default() }
}

/// Times the CPU. Returns its spectra, too.
pub(super) fn cpu(case: &Case, frames: usize) -> Result<(DeviceTimes, Spectra), BenchError> {
    let engine = Engine::cpu();
    let row = row(case, &engine, &options(case, None), frames)?;
    let times = DeviceTimes {
        device: engine.device(),
        precision: Precision::F64.to_string(),
        roofs: None,
        first_seconds: row.first,
        seconds: row.fastest,
        frames_per_hour: 3600.0 / row.fastest,
        stages: stages(&row.last),
        traffic: None,
        redone: 0,
        agreement: None,
    };
    Ok((times, row.last.spectra))
}

/// Times the host's part of a frame that a GPU extracts.
pub(super) fn host(case: &Case, frames: usize) -> Result<HostTimes, BenchError> {
    let gpu = Gpu::without_kernels(&OpenOptions::default()).map_err(EngineError::from)?;
    let trace = Arc::new(Trace::new().with_processor_time());
    let engine = Engine::on_gpu(gpu.clone(), &[]).with_host_trace(trace.clone());
    let row = row(case, &engine, &options(case, Some(Precision::F32)), frames)?;
    let traffic = engine.traffic().unwrap_or_default();
    let regions = trace.of_this_thread();
    let copy_seconds =
        (traffic.bytes_up + traffic.bytes_down) as f64 * seconds_per_byte(&gpu).map_err(EngineError::from)?;
    Ok(HostTimes {
        first_seconds: row.first,
        seconds: row.fastest,
        cpu_seconds: row.cpu,
        copy_seconds,
        steps: steps(&regions, 1..frames + 1),
        first_steps: steps(&regions, 0..1),
        traffic,
    })
}

/// Returns the processor time of a byte of a copy on a device without kernels: the fastest of a few.
fn seconds_per_byte(gpu: &Gpu) -> Result<f64, GpuError> {
    const VALUES: usize = 8 << 20;
    let plane = gpu.zeros::<f32>("plane", VALUES)?;
    let copy = || {
        let _copy = plane.duplicate()?;
        let start = cpu_seconds();
        gpu.wait()?;
        Ok::<_, GpuError>((cpu_seconds() - start) / (size_of::<f32>() * VALUES) as f64)
    };
    (0..5).try_fold(f64::INFINITY, |fastest, _| Ok(fastest.min(copy()?)))
}

/// Adds up regions by name in each frame, which begins with the check of the job, and returns the fastest of `frames`.
fn steps(regions: &[Timed], frames: Range<usize>) -> Vec<Step> {
    let begins: Vec<Duration> =
        regions.iter().filter(|region| region.name == "check the job").map(|region| region.start).collect();
    let mut steps: Vec<(&str, Vec<[Duration; 2]>)> = Vec::new();
    for Timed { name, start, length, processor } in regions {
        let frame = begins.iter().filter(|begin| *begin <= start).count();
        let Some(frame) = frame.checked_sub(1 + frames.start).filter(|frame| *frame < frames.len()) else { continue };
        let at = steps.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            steps.push((name, vec![[Duration::ZERO; 2]; frames.len()]));
            steps.len() - 1
        });
        let [seconds, of_threads] = &mut steps[at].1[frame];
        *seconds += *length;
        *of_threads += *processor;
    }
    let fastest = |times: &[[Duration; 2]], which: usize| {
        times.iter().map(|time| time[which].as_secs_f64()).fold(f64::INFINITY, f64::min)
    };
    let step = |(name, times): (&str, Vec<[Duration; 2]>)| Step {
        name: name.to_string(),
        seconds: fastest(&times, 0),
        cpu_seconds: Some(fastest(&times, 1)),
    };
    steps.into_iter().map(step).collect()
}

/// Times a device; None where it has no code for the precision, or it would take minutes.
pub(super) fn device(
    case: &Case,
    choice: &DeviceChoice,
    precision: Precision,
    (frames, quick): (usize, bool),
    reference: &Spectra,
) -> Result<Option<DeviceTimes>, String> {
    let failed = |error: &dyn std::error::Error| crate::error_chain(error);
    let open = || Engine::open(choice, &OpenOptions::default(), &[]).map_err(|error| failed(&error));
    let engine = open()?;
    let Some(gpu) = engine.bare_gpu() else { return Ok(None) };
    let is_slow = quick && !gpu.kind().is_hardware();
    if precision == Precision::F64 && (!gpu.has_f64() || is_slow) {
        return Ok(None);
    }
    let of_precision = |gpu: &Gpu| match precision {
        Precision::F32 => Ok(gpu.clone()),
        Precision::F64 => gpu.with_f64(),
    };
    let measured = of_precision(&gpu).and_then(|gpu| roofs::measure(&gpu)).map_err(|error: GpuError| failed(&error))?;
    let options = options(case, Some(precision));
    let row = row(case, &engine, &options, if is_slow { 1 } else { frames }).map_err(|error| failed(&error))?;
    let traffic = engine.traffic();
    // Stages are told apart only by timestamps, or by waiting for each.
    let engine = engine.with_exact_times();
    let exact = self::row(case, &engine, &options, 1).map_err(|error| failed(&error))?;
    Ok(Some(DeviceTimes {
        device: engine.device(),
        precision: precision.to_string(),
        roofs: Some(measured),
        first_seconds: row.first,
        seconds: row.fastest,
        frames_per_hour: 3600.0 / row.fastest,
        stages: stages(&exact.last),
        traffic,
        redone: row.last.summary.record.redone,
        agreement: Some(agreement(&row.last.spectra, reference)),
    }))
}

fn stages(extraction: &Extraction) -> Vec<Step> {
    let step = |(stage, time): &(crate::backend::Stage, Duration)| Step {
        name: stage.name().to_string(),
        seconds: time.as_secs_f64(),
        cpu_seconds: None,
    };
    extraction.summary.stage_time.iter().map(step).collect()
}

/// Compares flux with the CPU's.
fn agreement(found: &Spectra, reference: &Spectra) -> Agreement {
    let all = found.flux.iter().zip(&found.ivar).zip(reference.flux.iter().zip(&reference.ivar));
    let differences: Vec<f64> = all
        .filter(|((_, ivar), (_, reference_ivar))| **ivar > 0.0 && **reference_ivar > 0.0)
        .map(|((flux, _), (reference, ivar))| (flux - reference).abs() * ivar.sqrt())
        .collect();
    // A NaN stays.
    let largest = differences.iter().copied().fold(0.0, |a: f64, b| if a >= b || a.is_nan() { a } else { b });
    Agreement { bins: differences.len(), largest_sigma: Some(largest).filter(|l| l.is_finite()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_fastest_of_the_frames_after_the_first() {
        let ms = Duration::from_millis;
        let region = |name: &str, start, length, processor| Timed {
            name: name.to_string(),
            start: ms(start),
            length: ms(length),
            processor: ms(processor),
        };
        let regions = [
            region("check the job", 0, 50, 50),
            region("plan", 50, 500, 900),
            region("check the job", 1000, 5, 4),
            region("plan", 1005, 20, 15),
            region("plan", 1030, 20, 15),
            region("check the job", 2000, 7, 7),
            region("plan", 2007, 30, 50),
        ];
        let found = steps(&regions, 1..3);
        let of = |found: &[Step], name: &str| {
            let step = found.iter().find(|step| step.name == name).unwrap();
            (step.seconds, step.cpu_seconds.unwrap())
        };
        assert_eq!((of(&found, "check the job"), of(&found, "plan")), ((0.005, 0.004), (0.03, 0.03)));
        assert_eq!(of(&steps(&regions, 0..1), "plan"), (0.5, 0.9));
    }

    #[test]
    fn agreement_counts_bins_with_information_and_shows_a_nan() {
        let spectra = |flux: [f64; 3], ivar: [f64; 3]| {
            let parts = crate::frame::SpectraParts {
                nspec: 1,
                nwave: 3,
                flux: flux.to_vec(),
                ivar: ivar.to_vec(),
                mask: vec![0; 3],
                ..Default::default()
            };
            Spectra::new(parts).unwrap()
        };
        let reference = spectra([1.0, 2.0, 3.0], [4.0, 4.0, 0.0]);
        let found = agreement(&spectra([1.5, 2.0, 9.0], [4.0; 3]), &reference);
        assert_eq!((found.bins, found.largest_sigma), (2, Some(1.0)));
        let none = agreement(&spectra([f64::NAN, 2.0, 3.0], [4.0; 3]), &reference);
        assert_eq!(none.largest_sigma, None);
    }
}
