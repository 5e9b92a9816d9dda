//! Adapters: what wgpu finds on this machine, their kinds and descriptions.

use std::fmt;

/// The kind of a device.
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
    /// A GPU emulated on the CPU: lavapipe, SwiftShader, WARP.
    Software,
    /// A GPU whose driver reports no kind.
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
    /// Returns the kind of a wgpu adapter. Software is recognised by name too, as not every driver reports it.
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

    /// Whether it is a GPU of silicon, or may be one.
    pub(crate) fn is_hardware(self) -> bool {
        !matches!(self, Self::Cpu | Self::Software)
    }

    /// Returns the order in which `auto` tries GPUs; None for kinds that it never takes.
    pub(super) fn auto_rank(self) -> Option<u8> {
        match self {
            Self::Discrete => Some(0),
            Self::Integrated => Some(1),
            Self::Virtual => Some(2),
            Self::Cpu | Self::Software | Self::Unknown => None,
        }
    }
}

/// Returns the adapters of this machine.
pub(super) fn adapters() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    // Validation layers are slow and absent from most machines.
    descriptor.flags = wgpu::InstanceFlags::empty();
    pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::PRIMARY))
}

/// Returns an adapter's name, graphics interface, driver and driver version.
pub(super) fn describe(info: &wgpu::AdapterInfo) -> String {
    format!("{}, {} {} {}", info.name, info.backend, info.driver, info.driver_info).trim_end().into()
}

/// Lists index and name of the adapters that `serves` holds for.
pub(super) fn named(adapters: &[wgpu::Adapter], serves: impl Fn(&wgpu::Adapter) -> bool) -> Vec<String> {
    let all = adapters.iter().enumerate().filter(|(_, adapter)| serves(adapter));
    all.map(|(index, adapter)| format!("{index} = {}", adapter.get_info().name)).collect()
}

/// Returns the advice which device to take for f64.
pub(super) fn devices_with_f64() -> String {
    let found = named(&adapters(), |adapter| adapter.features().contains(wgpu::Features::SHADER_F64));
    if found.is_empty() {
        "no other here has it".to_string()
    } else {
        format!("of those here {} has it", found.join(", "))
    }
}

/// Returns the widest vector instructions of this CPU that the stages use.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_is_known_by_name_even_where_the_driver_claims_otherwise() {
        let mut info = wgpu::AdapterInfo::new(wgpu::DeviceType::IntegratedGpu, wgpu::Backend::Vulkan);
        info.name = "llvmpipe (LLVM 15.0.6, 256 bits)".to_string();
        assert_eq!(DeviceKind::of(&info).auto_rank(), None);
    }
}
