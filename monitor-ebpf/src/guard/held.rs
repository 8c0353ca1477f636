//! SYNs that wait for the daemon.

use monitor_common::{Flow, GuardCounts};

use crate::state::{atomic, maps::RB_HELD};

/// The SYN is no longer held: counted off once.
#[inline(always)]
pub(super) fn forget(flow: &Flow, counts: &mut GuardCounts) {
    if RB_HELD.remove(flow).is_ok() {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.held, u64::MAX) };
    }
}
