//! Reports to the daemon: room in the ring buffer first, then the claim on the attempt, then the event. A report that finds no
//! room is counted, and its attempt stays as it was, so that the timer reports it when there is room.

use aya_ebpf::btf_maps::lpm_trie::Key;
use monitor_common::{
    Addr, Attempt, Counter, EventKind, Evidence, ServiceFlags, ServiceKey, ServiceState, SilentSpan, SlotState,
};

use super::bucket::Found;
use crate::state::{
    count,
    maps::{RB_EVENTS, RB_SERVICES, RB_WATCH},
};

/// Whether a report found room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Yes,
    Full,
}

/// What is said of an attempt, besides whose it is and when its SYN was first seen. The fields here are ordered so that what
/// the compiler stores at once is aligned: the verifier demands it on the stack.
#[repr(C)]
pub(crate) struct Word {
    /// When its SYN was last seen.
    pub(crate) latest_ns: u64,
    /// When it happened.
    pub(crate) at_ns: u64,
    pub(crate) kind: EventKind,
    pub(crate) evidence: Evidence,
    pub(crate) attempts: u32,
    /// Why its service may have an outage.
    pub(crate) standing: u32,
}

/// Says it, and turns the attempt's slot to `to`, unless somebody else was faster.
#[inline(never)]
pub(crate) fn claim(attempt: &Attempt, word: &Word, found: &mut Found, to: SlotState) -> Room {
    let Some(mut entry) = RB_EVENTS.reserve(0) else {
        count(Counter::RingFull);
        return Room::Full;
    };
    if !found.turn(to) {
        entry.discard(0);
        return Room::Yes;
    }
    fill(entry.as_mut_ptr(), attempt, word);
    entry.submit(0);
    count(Counter::Events);
    Room::Yes
}

/// Says what needs no claim on an attempt.
#[inline(never)]
pub(crate) fn plain(attempt: &Attempt, word: &Word) -> Room {
    let Some(mut entry) = RB_EVENTS.reserve(0) else {
        count(Counter::RingFull);
        return Room::Full;
    };
    fill(entry.as_mut_ptr(), attempt, word);
    entry.submit(0);
    count(Counter::Events);
    Room::Yes
}

/// Writes the event field by field, so that no copy of it stands on the small stack.
#[inline(always)]
fn fill(event: *mut monitor_common::Event, attempt: &Attempt, word: &Word) {
    let service = RB_SERVICES.get_ptr(&ServiceKey::new(attempt.server, attempt.server_port));
    // SAFETY: a live map value, each field of which is read whole.
    let silence = service.map_or_else(SilentSpan::default, |service| unsafe { (*service).silence_at(attempt.seen_ns) });
    // SAFETY: `event` is reserved for this report; `service` is a live map value, each field of which is read whole.
    unsafe {
        (*event).kind = word.kind;
        (*event).evidence = word.evidence;
        (*event).client = attempt.client;
        (*event).server = attempt.server;
        (*event).seen_ns = attempt.seen_ns;
        (*event).latest_ns = word.latest_ns;
        (*event).at_ns = word.at_ns;
        (*event).client_port = attempt.client_port;
        (*event).server_port = attempt.server_port;
        (*event).attempts = word.attempts;
        (*event).standing = word.standing;
        (*event).ifindex = attempt.arrival.ifindex();
        (*event).seq = attempt.seq;
        (*event).answered_syn_ns = service.map_or(0, |service| (*service).answered_syn_ns);
        (*event).silent_from_ns = silence.from_ns;
        (*event).silent_to_ns = silence.to_ns;
        (*event).answers = service.map_or(0, |service| (*service).answers);
    }
}

/// The state of the attempt's service, if it is in the table.
#[inline(always)]
pub(crate) fn service(attempt: &Attempt) -> Option<*mut ServiceState> {
    RB_SERVICES.get_ptr_mut(&ServiceKey::new(attempt.server, attempt.server_port))
}

/// Why the attempt's service may have an outage: [`ServiceFlags`].
#[inline(always)]
pub(crate) fn standing(attempt: &Attempt, service: Option<*mut ServiceState>) -> u32 {
    if let Some(service) = service {
        // SAFETY: a live map value; read whole.
        return unsafe { (*service).flags };
    }
    let listed =
        RB_WATCH.get(&Key::new(Addr::BITS, attempt.server)).is_some_and(|rule| rule.lists(attempt.server_port));
    if listed { ServiceFlags::LISTED } else { 0 }
}
