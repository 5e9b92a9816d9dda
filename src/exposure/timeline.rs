//! When each group read, computed and wrote: as a table, and as a picture with one row a group.

use super::{Phase, RunLog};
use std::fmt::Write;

/// Width of the picture and of its margins left and right, pixels.
const WIDTH: f64 = 1200.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
/// Height of what is above and below the rows, pixels.
const TOP: f64 = 56.0;
const BOTTOM: f64 = 44.0;
/// Height of a group's row with few groups and with many, and of all rows of a handy picture, pixels.
const ROW: [f64; 2] = [36.0, 6.0];
const ROWS: f64 = 2000.0;
/// Ticks wanted on the time axis.
const TICKS: f64 = 10.0;

/// The events of a run as CSV: times in seconds from its start.
pub fn csv(account: &RunLog) -> String {
    let mut text = String::from("group,rank,host,frame,status,phase,start_s,end_s\n");
    let begin = account.time[0];
    for outcome in &account.outcomes {
        let frame = account.files[outcome.frame][1].display().to_string();
        let frame = if frame.contains([',', '"']) { format!("\"{}\"", frame.replace('"', "\"\"")) } else { frame };
        for event in &outcome.events {
            let (start, end) = (event.start - begin, event.end - begin);
            let (group, rank, host, status) = (outcome.group, outcome.rank, &outcome.host, outcome.status.name());
            let phase = event.phase.name();
            let _ = writeln!(text, "{group},{rank},{host},{frame},{status},{phase},{start:.4},{end:.4}");
        }
    }
    text
}

/// The same as a picture (SVG): a row a group, in it a lane each for reading, computing and writing; frames that failed
/// are hatched in red.
pub fn svg(account: &RunLog) -> String {
    let groups = account.groups.max(1);
    let row = (ROWS / groups as f64).clamp(ROW[1], ROW[0]);
    let wall = (account.time[1] - account.time[0]).max(1e-3);
    let height = TOP + row * groups as f64 + BOTTOM;
    let x = |seconds: f64| LEFT + (WIDTH - LEFT - RIGHT) * (seconds / wall).clamp(0.0, 1.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#2d2d37\">\n\
         <defs><pattern id=\"failed\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect width=\"6\" height=\"6\" fill=\"#fff\"/><rect width=\"3\" height=\"6\" fill=\"#d62728\"/></pattern></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    heading(&mut out, account);
    axis(&mut out, wall, height, x);
    for group in 0..groups {
        let y = TOP + row * group as f64;
        if row >= 12.0 || group % 10 == 0 {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">group {group}</text>",
                LEFT - 8.0,
                y + 0.5 * row + 4.0
            );
        }
        let _ =
            writeln!(out, "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>", WIDTH - RIGHT);
    }
    let lane = row / 3.0;
    for outcome in &account.outcomes {
        let name = escaped(&account.files[outcome.frame][1].display().to_string());
        for event in &outcome.events {
            let (from, to) = (event.start - account.time[0], event.end - account.time[0]);
            let y = TOP + row * outcome.group as f64 + lane * event.phase as usize as f64 + 0.1 * lane;
            let fill = if outcome.status.name() == "failed" { "url(#failed)" } else { colour(event.phase) };
            let _ = writeln!(
                out,
                "<rect x=\"{:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{fill}\" stroke=\"#fff\" \
                 stroke-width=\"0.5\"><title>{name}: {} {from:.2} to {to:.2} s, {}</title></rect>",
                x(from),
                (x(to) - x(from)).max(0.5),
                0.8 * lane,
                event.phase.name(),
                outcome.status.name(),
            );
        }
    }
    out + "</svg>\n"
}

fn heading(out: &mut String, account: &RunLog) {
    let f = account.figures();
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{} frames in {:.1} s: {:.0} per node-hour; {:.0} % of the groups' time computing</text>",
        f.done,
        f.wall_seconds,
        f.frames_per_node_hour,
        100.0 * f.compute_seconds / (f.wall_seconds * f.groups.max(1) as f64),
    );
    for (phase, at) in Phase::ALL.into_iter().zip([LEFT, LEFT + 70.0, LEFT + 165.0]) {
        let _ = writeln!(
            out,
            "<rect x=\"{at}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"42\">{}</text>",
            colour(phase),
            at + 17.0,
            phase.name()
        );
    }
}

fn axis(out: &mut String, wall: f64, height: f64, x: impl Fn(f64) -> f64) {
    let step = tick(wall);
    let base = height - BOTTOM;
    let mut at = 0.0;
    while at <= wall {
        let x = x(at);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"#eee\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            base + 5.0,
            base + 18.0,
            (at * 1e6).round() / 1e6
        );
        at += step;
    }
    let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">seconds</text>", WIDTH - RIGHT, height - 8.0);
}

/// A round distance of ticks: 1, 2 or 5 times a power of ten.
fn tick(wall: f64) -> f64 {
    let power = 10f64.powf((wall / TICKS).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| wall / step <= TICKS).unwrap_or(10.0 * power)
}

fn colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Read => "#1f77b4",
        Phase::Compute => "#ff9f40",
        Phase::Write => "#2ca02c",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::run_log::tests::example;
    use super::*;

    #[test]
    fn the_table_has_a_row_an_event() {
        let text = csv(&example());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8);
        assert!(lines[1].starts_with("0,0,") && lines[1].ends_with(",out/a.fits,done,read,0.0000,1.0000"), "{text}");
    }

    #[test]
    fn the_picture_has_a_box_an_event_and_escaped_names() {
        let picture = svg(&example());
        assert_eq!(picture.matches("<title>").count(), 7);
        assert!(picture.contains("b&lt;1&gt;.fits") && picture.contains("group 1") && !picture.contains("group 2"));
        assert_eq!(picture.matches("url(#failed)").count(), 1);
    }

    #[test]
    fn ticks_are_round_and_not_too_many() {
        for (wall, step) in [(10.0, 1.0), (11.0, 2.0), (0.35, 0.05), (86400.0, 10000.0)] {
            assert!((tick(wall) - step).abs() < 1e-9 * step, "{wall}: {}", tick(wall));
        }
    }
}
