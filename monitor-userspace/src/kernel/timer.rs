//! The programs' timer: it says when a server was silent for too long. It runs in the kernel, daemon or not.

use std::time::Duration;

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use monitor_common::map;
use monitor_core::domain::MonotonicNs;

use super::error::KernelError;
use crate::clock::Now as _;

/// It runs a hundred times a second; what is later than this has stopped.
const LATE: Duration = Duration::from_secs(1);

/// Whether it runs.
pub(super) fn runs(ebpf: &Ebpf) -> Result<bool, KernelError> {
    let map = ebpf.map(map::TIMER).ok_or(KernelError::MapMissing(map::TIMER))?;
    // The kernel's own 16 bytes, which it shows as zeros, and the time of the last run.
    let timer: Array<&MapData, [u64; 3]> = map.try_into().map_err(|source| KernelError::map(map::TIMER, source))?;
    let [_, _, ran_ns] = timer.get(&0, 0).map_err(|source| KernelError::map(map::TIMER, source))?;
    Ok(MonotonicNs(ran_ns) + LATE > MonotonicNs::now())
}
