//! The end of the whole job, with a reason on the standard error.

use super::wire::world;
use crate::base::process::host;
use mpi::traits::Communicator;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

/// Time that a launcher needs to forward the reason; it drops what comes with the end of a process.
const FORWARDING: Duration = Duration::from_millis(200);

/// Prints why the job ends.
pub fn report(rank: usize, reason: &str) {
    // A standard error that is closed must not delay the end.
    let _ = writeln!(io::stderr(), "error: rank {rank} on {}: {reason}; the job ends", host());
}

/// Ends all ranks.
pub fn abort() -> ! {
    thread::sleep(FORWARDING);
    world().abort(1)
}

/// Ends all ranks because `dead` on `host` has died with the frames `in_flight`.
pub fn rank_died(rank: usize, dead: usize, host: &str, in_flight: &str) -> ! {
    let with = if in_flight.is_empty() { String::new() } else { format!(" with {in_flight} in flight") };
    report(rank, &format!("rank {dead} on {host} has died{with}"));
    abort()
}
