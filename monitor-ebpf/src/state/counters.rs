//! Counting, per CPU and without atomics.

use monitor_common::Counter;

use super::maps::RB_COUNTERS;

/// Counts one.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(value) = RB_COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: a per-CPU value, and these programs do not interrupt each other on one CPU.
        unsafe { *value += 1 };
    }
}
