//! The ranks of one machine: shares of its cores and GPUs, detection of dead ranks.

use super::abort::rank_died;
use super::remote_queue::Message;
use super::wire::{QUEUE, send, world};
use crate::base::process::{self, host};
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

/// 64-bit words of a core mask, for 4096 cores.
const MASK: usize = 64;
/// Interval between two checks of the other ranks.
const POLL: Duration = Duration::from_millis(20);
/// Time that the end of the job takes to arrive: until then a rank that has left is not reported as dead.
const GRACE: Duration = Duration::from_secs(1);

/// The ranks of this machine.
pub struct Node {
    local_rank: usize,
    /// Rank and process id of each.
    ranks: Vec<(usize, u32)>,
    /// Cores on which at least one of them may run.
    cores: usize,
}

impl Node {
    /// Exchanges process ids and core masks with all ranks of this machine.
    pub fn discover() -> Self {
        let world = world();
        let node = world.split_shared(world.rank());
        let size = node.size() as usize;
        let mut ranks = vec![[0u64; 2]; size].concat();
        node.all_gather_into(&[world.rank() as u64, u64::from(std::process::id())][..], &mut ranks[..]);
        let mut masks = vec![0u64; size * MASK];
        node.all_gather_into(&own_mask()[..], &mut masks[..]);
        let any = (0..MASK).map(|word| masks.iter().skip(word).step_by(MASK).fold(0, |any, mask| any | mask));
        Self {
            local_rank: node.rank() as usize,
            ranks: ranks.chunks_exact(2).map(|pair| (pair[0] as usize, pair[1] as u32)).collect(),
            cores: any.map(u64::count_ones).sum::<u32>() as usize,
        }
    }

    /// Returns this rank's index among them.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Starts one computing thread per core of this rank's share, unless RAYON_NUM_THREADS is set.
    pub fn share_cores(&self) -> Result<(), rayon::ThreadPoolBuildError> {
        if std::env::var_os("RAYON_NUM_THREADS").is_some() {
            return Ok(());
        }
        let own = own_mask().iter().map(|word| word.count_ones()).sum::<u32>() as usize;
        let granted = available_parallelism().map_or(1, usize::from);
        let threads = share(self.ranks.len(), self.cores, own, granted);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()
    }

    /// Ends the job if a rank of this machine dies before it is `over`. `in_flight` lists the frames of a rank.
    pub fn watch(&self, rank: usize, over: &AtomicBool, in_flight: &dyn Fn(usize) -> String) {
        let others = || self.ranks.iter().filter(|(other, _)| *other != rank);
        // Ranks in containers of their own are invisible.
        let visible: Vec<(usize, u32)> = others().copied().filter(|(_, pid)| process::lives(*pid)).collect();
        let ended = || over.load(Ordering::Relaxed);
        while !ended() {
            if let Some((other, _)) = visible.iter().find(|(_, pid)| !process::lives(*pid)) {
                // Rank 0 knows the end of the job before any rank leaves, and all frames in flight.
                if rank == 0 {
                    rank_died(rank, *other, host(), &in_flight(*other));
                }
                sleep(GRACE);
                if !ended() && *other != 0 {
                    send(0, QUEUE, &Message::Died { rank: *other, host: host().into() });
                    sleep(GRACE);
                }
                if !ended() {
                    rank_died(rank, *other, host(), "");
                }
                return;
            }
            sleep(POLL);
        }
    }
}

/// Returns the threads of one of `ranks` ranks. Together they may run on `cores`, this one on `own`; the system grants it
/// `granted`.
fn share(ranks: usize, cores: usize, own: usize, granted: usize) -> usize {
    // Fewer granted than allowed is a quota, and a quota is for all ranks together.
    let cores = if granted < own { cores.min(granted) } else { cores };
    (cores / ranks.max(1)).min(granted).max(1)
}

/// Reads the cores on which this process may run.
fn own_mask() -> [u64; MASK] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_mask(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).unwrap_or_default()).unwrap_or_else(
        || {
            let all = available_parallelism().map_or(1, usize::from);
            let mut mask = [0; MASK];
            (0..all.min(64 * MASK)).for_each(|core| mask[core / 64] |= 1 << (core % 64));
            mask
        },
    )
}

/// Parses hexadecimal words of 32 bits, highest first.
fn parse_mask(text: &str) -> Option<[u64; MASK]> {
    let mut mask = [0; MASK];
    for (i, word) in text.trim().rsplit(',').enumerate() {
        *mask.get_mut(i / 2)? |= u64::from(u32::from_str_radix(word, 16).ok()?) << (32 * (i % 2));
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_mask_is_parsed_lowest_word_last() {
        let mask = parse_mask("\t3,00000001,80000000").unwrap();
        assert_eq!((mask[0], mask[1], mask[2]), ((1 << 32) | (1 << 31), 3, 0));
        assert_eq!(parse_mask(""), None);
    }

    #[test]
    fn ranks_share_cores_bound_or_unbound_within_a_quota() {
        // Unbound on 64 cores; bound to one core per rank; bound to a socket of 32; a quota of 4 on 64; more ranks than cores.
        assert_eq!(share(4, 64, 64, 64), 16);
        assert_eq!(share(64, 64, 1, 1), 1);
        assert_eq!(share(4, 64, 32, 32), 16);
        assert_eq!(share(2, 64, 64, 4), 2);
        assert_eq!(share(5, 2, 2, 2), 1);
    }
}
