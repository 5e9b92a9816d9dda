//! The log on the standard error: plain lines, above a progress bar if there is one.

use super::signals::before_the_end;
use clap::builder::styling::AnsiColor;
use indicatif::{HumanDuration, MultiProgress, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format::Writer};
use tracing_subscriber::registry::LookupSpan;

/// The bars on the terminal; lines are printed above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The least severe message that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Only the reason of a failure.
    #[value(alias = "critical")]
    Error,
    /// Also odd input.
    #[value(alias = "warning")]
    Warn,
    /// Also what is being done, with progress.
    Info,
    /// Also details of the plan.
    Debug,
    /// Everything.
    Trace,
}

/// Starts the log, from `level` up.
pub fn start(level: LogLevel) {
    let filter = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(filter).event_format(Plain).with_writer(|| AboveBars).init();
}

/// Returns the word before a message with its colon, on a terminal in the style that clap has for its own errors.
fn label(word: &str, colour: AnsiColor) -> String {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb {
        true => {
            let style = colour.on_default().bold();
            format!("{style}{word}:{style:#} ")
        }
        false => format!("{word}: "),
    }
}

/// Format of lines: `warning: …` as a compiler has it, and information without a prefix.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match *event.metadata().level() {
            Level::ERROR => write!(out, "{}", label("error", AnsiColor::Red))?,
            Level::WARN => write!(out, "{}", label("warning", AnsiColor::Yellow))?,
            Level::INFO => {}
            level => write!(out, "{level} {}: ", event.metadata().target())?,
        }
        context.format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

struct AboveBars;

/// A line that cannot be written is lost: a full disk, or a reader that has gone, does not end the work.
impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| write(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes bytes on the standard error, which has no buffer; those that cannot be written are lost.
fn write(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}

/// Prints the reason why the process ends.
pub fn print_failure(sentence: &str) {
    write(format!("{}{sentence}\n", label("error", AnsiColor::Red)).as_bytes());
}

/// Progress of some work: a bar on a terminal, otherwise a line at each tenth of the work.
pub struct Progress {
    what: &'static str,
    bar: Option<indicatif::ProgressBar>,
    start: Instant,
    /// Count of the last line.
    said: AtomicUsize,
}

impl Progress {
    /// Begins the progress of work counted in `what`, in the plural ("bundles").
    pub fn new(what: &'static str) -> Self {
        let wanted = tracing::enabled!(Level::INFO);
        let bar = (wanted && io::stderr().is_terminal()).then(|| {
            before_the_end(|| {
                // The process ends anyway.
                let _ = BARS.clear();
            });
            BARS.add(indicatif::ProgressBar::no_length().with_style(bar_style()).with_message(what))
        });
        Self { what, bar, start: Instant::now(), said: AtomicUsize::new(0) }
    }

    /// Reports that `done` of `total` are done.
    pub fn report(&self, done: usize, total: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            }
            // A count may be reported twice, and falls when another device begins anew.
            None if done > 0
                && done * 10 / total != (done - 1) * 10 / total
                && self.said.swap(done, Ordering::Relaxed) != done =>
            {
                let seconds = self.start.elapsed().as_secs_f64();
                let (rate, left) = (done as f64 / seconds, seconds * (total - done) as f64 / done as f64);
                let far = if done < total { format!(", {} to go", time(left)) } else { String::new() };
                let rate = if seconds > 60.0 { format!(", {:.0} per hour", 3600.0 * rate) } else { String::new() };
                tracing::info!("{done} of {total} {} done after {}{rate}{far}", self.what, time(seconds));
            }
            None => {}
        }
    }
}

/// Returns the look of a bar: one line, whatever the terminal's width.
fn bar_style() -> ProgressStyle {
    let style = "{wide_bar} {pos}/{len} {msg}, {elapsed} elapsed, {left} left";
    let left = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar that cannot be drawn is no error.
        let _ = match state.pos() {
            0 => write!(out, "--"),
            _ => write!(out, "{:#}", HumanDuration(state.eta())),
        };
    };
    ProgressStyle::with_template(style).expect("a constant that parses").with_key("left", left)
}

/// Formats a time with its unit.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{ProgressBar, ProgressDrawTarget, TermLike};
    use std::sync::{Arc, Mutex};

    /// A terminal of some columns that keeps what is written.
    #[derive(Clone, Debug)]
    struct Tape(u16, Arc<Mutex<Vec<String>>>);

    impl TermLike for Tape {
        fn width(&self) -> u16 {
            self.0
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.1.lock().unwrap().push(text.into());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_fits_terminals_of_60_to_200_columns() {
        for columns in 60..=200 {
            let tape = Tape(columns, Arc::default());
            let bar = ProgressBar::with_draw_target(
                Some(12_000),
                ProgressDrawTarget::term_like_with_hz(Box::new(tape.clone()), 255),
            );
            bar.set_style(bar_style());
            bar.set_message("bundles");
            bar.set_elapsed(std::time::Duration::from_secs(7300));
            for position in [0, 3999, 11_999] {
                bar.set_position(position);
                bar.force_draw();
            }
            let lines = tape.1.lock().unwrap();
            let drawn: Vec<&str> = lines.iter().map(|line| line.trim_end()).filter(|line| !line.is_empty()).collect();
            assert!(
                drawn.iter().any(|line| line.contains("11999/12000 bundles") && line.ends_with("left")),
                "{drawn:?}"
            );
            for line in drawn {
                assert!(line.chars().count() <= usize::from(columns), "{columns}: {line}");
                assert!(line.contains("\u{2588}") || line.contains("\u{2591}"), "{columns}: no bar in {line}");
            }
        }
    }
}
