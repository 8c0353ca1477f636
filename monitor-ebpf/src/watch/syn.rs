//! A SYN: remember the attempt and its deadline; at once report one to a failed service (F-3, F-4).

use aya_ebpf::{btf_maps::lpm_trie::Key, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{
    Addr, Attempt, Counter, EventKind, Evidence, LATE_ANSWER_NS, ServiceFlags, ServiceKey, Settings, SlotState,
};

use super::{
    bucket::{self, Found, Remembered},
    report::{self, Room, Word},
    ring,
};
use crate::state::{
    count,
    maps::{RB_SERVICES, RB_SETTINGS, RB_WATCH},
};

/// Set when the object is loaded: whether this host's own attempts count (F-9d).
#[unsafe(no_mangle)]
static OWN: u32 = 0;

/// Known to the verifier when it checks the program.
#[inline(always)]
pub(crate) fn own_counts() -> bool {
    // SAFETY: read-only data of the object.
    unsafe { (&raw const OWN).read_volatile() != 0 }
}

/// What is known of the service that a SYN asks for.
struct Wanted {
    standing: u32,
    /// Whether it is marked failed.
    failed: bool,
}

/// Takes a SYN that arrived, or one of this host's own. Returns 1 when its service is failed, else 0.
///
/// A global function in BPF's sense: the verifier checks it once, by itself, and not again for each way that leads here.
/// What it is given may therefore be null, as far as the verifier knows.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_syn(attempt: *mut Attempt) -> u32 {
    // SAFETY: the caller's attempt, on its stack.
    u32::from(unsafe { attempt.as_mut() }.is_some_and(seen))
}

/// Whether the service is failed.
#[inline(always)]
fn seen(attempt: &mut Attempt) -> bool {
    let Some(wanted) = wanted(attempt) else { return false };
    remember(attempt, &wanted);
    wanted.failed
}

#[inline(always)]
fn remember(attempt: &mut Attempt, wanted: &Wanted) {
    let Some(settings) = RB_SETTINGS.get(0) else { return };
    // SAFETY: no arguments.
    attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    attempt.hash = bucket::hash(attempt, settings);
    let Some(remembered) = bucket::remember(attempt, settings) else { return };
    match remembered {
        Remembered::New(mut found) => {
            let has_deadline = ring::enter(attempt, settings);
            if has_deadline || wanted.failed {
                count(Counter::Attempts);
            }
            if wanted.failed {
                // Without a deadline its fate would never be said: then this is it.
                let next = if has_deadline { SlotState::Hinted } else { SlotState::Said };
                hint(attempt, wanted, &mut found, next);
            } else if !has_deadline {
                found.take();
            }
        }
        Remembered::Again(mut found) => {
            count(Counter::Retransmits);
            again(attempt, wanted, &mut found, settings);
        }
    }
}

/// The SYN of an attempt is repeated.
#[inline(always)]
fn again(attempt: &mut Attempt, wanted: &Wanted, found: &mut Found, settings: &Settings) {
    if found.was.is_unsaid_answer() {
        // Beside it is when it was answered.
        return;
    }
    let before = found.time();
    if found.was.is_answered() {
        // A SYN that crosses its answer says nothing. A later one says that the answer has not reached its client: it goes
        // on, and is judged again.
        if attempt.seen_ns.saturating_sub(before.latest_ns(attempt.seen_ns)) < LATE_ANSWER_NS
            || !ring::enter(attempt, settings)
            || !found.turn(SlotState::Reopened)
        {
            return;
        }
    }
    found.seen_again(attempt.seen_ns);
    let is_reported = found.was.is_said() || found.was.is(SlotState::Hinted);
    if is_reported || (wanted.failed && found.was.is_pending()) {
        hint(attempt, wanted, found, SlotState::Hinted);
    }
}

/// Says that the attempt is made, or goes on: its service is failed, or was when this was said first (F-4).
#[inline(never)]
fn hint(attempt: &mut Attempt, wanted: &Wanted, found: &mut Found, next: SlotState) {
    let now = attempt.seen_ns;
    attempt.seen_ns = found.time().first_ns(now);
    let word = Word {
        latest_ns: now,
        at_ns: now,
        kind: EventKind::Failed,
        evidence: Evidence::KnownFailed,
        attempts: u32::from(next.is_fate()),
        standing: wanted.standing,
    };
    if found.was.is_pending() {
        report::claim(attempt, &word, found, next);
    } else if report::plain(attempt, &word) == Room::Full {
        count(Counter::ReportsLost);
    }
}

/// Whether the SYN's service is watched, from the table of services (the common case) or from the watch list.
#[inline(always)]
fn wanted(attempt: &Attempt) -> Option<Wanted> {
    let key = ServiceKey::new(attempt.server, attempt.server_port);
    if let Some(service) = RB_SERVICES.get_ptr(&key) {
        // SAFETY: a live map value; its fields are read one by one, each whole.
        let service = unsafe { &*service };
        return Some(Wanted { standing: service.flags, failed: service.failed_ns != 0 });
    }
    let rule = RB_WATCH.get(&Key::new(Addr::BITS, attempt.server))?;
    let listed = rule.lists(attempt.server_port);
    if !listed && rule.learn == 0 {
        return None;
    }
    Some(Wanted { standing: if listed { ServiceFlags::LISTED } else { 0 }, failed: false })
}
