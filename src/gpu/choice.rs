//! Adapter selection: the choices of a device, and which adapter each one selects.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::adapter::{DeviceKind, adapters, describe};

/// Adapter selection, by text `auto`, `cpu`, an index, a part of a name or a PCI bus id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A discrete GPU, else an integrated or virtual one, else the CPU; never a software GPU.
    #[default]
    Auto,
    /// The CPU, in f64.
    Cpu,
    /// The GPU of that index in [`super::list`].
    Index(usize),
    /// The first GPU whose name or driver contains this, in any case.
    Name(String),
    /// The GPU at this PCI address: domain, bus, device, function.
    Pci([u32; 4]),
}

impl FromStr for DeviceChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = text.trim();
        Ok(match text.to_lowercase().as_str() {
            "" | "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            lower => match (lower.parse(), parse_pci(lower)) {
                (Ok(index), _) => Self::Index(index),
                (_, Some(address)) => Self::Pci(address),
                _ => Self::Name(text.to_string()),
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

/// Reads `3b:00.0`, `0000:3b:00.0` or `00000000:3B:00.0`, the last as nvidia-smi writes it.
fn parse_pci(text: &str) -> Option<[u32; 4]> {
    let (path, function) = text.split_once('.')?;
    let parts: Vec<&str> = path.split(':').collect();
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    match parts[..] {
        [bus, device] => Some([0, hex(bus)?, hex(device)?, hex(function)?]),
        [domain, bus, device] => Some([hex(domain)?, hex(bus)?, hex(device)?, hex(function)?]),
        _ => None,
    }
}

impl DeviceChoice {
    /// Returns the device of this machine that matches a frame's card SPXDEV: the same description, else the same name.
    /// None if no device matches.
    pub fn recorded(description: &str) -> Option<Self> {
        if description.starts_with("CPU f64") {
            return Some(Self::Cpu);
        }
        let infos: Vec<wgpu::AdapterInfo> = adapters().iter().map(wgpu::Adapter::get_info).collect();
        let is = |whole: &dyn Fn(&wgpu::AdapterInfo) -> String| {
            infos.iter().position(|info| description.starts_with(&whole(info)))
        };
        is(&describe).or_else(|| is(&|info| format!("{},", info.name))).map(Self::Index)
    }

    /// Returns the device for one of several processes of a machine. Processes take turns among all GPUs that `auto` or a
    /// name fits, in the order of their PCI bus ids. Any other choice is one device, which all share.
    pub fn for_process(&self, index: usize) -> Self {
        match self {
            Self::Auto | Self::Name(_) => {
                let infos: Vec<wgpu::AdapterInfo> = adapters().iter().map(wgpu::Adapter::get_info).collect();
                take_turns(self, &infos, &visible(&infos), index).map_or_else(|| self.clone(), Self::Index)
            }
            other => other.clone(),
        }
    }

    /// Whether it selects the adapter of that index. `Auto` and `Cpu` select none by themselves.
    pub(super) fn selects(&self, index: usize, info: &wgpu::AdapterInfo) -> bool {
        match self {
            Self::Auto | Self::Cpu => false,
            Self::Index(wanted) => *wanted == index,
            Self::Pci(wanted) => parse_pci(&info.device_pci_bus_id.to_lowercase()) == Some(*wanted),
            Self::Name(part) => format!("{} {}", info.name, info.driver).to_lowercase().contains(&part.to_lowercase()),
        }
    }
}

/// Numbers of GPUs that a launcher or a user leaves to this process, in CUDA's count; the first that is set counts.
const VISIBLE: [&str; 3] = ["CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS"];

/// Vendor number of NVIDIA.
const NVIDIA: u32 = 0x10de;

/// Returns whether each adapter is left to this process: Vulkan shows all GPUs, whatever CUDA may use.
pub(super) fn visible(infos: &[wgpu::AdapterInfo]) -> Vec<bool> {
    let numbers = VISIBLE.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()));
    visible_of(infos, numbers.as_deref())
}

/// Returns whether each adapter is among those that `numbers` counts in the order of PCI bus ids. Names of other forms, and numbers
/// beyond the GPUs that are there, hide none.
fn visible_of(infos: &[wgpu::AdapterInfo], numbers: Option<&str>) -> Vec<bool> {
    let all = vec![true; infos.len()];
    let numbers = numbers.map(|numbers| numbers.split(',').map(|number| number.trim().parse::<usize>()).collect());
    let Some(Ok(numbers)): Option<Result<Vec<usize>, _>> = numbers else { return all };
    let place = |info: &wgpu::AdapterInfo| parse_pci(&info.device_pci_bus_id.to_lowercase());
    let is_cuda = |info: &&wgpu::AdapterInfo| info.vendor == NVIDIA && place(info).is_some();
    let mut places: Vec<[u32; 4]> = infos.iter().filter(is_cuda).filter_map(place).collect();
    places.sort_unstable();
    places.dedup();
    let Some(wanted) = numbers.iter().map(|&k| places.get(k)).collect::<Option<Vec<_>>>() else { return all };
    infos.iter().map(|info| !is_cuda(&info) || place(info).is_some_and(|place| wanted.contains(&&place))).collect()
}

/// Returns the adapter for process `index`: of those that fit `choice` the best kind, each GPU once.
fn take_turns(choice: &DeviceChoice, infos: &[wgpu::AdapterInfo], visible: &[bool], index: usize) -> Option<usize> {
    let fits = |i: &usize| match choice {
        DeviceChoice::Auto => visible[*i] && DeviceKind::of(&infos[*i]).auto_rank().is_some(),
        _ => choice.selects(*i, &infos[*i]),
    };
    // A software GPU comes last, and only if it was named.
    let rank = |i: &usize| DeviceKind::of(&infos[*i]).auto_rank().unwrap_or(u8::MAX);
    let all: Vec<usize> = (0..infos.len()).filter(fits).collect();
    let best = all.iter().map(rank).min()?;
    let mut turns: Vec<usize> = all.into_iter().filter(|i| rank(i) == best).collect();
    turns.sort_by_key(|&i| parse_pci(&infos[i].device_pci_bus_id.to_lowercase()));
    // Two drivers may show one GPU.
    turns.dedup_by_key(|i| parse_pci(&infos[*i].device_pci_bus_id.to_lowercase()).ok_or(*i));
    Some(turns[index % turns.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DeviceChoice {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_of_a_choice_is_recognised() {
        assert_eq!(parsed("AUTO"), DeviceChoice::Auto);
        assert_eq!(parsed(" cpu "), DeviceChoice::Cpu);
        assert_eq!(parsed("2"), DeviceChoice::Index(2));
        assert_eq!(parsed("A100"), DeviceChoice::Name("A100".to_string()));
        assert_eq!(parsed("Radeon RX 7.1"), DeviceChoice::Name("Radeon RX 7.1".to_string()));
    }

    #[test]
    fn every_spelling_of_a_pci_address_means_the_same_device() {
        let wanted = DeviceChoice::Pci([0, 0x3b, 0, 0]);
        for text in ["0000:3b:00.0", "3B:00.0", "00000000:3B:00.0"] {
            assert_eq!(parsed(text), wanted);
        }
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, wgpu::Backend::Vulkan);
        info.device_pci_bus_id = "0000:3b:00.0".to_string();
        assert!(wanted.selects(7, &info));
        assert!(!parsed("3b:00.1").selects(7, &info));
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
        let turns = |choice: &str| [0, 1, 2].map(|index| take_turns(&parsed(choice), &infos, &[true; 5], index));
        assert_eq!(turns("auto"), [Some(3), Some(1), Some(3)]);
        assert_eq!(turns("a100"), [Some(3), Some(1), Some(3)]);
        assert_eq!(turns("llvmpipe"), [Some(0); 3]);
        assert_eq!(turns("uhd"), [Some(2); 3]);
        assert_eq!(turns("no such"), [None; 3]);
        assert_eq!(take_turns(&DeviceChoice::Auto, &infos[..1], &[true], 0), None, "the CPU");
        let left = [true, true, true, false, false];
        assert_eq!(take_turns(&DeviceChoice::Auto, &infos, &left, 1), Some(1), "the only one left");
        assert_eq!(take_turns(&parsed("another"), &infos, &left, 0), Some(4), "a name means what it says");
    }

    #[test]
    fn gpus_that_cuda_does_not_show_are_hidden_by_their_place_and_other_devices_are_not() {
        let gpu = |vendor, pci: &str| {
            let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, wgpu::Backend::Vulkan);
            (info.vendor, info.device_pci_bus_id) = (vendor, pci.to_string());
            info
        };
        let infos = [gpu(NVIDIA, "0000:c1:00.0"), gpu(NVIDIA, "0000:03:00.0"), gpu(0x1002, "0000:05:00.0")];
        let shown = |numbers: Option<&str>| visible_of(&infos, numbers);
        assert_eq!(shown(Some("0")), [false, true, true]);
        assert_eq!(shown(Some(" 1 ")), [true, false, true]);
        for all in [None, Some("0,1"), Some("4"), Some("GPU-5c1f"), Some("")] {
            assert_eq!(shown(all), [true; 3], "{all:?}");
        }
    }
}
