//! The ladder of fallbacks: what is tried next when a bundle, a patch or a device fails. The one table and the one loop.
//!
//! A bundle starts at the first rung that its options allow and moves down [`LADDER`]: for each [`super::Reason`] the first step
//! that is possible there. The [`Record`] of all moves makes the summary, the header's cards and the log.

mod climb;
mod device_pass;
pub(in crate::solver) mod excess;
mod injection;
mod next;
mod patch_pass;
mod record;
mod run;
mod solved;
mod table;

pub use excess::Excess;
pub use record::{Fallback, Record};
pub use run::{or_cpu_for_all, solve};
pub use solved::{LastRung, Progress, Solved};
pub use table::{Attempt, LADDER, Level, Method, Step};
