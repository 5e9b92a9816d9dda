//! Frames, and bundles of a PSF's fit, over the ranks of an MPI job (cargo feature `mpi`).
//!
//! Ranks form groups that share frames. The first rank of a group leads it: it reads and writes, and distributes the
//! bundles of a frame over the others. Rank 0 also serves the work queue. All messages are point to point, and receivers
//! poll: nobody spins on a core that computes, and there is no barrier.
//!
//! | file | content |
//! |---|---|
//! | `job` | joining a job, agreement before the start, the run |
//! | `wire` | messages and their tags |
//! | `remote_queue` | the work queue over messages: server on rank 0, client on the others |
//! | `frame_group` | a frame over the ranks of a group |
//! | `fit_ranks` | the bundles of a fit over all ranks |
//! | `node` | the ranks of one machine: cores, GPUs, detection of dead ranks |
//! | `abort` | the end of the whole job |

mod abort;
mod fit_ranks;
mod frame_group;
mod job;
mod node;
mod remote_queue;
mod wire;

pub use job::{MpiError, MpiJob};
