//! Messages between ranks: structures as CBOR, arrays as raw numbers.

use mpi::Tag;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Equivalence, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::thread::sleep;
use std::time::Duration;

/// To rank 0: [`Message`](super::remote_queue::Message).
pub const QUEUE: Tag = 1;
/// From rank 0: the next frame.
pub const ANSWER: Tag = 2;
/// From a leader: the bundles to extract.
pub const ORDER: Tag = 3;
/// After an order: its pixels.
pub const PIXELS: Tag = 4;
/// To a leader: the result of an order.
pub const SHARE: Tag = 5;
/// After a share: its numbers.
pub const NUMBERS: Tag = 6;
/// From rank 0: the run is over.
pub const END: Tag = 7;
/// Before the run, to rank 0: why a rank is not ready. From rank 0: why the run is off.
pub const READY: Tag = 8;
/// To rank 0: a fitted bundle; None when a rank has fitted its own.
pub const BUNDLE: Tag = 9;

/// Interval between two probes. A blocking receive of MPI would keep a core busy.
const POLL: Duration = Duration::from_millis(1);

/// Returns the communicator of all ranks.
pub fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

/// Sends a structure.
pub fn send<T: Serialize>(to: usize, tag: Tag, message: &T) {
    let mut bytes = Vec::new();
    // JSON has no NaN and no infinity, CBOR keeps the bits of every number.
    ciborium::into_writer(message, &mut bytes).expect("a message can be written to memory");
    send_numbers(to, tag, &bytes);
}

/// Waits for a structure.
pub fn receive<T: DeserializeOwned>(from: usize, tag: Tag) -> T {
    let bytes: Vec<u8> = receive_numbers(from, tag);
    ciborium::from_reader(&bytes[..])
        .unwrap_or_else(|e| panic!("a message of rank {from} cannot be read ({e}): run the same binary on all ranks"))
}

/// Receives a structure from any rank; None if there is no message.
pub fn receive_any<T: DeserializeOwned>(tag: Tag) -> Option<(usize, T)> {
    let from = world().any_process().immediate_probe_with_tag(tag)?.source_rank();
    Some((from as usize, receive(from as usize, tag)))
}

/// Sends an array.
pub fn send_numbers<T: Equivalence>(to: usize, tag: Tag, numbers: &[T]) {
    world().process_at_rank(to as i32).send_with_tag(numbers, tag);
}

/// Waits for an array.
pub fn receive_numbers<T: Equivalence>(from: usize, tag: Tag) -> Vec<T> {
    let world = world();
    let process = world.process_at_rank(from as i32);
    while process.immediate_probe_with_tag(tag).is_none() {
        pause();
    }
    process.receive_vec_with_tag(tag).0
}

/// Sleeps until the next probe.
pub fn pause() {
    sleep(POLL);
}
