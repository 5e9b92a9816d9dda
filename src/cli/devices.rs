//! `spextral devices`: the devices of this machine.

use super::json::{Json, object, print_object};
use super::output::{Outcome, print};
use serde_json::{Value, json};
use spextral::gpu::{self, DeviceEntry};
use std::process::ExitCode;

/// Arguments of `spextral devices`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`--device` takes the index or `cpu` of the first column, a part of a name, or a PCI bus id. `--device auto` takes a
discrete GPU, else an integrated one, else the CPU. It never takes a software GPU; name it.

Examples:
  spextral devices
  spextral devices --json | jq '.devices[].name'")]
pub struct Arguments {
    #[command(flatten)]
    pub json: Json,
}

const NO_GPU: &str = if cfg!(target_os = "linux") {
    "no GPU: Vulkan shows none. Where there is one, install the Vulkan loader (Debian and Ubuntu: libvulkan1, Fedora:
vulkan-loader) and its driver: for AMD and Intel Mesa's (mesa-vulkan-drivers), for NVIDIA its own, 525 or later. In a
container the driver's Vulkan part must be there, too: NVIDIA_DRIVER_CAPABILITIES=all, or apptainer's --nv. `vulkaninfo
--summary` (vulkan-tools) shows what Vulkan sees."
} else if cfg!(target_os = "macos") {
    "no GPU: Metal shows none"
} else {
    "no GPU: neither DX12 nor Vulkan shows one; install the driver of its maker"
};

/// Prints one paragraph per device.
///
/// # Errors
/// An [`std::io::Error`] if the standard output cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let entries = gpu::list();
    if args.json.is_wanted() {
        let devices: Vec<Value> = entries.iter().map(device).collect();
        print_object("devices", object(json!({ "devices": devices })))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&entries.iter().map(paragraph).collect::<Vec<_>>().join("\n"))?;
    if entries.len() == 1 {
        print(NO_GPU)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn paragraph(entry: &DeviceEntry) -> String {
    let index = entry.index.map_or_else(|| "cpu".to_string(), |index| index.to_string());
    let mut lines = vec![format!("{index:>4}  {}: {}, {}", entry.kind, entry.name, entry.backend)];
    if !entry.driver.is_empty() {
        lines.push(format!("driver {}", entry.driver));
    }
    if let Some(pci) = &entry.pci {
        lines.push(format!("PCI bus id {pci}"));
    }
    if let Some(limits) = &entry.limits {
        lines.push(format!(
            "limits: binding {} MiB, workgroup memory {} KiB, {} invocations per workgroup",
            limits.binding_bytes >> 20,
            limits.workgroup_bytes >> 10,
            limits.invocations
        ));
    }
    lines.push(match (entry.index, entry.f64) {
        (None, _) => "computes in f64".to_string(),
        (_, true) => "computes in f32 and f64".to_string(),
        (_, false) => "computes in f32; no f64".to_string(),
    });
    if let Some(reason) = &entry.refused {
        lines.push(format!("refused: {reason}"));
    }
    lines.join("\n      ")
}

fn device(entry: &DeviceEntry) -> Value {
    let limits = entry.limits.as_ref().map(|limits| {
        json!({
            "binding_bytes": limits.binding_bytes,
            "workgroup_bytes": limits.workgroup_bytes,
            "workgroup_invocations": limits.invocations,
        })
    });
    json!({
        "index": entry.index, "name": entry.name, "kind": entry.kind.to_string(), "interface": entry.backend,
        "driver": Some(&entry.driver).filter(|driver| !driver.is_empty()), "pci": entry.pci, "limits": limits,
        "usable": entry.refused.is_none(), "refused": entry.refused,
    })
}
