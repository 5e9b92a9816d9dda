//! Messages between ranks: words as JSON, numbers as they are.

use mpi::Tag;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Equivalence, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::thread::sleep;
use std::time::Duration;

/// To rank 0: questions and news.
pub const DESK: Tag = 1;
/// From rank 0: the next frame.
pub const ANSWER: Tag = 2;
/// From a leader: what to extract.
pub const ORDER: Tag = 3;
/// After an order: the pixels it takes.
pub const PIXELS: Tag = 4;
/// To a leader: what came of an order.
pub const SHARE: Tag = 5;
/// After a share: its numbers.
pub const NUMBERS: Tag = 6;
/// From rank 0: all is done.
pub const BYE: Tag = 7;
/// Before the start, to rank 0: why a rank cannot begin. From rank 0: why none does.
pub const READY: Tag = 8;

/// Between two looks for a message: MPI's own waiting takes a whole core.
const LOOK: Duration = Duration::from_millis(1);

/// All ranks.
pub fn world() -> SimpleCommunicator {
    SimpleCommunicator::world()
}

/// Sends words.
pub fn send<T: Serialize>(to: usize, tag: Tag, words: &T) {
    let mut bytes = Vec::new();
    // CBOR holds every number as it is; JSON has none for NaN and infinity.
    ciborium::into_writer(words, &mut bytes).expect("a message can be written to memory");
    send_numbers(to, tag, &bytes);
}

/// Waits for words.
pub fn receive<T: DeserializeOwned>(from: usize, tag: Tag) -> T {
    parse(from, &receive_numbers(from, tag))
}

/// Words from anyone, if there are any.
pub fn receive_any<T: DeserializeOwned>(tag: Tag) -> Option<(usize, T)> {
    let from = world().any_process().immediate_probe_with_tag(tag)?.source_rank();
    Some((from as usize, receive(from as usize, tag)))
}

/// Sends numbers.
pub fn send_numbers<T: Equivalence>(to: usize, tag: Tag, numbers: &[T]) {
    world().process_at_rank(to as i32).send_with_tag(numbers, tag);
}

/// Waits for numbers.
pub fn receive_numbers<T: Equivalence>(from: usize, tag: Tag) -> Vec<T> {
    let world = world();
    let process = world.process_at_rank(from as i32);
    while process.immediate_probe_with_tag(tag).is_none() {
        sleep(LOOK);
    }
    process.receive_vec_with_tag(tag).0
}

/// Waits a moment.
pub fn pause() {
    sleep(LOOK);
}

fn parse<T: DeserializeOwned>(from: usize, bytes: &[u8]) -> T {
    ciborium::from_reader(bytes).unwrap_or_else(|e| {
        panic!("rank {from} says what this rank does not understand ({e}): run one binary on all ranks")
    })
}
