//! One group's pipeline: a reading, a computing and a writing thread. Each waits until the next is free, so at
//! most four frames are in memory.

use super::extractor::{ExtractorError, FrameExtractor};
use super::in_flight::InFlight;
use super::queue::{Next, WorkQueue};
use super::resume::reason_to_extract;
use super::run_log::{Event, GroupRank, Outcome, Phase, Status};
use crate::base::cancel::CancelToken;
use crate::base::process::{memory, now};
use crate::extract::{FileError, Inputs, Product, Request};
use crate::fits::FitsError;
use crate::{WriteError, error_chain};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Threads that unpack, convert and pack beside the computing ones, so that reading need not wait for a whole bundle.
const IO_THREADS: usize = 2;
/// Interval at which a group polls the queue.
const POLL: Duration = Duration::from_millis(20);
/// Delay before a file operation is retried.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How a run treats its frames.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether to skip frames whose outputs are complete, have the same options and are not older than their inputs.
    pub resume: bool,
    /// Whether to read and write during the computation of another frame.
    pub overlap: bool,
    /// Cancels the run: frames that are not yet being written are dropped.
    pub cancel: CancelToken,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resume: false, overlap: true, cancel: CancelToken::default() }
    }
}

/// A frame that has been read.
struct Loaded {
    request: Box<Request>,
    inputs: Inputs,
    outcome: Outcome,
}

/// A frame that has been computed.
struct Extracted {
    request: Box<Request>,
    product: Product,
    outcome: Outcome,
}

/// The three threads of a group and their shared state.
pub struct Pipeline<'a> {
    queue: &'a dyn WorkQueue,
    extractor: &'a dyn FrameExtractor,
    settings: &'a Settings,
    group: GroupRank,
    /// Threads for files; None where the system grants no further threads.
    io: Option<rayon::ThreadPool>,
    /// Frames that have been read and not yet computed.
    waiting: AtomicUsize,
}

impl<'a> Pipeline<'a> {
    /// Creates the pipeline of a group.
    pub fn new(
        queue: &'a dyn WorkQueue,
        extractor: &'a dyn FrameExtractor,
        settings: &'a Settings,
        group: GroupRank,
    ) -> Self {
        let io = rayon::ThreadPoolBuilder::new()
            .num_threads(IO_THREADS.min(rayon::current_num_threads()))
            .thread_name(|i| format!("files {i}"))
            .build()
            .ok();
        Self { queue, extractor, settings, group, io, waiting: AtomicUsize::new(0) }
    }

    /// Processes frames until the queue is empty.
    pub fn run(&self) {
        if !self.settings.overlap {
            while let Some(loaded) = self.next() {
                if let Some(extracted) = self.compute(loaded) {
                    self.write(extracted);
                }
            }
            return;
        }
        // Channels without capacity: a sender waits until the receiver is free.
        let (to_compute, loaded) = sync_channel(0);
        let (to_write, extracted) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(|| self.read_all(to_compute));
            scope.spawn(|| self.write_all(extracted));
            self.compute_all(loaded, to_write);
        });
    }

    fn read_all(&self, to_compute: SyncSender<Loaded>) {
        // Sending fails only after a panic of the receiver.
        while self.next().is_some_and(|loaded| to_compute.send(loaded).is_ok()) {}
    }

    fn compute_all(&self, loaded: Receiver<Loaded>, to_write: SyncSender<Extracted>) {
        for extracted in loaded.into_iter().filter_map(|loaded| self.compute(loaded)) {
            if to_write.send(extracted).is_err() {
                return;
            }
        }
    }

    fn write_all(&self, extracted: Receiver<Extracted>) {
        extracted.into_iter().for_each(|extracted| self.write(extracted));
    }

    /// Returns the next frame that can be read, after finishing those that fail or are skipped.
    fn next(&self) -> Option<Loaded> {
        loop {
            let busy = self.waiting.load(Ordering::Relaxed) > 0;
            match self.queue.next(self.group.group, busy) {
                Next::End => return None,
                Next::Later => thread::sleep(POLL),
                Next::Frame(frame, request) => {
                    if let Some(loaded) = self.read(frame, request) {
                        self.waiting.fetch_add(1, Ordering::Relaxed);
                        return Some(loaded);
                    }
                }
            }
        }
    }

    fn read(&self, frame: usize, request: Box<Request>) -> Option<Loaded> {
        let _in_flight = InFlight::new(Phase::Read, &request.output);
        let mut outcome = Outcome::new(frame, self.group);
        let read = || {
            if self.settings.resume {
                match reason_to_extract(&request) {
                    None => return Ok(None),
                    Some(reason) => tracing::debug!("{}: {reason}", request.output.display()),
                }
            }
            Inputs::read(&request).map(Some)
        };
        match self.on_files(&mut outcome, Phase::Read, read) {
            Ok(Some(inputs)) => return Some(Loaded { request, inputs, outcome }),
            Ok(None) => self.finish(outcome, Status::Skipped),
            Err(error) => self.finish(outcome, Status::Failed(error_chain(&error))),
        }
        None
    }

    fn compute(&self, loaded: Loaded) -> Option<Extracted> {
        let Loaded { request, inputs, mut outcome } = loaded;
        let _in_flight = InFlight::new(Phase::Compute, &request.output);
        let start = now();
        let result = match self.settings.cancel.signal() {
            Some(_) => Err(ExtractorError::Stopped),
            None => self.extractor.extract(&request, &inputs),
        };
        let end = now();
        outcome.events.push(Event { phase: Phase::Compute, start, end });
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(extraction) => {
                outcome.record(&extraction.summary);
                let time = Duration::from_secs_f64((end - start).max(0.0));
                let product = Product::new(&request, inputs, extraction, time);
                return Some(Extracted { request, product, outcome });
            }
            Err(ExtractorError::Stopped) => self.finish(outcome, Status::Dropped),
            Err(error) => self.finish(outcome, Status::Failed(error_chain(&error))),
        }
        None
    }

    fn write(&self, extracted: Extracted) {
        let Extracted { request, product, mut outcome } = extracted;
        let _in_flight = InFlight::new(Phase::Write, &request.output);
        // After a signal, the time left is for frames already being written.
        if self.settings.cancel.is_cancelled() {
            return self.finish(outcome, Status::Dropped);
        }
        let result = self.on_files(&mut outcome, Phase::Write, || product.write(&request));
        drop(product);
        let status = match result {
            Ok(done) => {
                outcome.bins = done.nspec * done.nwave;
                match (done.summary.has_results(), done.summary.is_by(request.options.solver)) {
                    (true, None) => Status::Done,
                    (true, Some(other)) => Status::Failed(format!("{other}; the frame is written")),
                    (false, _) => {
                        Status::Failed("no bin has a solution; the frame is written because its masks show why".into())
                    }
                }
            }
            Err(error) => Status::Failed(error_chain(&error)),
        };
        self.finish(outcome, status);
    }

    /// Runs a file operation with one retry for transient errors, and records its time.
    fn on_files<T: Send>(
        &self,
        outcome: &mut Outcome,
        phase: Phase,
        work: impl Fn() -> Result<T, FileError> + Sync,
    ) -> Result<T, FileError> {
        let once = || self.io.as_ref().map_or_else(&work, |pool| pool.install(&work));
        let start = now();
        let result = match once() {
            Err(error) if is_transient(&error) => {
                tracing::warn!("{error}; retrying");
                thread::sleep(RETRY_DELAY);
                outcome.retried = Some(error.to_string());
                once()
            }
            result => result,
        };
        outcome.events.push(Event { phase, start, end: now() });
        result
    }

    fn finish(&self, outcome: Outcome, status: Status) {
        self.queue.done(Outcome { status, memory: memory()[0], ..outcome });
    }
}

/// Returns whether a file error may be gone at the next attempt, as those of network file systems.
fn is_transient(error: &FileError) -> bool {
    use ErrorKind::{Interrupted, ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock};
    /// Input/output error, on all systems that number it.
    const EIO: i32 = 5;
    let (FileError::Fits(FitsError::Read { source, .. })
    | FileError::Fits(FitsError::Write(WriteError::System { source, .. }))) = error
    else {
        return false;
    };
    matches!(source.kind(), Interrupted | ResourceBusy | StaleNetworkFileHandle | TimedOut | WouldBlock)
        || source.raw_os_error() == Some(EIO)
}
