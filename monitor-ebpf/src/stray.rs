//! Answers whose SYN was not seen here: where gateways share traffic, another one may have seen it, and asks.
//!
//! In: a SYN/ACK that matches no attempt. Out: a note of the attempt that it answers, for the daemon to look up.

use monitor_common::{Attempt, Settings, SlotState, SlotWord, stray_place};

use crate::maps::RB_STRAYS;

/// Set when the object is loaded: whether there are other gateways.
#[unsafe(no_mangle)]
static STRAYS: u32 = 0;

/// Notes it, if anybody may ask. What is older than some ten thousand other such answers is forgotten.
#[inline(always)]
pub(crate) fn keep(attempt: &Attempt, settings: &Settings) {
    // SAFETY: read-only data of the object, known to the verifier: while off, the rest is removed.
    if unsafe { (&raw const STRAYS).read_volatile() } == 0 {
        return;
    }
    if let Some(place) = RB_STRAYS.get_ptr_mut(stray_place(attempt.hash, settings.deadline_mask)) {
        // SAFETY: a live map value, written whole. Of two at once, either may stay.
        unsafe { place.write_volatile(SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending).0) };
    }
}
