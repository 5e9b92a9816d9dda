//! What hostile input meets: one target a reader. No target may panic, hang, or hold much more memory than its file has bytes.
//!
//! | file | what it does |
//! |---|---|
//! | `targets` | what is done with some bytes, and how much memory it may take |
//! | `seeds` | small files of every kind, made by this project's own writers |
//! | `mutate` | damage: to bytes, cards, blocks, words |
//! | `memory` | an allocator that counts |
//! | `main.rs` | the coverage-guided run (feature `libfuzzer`): `cargo xtask fuzz` |
//! | `tests/bounded.rs` | the bounded run among the tests |

pub mod memory;
pub mod mutate;
pub mod seeds;
pub mod targets;
#[allow(dead_code)] // the command line's own
#[path = "../../src/cli/value_parsers.rs"]
mod value_parsers;
