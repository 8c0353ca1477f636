//! The machine: room on its disks, load, memory, and whether a file is kept fresh.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use nix::sys::statvfs::statvfs;

use super::Finding;

fn judge(well: bool, found: String) -> Finding {
    if well { Ok(found) } else { Err(found) }
}

/// The file system of this folder has this many bytes left for programs without privilege.
pub(super) fn disk(folder: &Path, least: u64) -> Finding {
    let free = statvfs(folder).map_err(|error| format!("{} cannot be looked at: {error}", folder.display()))?;
    let free = free.blocks_available().saturating_mul(free.fragment_size());
    judge(free >= least, format!("{} MiB free, {} needed", free >> 20, least >> 20))
}

/// The load of the last minute is at most this.
pub(super) fn load(most: f64) -> Finding {
    let text = fs::read_to_string("/proc/loadavg").map_err(|error| format!("no /proc/loadavg: {error}"))?;
    let load: f64 = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| "/proc/loadavg has no number".to_owned())?;
    judge(load <= most, format!("load {load}, at most {most}"))
}

/// This many bytes of memory are available.
pub(super) fn memory(least: u64) -> Finding {
    let text = fs::read_to_string("/proc/meminfo").map_err(|error| format!("no /proc/meminfo: {error}"))?;
    let available: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| "/proc/meminfo does not say what is available".to_owned())?;
    let available = available << 10;
    judge(available >= least, format!("{} MiB available, {} needed", available >> 20, least >> 20))
}

/// The file was changed within this time. A time in the future counts as now.
pub(super) fn file_age(file: &Path, oldest: Duration) -> Finding {
    let changed = fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .map_err(|error| format!("{} cannot be looked at: {error}", file.display()))?;
    let age = SystemTime::now().duration_since(changed).unwrap_or_default();
    let shown = |duration: Duration| humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    judge(age <= oldest, format!("changed {} ago, at most {}", shown(age), shown(oldest)))
}
