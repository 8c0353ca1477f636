//! Numbers and where they were measured.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

pub(crate) fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn cpu() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let line = info.lines().find(|line| line.starts_with("model name")).context("no processor in /proc/cpuinfo")?;
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    Ok(format!("{count} x {}", line.split_once(": ").map_or("?", |(_, name)| name)))
}

pub(crate) fn kernel_release() -> Result<String> {
    Ok(format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()))
}

/// The most memory that this process has had, in bytes.
pub(crate) fn peak_memory() -> Result<u64> {
    memory_of(std::process::id())
}

/// The same of another process.
pub(crate) fn memory_of(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in its status")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}
