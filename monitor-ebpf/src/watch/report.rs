//! Reports to the daemon: room in the ring buffer first, then the claim on the attempt, then the event. A report that finds no
//! room is counted, and its attempt is not marked as reported, so that the next SYN or turn of the timer reports it.

use aya_ebpf::{bindings::BPF_ANY, btf_maps::lpm_trie::Key, helpers::generated::bpf_ktime_get_ns};
use monitor_common::{Addr, Attempt, Counter, EventKind, Evidence, Note, NoteKey, ServiceFlags, ServiceKey};

use super::bucket::{self, Found};
use crate::state::{
    count,
    maps::{RB_EVENTS, RB_NOTES, RB_SERVICES, RB_SETTINGS, RB_WATCH},
};

/// One client is reported at most this often per service that is marked failed; attempts in between are counted in its
/// note.
const NOTE_INTERVAL_NS: u64 = 200_000_000;

/// Whether a report found room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Yes,
    Full,
}

/// What is known of a service. The fields here and in [`Word`] are ordered so that what the compiler stores at once is
/// aligned: the verifier demands it on the stack.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) last_answer_ns: u64,
    pub(crate) answers: u32,
    /// Why it may have an outage.
    pub(crate) standing: u32,
}

/// What a failed attempt is reported with.
pub(crate) struct Case {
    pub(crate) evidence: Evidence,
    pub(crate) known: Known,
    /// Since when reports of the same client may be folded: when the service was marked failed. The note of an outage that
    /// is over must not hide the beginning of the next one.
    pub(crate) fold_since_ns: u64,
}

/// No report is folded: the service is not marked.
pub(crate) const NEVER: u64 = u64::MAX;

/// Reports a failed attempt, unless its slot was claimed meanwhile or its client was reported a moment ago.
#[inline(never)]
pub(crate) fn failed(attempt: &Attempt, case: &Case, found: &Found) -> Room {
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let key = NoteKey::of(attempt);
    let mut attempts = 1;
    if let Some(note) = RB_NOTES.get_ptr_mut(&key) {
        // SAFETY: a live map value; each field is read and written whole. Two CPUs that count the same client's
        // attempts at the same instant may count one too few.
        let note = unsafe { &mut *note };
        if note.seq == attempt.seq && note.client_port == attempt.client_port {
            // Its slot was lost to a newer attempt in between: still the same attempt.
            found.mark_reported();
            return Room::Yes;
        }
        if note.reported_ns >= case.fold_since_ns && now.wrapping_sub(note.reported_ns) < NOTE_INTERVAL_NS {
            if found.mark_reported() {
                note.seq = attempt.seq;
                note.client_port = attempt.client_port;
                note.unreported += 1;
                count(Counter::ReportsFolded);
            }
            return Room::Yes;
        }
        attempts += note.unreported;
    }
    let Some(mut entry) = RB_EVENTS.reserve(0) else {
        count(Counter::RingFull);
        return Room::Full;
    };
    if !found.mark_reported() {
        entry.discard(0);
        return Room::Yes;
    }
    let event = entry.as_mut_ptr();
    // SAFETY: reserved for this event; written field by field, so that no copy of it stands on the small stack.
    unsafe {
        (*event).kind = EventKind::Failed;
        (*event).evidence = case.evidence;
        (*event).client = attempt.client;
        (*event).server = attempt.server;
        (*event).seen_ns = attempt.seen_ns;
        (*event).at_ns = now;
        (*event).last_answer_ns = case.known.last_answer_ns;
        (*event).client_port = attempt.client_port;
        (*event).server_port = attempt.server_port;
        (*event).attempts = attempts;
        (*event).standing = case.known.standing;
        (*event).ifindex = attempt.arrival.ifindex();
        (*event).answers = case.known.answers;
        (*event).seq = attempt.seq;
    }
    entry.submit(0);
    count(Counter::Events);
    let note = Note {
        reported_ns: now,
        seq: attempt.seq,
        unreported: 0,
        evidence: case.evidence as u32,
        client_port: attempt.client_port,
        _pad: 0,
    };
    if RB_NOTES.insert(&key, &note, u64::from(BPF_ANY)).is_err() {
        count(Counter::NotesFull);
    }
    Room::Yes
}

/// Reports evidence (RST, ICMP) on an attempt that is pending, or that was reported with other evidence before.
/// Returns whether it matched an attempt that was seen (design rule 1).
#[inline(always)]
pub(crate) fn more_evidence(attempt: &mut Attempt, evidence: Evidence) -> bool {
    rb_evidence(attempt, evidence as u32) != 0
}

/// A global function, as [`super::syn::rb_syn`] is; `evidence` is the number of an [`Evidence`] that RST or ICMP gives.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_evidence(attempt: *mut Attempt, evidence: u32) -> u32 {
    const REFUSED: u32 = Evidence::Refused as u32;
    const HOST_UNREACHABLE: u32 = Evidence::HostUnreachable as u32;
    const NET_UNREACHABLE: u32 = Evidence::NetUnreachable as u32;
    const PORT_UNREACHABLE: u32 = Evidence::PortUnreachable as u32;
    let evidence = match evidence {
        REFUSED => Evidence::Refused,
        HOST_UNREACHABLE => Evidence::HostUnreachable,
        NET_UNREACHABLE => Evidence::NetUnreachable,
        PORT_UNREACHABLE => Evidence::PortUnreachable,
        _ => Evidence::Prohibited,
    };
    // SAFETY: the caller's attempt, on its stack.
    u32::from(unsafe { attempt.as_mut() }.is_some_and(|attempt| matches(attempt, evidence)))
}

#[inline(always)]
fn matches(attempt: &mut Attempt, evidence: Evidence) -> bool {
    let Some(settings) = RB_SETTINGS.get(0) else { return false };
    // SAFETY: no arguments. The answer came within moments of the SYN; only a silent attempt needs the exact time of its
    // SYN (design rule 2).
    attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    attempt.hash = bucket::hash(attempt, settings);
    let found = bucket::find(attempt, settings, attempt.seen_ns);
    if let Some(found) = &found
        && !found.was.is_reported()
    {
        let known = known(attempt);
        if known.standing == 0 {
            count(Counter::UnknownService);
            found.take();
        } else {
            failed(attempt, &Case { evidence, known, fold_since_ns: NEVER }, found);
        }
        return true;
    }
    let key = NoteKey::of(attempt);
    let Some(note) = RB_NOTES.get_ptr_mut(&key) else { return found.is_some() };
    // SAFETY: a live map value; each field is read and written whole.
    let note = unsafe { &mut *note };
    let noted = note.seq == attempt.seq && note.client_port == attempt.client_port;
    if found.is_none() && !noted {
        return false;
    }
    if note.evidence != evidence as u32 {
        let word = Word { kind: EventKind::Failed, evidence, known: known(attempt), attempts: 0 };
        if plain(attempt, &word) {
            note.evidence = evidence as u32;
        }
    }
    true
}

/// An attempt that was reported as failed is answered after all: how many reported attempts to take back, 1 or, where it
/// was only counted in the note, 0.
#[inline(never)]
pub(crate) fn withdraw(attempt: &Attempt) -> u32 {
    let key = NoteKey::of(attempt);
    let Some(note) = RB_NOTES.get_ptr_mut(&key) else { return 1 };
    // SAFETY: a live map value; each field is read and written whole.
    let note = unsafe { &mut *note };
    if note.seq == attempt.seq && note.client_port == attempt.client_port && note.unreported > 0 {
        note.unreported -= 1;
        return 0;
    }
    1
}

/// Looks up what is known of the attempt's service.
#[inline(always)]
pub(crate) fn known(attempt: &Attempt) -> Known {
    if let Some(service) = RB_SERVICES.get_ptr(&ServiceKey::new(attempt.server, attempt.server_port)) {
        // SAFETY: a live map value; each field is read whole.
        let service = unsafe { &*service };
        return Known { standing: service.flags, answers: service.answers, last_answer_ns: service.last_answer_ns };
    }
    let listed =
        RB_WATCH.get(&Key::new(Addr::BITS, attempt.server)).is_some_and(|rule| rule.lists(attempt.server_port));
    Known { standing: if listed { ServiceFlags::LISTED } else { 0 }, answers: 0, last_answer_ns: 0 }
}

/// A report that needs no claim on an attempt.
#[repr(C)]
pub(crate) struct Word {
    pub(crate) known: Known,
    pub(crate) kind: EventKind,
    pub(crate) attempts: u32,
    pub(crate) evidence: Evidence,
}

/// Reports it, at the time that `attempt` says. Returns whether there was room.
#[inline(never)]
pub(crate) fn plain(attempt: &Attempt, word: &Word) -> bool {
    let Some(mut entry) = RB_EVENTS.reserve(0) else {
        count(Counter::RingFull);
        return false;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: as above.
    unsafe {
        (*event).kind = word.kind;
        (*event).evidence = word.evidence;
        (*event).client = attempt.client;
        (*event).server = attempt.server;
        (*event).seen_ns = attempt.seen_ns;
        (*event).at_ns = attempt.seen_ns;
        (*event).last_answer_ns = word.known.last_answer_ns;
        (*event).client_port = attempt.client_port;
        (*event).server_port = attempt.server_port;
        (*event).attempts = word.attempts;
        (*event).standing = word.known.standing;
        (*event).ifindex = attempt.arrival.ifindex();
        (*event).answers = word.known.answers;
        (*event).seq = attempt.seq;
    }
    entry.submit(0);
    count(Counter::Events);
    true
}
