//! Established connections (F-5): data of a client that its server does not acknowledge, while the service answers nobody,
//! is evidence like a SYN without an answer.
//!
//! In: every TCP segment of a watched connection, from the handshake on. Unless the operator asks for it, the
//! verifier removes this code.

use core::cmp::Ordering;

use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use monitor_common::{
    Addr, Arrival, Attempt, Bucket, Counter, EventKind, Evidence, FlowWord, SLOTS, ServiceKey, ServiceState, Settings,
    flow_hash, tick,
};
use monitor_ebpf::parse::{Segment, Tcp, TcpFlags};

use super::{
    bucket::Found,
    report::{self, Case, Known, NEVER, Room, Word},
    ring,
};
use crate::state::{
    atomic, count,
    maps::{RB_FLOWS, RB_SERVICES, RB_SETTINGS},
};

/// Set when the object is loaded: whether connections are followed.
#[unsafe(no_mangle)]
static ESTABLISHED: u32 = 0;

/// Known to the verifier when it checks the program.
#[inline(always)]
pub(crate) fn are_followed() -> bool {
    // SAFETY: read-only data of the object.
    unsafe { (&raw const ESTABLISHED).read_volatile() != 0 }
}

/// Looks at a segment of a connection.
#[inline(always)]
pub(crate) fn follow(segment: &Segment) {
    // The handshake is that of the attempt.
    if !segment.flags.any(TcpFlags::SYN) {
        rb_segment(segment);
    }
}

/// A global function, as [`super::syn::rb_syn`] is.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_segment(segment: *const Segment) -> u32 {
    // SAFETY: the caller's segment, on its stack.
    if let Some(segment) = unsafe { segment.as_ref() } {
        seen(segment);
    }
    0
}

#[inline(always)]
fn seen(segment: &Segment) -> Option<()> {
    let settings = RB_SETTINGS.get(0)?;
    let header = segment.header_length();
    // Lengths that contradict each other say nothing of what the server has to acknowledge.
    if usize::from(header) < size_of::<Tcp>() || segment.bytes < header {
        return None;
    }
    let length = u32::from(segment.bytes - header);
    let src_is_lower = is_lower(&segment.src, segment.source, &segment.dst, segment.dest);
    let hash = hash(settings, src_is_lower, &segment.src, segment.source, &segment.dst, segment.dest);
    let (word, was) = find(hash, settings)?;
    if segment.flags.any(TcpFlags::FIN | TcpFlags::RST) {
        // SAFETY: `word` is a word of a live bucket.
        unsafe { atomic::swap(word, was.0, 0) };
        return None;
    }
    if was.client_is_lower() == src_is_lower {
        if length > 0 && segment.has_arrived() && was.is_idle() {
            sent(segment, length, settings, hash, Found::new(word, was.slot()));
        }
    } else if segment.flags.any(TcpFlags::ACK) && !was.is_idle() && was.is_acknowledged_by(segment.ack) {
        acknowledged(segment, Found::new(word, was.slot()));
    }
    None
}

/// Data of the client, where none waited for its acknowledgement.
#[inline(always)]
fn sent(segment: &Segment, length: u32, settings: &Settings, hash: u64, found: Found) {
    let Some(service) = RB_SERVICES.get_ptr(&ServiceKey::new(segment.dst, segment.dest)) else { return };
    let end = segment.seq.wrapping_add(length);
    let waiting = FlowWord(found.was.0).waiting(end);
    if !found.change(waiting.slot()) {
        return;
    }
    let mut attempt = segment.attempt(false);
    attempt.seq = end;
    // SAFETY: no arguments.
    attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    attempt.hash = hash;
    // SAFETY: a live map value; read whole.
    attempt.answers = unsafe { (*service).answers };
    attempt.arrival = Arrival::of_data(segment.ifindex);
    if !ring::enter(&attempt, settings) {
        // No room, so this data is not watched; the client will repeat what is not acknowledged.
        Found::new(found.word(), waiting.slot()).change(waiting.idled().slot());
    }
}

/// The server has the data: it is alive.
#[inline(always)]
fn acknowledged(segment: &Segment, found: Found) {
    if !found.change(FlowWord(found.was.0).idled().slot()) {
        return;
    }
    let Some(service) = RB_SERVICES.get_ptr_mut(&ServiceKey::new(segment.src, segment.source)) else { return };
    // SAFETY: a live map value; each field is read and written whole, and the later of two answers may win.
    let service: &mut ServiceState = unsafe { &mut *service };
    let known = Known { standing: service.flags, answers: service.answers, last_answer_ns: service.last_answer_ns };
    service.answers = known.answers.wrapping_add(1);
    // SAFETY: no arguments.
    service.last_answer_ns = unsafe { bpf_ktime_get_coarse_ns() };
    if service.failed_ns == 0 {
        return;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    service.last_answer_ns = now;
    let mut attempt = segment.attempt(true);
    attempt.seen_ns = now;
    let attempts = u32::from(found.was.is_reported());
    report::plain(&attempt, &Word { kind: EventKind::Answered, evidence: Evidence::SynAck, known, attempts });
}

/// Begins to follow the connection of an answered attempt.
#[inline(always)]
pub(crate) fn begin(attempt: &Attempt, settings: &Settings) {
    let client_is_lower = is_lower(&attempt.client, attempt.client_port, &attempt.server, attempt.server_port);
    let hash =
        hash(settings, client_is_lower, &attempt.client, attempt.client_port, &attempt.server, attempt.server_port);
    let Some(bucket) = bucket(hash, settings) else { return };
    let new = FlowWord::idle(hash, client_is_lower);
    let now = tick(attempt.seen_ns);
    let (mut best, mut best_rank) = (SLOTS, 0);
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; words and ticks are read whole.
        let (was, begun) = unsafe { ((&raw const (*bucket).words[index]).read_volatile(), (*bucket).ticks[index]) };
        let word = FlowWord(was);
        // The same flow again, or a free slot, is taken first; a flow that waits for an acknowledgement is taken last.
        let rank = if was == 0 || word.is(hash) {
            u64::MAX
        } else {
            u64::from(now.wrapping_sub(begun)) + 1 + if word.is_idle() { 1 << 32 } else { 0 }
        };
        if rank > best_rank {
            (best, best_rank) = (index, rank);
        }
    }
    if best_rank != u64::MAX {
        count(Counter::FlowsEvicted);
    }
    // The verifier does not know the bound.
    let best = if best < SLOTS { best } else { 0 };
    // SAFETY: inside the live bucket. Two connections that begin in it at once may leave one of them unfollowed.
    unsafe {
        (&raw mut (*bucket).words[best]).write_volatile(new.0);
        (*bucket).ticks[best] = now;
    }
}

/// Data whose time is up: it was acknowledged meanwhile, or it is its client's own trouble, or the service is silent.
#[inline(always)]
pub(crate) fn expire(entry: &Attempt, settings: &Settings) -> Room {
    let Some((word, was)) = find(entry.hash, settings) else { return Room::Yes };
    if was.is_idle() || was.slot().is_reported() || was.end() != entry.seq {
        return Room::Yes;
    }
    let found = Found::new(word, was.slot());
    let known = report::known(entry);
    if known.standing == 0 || known.answers != entry.answers {
        found.change(was.idled().slot());
        count(Counter::Isolated);
        return Room::Yes;
    }
    let room = report::failed(entry, &Case { evidence: Evidence::Stalled, known, fold_since_ns: NEVER }, &found);
    if room == Room::Yes {
        count(Counter::Stalled);
    }
    room
}

#[inline(always)]
fn is_lower(one: &Addr, one_port: u16, other: &Addr, other_port: u16) -> bool {
    let ([one0, one1], [other0, other1]) = (one.halves(), other.halves());
    match one0.cmp(&other0) {
        Ordering::Less => true,
        Ordering::Greater => false,
        Ordering::Equal if one1 != other1 => one1 < other1,
        Ordering::Equal => one_port < other_port,
    }
}

/// Hash of both ends in order: the same for both directions.
#[inline(always)]
fn hash(settings: &Settings, one_is_lower: bool, one: &Addr, one_port: u16, other: &Addr, other_port: u16) -> u64 {
    let (low, low_port, high, high_port) =
        if one_is_lower { (one, one_port, other, other_port) } else { (other, other_port, one, one_port) };
    flow_hash(settings.hash_seed, *low, *high, low_port, high_port)
}

#[inline(always)]
fn bucket(hash: u64, settings: &Settings) -> Option<*mut Bucket> {
    RB_FLOWS.get_ptr_mut(hash as u32 & settings.flow_mask)
}

#[inline(always)]
fn find(hash: u64, settings: &Settings) -> Option<(*mut u64, FlowWord)> {
    let bucket = bucket(hash, settings)?;
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; a word is read whole.
        let word = unsafe { &raw mut (*bucket).words[index] };
        // SAFETY: as above.
        let was = FlowWord(unsafe { word.read_volatile() });
        if was.is(hash) {
            return Some((word, was));
        }
    }
    None
}
