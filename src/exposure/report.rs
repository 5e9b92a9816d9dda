//! A run log as a table, JSON, CSV and a trace.

use super::run_log::{Event, Outcome, Phase, RunLog, Status};
use crate::base::error_chain::one_line;
use crate::base::trace::Trace;
use crate::base::version::{COMMIT, VERSION};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Rows of the table. A run of more frames lists only those that failed or were dropped.
const MOST_ROWS: usize = 60;

impl RunLog {
    /// Formats frames and figures for a terminal.
    pub fn table(&self) -> String {
        let all = self.outcomes.len() <= MOST_ROWS;
        let wanted = |o: &&Outcome| all || !matches!(o.status, Status::Done | Status::Skipped);
        let rows: Vec<&Outcome> = self.outcomes.iter().filter(wanted).collect();
        let width = rows.iter().map(|o| self.name(o).len()).max().unwrap_or(0).max(5);
        let mut text = String::new();
        if !rows.is_empty() {
            let [status, group, read, compute, write] = ["", "group", "read s", "compute s", "write s"];
            let _ = writeln!(text, "{:width$}  {status:7} {group:>5} {read:>7} {compute:>10} {write:>8}", "frame");
        }
        for o in rows {
            let [read, compute, write] = Phase::ALL.map(|phase| o.seconds(phase));
            let why = match (&o.status, &o.retried) {
                (Status::Failed(reason), _) => reason.clone(),
                (_, Some(reason)) => format!("{}, because {reason}", o.device),
                _ => o.device.clone(),
            };
            let why = one_line(&why);
            let _ = writeln!(
                text,
                "{:width$}  {:7} {:>5} {read:>7.2} {compute:>10.2} {write:>8.2}  {why}",
                self.name(o),
                o.status.name(),
                o.group,
            );
        }
        text + &self.summary()
    }

    /// Formats the figures in two lines.
    fn summary(&self) -> String {
        let f = self.figures();
        let mut text = format!("{} of {} frames done", f.done, f.frames);
        for (count, what) in [(f.skipped, "already complete"), (f.failed, "failed"), (f.dropped, "dropped")] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let _ = write!(
            text,
            " in {:.1} s by {} ({}) on {} with {} and {}: {:.0} frames per node-hour",
            f.wall_seconds,
            plural(f.groups, "group"),
            plural(f.ranks, "rank"),
            plural(f.nodes, "node"),
            plural(f.threads, "thread"),
            plural(f.gpus, "GPU"),
            f.frames_per_node_hour,
        );
        if f.gpus > 0 {
            let _ = write!(text, ", {:.0} per GPU-hour", f.frames_per_gpu_hour);
        }
        let _ = write!(
            text,
            "\nread {:.1} s, computed {:.1} s, wrote {:.1} s; {:.1} s of it overlapped; {:.1} s of processor time; at most \
             {:.0} MB per rank",
            f.read_seconds,
            f.compute_seconds,
            f.write_seconds,
            f.overlapped_seconds,
            f.cpu_seconds,
            f.peak_memory_bytes as f64 / 1e6,
        );
        text
    }

    /// Returns everything as JSON (schema `spextral.exposure/1`).
    pub fn json(&self) -> Value {
        let frame = |o: &Outcome| {
            let [read, compute, write] = Phase::ALL.map(|phase| o.seconds(phase));
            let [input, output] = &self.files[o.frame];
            let reason = match &o.status {
                Status::Failed(reason) => Some(reason),
                _ => None,
            };
            json!({
                "input": input.to_string_lossy(), "output": output.to_string_lossy(),
                "status": o.status.name(), "reason": reason, "retried": o.retried,
                "group": o.group, "rank": o.rank, "host": o.host, "device": o.device, "bins": o.bins,
                "fibres_without_information": o.dark, "patches_redone": o.redone, "patches_unsolved": o.unsolved,
                "read_seconds": read, "compute_seconds": compute, "write_seconds": write, "memory_bytes": o.memory,
            })
        };
        json!({
            "schema": "spextral.exposure/1",
            "version": VERSION,
            "commit": COMMIT,
            "figures": self.figures(),
            "frames": self.outcomes.iter().map(frame).collect::<Vec<_>>(),
            "ranks": self.ranks,
        })
    }

    /// Formats the phases as CSV, one row per phase and frame, times in seconds since the start of the run.
    pub fn csv(&self) -> String {
        let mut out = csv::Writer::from_writer(Vec::new());
        let header = ["group", "rank", "host", "frame", "status", "phase", "start_s", "end_s"].map(String::from);
        let rows = self.spans().map(|(o, event, [start, end])| {
            let times = [start, end].map(|seconds| format!("{seconds:.4}"));
            let [start, end] = times;
            let (status, phase) = (o.status.name().into(), event.phase.name().into());
            [o.group.to_string(), o.rank.to_string(), o.host.clone(), self.name(o), status, phase, start, end]
        });
        let written = [header].into_iter().chain(rows).try_for_each(|row| out.write_record(row));
        let bytes = written.ok().and_then(|()| out.into_inner().ok());
        String::from_utf8(bytes.expect("memory takes every byte")).expect("cells are UTF-8")
    }

    /// Builds a trace with one track per group and phase, one span per frame.
    pub fn trace(&self) -> Trace {
        let trace = Trace::new();
        let mut spans: Vec<_> = self.spans().collect();
        spans.sort_by_key(|(o, event, _)| (o.group, event.phase));
        for track in spans.chunk_by(|(a, x, _), (b, y, _)| (a.group, x.phase) == (b.group, y.phase)) {
            let (first, event, _) = track[0];
            let name = format!("group {}: {}", first.group, event.phase.name());
            let region = |(o, _, times): &(&Outcome, &Event, [f64; 2])| {
                let [start, end] = times.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
                (format!("{} ({})", self.name(o), o.status.name()), start, end.saturating_sub(start))
            };
            trace.add_track(&name, track.iter().map(region));
        }
        trace
    }

    /// Iterates over all phases of all frames, with start and end in seconds since the start of the run.
    pub fn spans(&self) -> impl Iterator<Item = (&Outcome, &Event, [f64; 2])> {
        let relative = |event: &Event| [event.start, event.end].map(|time| time - self.time[0]);
        self.outcomes.iter().flat_map(move |o| o.events.iter().map(move |event| (o, event, relative(event))))
    }

    fn name(&self, outcome: &Outcome) -> String {
        self.files[outcome.frame][1].display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::run_log::tests::example;

    #[test]
    fn the_table_has_one_row_per_frame_with_the_reason_of_a_failure() {
        let table = example().table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7, "{table}");
        assert!(lines[1].starts_with("out/a.fits") && lines[1].contains("done") && lines[1].contains("4.00"));
        assert!(lines[3].contains("failed") && lines[3].contains("no such file"));
        assert!(lines[4].contains("dropped"));
        assert!(lines[5].contains("2 of 4 frames done, 1 failed, 1 dropped") && lines[5].contains("720 per GPU-hour"));
    }

    #[test]
    fn the_json_has_the_status_and_times_of_each_frame_and_every_rank() {
        let report = example().json();
        assert_eq!(report["figures"]["done"], 2);
        assert_eq!(report["frames"][2]["status"], "failed");
        assert_eq!(report["frames"][2]["reason"], "no such file");
        assert_eq!(report["frames"][0]["compute_seconds"], 4.0);
        assert_eq!(report["ranks"][1]["host"], "nid001");
    }

    #[test]
    fn the_csv_has_one_row_per_phase_and_quotes_names() {
        let mut log = example();
        log.files[0][1] = "out/a,\"1\".fits".into();
        let text = log.csv();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8);
        let row = lines[1];
        assert!(
            row.starts_with("0,0,") && row.ends_with(",\"out/a,\"\"1\"\".fits\",done,read,0.0000,1.0000"),
            "{text}"
        );
    }

    #[test]
    fn the_trace_has_one_track_per_group_and_phase_and_one_span_per_event() {
        let trace = example().trace().to_json();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |kind: &str| events.iter().filter(|e| e["ph"] == kind).collect::<Vec<_>>();
        let tracks: Vec<&str> = of("M").iter().map(|e| e["args"]["name"].as_str().unwrap()).collect();
        assert_eq!(tracks, ["group 0: read", "group 0: compute", "group 0: write", "group 1: read"]);
        let spans = of("X");
        assert_eq!(spans.len(), 7);
        let second = spans.iter().find(|e| e["name"] == "b<1>.fits (done)" && e["tid"] == 1).unwrap();
        assert_eq!((&second["ts"], &second["dur"]), (&5e6.into(), &3e6.into()));
        assert!(spans.iter().any(|e| e["name"] == "c.fits (failed)"));
    }
}
