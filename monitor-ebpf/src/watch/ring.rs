//! The rings in which attempts wait for their deadline: one per CPU, in order of arrival, which is the order of expiry as
//! all attempts have the same time-out.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use monitor_common::{Attempt, Counter, Settings};

use crate::state::{
    atomic, count,
    maps::{RB_CURSORS, RB_DEADLINES},
};

/// Puts an attempt at the end of this CPU's ring. Returns whether there was room.
#[inline(always)]
pub(crate) fn enter(attempt: &Attempt, settings: &Settings) -> bool {
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(cursor) = RB_CURSORS.get_ptr_mut(cpu) else { return false };
    // SAFETY: a live map value. `tail` is only moved here, on this CPU; `head` is read whole.
    let (head, tail) = unsafe { ((&raw const (*cursor).head).read_volatile(), (*cursor).tail) };
    let place = (tail as u32) & settings.deadline_mask;
    if tail.wrapping_sub(head) > u64::from(settings.deadline_mask) {
        count(Counter::DeadlinesFull);
        return false;
    }
    let base = cpu * (settings.deadline_mask + 1);
    let Some(entry) = RB_DEADLINES.get_ptr_mut(base + place) else { return false };
    // SAFETY: the timer does not look at this entry before `tail` says so.
    unsafe {
        *entry = *attempt;
        atomic::publish_next(&raw mut (*cursor).tail);
    }
    true
}
