//! Established connections (F-5): data of a client that its server does not acknowledge, while the service answers nobody,
//! is evidence like a SYN without an answer.
//!
//! In: every TCP segment of a watched connection, from the handshake on. Unless the operator asks for it, the
//! verifier removes this code.

use core::cmp::Ordering;

use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};
use monitor_common::{
    Addr, Arrival, Attempt, Bucket, Counter, EventKind, Evidence, FlowWord, SLOTS, ServiceKey, ServiceState, Settings,
    SlotState, SlotTime, flow_hash, note_answer,
};
use monitor_ebpf::parse::{Segment, Tcp, TcpFlags};

use super::{
    bucket::Found,
    report::{self, Room, Word},
    ring,
};
use crate::state::{
    count,
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
    let found = find(hash, settings)?;
    let was = FlowWord(found.was.0);
    if segment.flags.any(TcpFlags::FIN | TcpFlags::RST) {
        found.take();
        return None;
    }
    if was.client_is_lower() == src_is_lower {
        if length > 0 && segment.has_arrived() && was.is_idle() {
            sent(segment, length, settings, hash, found);
        }
    } else if segment.flags.any(TcpFlags::ACK) && !was.is_idle() && was.is_acknowledged_by(segment.ack) {
        acknowledged(segment, found);
    }
    None
}

/// Data of the client, where none waited for its acknowledgement.
#[inline(always)]
fn sent(segment: &Segment, length: u32, settings: &Settings, hash: u64, mut found: Found) {
    let Some(service) = RB_SERVICES.get_ptr(&ServiceKey::new(segment.dst, segment.dest)) else { return };
    let end = segment.seq.wrapping_add(length);
    let waiting = FlowWord(found.was.0).waiting(end);
    if !found.change(waiting.slot()) {
        return;
    }
    found.was = waiting.slot();
    let mut attempt = segment.attempt(false);
    attempt.seq = end;
    // SAFETY: no arguments.
    attempt.seen_ns = unsafe { bpf_ktime_get_ns() };
    attempt.hash = hash;
    // SAFETY: a live map value; read whole.
    attempt.detail = unsafe { (*service).answers };
    attempt.arrival = Arrival::of_data(segment.ifindex);
    if !ring::enter(&attempt, settings) {
        // No room, so this data is not watched; the client will repeat what is not acknowledged.
        found.change(waiting.idled().slot());
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
    if service.failed_ns == 0 {
        // SAFETY: no arguments.
        let now = unsafe { bpf_ktime_get_coarse_ns() };
        return note_answer(service, now, now);
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let mut attempt = segment.attempt(true);
    attempt.seen_ns = now;
    let word = Word {
        latest_ns: now,
        at_ns: now,
        kind: EventKind::Answered,
        evidence: Evidence::SynAck,
        attempts: u32::from(found.was.is(SlotState::Said)),
        standing: service.flags,
    };
    if report::plain(&attempt, &word) == Room::Full {
        count(Counter::ReportsLost);
    }
    note_answer(service, now, now);
}

/// Begins to follow the connection of an answered attempt.
#[inline(always)]
pub(crate) fn begin(attempt: &Attempt, settings: &Settings) {
    let client_is_lower = is_lower(&attempt.client, attempt.client_port, &attempt.server, attempt.server_port);
    let hash =
        hash(settings, client_is_lower, &attempt.client, attempt.client_port, &attempt.server, attempt.server_port);
    let Some(bucket) = bucket(hash, settings) else { return };
    let new = FlowWord::idle(hash, client_is_lower);
    let now = attempt.seen_ns;
    let (mut best, mut best_rank) = (SLOTS, 0);
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; words and times are read whole.
        let (was, begun) = unsafe { ((&raw const (*bucket).words[index]).read_volatile(), (*bucket).times[index]) };
        let word = FlowWord(was);
        // The same flow again, or a free slot, is taken first; a flow that waits for an acknowledgement is taken last.
        let rank = if was == 0 || word.is(hash) {
            u64::MAX
        } else {
            now - begun.first_ns(now) + 1 + if word.is_idle() { 1 << 60 } else { 0 }
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
        (*bucket).times[best] = SlotTime::first_seen(now);
    }
}

/// Data whose time is up: it was acknowledged meanwhile, or it is its client's own trouble, or the service is silent.
#[inline(always)]
pub(crate) fn expire(entry: &Attempt, settings: &Settings, now_ns: u64) -> Room {
    let Some(mut found) = find(entry.hash, settings) else { return Room::Yes };
    let was = FlowWord(found.was.0);
    if was.is_idle() || found.was.is(SlotState::Said) || was.end() != entry.seq {
        return Room::Yes;
    }
    let service = report::service(entry);
    let standing = report::standing(entry, service);
    // SAFETY: a live map value; read whole.
    let answers = service.map_or(0, |service| unsafe { (*service).answers });
    if standing == 0 || answers != entry.detail {
        found.change(was.idled().slot());
        count(Counter::Isolated);
        return Room::Yes;
    }
    let word = Word {
        latest_ns: entry.seen_ns,
        at_ns: now_ns,
        kind: EventKind::Failed,
        evidence: Evidence::Stalled,
        attempts: 1,
        standing,
    };
    let room = report::claim(entry, &word, &mut found, SlotState::Said);
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
fn find(hash: u64, settings: &Settings) -> Option<Found> {
    let bucket = bucket(hash, settings)?;
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; a word is read whole.
        let (word, time) = unsafe { (&raw mut (*bucket).words[index], &raw mut (*bucket).times[index]) };
        // SAFETY: as above.
        let was = FlowWord(unsafe { word.read_volatile() });
        if was.is(hash) {
            return Some(Found::new(word, time, was.slot()));
        }
    }
    None
}
