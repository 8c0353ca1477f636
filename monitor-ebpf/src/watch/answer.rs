//! An answer: the attempt is over, its service is alive (F-3, F-12).

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use monitor_common::{
    Attempt, Counter, EventKind, Evidence, ServiceFlags, ServiceKey, ServiceState, Settings, SlotState, is_late,
    is_reported, note_answer,
};

use super::{
    bucket::{self, Found},
    established,
    report::{self, Room, Word},
    ring, unmatched,
};
use crate::state::{
    count,
    maps::{RB_SERVICES, RB_SETTINGS},
};

/// Set when the object is loaded: whether the client's own ACK of the handshake is an answer (design rule 3).
#[unsafe(no_mangle)]
static CLIENT_ACK: u32 = 0;

/// Known to the verifier when it checks the program: while off, the code behind it is removed.
#[inline(always)]
pub(crate) fn client_ack_counts() -> bool {
    // SAFETY: read-only data of the object.
    unsafe { (&raw const CLIENT_ACK).read_volatile() != 0 }
}

/// A SYN/ACK of this attempt.
#[inline(always)]
pub(crate) fn syn_ack(attempt: &mut Attempt) {
    if rb_answer(attempt, Evidence::SynAck as u32) == 0 {
        count(Counter::AnswersUnmatched);
    }
}

/// What may be the client's ACK of this attempt's handshake.
#[inline(always)]
pub(crate) fn client_ack(attempt: &mut Attempt) {
    rb_answer(attempt, Evidence::ClientAck as u32);
}

/// Returns 1 if this attempt was seen and is answered now, else 0. A global function, as [`super::syn::rb_syn`] is;
/// `evidence` is the number of an [`Evidence`] that answers give.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_answer(attempt: *mut Attempt, evidence: u32) -> u32 {
    let is_client_ack = evidence == Evidence::ClientAck as u32;
    let evidence = if is_client_ack { Evidence::ClientAck } else { Evidence::SynAck };
    // SAFETY: the caller's attempt, on its stack.
    u32::from(unsafe { attempt.as_mut() }.is_some_and(|attempt| answered(attempt, evidence)))
}

#[inline(always)]
fn answered(attempt: &mut Attempt, evidence: Evidence) -> bool {
    let Some(settings) = RB_SETTINGS.get(0) else { return false };
    attempt.hash = bucket::hash(attempt, settings);
    // SAFETY: no arguments. The last tick of the clock costs next to nothing and is exact enough while all is well.
    let tick_ns = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(mut found) = bucket::find(attempt, settings, tick_ns) else {
        if evidence == Evidence::SynAck {
            unmatched::keep(attempt, settings);
        }
        return false;
    };
    // It may acknowledge data of the SYN too.
    attempt.seq = found.was.seq();
    attempt.seen_ns = tick_ns;
    let syn_ns = found.time().latest_ns(tick_ns);
    // A router sees it twice, on its way in and on its way out; and who has given up is not answered any more.
    if !found.was.awaits_answer() {
        if found.was.is_answered() {
            found.seen_again(tick_ns);
        }
        return false;
    }
    let known = report::service(attempt);
    let Some(service) = known.or_else(|| begin(attempt)) else {
        count(Counter::ServicesFull);
        return found.turn(SlotState::Quick);
    };
    // SAFETY: a live map value; each field is read and written whole, and the later of two answers may win.
    let service = unsafe { &mut *service };
    let is_first = if is_reported(found.was, service, tick_ns) {
        say(attempt, evidence, service.flags, &mut found, settings)
    } else {
        // A client that had given up by then may say so.
        let turned = found.turn(if is_late(found.time(), tick_ns) { SlotState::Answered } else { SlotState::Quick });
        found.seen_again(tick_ns);
        turned
    };
    if !is_first {
        return false;
    }
    noted(attempt, settings);
    note_answer(service, syn_ns, attempt.seen_ns);
    if service.flags & ServiceFlags::ANSWERED == 0 && say_learned(attempt, evidence, service.flags) == Room::Yes {
        service.flags |= ServiceFlags::ANSWERED;
    }
    true
}

#[inline(always)]
fn noted(attempt: &Attempt, settings: &Settings) {
    count(Counter::Answers);
    if established::are_followed() {
        established::begin(attempt, settings);
    }
}

/// Says that the attempt is answered, now or when the timer finds room. Returns whether this caller did it; then
/// `attempt.seen_ns` is the exact time.
#[inline(always)]
fn say(attempt: &mut Attempt, evidence: Evidence, standing: u32, found: &mut Found, settings: &Settings) -> bool {
    // SAFETY: no arguments. A recovery is compared with when attempts were made.
    let now = unsafe { bpf_ktime_get_ns() };
    let was_said = found.was.is_said();
    let unsaid = if was_said { SlotState::WithdrawalUnsaid } else { SlotState::AnswerUnsaid };
    if !found.turn(unsaid) {
        return false;
    }
    let room = unsaid_answer(attempt, evidence, (standing, now), found);
    // From here on this is when it was answered.
    found.seen_again(now);
    attempt.seen_ns = now;
    // The deadline of one whose fate was said is over.
    if room == Room::Full && was_said && !ring::enter(attempt, settings) {
        count(Counter::ReportsLost);
    }
    true
}

/// Says that an attempt is answered which was not said yet, at `now`.
#[inline(always)]
pub(super) fn unsaid_answer(
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
        kind: EventKind::Answered,
        evidence,
        attempts: u32::from(found.was.is(SlotState::WithdrawalUnsaid)),
        standing,
    };
    report::claim(attempt, &word, found, SlotState::Answered)
}

#[inline(always)]
fn say_learned(attempt: &Attempt, evidence: Evidence, standing: u32) -> Room {
    let now = attempt.seen_ns;
    let word = Word { latest_ns: now, at_ns: now, kind: EventKind::Learned, evidence, attempts: 0, standing };
    report::plain(attempt, &word)
}

/// Room for a service that answers for the first time; `None`: there is none.
#[inline(always)]
fn begin(attempt: &Attempt) -> Option<*mut ServiceState> {
    enter_service(attempt);
    report::service(attempt)
}

/// Puts the service into the table. It was not silent before: nobody knew that it is there (design rule 3).
#[inline(never)]
fn enter_service(attempt: &Attempt) {
    let flags = report::standing(attempt, None);
    let service = ServiceState { last_answer_ns: attempt.seen_ns, flags, ..ServiceState::default() };
    let key = ServiceKey::new(attempt.server, attempt.server_port);
    let _ = RB_SERVICES.insert(&key, &service, u64::from(BPF_NOEXIST));
}
