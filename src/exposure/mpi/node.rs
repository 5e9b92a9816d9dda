//! What the ranks of one machine share: its cores, its GPUs, and an eye on each other.

use super::remote_queue::Word;
use super::wire::{DESK, send, world};
use super::{MpiError, died};
use crate::base::process::{self, host};
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

/// Words of a core mask: 4096 cores.
const MASK: usize = 64;
/// Between two looks at the other ranks.
const LOOK: Duration = Duration::from_millis(20);
/// How long a rank that misses another waits for the end of the job to be announced, before it says so.
const GRACE: Duration = Duration::from_secs(1);

/// The ranks of this machine.
pub struct Node {
    local_rank: usize,
    /// Rank and process of each.
    ranks: Vec<(usize, u32)>,
    /// Cores that any of them may run on.
    cores: usize,
}

impl Node {
    /// Makes the acquaintance of all ranks of this machine.
    pub fn meet() -> Self {
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

    /// This rank among them.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Starts as many computing threads as this rank's share of the cores, unless RAYON_NUM_THREADS says otherwise.
    pub fn share_cores(&self) -> Result<(), MpiError> {
        if std::env::var_os("RAYON_NUM_THREADS").is_some() {
            return Ok(());
        }
        let own = own_mask().iter().map(|word| word.count_ones()).sum::<u32>() as usize;
        let granted = available_parallelism().map_or(1, usize::from);
        let threads = share(self.ranks.len(), self.cores, own, granted);
        Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?)
    }

    /// Ends the job where a rank of this machine is gone before the job is `over`. `held` says what a rank has in hand.
    pub fn watch(&self, rank: usize, over: &AtomicBool, held: &dyn Fn(usize) -> String) {
        let others = || self.ranks.iter().filter(|(other, _)| *other != rank);
        // Ranks in containers of their own are not to be seen.
        let seen: Vec<(usize, u32)> = others().copied().filter(|(_, pid)| process::lives(*pid)).collect();
        let ended = || over.load(Ordering::Relaxed);
        while !ended() {
            if let Some((other, _)) = seen.iter().find(|(_, pid)| !process::lives(*pid)) {
                // Rank 0 knows when the job is over before anyone leaves, and what everyone has in hand.
                if rank == 0 {
                    died(rank, *other, host(), &held(*other));
                }
                sleep(GRACE);
                if !ended() && *other != 0 {
                    send(0, DESK, &Word::Dead { rank: *other, host: host().into() });
                    sleep(GRACE);
                }
                if !ended() {
                    died(rank, *other, host(), "");
                }
                return;
            }
            sleep(LOOK);
        }
    }
}

/// Threads for one of `ranks` ranks, where together they may run on `cores`, this one on `own`, and the system grants it
/// `granted`.
fn share(ranks: usize, cores: usize, own: usize, granted: usize) -> usize {
    // Fewer granted than allowed is a quota, which is for all ranks together.
    let cores = if granted < own { cores.min(granted) } else { cores };
    (cores / ranks.max(1)).min(granted).max(1)
}

/// The cores that this process may run on.
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

/// Words of 32 bits in hexadecimal, the highest first.
fn parse_mask(words: &str) -> Option<[u64; MASK]> {
    let mut mask = [0; MASK];
    for (i, word) in words.trim().rsplit(',').enumerate() {
        *mask.get_mut(i / 2)? |= u64::from(u32::from_str_radix(word, 16).ok()?) << (32 * (i % 2));
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_cores_is_read() {
        let mask = parse_mask("\t3,00000001,80000000").unwrap();
        assert_eq!((mask[0], mask[1], mask[2]), ((1 << 32) | (1 << 31), 3, 0));
        assert_eq!(parse_mask(""), None);
    }

    #[test]
    fn ranks_share_cores_whether_bound_or_not_and_keep_a_quota() {
        // Unbound on 64 cores; bound to a core each; bound to a socket of 32; a quota of 4 on 64 cores; too many ranks.
        assert_eq!(share(4, 64, 64, 64), 16);
        assert_eq!(share(64, 64, 1, 1), 1);
        assert_eq!(share(4, 64, 32, 32), 16);
        assert_eq!(share(2, 64, 64, 4), 2);
        assert_eq!(share(5, 2, 2, 2), 1);
    }
}
