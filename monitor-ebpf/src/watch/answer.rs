//! An answer: the attempt is over, its service is alive (F-3, F-12).

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use monitor_common::{Addr, Attempt, Counter, EventKind, Evidence, ServiceFlags, ServiceKey, ServiceState};

use super::{
    bucket, established,
    report::{self, Known, Word},
    unmatched,
};
use crate::state::{
    count,
    maps::{RB_SERVICES, RB_SETTINGS, RB_WATCH},
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
    let Some(found) = bucket::find(attempt, settings, tick_ns) else {
        if evidence == Evidence::SynAck {
            unmatched::keep(attempt, settings);
        }
        return false;
    };
    if !found.take() {
        return false;
    }
    count(Counter::Answers);
    attempt.seen_ns = tick_ns;
    if established::are_followed() {
        established::begin(attempt, settings);
    }
    let key = ServiceKey::new(attempt.server, attempt.server_port);
    let Some(service) = RB_SERVICES.get_ptr_mut(&key) else {
        learn(attempt, evidence);
        return true;
    };
    // SAFETY: a live map value; each field is read and written whole, and the later of two answers may win.
    let service = unsafe { &mut *service };
    let flags = service.flags;
    let known = Known { standing: flags, answers: service.answers, last_answer_ns: service.last_answer_ns };
    // Two CPUs that count at once may count one too few; only the change matters.
    service.answers = known.answers.wrapping_add(1);
    if service.failed_ns != 0 {
        // SAFETY: no arguments. A recovery is compared with when the service was marked failed.
        attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    }
    service.last_answer_ns = attempt.seen_ns;
    if service.failed_ns != 0 {
        let attempts = if found.was.is_reported() { report::withdraw(attempt) } else { 0 };
        let word = Word { kind: EventKind::Answered, evidence, known, attempts };
        report::plain(attempt, &word);
    }
    if flags & ServiceFlags::ANSWERED == 0 {
        let word = Word { kind: EventKind::Learned, evidence, known, attempts: 0 };
        if report::plain(attempt, &word) {
            service.flags = flags | ServiceFlags::ANSWERED;
        }
    }
    true
}

/// The first answer of a service.
#[inline(never)]
fn learn(attempt: &Attempt, evidence: Evidence) {
    let key = ServiceKey::new(attempt.server, attempt.server_port);
    let listed =
        RB_WATCH.get(&Key::new(Addr::BITS, attempt.server)).is_some_and(|rule| rule.lists(attempt.server_port));
    let flags = ServiceFlags::ANSWERED | if listed { ServiceFlags::LISTED } else { 0 };
    let service = ServiceState { last_answer_ns: attempt.seen_ns, failed_ns: 0, flags, answers: 1 };
    if RB_SERVICES.insert(&key, &service, u64::from(BPF_NOEXIST)).is_err() {
        count(Counter::ServicesFull);
        return;
    }
    let word = Word {
        kind: EventKind::Learned,
        evidence,
        known: Known { standing: flags, answers: 0, last_answer_ns: 0 },
        attempts: 0,
    };
    if !report::plain(attempt, &word) {
        // The report found no room: the next answer is learned again.
        let _ = RB_SERVICES.remove(&key);
    }
}
