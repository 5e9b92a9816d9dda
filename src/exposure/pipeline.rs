//! One group's way through its frames: a thread reads, one computes, one writes, and each waits for the next to take
//! over what it has. So at most four frames are in memory, however many there are to do.

use super::extractor::{ExtractorError, FrameExtractor};
use super::in_flight::InFlight;
use super::queue::{Next, WorkQueue};
use super::resume::reason_to_do;
use super::run_log::{Event, Outcome, Phase, Status};
use super::{GroupRank, Settings};
use crate::base::process::{memory, now};
use crate::extract::{FileError, Inputs, Product, Request};
use crate::fits::FitsError;
use crate::{WriteError, error_chain};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Threads that unpack, convert and pack beside those that compute: reading must not wait behind a whole bundle.
const IO_THREADS: usize = 2;
/// How long a group waits before it asks again for a frame.
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait before a file is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A frame that is read.
struct Loaded {
    request: Box<Request>,
    inputs: Inputs,
    outcome: Outcome,
}

/// A frame that is computed.
struct Extracted {
    request: Box<Request>,
    product: Product,
    outcome: Outcome,
}

/// A group's three threads and what they share.
pub struct Pipeline<'a> {
    desk: &'a dyn WorkQueue,
    team: &'a dyn FrameExtractor,
    settings: &'a Settings,
    place: GroupRank,
    io: Option<rayon::ThreadPool>,
    /// Frames handed to this group and not yet computed.
    in_hand: AtomicUsize,
}

impl<'a> Pipeline<'a> {
    /// A group's line.
    pub fn new(
        desk: &'a dyn WorkQueue,
        team: &'a dyn FrameExtractor,
        settings: &'a Settings,
        place: GroupRank,
    ) -> Self {
        let named = |i| format!("files {i}");
        // Where there can be no further threads, those that compute do.
        let io = rayon::ThreadPoolBuilder::new()
            .num_threads(IO_THREADS.min(rayon::current_num_threads()))
            .thread_name(named)
            .build()
            .ok();
        Self { desk, team, settings, place, io, in_hand: AtomicUsize::new(0) }
    }

    /// Goes through frames until the desk has no more.
    pub fn run(&self) {
        if !self.settings.overlap {
            while let Some(loaded) = self.next() {
                if let Some(extracted) = self.compute(loaded) {
                    self.write(extracted);
                }
            }
            return;
        }
        // Without room: whoever hands over waits for the other to come.
        let (to_compute, loaded) = sync_channel(0);
        let (to_write, extracted) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(|| self.read_all(to_compute));
            scope.spawn(|| self.write_all(extracted));
            self.compute_all(loaded, to_write);
        });
    }

    fn read_all(&self, to_compute: SyncSender<Loaded>) {
        // A receiver that is gone has panicked: there is nothing more to do.
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

    /// The next frame that can be read; those that cannot be, or need not, are settled on the way.
    fn next(&self) -> Option<Loaded> {
        loop {
            let busy = self.in_hand.load(Ordering::Relaxed) > 0;
            match self.desk.next(self.place.group, busy) {
                Next::End => return None,
                Next::Later => thread::sleep(PAUSE),
                Next::Frame(frame, request) => {
                    if let Some(loaded) = self.read(frame, request) {
                        self.in_hand.fetch_add(1, Ordering::Relaxed);
                        return Some(loaded);
                    }
                }
            }
        }
    }

    fn read(&self, frame: usize, request: Box<Request>) -> Option<Loaded> {
        let _in_hand = InFlight::new(Phase::Read, &request.output);
        let mut outcome = Outcome::new(frame, &self.place);
        let read = || {
            if self.settings.resume {
                match reason_to_do(&request) {
                    None => return Ok(None),
                    Some(reason) => tracing::debug!("{}: {reason}", request.output.display()),
                }
            }
            Inputs::read(&request).map(Some)
        };
        let result = self.on_files(&mut outcome, Phase::Read, read);
        match result {
            Ok(Some(inputs)) => return Some(Loaded { request, inputs, outcome }),
            Ok(None) => self.settle(outcome, Status::Skipped),
            Err(error) => self.settle(outcome, Status::Failed(error_chain(&error))),
        }
        None
    }

    fn compute(&self, loaded: Loaded) -> Option<Extracted> {
        let Loaded { request, inputs, mut outcome } = loaded;
        let _in_hand = InFlight::new(Phase::Compute, &request.output);
        let start = now();
        let result = match self.settings.stop.is_cancelled() {
            true => Err(ExtractorError::Stopped),
            false => self.team.extract(&request, &inputs),
        };
        let end = now();
        outcome.events.push(Event { phase: Phase::Compute, start, end });
        self.in_hand.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(extraction) => {
                let time = Duration::from_secs_f64((end - start).max(0.0));
                let summary = &extraction.summary;
                outcome.device = summary.device.clone();
                outcome.retried = summary.retried.clone().or(outcome.retried);
                let product = Product::new(&request, inputs, extraction, time);
                return Some(Extracted { request, product, outcome });
            }
            Err(ExtractorError::Stopped) => self.settle(outcome, Status::Dropped),
            Err(error) => self.settle(outcome, Status::Failed(error_chain(&error))),
        }
        None
    }

    fn write(&self, extracted: Extracted) {
        let Extracted { request, product, mut outcome } = extracted;
        let _in_hand = InFlight::new(Phase::Write, &request.output);
        // It is ready, but the time is for those that are being written.
        if self.settings.stop.is_cancelled() {
            return self.settle(outcome, Status::Dropped);
        }
        let result = self.on_files(&mut outcome, Phase::Write, || product.write(&request));
        drop(product);
        match result {
            Ok(done) => {
                let summary = &done.summary;
                outcome.bins = done.nspec * done.nwave;
                (outcome.redone, outcome.unsolved) = (summary.redone, summary.failed);
                // Its masks tell why, so it is written, but it is no success.
                let without = "nothing of it has a solution; the frame is written for its masks to tell why";
                let status = if summary.has_results() { Status::Done } else { Status::Failed(without.into()) };
                self.settle(outcome, status);
            }
            Err(error) => self.settle(outcome, Status::Failed(error_chain(&error))),
        }
    }

    /// Does something to files, once more where that can help, and notes its time.
    fn on_files<T: Send>(
        &self,
        outcome: &mut Outcome,
        phase: Phase,
        work: impl Fn() -> Result<T, FileError> + Sync,
    ) -> Result<T, FileError> {
        let once = || self.io.as_ref().map_or_else(&work, |pool| pool.install(&work));
        let start = now();
        let result = match once() {
            Err(error) if may_pass(&error) => {
                tracing::warn!("{error}; it is tried once more");
                thread::sleep(RETRY);
                outcome.retried = Some(error.to_string());
                once()
            }
            result => result,
        };
        outcome.events.push(Event { phase, start, end: now() });
        result
    }

    fn settle(&self, outcome: Outcome, status: Status) {
        self.desk.done(Outcome { status, memory: memory()[0], ..outcome });
    }
}

/// Whether a file's fault may be gone at the next attempt: a network file system's hiccup.
fn may_pass(error: &FileError) -> bool {
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
