//! Work beside the interpreter: with its lock released, in threads of its own.

use crate::error::{Kind, exception, input};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use spextral::base::cancel::CancelToken;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// How often signals are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Most threads: the largest nodes have a few hundred cores, and starting a million takes minutes that Ctrl-C does not end.
const MOST_THREADS: usize = 1024;
/// The signal of Ctrl-C.
const SIGINT: i32 = 2;

/// Threads for one piece of work; None for RAYON_NUM_THREADS or all cores. Each call has its own pool. In the child of
/// a fork (`multiprocessing`) the threads of an older pool are dead, and a call would wait for them forever.
fn pool(threads: Option<usize>) -> PyResult<ThreadPool> {
    if let Some(threads) = threads.filter(|threads| !(1..=MOST_THREADS).contains(threads)) {
        return Err(input(format!("threads is {threads}: give 1 to {MOST_THREADS}, or None for all cores")));
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    pool.map_err(|error| exception(Kind::Device, format!("cannot start threads: {error}")))
}

/// Does `work` with the interpreter's lock released.
pub fn released<T: Send>(py: Python, threads: Option<usize>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let pool = pool(threads)?;
    Ok(py.detach(|| pool.install(work)))
}

/// Does long `work` with the interpreter's lock released, with progress and cancellation. The calling thread calls `progress`
/// with (done, total), or shows a bar where it is True. An exception raised by it, and Ctrl-C, cancel the work and are raised.
pub fn watched<T: Send>(
    py: Python,
    threads: Option<usize>,
    stop: &CancelToken,
    progress: Option<&Bound<PyAny>>,
    work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T + Send,
) -> PyResult<T> {
    let pool = pool(threads)?;
    let bar = py.import("spextral._progress")?.call_method1("teller", (progress,))?;
    let progress = Some(bar.call_method0("__enter__")?).filter(|told| !told.is_none());
    let (told, news) = mpsc::channel();
    let news = Mutex::new(news);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            pool.install(|| {
                // Nobody listens any more where the caller has panicked.
                work(&|done, total| _ = told.send((done, total)))
            })
        });
        let mut outcome = Ok(());
        loop {
            let heard = py.detach(|| news.lock().map_or(Err(RecvTimeoutError::Disconnected), |n| n.recv_timeout(LOOK)));
            if heard == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            if outcome.is_ok() {
                outcome = tell(progress.as_ref(), heard.ok()).and_then(|()| py.check_signals());
                if outcome.is_err() {
                    stop.cancel(SIGINT);
                }
            }
        }
        let done = py.detach(|| worker.join());
        // A bar that cannot be closed takes no result away.
        _ = bar.call_method1("__exit__", (py.None(), py.None(), py.None()));
        outcome?;
        done.map_or_else(|panic| std::panic::resume_unwind(panic), Ok)
    })
}

fn tell(progress: Option<&Bound<PyAny>>, heard: Option<(usize, usize)>) -> PyResult<()> {
    match (progress, heard) {
        (Some(progress), Some(heard)) => progress.call1(heard).map(|_| ()),
        _ => Ok(()),
    }
}
