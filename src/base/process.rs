//! This process: its host, its run, its use of resources. Figures that the system does not report are 0.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

/// Returns the name of this machine, fit for a file name.
pub(crate) fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let named = ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        let name = kernel.or(named).unwrap_or_default();
        let fit = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '_' };
        Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").chars().map(fit).collect()
    })
}

/// Returns the name of this run: the number of the batch job, or else the second of the first call.
pub(crate) fn run() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        let job = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"].into_iter().find_map(|name| std::env::var(name).ok());
        let job = job.map(|id| id.chars().filter(char::is_ascii_alphanumeric).collect::<String>());
        job.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("{:x}", now() as u64))
    })
}

/// Returns whether a process of this machine is known to live and is no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; the state follows it.
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Returns the resident memory now and its peak, bytes.
pub(crate) fn memory() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmRSS:", "VmHWM:"].map(|field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| 1024 * kib)
    })
}

/// Returns the processor time of all threads so far, user and system, s.
pub(crate) fn cpu_seconds() -> f64 {
    processor_time().as_secs_f64()
}

/// Returns the processor time of all threads so far, user and system.
pub(crate) fn processor_time() -> Duration {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    #[cfg(not(unix))]
    Duration::ZERO
}
