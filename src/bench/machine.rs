//! Names of the machine's parts, without those of its owner, host or folders.

use crate::base::version::{COMMIT, VERSION};
use crate::gpu::instruction_set;

/// The machine and the program.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Machine {
    /// Model of the CPU, as the system names it.
    pub cpu: String,
    /// Its vector instructions.
    pub instructions: String,
    /// Threads that the program takes.
    pub threads: usize,
    /// System and architecture.
    pub system: String,
    /// Version of the program and its commit.
    pub program: String,
}

impl Machine {
    /// Returns this machine.
    pub fn of_this() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, name)| name.trim().to_string()),
            instructions: instruction_set().to_string(),
            threads: rayon::current_num_threads(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            program: format!("spextral {VERSION} {COMMIT}"),
        }
    }
}
