//! Which device: the words of `--device`, the list of what there is, and how one is picked.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::device::{Gpu, OpenOptions};
use super::{GpuError, GpuLimits};

/// What `--device` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated or virtual one, else the CPU; never a software GPU.
    #[default]
    Auto,
    /// The CPU, in f64.
    Cpu,
    /// The GPU of that index in [`list`].
    Index(usize),
    /// The first GPU whose name or driver contains this, in any case.
    Name(String),
    /// The GPU at this PCI address: domain, bus, device, function.
    Pci([u32; 4]),
}

impl FromStr for DeviceChoice {
    type Err = Infallible;

    fn from_str(words: &str) -> Result<Self, Infallible> {
        let words = words.trim();
        Ok(match words.to_lowercase().as_str() {
            "" | "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            lower => match (lower.parse(), parse_pci(lower)) {
                (Ok(index), _) => Self::Index(index),
                (_, Some(address)) => Self::Pci(address),
                _ => Self::Name(words.to_string()),
            },
        })
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(part) => f.write_str(part),
            Self::Pci([domain, bus, device, function]) => {
                write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
            }
        }
    }
}

/// Reads `3b:00.0`, `0000:3b:00.0` or `00000000:3B:00.0` (as nvidia-smi writes it).
fn parse_pci(words: &str) -> Option<[u32; 4]> {
    let (path, function) = words.split_once('.')?;
    let parts: Vec<&str> = path.split(':').collect();
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match parts[..] {
        [bus, device] => Some([0, hex(bus)?, hex(device)?, hex(function)?]),
        [domain, bus, device] => Some([hex(domain)?, hex(bus)?, hex(device)?, hex(function)?]),
        _ => None,
    }
}

impl DeviceChoice {
    /// The device of this machine that a frame says it was extracted on (card SPXDEV): the one of the same words, else one of
    /// the same name; None where there is none.
    pub fn recorded(words: &str) -> Option<Self> {
        if words.starts_with("CPU f64") {
            return Some(Self::Cpu);
        }
        let infos: Vec<wgpu::AdapterInfo> = adapters().iter().map(wgpu::Adapter::get_info).collect();
        let is = |whole: &dyn Fn(&wgpu::AdapterInfo) -> String| infos.iter().position(|i| words.starts_with(&whole(i)));
        is(&describe).or_else(|| is(&|info| format!("{},", info.name))).map(Self::Index)
    }

    /// The device for one of several processes of a machine: they take turns among all GPUs that `auto` or a name fits, in
    /// the order of their PCI bus ids. Other choices are one device, which all share.
    pub fn for_process(&self, index: usize) -> Self {
        match self {
            Self::Auto | Self::Name(_) => {
                let infos: Vec<wgpu::AdapterInfo> = adapters().iter().map(wgpu::Adapter::get_info).collect();
                take_turns(self, &infos, index).map_or_else(|| self.clone(), Self::Index)
            }
            other => other.clone(),
        }
    }
}

/// The adapter for process `index`: of those that fit `choice` the best kind, each GPU once.
fn take_turns(choice: &DeviceChoice, infos: &[wgpu::AdapterInfo], index: usize) -> Option<usize> {
    let fits = |i: &usize| match choice {
        DeviceChoice::Auto => DeviceKind::of(&infos[*i]).auto_rank().is_some(),
        _ => matches(choice, *i, &infos[*i]),
    };
    // A GPU in software comes last, and only where it was named.
    let rank = |i: &usize| DeviceKind::of(&infos[*i]).auto_rank().unwrap_or(u8::MAX);
    let all: Vec<usize> = (0..infos.len()).filter(fits).collect();
    let best = all.iter().map(rank).min()?;
    let mut turns: Vec<usize> = all.into_iter().filter(|i| rank(i) == best).collect();
    turns.sort_by_key(|&i| parse_pci(&infos[i].device_pci_bus_id.to_lowercase()));
    // Two drivers may show one GPU.
    turns.dedup_by_key(|i| parse_pci(&infos[*i].device_pci_bus_id.to_lowercase()).ok_or(*i));
    Some(turns[index % turns.len()])
}

/// What kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU through this crate's own f64 code.
    Cpu,
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A GPU lent to a virtual machine.
    Virtual,
    /// A GPU's interface computed on the CPU, as lavapipe, SwiftShader and WARP do.
    Software,
    /// The driver does not say.
    Unknown,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Software => "software GPU",
            Self::Unknown => "GPU of unknown kind",
        })
    }
}

impl DeviceKind {
    /// The kind of a wgpu adapter. Software is known by name too: not every driver owns up to it.
    pub(super) fn of(info: &wgpu::AdapterInfo) -> Self {
        let name = format!("{} {}", info.name, info.driver).to_lowercase();
        let software = ["llvmpipe", "lavapipe", "swiftshader", "basic render"];
        if software.iter().any(|part| name.contains(part)) {
            return Self::Software;
        }
        match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Self::Discrete,
            wgpu::DeviceType::IntegratedGpu => Self::Integrated,
            wgpu::DeviceType::VirtualGpu => Self::Virtual,
            wgpu::DeviceType::Cpu => Self::Software,
            wgpu::DeviceType::Other => Self::Unknown,
        }
    }

    /// The order in which `auto` tries GPUs; None where it never takes one.
    fn auto_rank(self) -> Option<u8> {
        match self {
            Self::Discrete => Some(0),
            Self::Integrated => Some(1),
            Self::Virtual => Some(2),
            Self::Cpu | Self::Software | Self::Unknown => None,
        }
    }
}

/// One line of `spextral devices`.
#[derive(Clone, Debug)]
pub struct DeviceEntry {
    /// The index to choose it by; the CPU has none, it is chosen as `cpu`.
    pub index: Option<usize>,
    /// The adapter's name; for the CPU its cores.
    pub name: String,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Vulkan, Metal, DX12; for the CPU the instruction set that will be used.
    pub backend: String,
    /// Driver and its version; empty for the CPU.
    pub driver: String,
    /// PCI bus id, where the driver tells.
    pub pci: Option<String>,
    /// Whether it computes in f64, too.
    pub f64: bool,
    /// What the adapter grants; None for the CPU, which has no such limits.
    pub limits: Option<GpuLimits>,
    /// None where it is usable, else why it is refused.
    pub refused: Option<String>,
}

/// All devices there are, the CPU first; each GPU is opened and put through the self-test.
pub fn list() -> Vec<DeviceEntry> {
    let mut entries = vec![cpu_entry()];
    for (index, adapter) in adapters().iter().enumerate() {
        let info = adapter.get_info();
        let opened = Gpu::from_adapter(adapter, &OpenOptions::default());
        let f64 = opened.as_ref().is_ok_and(|gpu| gpu.with_f64().is_ok());
        let refused = opened.err().map(|error| match error {
            GpuError::Refused { reason, .. } => reason,
            other => other.to_string(),
        });
        entries.push(DeviceEntry {
            index: Some(index),
            kind: DeviceKind::of(&info),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            pci: Some(info.device_pci_bus_id).filter(|id| !id.is_empty()),
            name: info.name,
            f64,
            limits: Some(GpuLimits::of(&adapter.limits())),
            refused,
        });
    }
    entries
}

fn cpu_entry() -> DeviceEntry {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    DeviceEntry {
        index: None,
        name: format!("{cores} core{}", if cores == 1 { "" } else { "s" }),
        kind: DeviceKind::Cpu,
        backend: instruction_set().to_string(),
        driver: String::new(),
        pci: None,
        f64: true,
        limits: None,
        refused: None,
    }
}

/// The widest vector instructions this CPU has, of those that matter here.
pub(crate) fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            "AVX2 + FMA"
        } else {
            "SSE2"
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        std::env::consts::ARCH
    }
}

/// A device, opened.
#[derive(Clone, Debug)]
pub enum Device {
    /// The CPU, in f64.
    Cpu,
    /// A GPU that has passed the self-test.
    Gpu(Gpu),
}

impl Device {
    /// Opens the device that `choice` names. `Auto` passes over a GPU that fails the self-test, with a warning.
    ///
    /// # Errors
    /// [`GpuError::NoSuchDevice`] where nothing matches, [`GpuError::Refused`] where the device computes wrongly.
    pub fn open(choice: &DeviceChoice, options: &OpenOptions) -> Result<Self, GpuError> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::Cpu),
            DeviceChoice::Auto => Ok(open_auto(options)),
            _ => {
                let adapters = adapters();
                let adapter = adapters
                    .iter()
                    .enumerate()
                    .find(|(index, adapter)| matches(choice, *index, &adapter.get_info()))
                    .map(|(_, adapter)| adapter)
                    .ok_or_else(|| GpuError::NoSuchDevice { asked: choice.to_string(), known: known(&adapters) })?;
                Gpu::from_adapter(adapter, options).map(Self::Gpu)
            }
        }
    }
}

fn open_auto(options: &OpenOptions) -> Device {
    let mut ranked: Vec<(u8, wgpu::Adapter)> = adapters()
        .into_iter()
        .filter_map(|adapter| Some((DeviceKind::of(&adapter.get_info()).auto_rank()?, adapter)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    for (_, adapter) in &ranked {
        match Gpu::from_adapter(adapter, options) {
            Ok(gpu) => return Device::Gpu(gpu),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    Device::Cpu
}

fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    // Validation layers are a developer's tool: slow, and absent from most machines.
    descriptor.flags = wgpu::InstanceFlags::empty();
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::PRIMARY))
}

fn matches(choice: &DeviceChoice, index: usize, info: &wgpu::AdapterInfo) -> bool {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => false,
        DeviceChoice::Index(wanted) => *wanted == index,
        DeviceChoice::Pci(wanted) => parse_pci(&info.device_pci_bus_id.to_lowercase()) == Some(*wanted),
        DeviceChoice::Name(part) => {
            format!("{} {}", info.name, info.driver).to_lowercase().contains(&part.to_lowercase())
        }
    }
}

/// An adapter's name, its interface, its driver and that one's version.
pub(super) fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{}, {} {} {}", info.name, info.backend, info.driver, info.driver_info).trim_end().into()
}

fn known(adapters: &[wgpu::Adapter]) -> String {
    let mut names = vec!["cpu".to_string()];
    names.extend(named(adapters, |_| true));
    names.join(", ")
}

/// Index and name of those adapters that `serves` holds for.
fn named(adapters: &[wgpu::Adapter], serves: impl Fn(&wgpu::Adapter) -> bool) -> Vec<String> {
    let all = adapters.iter().enumerate().filter(|(_, adapter)| serves(adapter));
    all.map(|(index, adapter)| format!("{index} = {}", adapter.get_info().name)).collect()
}

/// The advice which device to take for f64.
pub(super) fn devices_with_f64() -> String {
    let found = named(&adapters(), |adapter| adapter.features().contains(wgpu::Features::SHADER_F64));
    if found.is_empty() {
        "no other here has it".to_string()
    } else {
        format!("of those here {} has it", found.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> DeviceChoice {
        words.parse().unwrap()
    }

    #[test]
    fn words_of_a_choice_are_told_apart() {
        assert_eq!(parsed("AUTO"), DeviceChoice::Auto);
        assert_eq!(parsed(" cpu "), DeviceChoice::Cpu);
        assert_eq!(parsed("2"), DeviceChoice::Index(2));
        assert_eq!(parsed("A100"), DeviceChoice::Name("A100".to_string()));
        assert_eq!(parsed("Radeon RX 7.1"), DeviceChoice::Name("Radeon RX 7.1".to_string()));
    }

    #[test]
    fn every_spelling_of_a_pci_address_means_the_same_device() {
        let wanted = DeviceChoice::Pci([0, 0x3b, 0, 0]);
        for words in ["0000:3b:00.0", "3B:00.0", "00000000:3B:00.0"] {
            assert_eq!(parsed(words), wanted);
        }
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, wgpu::Backend::Vulkan);
        info.device_pci_bus_id = "0000:3b:00.0".to_string();
        assert!(matches(&wanted, 7, &info));
        assert!(!matches(&parsed("3b:00.1"), 7, &info));
    }

    #[test]
    fn processes_take_turns_among_gpus_by_bus_id_each_gpu_once() {
        let gpu = |kind, pci: &str, name: &str| {
            let mut info = wgpu::AdapterInfo::new(kind, wgpu::Backend::Vulkan);
            (info.device_pci_bus_id, info.name) = (pci.to_string(), name.to_string());
            info
        };
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu};
        let infos = [
            gpu(Cpu, "", "llvmpipe"),
            gpu(DiscreteGpu, "0000:c1:00.0", "A100"),
            gpu(IntegratedGpu, "0000:00:02.0", "UHD"),
            gpu(DiscreteGpu, "0000:03:00.0", "A100"),
            gpu(DiscreteGpu, "0000:03:00.0", "A100 by another driver"),
        ];
        let turns = |choice: &str| [0, 1, 2].map(|index| take_turns(&parsed(choice), &infos, index));
        assert_eq!(turns("auto"), [Some(3), Some(1), Some(3)]);
        assert_eq!(turns("a100"), [Some(3), Some(1), Some(3)]);
        assert_eq!(turns("llvmpipe"), [Some(0); 3]);
        assert_eq!(turns("uhd"), [Some(2); 3]);
        assert_eq!(turns("no such"), [None; 3]);
        assert_eq!(take_turns(&DeviceChoice::Auto, &infos[..1], 0), None, "the CPU");
    }

    #[test]
    fn software_is_known_by_name_even_where_the_driver_claims_otherwise() {
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::IntegratedGpu, wgpu::Backend::Vulkan);
        info.name = "llvmpipe (LLVM 15.0.6, 256 bits)".to_string();
        assert_eq!(DeviceKind::of(&info).auto_rank(), None);
    }

    #[test]
    fn the_cpu_is_always_listed_and_usable() {
        let cpu = cpu_entry();
        assert_eq!((cpu.kind, cpu.refused.is_none()), (DeviceKind::Cpu, true));
        assert!(!cpu.name.is_empty() && !cpu.backend.is_empty());
    }
}
