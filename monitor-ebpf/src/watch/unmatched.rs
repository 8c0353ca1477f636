//! Unmatched SYN/ACKs: answers whose SYN was not seen here. Where gateways share traffic, another one may have seen the
//! SYN, and asks.
//!
//! In: a SYN/ACK that matches no attempt. Out: a note of the attempt that it answers, for the daemon to look up.

use monitor_common::{Attempt, Settings, SlotState, SlotWord, unmatched_place};

use crate::state::maps::RB_UNMATCHED;

/// Set when the object is loaded: whether there are other gateways.
#[unsafe(no_mangle)]
static UNMATCHED: u32 = 0;

/// Notes it, if there are other gateways. A newer one takes the place of an older one; some ten thousand are
/// remembered.
#[inline(always)]
pub(crate) fn keep(attempt: &Attempt, settings: &Settings) {
    // SAFETY: read-only data of the object, known to the verifier: while off, the rest is removed.
    if unsafe { (&raw const UNMATCHED).read_volatile() } == 0 {
        return;
    }
    if let Some(place) = RB_UNMATCHED.get_ptr_mut(unmatched_place(attempt.hash, settings.deadline_mask)) {
        // SAFETY: a live map value, written whole. Of two at once, either may stay.
        unsafe { place.write_volatile(SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending).0) };
    }
}
