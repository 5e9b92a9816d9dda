//! Fuzzing of the readers: one target per reader. No target may panic, hang, or hold much more memory than its file has bytes.
//!
//! | file | contents |
//! |---|---|
//! | `targets` | the targets, and how much memory each may take |
//! | `seeds` | small files of every kind, made by this project's own writers |
//! | `mutate` | damage to bytes, cards, blocks, words |
//! | `memory` | a counting allocator |
//! | `main.rs` | the coverage-guided run (feature `libfuzzer`): `cargo xtask fuzz` |
//! | `tests/bounded.rs` | the bounded run among the tests |

pub mod memory;
pub mod mutate;
pub mod seeds;
pub mod targets;
