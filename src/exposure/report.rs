//! The account as a table and as JSON.

use super::{Outcome, Phase, RunLog, Status};
use crate::base::version::{COMMIT, VERSION};
use serde_json::{Value, json};
use std::fmt::Write;

/// With more frames than this, the table has only those that are not done.
const MOST_ROWS: usize = 60;

impl RunLog {
    /// A table for people: frames, and the run in figures.
    pub fn table(&self) -> String {
        let all = self.outcomes.len() <= MOST_ROWS;
        let wanted = |o: &&Outcome| all || !matches!(o.status, Status::Done | Status::Skipped);
        let rows: Vec<&Outcome> = self.outcomes.iter().filter(wanted).collect();
        let name = |o: &Outcome| self.files[o.frame][1].display().to_string();
        let width = rows.iter().map(|o| name(o).len()).max().unwrap_or(0).max(5);
        let mut text = String::new();
        if !rows.is_empty() {
            let head = ["", "group", "read s", "compute s", "write s", ""];
            let _ = writeln!(
                text,
                "{:width$}  {:7} {:>5} {:>7} {:>10} {:>8}  {}",
                "frame", head[0], head[1], head[2], head[3], head[4], head[5]
            );
        }
        for o in rows {
            let [read, compute, write] = Phase::ALL.map(|phase| o.seconds(phase));
            let why = match (&o.status, &o.retried) {
                (Status::Failed(reason), _) => reason.clone(),
                (_, Some(reason)) => format!("{}, because {reason}", o.device),
                _ => o.device.clone(),
            };
            let _ = writeln!(
                text,
                "{:width$}  {:7} {:>5} {read:>7.2} {compute:>10.2} {write:>8.2}  {why}",
                name(o),
                o.status.name(),
                o.group,
            );
        }
        text + &self.summary()
    }

    /// The run in a few lines.
    pub fn summary(&self) -> String {
        let f = self.figures();
        let mut text = format!("{} of {} frames done", f.done, f.frames);
        for (count, what) in [(f.skipped, "whole already"), (f.failed, "failed"), (f.dropped, "dropped")] {
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
            "\nread {:.1} s, computed {:.1} s, wrote {:.1} s; {:.1} s of it while the group did something else; {:.1} s of \
             processor time; at most {:.0} MB a rank",
            f.read_seconds,
            f.compute_seconds,
            f.write_seconds,
            f.overlapped_seconds,
            f.cpu_seconds,
            f.peak_memory_bytes as f64 / 1e6,
        );
        text
    }

    /// All of it for programs.
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
                "patches_redone": o.redone, "patches_unsolved": o.unsolved,
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
}

#[cfg(test)]
mod tests {
    use super::super::run_log::tests::example;

    #[test]
    fn the_table_has_a_row_a_frame_and_says_why_one_failed() {
        let table = example().table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 7, "{table}");
        assert!(lines[1].starts_with("out/a.fits") && lines[1].contains("done") && lines[1].contains("4.00"));
        assert!(lines[3].contains("failed") && lines[3].contains("no such file"));
        assert!(lines[4].contains("dropped"));
        assert!(lines[5].contains("2 of 4 frames done, 1 failed, 1 dropped") && lines[5].contains("720 per GPU-hour"));
    }

    #[test]
    fn the_report_says_the_same_to_programs() {
        let report = example().json();
        assert_eq!(report["figures"]["done"], 2);
        assert_eq!(report["frames"][2]["status"], "failed");
        assert_eq!(report["frames"][2]["reason"], "no such file");
        assert_eq!(report["frames"][0]["compute_seconds"], 4.0);
        assert_eq!(report["ranks"][1]["host"], "nid001");
    }
}
