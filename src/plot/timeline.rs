//! The timeline of a run: one row per group of ranks, one lane per phase.

use super::canvas::register_font;
use super::colour::{GRID, INK};
use super::error::PlotError;
use crate::exposure::{Phase, RunLog, Status};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Width of the picture, pixels.
const WIDTH: u32 = 1200;
/// Margins left and right of the rows, pixels.
const LEFT: u32 = 80;
const RIGHT: u32 = 20;
/// Height of title and legend above the rows, and of the time axis below, pixels.
const TOP: u32 = 52;
const AXIS: u32 = 44;
/// Bounds of the height of a row, pixels.
const ROW: [f64; 2] = [6.0, 36.0];
/// Height of all rows above which they shrink, pixels.
const ROWS: f64 = 2000.0;
/// Labels of the rows at most.
const LABELS: usize = 50;
/// A family that every viewer of SVG has.
const FAMILY: &str = "sans-serif";
const FAILED: RGBColor = RGBColor(214, 39, 40);

/// Draws the timeline of a run as SVG. Frames that failed are red.
///
/// # Errors
/// [`PlotError::Draw`] if the plotting library fails.
pub fn timeline_svg(log: &RunLog) -> Result<String, PlotError> {
    // The library measures text with it; a viewer takes its own.
    register_font(FAMILY);
    let groups = log.groups.max(1);
    let row = (ROWS / groups as f64).clamp(ROW[0], ROW[1]);
    let size = (WIDTH, TOP + AXIS + (row * groups as f64) as u32);
    let mut svg = String::new();
    draw(log, groups, SVGBackend::with_string(&mut svg, size).into_drawing_area())
        .map_err(|e| PlotError::Draw(e.to_string()))?;
    Ok(svg)
}

fn draw<B: DrawingBackend>(
    log: &RunLog,
    groups: usize,
    root: DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let text = |size: u32| (FAMILY, size).into_font().color(&INK);
    let figures = log.figures();
    let wall = figures.wall_seconds;
    let title = format!(
        "{} frames in {wall:.1} s: {:.0} per node-hour; {:.0} % of the groups' time computing",
        figures.done,
        figures.frames_per_node_hour,
        100.0 * figures.compute_seconds / (wall * groups as f64),
    );
    root.fill(&WHITE)?;
    root.draw(&Text::new(title, (LEFT as i32, 6), text(15)))?;
    let legend = Phase::ALL.map(|phase| (phase.name(), colour(phase))).into_iter().chain([("failed", FAILED)]);
    for (k, (name, colour)) in (0..).zip(legend) {
        let left = LEFT as i32 + 90 * k;
        root.draw(&Rectangle::new([(left, 32), (left + 12, 44)], colour.filled()))?;
        root.draw(&Text::new(name, (left + 17, 32), text(12)))?;
    }
    // Group k lies about y = k, the first on top.
    let mut chart = ChartBuilder::on(&root)
        .margin_top(TOP)
        .margin_right(RIGHT)
        .x_label_area_size(AXIS)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..wall, groups as f64 - 0.5..-0.5)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(text(12))
        .x_labels(10)
        .x_label_formatter(&|seconds| ((seconds * 1e6).round() / 1e6).to_string())
        .x_desc("seconds")
        .y_labels(groups.min(LABELS))
        .y_label_formatter(&|y| if y.fract() == 0.0 { format!("group {y}") } else { String::new() })
        .draw()?;
    let pixel = wall / f64::from(WIDTH - LEFT - RIGHT);
    chart.draw_series(log.spans().map(|(outcome, event, [start, end])| {
        let failed = matches!(outcome.status, Status::Failed(_));
        let colour = if failed { FAILED } else { colour(event.phase) };
        let y = outcome.group as f64 + (event.phase as usize as f64 - 1.0) / 3.0;
        // A gap of one pixel parts frames; the shortest phase is one pixel wide.
        let end = (end - pixel).max(start + pixel);
        Rectangle::new([(start, y - 0.13), (end, y + 0.13)], colour.filled())
    }))?;
    root.present()
}

fn colour(phase: Phase) -> RGBColor {
    match phase {
        Phase::Read => RGBColor(31, 119, 180),
        Phase::Compute => RGBColor(255, 159, 64),
        Phase::Write => RGBColor(44, 160, 44),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::{Event, GroupRank, Outcome};
    use crate::extract::Request;

    #[test]
    fn the_timeline_has_one_box_per_phase_of_each_frame_and_one_label_per_group() {
        let outcome = |frame, group, status, phases: &[Phase]| {
            let event = |&phase| Event { phase, start: phase as usize as f64, end: phase as usize as f64 + 1.0 };
            let events = phases.iter().map(event).collect();
            Outcome { status, events, ..Outcome::new(frame, GroupRank { group, rank: group }) }
        };
        let requests = vec![Request::new("a", "p", "b"); 3];
        let outcomes = vec![
            outcome(0, 0, Status::Done, &Phase::ALL),
            outcome(1, 1, Status::Done, &Phase::ALL),
            outcome(2, 1, Status::Failed("no such file".into()), &[Phase::Read]),
        ];
        let log = RunLog { time: [0.0, 3.0], ..RunLog::new(&requests, outcomes, Vec::new(), 2, 0.0) };
        let svg = timeline_svg(&log).unwrap();
        // One more of each colour in the legend.
        let boxes = |colour: RGBColor| {
            let RGBColor(r, g, b) = colour;
            svg.matches(&format!("fill=\"#{r:02X}{g:02X}{b:02X}\"")).count() - 1
        };
        let counts = Phase::ALL.map(|phase| boxes(colour(phase)));
        assert_eq!((counts, boxes(FAILED)), ([2, 2, 2], 1), "{svg}");
        assert!(svg.starts_with("<svg") && ["group 0", "group 1"].iter().all(|label| svg.contains(label)));
        assert!(!svg.contains("group 2"), "{svg}");
    }
}
