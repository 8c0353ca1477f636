//! Evidence that comes by itself: an RST of the server, ICMP, an RST of a client that had given up.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use monitor_common::{Attempt, Counter, EventKind, Evidence, Settings, SlotState, in_silence, is_failed};

use super::{
    bucket::{self, Found},
    report::{self, Room, Word},
    ring,
};
use crate::state::{count, maps::RB_SETTINGS};

/// Takes evidence on an attempt whose fate is open, or that was reported with other evidence before. Returns whether it
/// matched an attempt that was seen (design rule 1).
#[inline(always)]
pub(crate) fn take(attempt: &mut Attempt, evidence: Evidence) -> bool {
    rb_evidence(attempt, evidence as u32) != 0
}

/// Takes the RST of a client in answer to a SYN/ACK: it had given up, and the attempt failed after all.
#[inline(always)]
pub(crate) fn gave_up(attempt: &mut Attempt) {
    if take(attempt, Evidence::GaveUp) {
        count(Counter::GaveUp);
    }
}

/// A global function, as [`super::syn::rb_syn`] is; `evidence` is the number of an [`Evidence`] that comes by itself.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_evidence(attempt: *mut Attempt, evidence: u32) -> u32 {
    const REFUSED: u32 = Evidence::Refused as u32;
    const HOST_UNREACHABLE: u32 = Evidence::HostUnreachable as u32;
    const NET_UNREACHABLE: u32 = Evidence::NetUnreachable as u32;
    const PORT_UNREACHABLE: u32 = Evidence::PortUnreachable as u32;
    const GAVE_UP: u32 = Evidence::GaveUp as u32;
    let evidence = match evidence {
        REFUSED => Evidence::Refused,
        HOST_UNREACHABLE => Evidence::HostUnreachable,
        NET_UNREACHABLE => Evidence::NetUnreachable,
        PORT_UNREACHABLE => Evidence::PortUnreachable,
        GAVE_UP => Evidence::GaveUp,
        _ => Evidence::Prohibited,
    };
    // SAFETY: the caller's attempt, on its stack.
    u32::from(unsafe { attempt.as_mut() }.is_some_and(|attempt| matches(attempt, evidence)))
}

#[inline(always)]
fn matches(attempt: &mut Attempt, evidence: Evidence) -> bool {
    let Some(settings) = RB_SETTINGS.get(0) else { return false };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    attempt.hash = bucket::hash(attempt, settings);
    let Some(mut found) = bucket::find(attempt, settings, now) else { return false };
    attempt.seq = found.was.seq();
    let gave_up = evidence == Evidence::GaveUp;
    // An RST after the handshake ends a connection that was there, unless the client never wanted it any more.
    let is_answered = found.was.is(SlotState::Answered) || found.was.is_unsaid_answer();
    if is_answered != gave_up || found.was.is(SlotState::Quick) {
        return false;
    }
    let service = report::service(attempt);
    let standing = report::standing(attempt, service);
    // SAFETY: a live map value; read whole.
    let failed = service.is_some_and(|service| is_failed(found.was, unsafe { &*service }));
    if standing == 0 && !failed {
        if found.was.is_open() && found.take() {
            count(Counter::UnknownService);
        }
        return true;
    }
    // A router sees each message twice: on its way in and on its way out.
    let is_known = found.was.is(SlotState::Firm) || found.was.is(SlotState::Gone);
    if !is_known && found.was.unsaid_failure().is_none() {
        say(attempt, evidence, (standing, now), &mut found, settings);
    }
    true
}

/// Whether a silence that is known holds the attempt. A function of its own, as the stack has no room for its numbers in
/// the caller.
#[inline(never)]
fn is_in_silence(attempt: &Attempt, first_ns: u64) -> bool {
    // SAFETY: a live map value; each field is read whole.
    report::service(attempt).is_some_and(|service| in_silence(first_ns, unsafe { &*service }))
}

/// Says it, or has the timer say it when there is room.
#[inline(always)]
fn say(attempt: &mut Attempt, evidence: Evidence, (standing, now): (u32, u64), found: &mut Found, settings: &Settings) {
    let was = found.was;
    let first_ns = found.time().first_ns(now);
    if evidence == Evidence::GaveUp && !is_in_silence(attempt, first_ns) && now < first_ns + settings.syn_timeout_ns {
        // Whether nobody was answered meanwhile is known when those who tried before are through: the timer says it then.
        if found.turn(SlotState::unsaid(evidence)) {
            found.seen_again(now);
        }
        return;
    }
    if failure(attempt, evidence, (standing, now), found) == Room::Yes {
        return;
    }
    if was.is(SlotState::Said) || was.is_unsaid_answer() || !found.turn(SlotState::unsaid(evidence)) {
        return count(Counter::ReportsLost);
    }
    // From here on this is when it failed.
    found.seen_again(now);
    // One that is open has its deadline still to come.
    if !was.is_open() {
        attempt.seen_ns = now;
        if !ring::enter(attempt, settings) {
            count(Counter::ReportsLost);
        }
    }
}

/// Says that the attempt failed by this evidence.
#[inline(always)]
pub(super) fn failure(
    attempt: &mut Attempt,
    evidence: Evidence,
    (standing, now): (u32, u64),
    found: &mut Found,
) -> Room {
    let time = found.time();
    attempt.seen_ns = time.first_ns(now);
    let word = Word {
        latest_ns: time.latest_ns(now),
        at_ns: now,
        kind: EventKind::Failed,
        evidence,
        attempts: u32::from(!found.was.is(SlotState::Said)),
        standing,
    };
    let to = if evidence == Evidence::GaveUp { SlotState::Gone } else { SlotState::Firm };
    report::claim(attempt, &word, found, to)
}
