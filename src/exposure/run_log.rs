//! The record of a run: outcome, times and place of each frame, and the figures of all of them.

use crate::backend::Engine;
use crate::base::process::{self, now};
use crate::extract::{Request, Summary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A group of ranks, and the rank that reads and writes for it; both counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupRank {
    /// Group.
    pub group: usize,
    /// Rank in the whole job.
    pub rank: usize,
}

/// A step of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Inputs are read and unpacked.
    Read,
    /// Spectra are extracted.
    Compute,
    /// Outputs are written.
    Write,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 3] = [Self::Read, Self::Compute, Self::Write];

    /// Returns the name in CSV, JSON and pictures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compute => "compute",
            Self::Write => "write",
        }
    }
}

/// One phase of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Phase.
    pub phase: Phase,
    /// Start, s since 1970.
    pub start: f64,
    /// End, s since 1970.
    pub end: f64,
}

/// The result of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Written.
    Done,
    /// Complete before the run.
    Skipped,
    /// Failed, with the reason.
    Failed(String),
    /// Not written before the run was cancelled.
    Dropped,
}

impl Status {
    /// Returns the name in CSV, JSON and the table.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// The record of one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index of the request.
    pub frame: usize,
    /// Group that processed it.
    pub group: usize,
    /// Rank that read and wrote it.
    pub rank: usize,
    /// Machine of that rank.
    pub host: String,
    /// Result.
    pub status: Status,
    /// Name of the device that computed it.
    pub device: String,
    /// Reason of a retry or a fallback; None without one.
    pub retried: Option<String>,
    /// Bins extracted.
    pub bins: usize,
    /// Fibres without any good pixel, rows of the PSF.
    pub dark: Vec<usize>,
    /// Patches that the CPU solved because the device's precision did not suffice.
    pub redone: usize,
    /// Patches without a solution: their bins have ivar 0.
    pub unsolved: usize,
    /// Resident memory of the process at the end of the frame, bytes.
    pub memory: u64,
    /// Phases, in order.
    pub events: Vec<Event>,
}

impl Outcome {
    /// Creates the record of a frame that has just been taken from the queue.
    pub fn new(frame: usize, GroupRank { group, rank }: GroupRank) -> Self {
        Self {
            frame,
            group,
            rank,
            host: process::host().into(),
            status: Status::Dropped,
            device: String::new(),
            retried: None,
            bins: 0,
            dark: Vec::new(),
            redone: 0,
            unsolved: 0,
            memory: 0,
            events: Vec::new(),
        }
    }

    /// Records an extraction. This is the only place that reads retries and fallbacks from a summary.
    pub fn record(&mut self, summary: &Summary) {
        self.device.clone_from(&summary.device);
        self.dark = summary.dark.fibres();
        (self.redone, self.unsolved) = (summary.redone, summary.failed);
        self.retried = summary.retried.clone().or(self.retried.take());
    }

    /// Returns the time in a phase, s.
    pub fn seconds(&self, phase: Phase) -> f64 {
        self.events.iter().filter(|e| e.phase == phase).fold(0.0, |sum, e| sum + e.end - e.start)
    }
}

/// Resources of a rank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankFacts {
    /// Rank.
    pub rank: usize,
    /// Machine.
    pub host: String,
    /// Name of the device.
    pub device: String,
    /// PCI bus id or name of the GPU; None on the CPU.
    pub gpu: Option<String>,
    /// Computing threads.
    pub threads: usize,
    /// Processor time, s.
    pub cpu_seconds: f64,
    /// Peak resident memory, bytes.
    pub peak_memory: u64,
}

impl RankFacts {
    /// Measures this process.
    pub fn of_this_process(rank: usize, engine: &Engine) -> Self {
        Self {
            rank,
            host: process::host().into(),
            device: engine.device(),
            gpu: engine.gpu_id(),
            threads: rayon::current_num_threads(),
            cpu_seconds: process::cpu_seconds(),
            peak_memory: process::memory()[1],
        }
    }
}

/// The record of a run.
#[derive(Clone, Debug)]
pub struct RunLog {
    /// Input and output of each frame.
    pub files: Vec<[PathBuf; 2]>,
    /// Outcome of each frame, in the same order.
    pub outcomes: Vec<Outcome>,
    /// Ranks that took part.
    pub ranks: Vec<RankFacts>,
    /// Number of groups of ranks.
    pub groups: usize,
    /// Start and end, s since 1970.
    pub time: [f64; 2],
}

/// The figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Frames.
    pub frames: usize,
    /// Frames written.
    pub done: usize,
    /// Frames that were complete before the run.
    pub skipped: usize,
    /// Frames that failed.
    pub failed: usize,
    /// Frames not written because the run was cancelled.
    pub dropped: usize,
    /// Wall time, s.
    pub wall_seconds: f64,
    /// Processor time of all ranks, s.
    pub cpu_seconds: f64,
    /// Machines.
    pub nodes: usize,
    /// GPUs.
    pub gpus: usize,
    /// Ranks.
    pub ranks: usize,
    /// Groups.
    pub groups: usize,
    /// Threads of all ranks.
    pub threads: usize,
    /// Frames written per hour and machine: the figure of merit of the field.
    pub frames_per_node_hour: f64,
    /// Frames written per hour and GPU; 0 without a GPU.
    pub frames_per_gpu_hour: f64,
    /// Reading time of all groups, s.
    pub read_seconds: f64,
    /// Computing time of all groups, s.
    pub compute_seconds: f64,
    /// Writing time of all groups, s.
    pub write_seconds: f64,
    /// Part of these during which the same group was also in another phase, s.
    pub overlapped_seconds: f64,
    /// Largest peak resident memory of a rank, bytes.
    pub peak_memory_bytes: u64,
}

impl RunLog {
    /// Builds the record of a run that began at `begin` (s since 1970) and ends now. Frames without an outcome are dropped.
    pub fn new(requests: &[Request], outcomes: Vec<Outcome>, ranks: Vec<RankFacts>, groups: usize, begin: f64) -> Self {
        let no_group = GroupRank::default();
        let mut all: Vec<Outcome> = (0..requests.len()).map(|frame| Outcome::new(frame, no_group)).collect();
        for outcome in outcomes {
            let frame = outcome.frame;
            all[frame] = outcome;
        }
        let files = requests.iter().map(|r| [r.input.clone(), r.output.clone()]).collect();
        Self { files, outcomes: all, ranks, groups, time: [begin, now()] }
    }

    /// Lists the frames that are complete, from this run or an earlier one.
    pub fn complete(&self) -> impl Iterator<Item = &Path> {
        let is_complete = |outcome: &&Outcome| matches!(outcome.status, Status::Done | Status::Skipped);
        self.outcomes.iter().filter(is_complete).map(|outcome| self.files[outcome.frame][1].as_path())
    }

    /// Computes the figures.
    pub fn figures(&self) -> Figures {
        let count = |name: &str| self.outcomes.iter().filter(|o| o.status.name() == name).count();
        let wall = (self.time[1] - self.time[0]).max(1e-9);
        let seconds = |phase| self.outcomes.iter().fold(0.0, |sum, o| sum + o.seconds(phase));
        let [read, compute, write] = Phase::ALL.map(seconds);
        let busy: f64 = (0..self.groups).map(|group| self.busy(group)).sum();
        let nodes = self.ranks.iter().map(|r| &r.host).collect::<BTreeSet<_>>().len().max(1);
        let gpus = self.ranks.iter().filter_map(|r| Some((&r.host, r.gpu.as_ref()?))).collect::<BTreeSet<_>>().len();
        let per_hour = count("done") as f64 * 3600.0 / wall;
        Figures {
            frames: self.outcomes.len(),
            done: count("done"),
            skipped: count("skipped"),
            failed: count("failed"),
            dropped: count("dropped"),
            wall_seconds: wall,
            cpu_seconds: self.ranks.iter().map(|r| r.cpu_seconds).sum(),
            nodes,
            gpus,
            ranks: self.ranks.len(),
            groups: self.groups,
            threads: self.ranks.iter().map(|r| r.threads).sum(),
            frames_per_node_hour: per_hour / nodes as f64,
            frames_per_gpu_hour: if gpus > 0 { per_hour / gpus as f64 } else { 0.0 },
            read_seconds: read,
            compute_seconds: compute,
            write_seconds: write,
            overlapped_seconds: (read + compute + write - busy).max(0.0),
            peak_memory_bytes: self.ranks.iter().map(|r| r.peak_memory).max().unwrap_or(0),
        }
    }

    /// Returns the time in which a group was in at least one phase, s.
    fn busy(&self, group: usize) -> f64 {
        let of_group = self.outcomes.iter().filter(|o| o.group == group).flat_map(|o| &o.events);
        let mut spans: Vec<(f64, f64)> = of_group.map(|e| (e.start, e.end)).collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        let add = |(sum, until): (f64, f64), (start, end): (f64, f64)| {
            let from = start.max(until);
            (sum + (end - from).max(0.0), until.max(end))
        };
        spans.into_iter().fold((0.0, f64::NEG_INFINITY), add).0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two groups, of which the first reads its second frame during the computation of its first.
    pub fn example() -> RunLog {
        let requests = vec![Request::new("in/a.fits", "p", "out/a.fits"), Request::new("b", "p", "b<1>.fits")];
        let requests = [requests, vec![Request::new("c", "p", "c.fits"), Request::new("d", "p", "d.fits")]].concat();
        let outcome = |frame, group, status, events: &[(Phase, f64, f64)]| Outcome {
            status,
            events: events.iter().map(|&(phase, start, end)| Event { phase, start, end }).collect(),
            ..Outcome::new(frame, GroupRank { group, rank: group })
        };
        use Phase::{Compute, Read, Write};
        let outcomes = vec![
            outcome(0, 0, Status::Done, &[(Read, 0.0, 1.0), (Compute, 1.0, 5.0), (Write, 5.0, 6.0)]),
            outcome(2, 1, Status::Failed("no such file".into()), &[(Read, 0.0, 0.5)]),
            outcome(1, 0, Status::Done, &[(Read, 1.0, 2.0), (Compute, 5.0, 8.0), (Write, 8.0, 9.0)]),
        ];
        let rank = |rank, gpu: Option<&str>| RankFacts {
            rank,
            host: "nid001".into(),
            device: "CPU f64".into(),
            gpu: gpu.map(Into::into),
            threads: 1,
            cpu_seconds: 7.0,
            peak_memory: 1 << 30,
        };
        let ranks = vec![rank(0, Some("00:3b")), rank(1, Some("00:3b"))];
        RunLog { time: [0.0, 10.0], ..RunLog::new(&requests, outcomes, ranks, 2, 0.0) }
    }

    #[test]
    fn figures_count_frames_rates_and_overlap() {
        let figures = example().figures();
        let counted = (figures.done, figures.failed, figures.dropped, figures.skipped, figures.frames);
        assert_eq!(counted, (2, 1, 1, 0, 4));
        assert_eq!((figures.nodes, figures.gpus, figures.ranks), (1, 1, 2));
        assert_eq!((figures.frames_per_node_hour, figures.frames_per_gpu_hour), (720.0, 720.0));
        assert_eq!((figures.read_seconds, figures.compute_seconds, figures.write_seconds), (2.5, 7.0, 2.0));
        // The second read, and a second of writing.
        assert!((figures.overlapped_seconds - 2.0).abs() < 1e-9);
    }
}
