//! Timed regions of all threads and devices, as a file that <https://ui.perfetto.dev> opens.

use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::atomic_file::{PendingFile, WriteError};
use super::process::processor_time;

/// Labelled regions of time of all threads. Regions of one thread are nested or disjoint.
#[derive(Debug)]
pub struct Trace {
    begin: Instant,
    /// Whether regions have the processor time of all threads.
    counts_processor: bool,
    tracks: Mutex<Vec<Track>>,
    counters: Mutex<Vec<Counter>>,
}

/// Values of counters at one time.
#[derive(Debug)]
struct Counter {
    name: &'static str,
    at: Duration,
    values: Vec<(&'static str, u64)>,
}

/// The regions of one thread, or of a device.
#[derive(Debug)]
struct Track {
    thread: Option<ThreadId>,
    name: String,
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    name: Cow<'static, str>,
    start: Duration,
    length: Duration,
    /// Of all threads; 0 if it is not counted.
    processor: Duration,
}

/// The beginning or the end of a region.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: Instant,
    processor: Duration,
}

impl Moment {
    /// Returns the time from an earlier moment to this one.
    pub fn since(&self, earlier: &Self) -> Duration {
        self.at - earlier.at
    }
}

/// A region of a thread, as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// Its name.
    pub name: String,
    /// From the beginning of the trace to its start.
    pub start: Duration,
    /// From its start to its end.
    pub length: Duration,
    /// Processor time of all threads meanwhile; 0 unless the trace counts it.
    pub processor: Duration,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// Begins a trace.
    pub fn new() -> Self {
        let (tracks, counters) = Default::default();
        Self { begin: Instant::now(), counts_processor: false, tracks, counters }
    }

    /// Counts the processor time of all threads in each region, too.
    pub fn with_processor_time(self) -> Self {
        Self { counts_processor: true, ..self }
    }

    /// Returns the present moment.
    pub fn now(&self) -> Moment {
        let processor = if self.counts_processor { processor_time() } else { Duration::ZERO };
        Moment { at: Instant::now(), processor }
    }

    /// Runs `work` as a region of this thread.
    pub fn region<T>(&self, name: impl Into<Cow<'static, str>>, work: impl FnOnce() -> T) -> T {
        let start = self.now();
        let result = work();
        self.add(name, start);
        result
    }

    /// Adds a region of this thread that ends now, and returns its end.
    pub fn add(&self, name: impl Into<Cow<'static, str>>, start: Moment) -> Moment {
        let end = self.now();
        let region = Region {
            name: name.into(),
            start: start.at - self.begin,
            length: end.since(&start),
            processor: end.processor.saturating_sub(start.processor),
        };
        let this = thread::current();
        let worker = || rayon::current_thread_index().map(|i| format!("worker {i}"));
        let label = || this.name().map(String::from).or_else(worker).unwrap_or_else(|| "thread".into());
        self.extend(Some(this.id()), label, [region]);
        end
    }

    /// Adds regions of a device, `(name, start, length)` by its own clock. The last of them counts as ended at `end`, when
    /// the host saw it done.
    pub fn add_device(
        &self,
        device: &str,
        end: Instant,
        regions: impl IntoIterator<Item = (&'static str, Duration, Duration)>,
    ) {
        let regions: Vec<_> = regions.into_iter().collect();
        let last = regions.iter().map(|(_, start, length)| *start + *length).max();
        let placed = regions.into_iter().zip(last.iter().cycle()).map(|((name, start, length), &last)| {
            let start = (end - self.begin).saturating_sub(last - start);
            Region { name: name.into(), start, length, processor: Duration::ZERO }
        });
        self.extend(None, || device.into(), placed);
    }

    /// Adds the values that the counters of `name` have now.
    pub fn count(&self, name: &'static str, values: &[(&'static str, u64)]) {
        let counter = Counter { name, at: self.begin.elapsed(), values: values.to_vec() };
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(counter);
    }

    /// Returns the regions of this thread.
    pub fn of_this_thread(&self) -> Vec<Timed> {
        let (this, tracks) = (thread::current().id(), self.tracks.lock().unwrap_or_else(PoisonError::into_inner));
        let own = tracks.iter().filter(|track| track.thread == Some(this)).flat_map(|track| &track.regions);
        let read = |&Region { ref name, start, length, processor }: &Region| Timed {
            name: name.to_string(),
            start,
            length,
            processor,
        };
        own.map(read).collect()
    }

    /// Adds a track with its regions, `(name, start, length)`, whose starts count from the start of the trace.
    pub fn add_track(&self, name: &str, regions: impl IntoIterator<Item = (String, Duration, Duration)>) {
        let region = |(name, start, length): (String, _, _)| Region {
            name: name.into(),
            start,
            length,
            processor: Duration::ZERO,
        };
        let track = Track { thread: None, name: name.into(), regions: regions.into_iter().map(region).collect() };
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner).push(track);
    }

    /// Adds regions to the track of a thread, or of a device that `label` names.
    fn extend(&self, thread: Option<ThreadId>, label: impl Fn() -> String, regions: impl IntoIterator<Item = Region>) {
        // A panic elsewhere leaves no track half-written.
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tracks.iter().position(|t| t.thread == thread && (thread.is_some() || t.name == label()));
        let at = known.unwrap_or_else(|| {
            tracks.push(Track { thread, name: label(), regions: Vec::new() });
            tracks.len() - 1
        });
        tracks[at].regions.extend(regions);
    }

    /// Returns the trace in Chrome's format: complete events (`X`) with one `tid` per thread or device, and counters (`C`); times in
    /// microseconds.
    pub fn to_json(&self) -> Value {
        let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
        let tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = Vec::new();
        for (tid, track) in tracks.iter().enumerate() {
            events.push(json!({
                "ph": "M", "name": "thread_name", "pid": 0, "tid": tid, "args": { "name": track.name },
            }));
            events.extend(track.regions.iter().map(|region| {
                json!({
                    "ph": "X", "name": region.name, "pid": 0, "tid": tid,
                    "ts": microseconds(region.start), "dur": microseconds(region.length),
                })
            }));
        }
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        events.extend(counters.iter().flat_map(|Counter { name, at, values }| {
            let event = move |(what, value): &(&str, u64)| {
                json!({
                    "ph": "C", "name": format!("{name}: {what}"), "pid": 0, "ts": microseconds(*at),
                    "args": { *what: value },
                })
            };
            values.iter().map(event)
        }));
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// [`WriteError`] if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: impl AsRef<Path>, overwrite: bool) -> Result<(), WriteError> {
        PendingFile::write(path, overwrite, |out| Ok(serde_json::to_writer(out, &self.to_json())?))?.persist()
    }
}
