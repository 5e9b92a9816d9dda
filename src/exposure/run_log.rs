//! What was done: by whom, when, how well reading, computing and writing overlapped.

use super::GroupRank;
use crate::backend::Engine;
use crate::base::process::{self, now};
use crate::extract::Request;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a group does to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Reading and unpacking its inputs.
    Read,
    /// Extracting.
    Compute,
    /// Writing its outputs.
    Write,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 3] = [Self::Read, Self::Compute, Self::Write];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compute => "compute",
            Self::Write => "write",
        }
    }
}

/// One phase of one frame, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What was done.
    pub phase: Phase,
    /// Its start.
    pub start: f64,
    /// Its end.
    pub end: f64,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is written.
    Done,
    /// It was whole already.
    Skipped,
    /// It is not written, and why.
    Failed(String),
    /// An end was asked for before it was written.
    Dropped,
}

impl Status {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What became of a frame, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index of the request.
    pub frame: usize,
    /// The group that had it.
    pub group: usize,
    /// The rank that read and wrote it.
    pub rank: usize,
    /// The machine.
    pub host: String,
    /// What became of it.
    pub status: Status,
    /// The device that computed it, in words.
    pub device: String,
    /// Why something was tried a second time, if it was.
    pub retried: Option<String>,
    /// Bins extracted.
    pub bins: usize,
    /// Patches that the device's precision did not serve: the CPU has solved them.
    pub redone: usize,
    /// Patches without a solution: their bins have ivar 0.
    pub unsolved: usize,
    /// Resident memory of the process when it was settled, bytes.
    pub memory: u64,
    /// Its phases.
    pub events: Vec<Event>,
}

impl Outcome {
    /// Of a frame that is beginning.
    pub fn new(frame: usize, place: &GroupRank) -> Self {
        Self {
            frame,
            group: place.group,
            rank: place.rank,
            host: process::host().into(),
            status: Status::Dropped,
            device: String::new(),
            retried: None,
            bins: 0,
            redone: 0,
            unsolved: 0,
            memory: 0,
            events: Vec::new(),
        }
    }

    /// Seconds in a phase.
    pub fn seconds(&self, phase: Phase) -> f64 {
        self.events.iter().filter(|e| e.phase == phase).fold(0.0, |sum, e| sum + e.end - e.start)
    }
}

/// What a rank has used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankFacts {
    /// The rank.
    pub rank: usize,
    /// Its machine.
    pub host: String,
    /// Its device in words.
    pub device: String,
    /// Which GPU of the machine, where it has one.
    pub gpu: Option<String>,
    /// Its threads.
    pub threads: usize,
    /// Processor time, s.
    pub cpu_seconds: f64,
    /// Most resident memory, bytes.
    pub peak_memory: u64,
}

impl RankFacts {
    /// Those of this process.
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

/// A whole run.
#[derive(Clone, Debug)]
pub struct RunLog {
    /// Input and output of each frame.
    pub files: Vec<[PathBuf; 2]>,
    /// What became of each frame, in the same order.
    pub outcomes: Vec<Outcome>,
    /// The ranks that took part.
    pub ranks: Vec<RankFacts>,
    /// Groups of ranks.
    pub groups: usize,
    /// Start and end, s since 1970.
    pub time: [f64; 2],
}

/// A run in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Frames.
    pub frames: usize,
    /// Frames written.
    pub done: usize,
    /// Frames that were whole already.
    pub skipped: usize,
    /// Frames that failed.
    pub failed: usize,
    /// Frames given up because an end was asked for.
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
    /// Frames written an hour and machine: the field's figure of merit.
    pub frames_per_node_hour: f64,
    /// Frames written an hour and GPU; 0 without one.
    pub frames_per_gpu_hour: f64,
    /// Time in reading, all groups, s.
    pub read_seconds: f64,
    /// Time in computing, s.
    pub compute_seconds: f64,
    /// Time in writing, s.
    pub write_seconds: f64,
    /// How much of these went on while the same group did something else, s.
    pub overlapped_seconds: f64,
    /// Most resident memory of a rank, bytes.
    pub peak_memory_bytes: u64,
}

impl RunLog {
    /// The account of a run that began at `begin` and ends now.
    pub fn new(requests: &[Request], outcomes: Vec<Outcome>, ranks: Vec<RankFacts>, groups: usize, begin: f64) -> Self {
        let nowhere = GroupRank::default();
        let mut all: Vec<Outcome> = (0..requests.len()).map(|frame| Outcome::new(frame, &nowhere)).collect();
        for outcome in outcomes {
            let frame = outcome.frame;
            all[frame] = outcome;
        }
        let files = requests.iter().map(|r| [r.input.clone(), r.output.clone()]).collect();
        Self { files, outcomes: all, ranks, groups, time: [begin, now()] }
    }

    /// The run in figures.
    pub fn figures(&self) -> Figures {
        let count = |name: &str| self.outcomes.iter().filter(|o| o.status.name() == name).count();
        let wall = (self.time[1] - self.time[0]).max(1e-9);
        let seconds = |phase| self.outcomes.iter().fold(0.0, |sum, o| sum + o.seconds(phase));
        let [read, compute, write] = Phase::ALL.map(seconds);
        let busy: f64 = (0..self.groups).map(|group| self.busy(group)).sum();
        let nodes = self.ranks.iter().map(|r| &r.host).collect::<BTreeSet<_>>().len().max(1);
        let gpus = self.ranks.iter().filter_map(|r| Some((&r.host, r.gpu.as_ref()?))).collect::<BTreeSet<_>>().len();
        let an_hour = count("done") as f64 * 3600.0 / wall;
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
            frames_per_node_hour: an_hour / nodes as f64,
            frames_per_gpu_hour: if gpus > 0 { an_hour / gpus as f64 } else { 0.0 },
            read_seconds: read,
            compute_seconds: compute,
            write_seconds: write,
            overlapped_seconds: (read + compute + write - busy).max(0.0),
            peak_memory_bytes: self.ranks.iter().map(|r| r.peak_memory).max().unwrap_or(0),
        }
    }

    /// Time in which a group did anything, s.
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

    /// Two groups: the first reads its second frame while it computes the first.
    pub fn example() -> RunLog {
        let requests = vec![Request::new("in/a.fits", "p", "out/a.fits"), Request::new("b", "p", "b<1>.fits")];
        let requests = [requests, vec![Request::new("c", "p", "c.fits"), Request::new("d", "p", "d.fits")]].concat();
        let outcome = |frame, group, status, events: &[(Phase, f64, f64)]| Outcome {
            status,
            events: events.iter().map(|&(phase, start, end)| Event { phase, start, end }).collect(),
            ..Outcome::new(frame, &GroupRank { group, rank: group })
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
    fn figures_count_frames_hours_and_overlap() {
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
