//! The results as a table.

use super::{DeviceTimes, HostTimes, Machine, Refused, Size, Step};
use crate::gpu::Traffic;
use std::fmt::{self, Formatter};

/// Steps of the host below this part of a frame are left out of the table.
const WORTH_A_ROW: f64 = 0.005;

/// All that was measured.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// Fibres and bins of the frame.
    pub size: Size,
    /// Frames in a row.
    pub frames: usize,
    /// The CPU; None if the host's part alone was measured.
    pub cpu: Option<DeviceTimes>,
    /// The host's part of a frame that a GPU extracts.
    pub host: HostTimes,
    /// The GPUs that were measured, in each precision.
    pub gpus: Vec<DeviceTimes>,
    /// Those that were not.
    pub refused: Vec<Refused>,
}

impl Report {
    pub(super) fn new(
        machine: Machine,
        size: Size,
        frames: usize,
        cpu: Option<DeviceTimes>,
        host: HostTimes,
        all: Vec<Result<DeviceTimes, Refused>>,
    ) -> Self {
        let (mut gpus, mut refused) = (Vec::new(), Vec::new());
        for one in all {
            match one {
                Ok(times) => gpus.push(times),
                Err(reason) => refused.push(reason),
            }
        }
        Self { machine, size, frames, cpu, host, gpus, refused }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { machine, size, frames, cpu, host, gpus, refused } = self;
        writeln!(f, "{}, {} threads, {}; {}", machine.cpu, machine.threads, machine.system, machine.program)?;
        writeln!(
            f,
            "A frame of {} fibres by {} bins; the fastest of {frames} after the first.",
            size.fibres, size.bins
        )?;
        writeln!(f)?;
        if let Some(cpu) = cpu {
            device(f, cpu, host)?;
        }
        writeln!(f, "Host's part of a frame on a GPU, measured with kernels that do nothing")?;
        writeln!(
            f,
            "  {:.1} ms per frame, {:.1} ms of processor time, {:.1} ms of it copies that a GPU makes by itself; first frame {:.1} ms",
            1e3 * host.seconds,
            1e3 * host.cpu_seconds,
            1e3 * host.copy_seconds,
            1e3 * host.first_seconds
        )?;
        steps(f, &host.steps, host.seconds)?;
        traffic(f, &host.traffic)?;
        writeln!(f, "  of the first frame:")?;
        steps(f, &host.first_steps, host.first_seconds)?;
        for times in gpus {
            device(f, times, host)?;
        }
        if gpus.is_empty() {
            writeln!(f, "No GPU was measured; `--device` names one, a software GPU, too.")?;
        }
        for Refused { device, precision, reason } in refused {
            writeln!(f, "{device} in {precision}: not measured, {reason}")?;
        }
        Ok(())
    }
}

fn device(f: &mut Formatter<'_>, times: &DeviceTimes, host: &HostTimes) -> fmt::Result {
    writeln!(f, "{} in {}", times.device, times.precision)?;
    if let Some(roofs) = &times.roofs {
        writeln!(
            f,
            "  roofs: {:.3} Tflop/s, copy {:.1} GB/s, to the device {:.1} GB/s, from it {:.1} GB/s",
            1e-12 * roofs.operations,
            1e-9 * roofs.copy,
            1e-9 * roofs.up,
            1e-9 * roofs.down
        )?;
    }
    writeln!(
        f,
        "  {:.1} ms per frame, {:.0} frames per hour in a row; first frame {:.1} ms",
        1e3 * times.seconds,
        times.frames_per_hour,
        1e3 * times.first_seconds
    )?;
    let of_stages: f64 = times.stages.iter().map(|step| step.seconds).sum();
    if let (Some(roofs), Some(moved)) = (&times.roofs, &times.traffic) {
        let transfer = moved.bytes_up as f64 / roofs.up + moved.bytes_down as f64 / roofs.down;
        writeln!(
            f,
            "  device {:.1} ms, transfer at its roof {:.1} ms, host {:.1} ms",
            1e3 * of_stages,
            1e3 * transfer,
            1e3 * host.seconds
        )?;
    }
    steps(f, &times.stages, of_stages)?;
    if let Some(moved) = &times.traffic {
        traffic(f, moved)?;
    }
    if times.redone > 0 {
        writeln!(f, "  {} bundles were done again by the CPU", times.redone)?;
    }
    if let Some(agreement) = &times.agreement {
        let bins = agreement.bins;
        match agreement.largest_sigma {
            Some(largest) => writeln!(f, "  agrees with the CPU within {largest:.1e} sigma on {bins} bins")?,
            None => writeln!(f, "  does not agree with the CPU: a value is not finite")?,
        }
    }
    writeln!(f)
}

fn steps(f: &mut Formatter<'_>, steps: &[Step], all: f64) -> fmt::Result {
    for Step { name, seconds, cpu_seconds } in steps.iter().filter(|step| step.seconds >= WORTH_A_ROW * all) {
        write!(f, "    {name:24} {:9.2} ms {:4.0} %", 1e3 * seconds, 100.0 * seconds / all)?;
        match cpu_seconds {
            Some(of_threads) => writeln!(f, ", {:.2} ms of processor time", 1e3 * of_threads)?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

fn traffic(f: &mut Formatter<'_>, moved: &Traffic) -> fmt::Result {
    writeln!(
        f,
        "  {} buffers and {} bind groups made, {} submissions, {:.1} MB up, {:.1} MB down",
        moved.buffers,
        moved.bind_groups,
        moved.submissions,
        1e-6 * moved.bytes_up as f64,
        1e-6 * moved.bytes_down as f64
    )
}

impl Report {
    /// Returns a sentence on the fastest device, None if only the CPU was measured.
    pub fn verdict(&self) -> Option<String> {
        let fastest = self.gpus.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
        let (times, word) = match self.cpu.as_ref()?.seconds / fastest.seconds {
            ratio if ratio >= 1.0 => (ratio, "faster"),
            ratio => (1.0 / ratio, "slower"),
        };
        Some(format!("{} in {} is {times:.1} times {word} than the CPU", fastest.device, fastest.precision))
    }
}
