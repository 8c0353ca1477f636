//! Guarded ports: the gate for their SYNs, and the count of their open connections (D-1 to D-5).
//!
//! In: every TCP segment to or from a guarded port of this host. Out: whether it goes on, is hidden from the rest of
//! Ringback, or is held; records on the guards' ring buffer. Without guards all of this is removed when the object is
//! loaded; with them, a segment of another port costs one look into an array.
//!
//! A SYN passes while a connection that was checked healthy is open, or the last result still counts. Otherwise it is
//! held: the frame goes to the daemon, which puts it back or refuses it. When the daemon gives no sign of life, or has
//! not decided in time, the client's own repetition of the SYN is decided here, by the guard's rule. `handshake` remembers
//! the SYNs that pass; `daemon` hands over what is held and takes the answers.

mod daemon;
mod handshake;

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use monitor_common::{
    Counter, DEAD_AFTER_NS, Flow, GuardCounts, GuardFlags, GuardRecordKind, GuardRule, HandshakeFlags, HeldSyn,
    OpenFlow,
};

pub(crate) use self::daemon::{apply, hand_over};
use self::handshake::{ends_handshake, handshake, hash, passed};
use crate::{
    atomic,
    counters::count,
    decide::Side,
    frame::Tcp,
    maps::{RB_GUARD_COUNTS, RB_GUARD_LIFE, RB_GUARD_PORTS, RB_GUARD_RING, RB_GUARDS, RB_HELD, RB_OPEN},
    segment::{ACK, FIN, RST, SYN, Segment},
};

/// Set when the object is loaded: whether there are guards.
#[unsafe(no_mangle)]
static GUARDS: u32 = 0;

/// The loopback interface has this index in every namespace. The checks themselves come by it.
const LOOPBACK: u32 = 1;

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It goes on.
    Goes,
    /// It goes on, but says nothing of the service's health.
    Hidden,
    /// It is dropped, and the daemon gets the frame.
    Held,
    /// It is dropped.
    Dropped,
    /// It is a SYN to a failed service that arrived, and goes on unless it is refused in the server's name.
    ToFailed,
}

/// Known to the verifier when it checks the program: without guards, the code behind it is removed.
#[inline(always)]
pub(crate) fn on() -> bool {
    // SAFETY: read-only data of the object.
    unsafe { (&raw const GUARDS).read_volatile() != 0 }
}

/// The guard of this segment's port on this host, its index + 1; 0: none, which is all that other ports pay for.
#[inline(always)]
pub(crate) fn of(tcp: &Tcp, side: Side) -> u8 {
    if !on() {
        return 0;
    }
    let port = if side == Side::Ingress { tcp.dest.get() } else { tcp.source.get() };
    RB_GUARD_PORTS.get(u32::from(port)).map_or(0, |index| *index as u8)
}

/// Looks at one segment of a guarded port.
#[inline(always)]
pub(crate) fn passage(segment: &mut Segment) -> Passage {
    match rb_guard(segment) {
        1 => Passage::Hidden,
        2 => Passage::Held,
        3 => Passage::Dropped,
        _ => Passage::Goes,
    }
}

/// A segment, and where it belongs.
struct Guarded<'frame> {
    segment: &'frame mut Segment,
    flow: &'frame Flow,
    /// The guard's index.
    guard: u32,
}

/// Takes a segment of a guarded port. A global function, as [`crate::syn::rb_syn`] is; returns a [`Passage`] as a number.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_guard(segment: *mut Segment) -> u32 {
    // SAFETY: the caller's segment, on its stack.
    let Some(segment) = (unsafe { segment.as_mut() }) else { return 0 };
    let guard = u32::from(segment.guard).wrapping_sub(1);
    let Some(rule) = RB_GUARDS.get(guard) else { return 0 };
    if segment.ifindex == LOOPBACK && rule.flags & GuardFlags::LOOPBACK == 0 {
        return 0;
    }
    let Some(counts) = RB_GUARD_COUNTS.get_ptr_mut(guard) else { return 0 };
    // SAFETY: a live map value; shared words are changed by atomic operations or written whole.
    let counts = unsafe { &mut *counts };
    let said = (segment.flags & (FIN | SYN | RST | ACK), segment.arrived != 0);
    // All but a few ACKs are data of connections that are open already.
    if said == (ACK, true) && !ends_handshake(segment) {
        return Passage::Goes as u32;
    }
    let flow = segment.flow();
    let guarded = Guarded { segment, flow: &flow, guard };
    let passage = match said {
        (SYN, true) => syn(guarded, rule, counts),
        (flags, false) if flags == SYN | ACK => answered(guarded, rule),
        (ACK, true) => established(guarded, rule, counts),
        (flags, _) if flags & (FIN | RST) != 0 => {
            over(guarded.flow, counts);
            Passage::Goes
        }
        _ => Passage::Goes,
    };
    passage as u32
}

#[inline(always)]
fn syn(Guarded { segment, flow, guard }: Guarded<'_>, rule: &GuardRule, counts: &mut GuardCounts) -> Passage {
    let Some(hash) = hash(flow) else { return Passage::Goes };
    segment.hash = hash;
    // SAFETY: no arguments. A tick early or late is nothing to a result's lifetime.
    let tick_ns = unsafe { bpf_ktime_get_coarse_ns() };
    if counts.open != 0 || rule.good_until_ns > tick_ns {
        passed(flow, hash, segment.seq, HandshakeFlags::CHECKED);
        return Passage::Goes;
    }
    if rule.flags & GuardFlags::AFTER != 0 {
        passed(flow, hash, segment.seq, 0);
        return Passage::Goes;
    }
    // Decided before: its repetition, or, in generic mode, the frame that the daemon put back.
    if handshake(&flow.client, flow.client_port).is_some_and(|known| known.hash == hash && known.seq == segment.seq) {
        return Passage::Goes;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let alive = alive(now);
    if let Some(held) = RB_HELD.get_ptr(flow) {
        // SAFETY: a live map value; its fields are written before it is in the map.
        let held = unsafe { &*held };
        let (same, waits) = (held.seq == segment.seq, now < held.at_ns + rule.hold_ns);
        if same && alive && waits {
            return Passage::Dropped;
        }
        forget(flow, counts);
        if same {
            return undecided(flow, hash, segment.seq, rule, counts);
        }
    }
    if !alive {
        return undecided(flow, hash, segment.seq, rule, counts);
    }
    // SAFETY: a live map value.
    if !unsafe { atomic::add_up_to(&raw mut counts.held, u64::from(rule.max_held)) } {
        // SAFETY: as above.
        unsafe { atomic::add(&raw mut counts.overflow, 1) };
        return Passage::Dropped;
    }
    let held = HeldSyn { at_ns: now, seq: segment.seq, guard };
    if RB_HELD.insert(flow, &held, u64::from(BPF_NOEXIST)).is_err() {
        // SAFETY: as above.
        unsafe {
            atomic::add(&raw mut counts.held, u64::MAX);
            atomic::add(&raw mut counts.overflow, 1);
        }
        return Passage::Dropped;
    }
    Passage::Held
}

/// Nobody has decided.
#[inline(always)]
fn undecided(flow: &Flow, hash: u64, seq: u32, rule: &GuardRule, counts: &mut GuardCounts) -> Passage {
    if rule.flags & GuardFlags::CLOSED != 0 {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.closed, 1) };
        return Passage::Dropped;
    }
    // SAFETY: as above.
    unsafe { atomic::add(&raw mut counts.unchecked, 1) };
    passed(flow, hash, seq, 0);
    Passage::Goes
}

/// Whether the daemon decides.
#[inline(always)]
fn alive(now: u64) -> bool {
    RB_GUARD_LIFE.get(0).is_some_and(|life| *life + DEAD_AFTER_NS > now)
}

/// The server's SYN/ACK: its sequence number makes the client's ACK certain.
#[inline(always)]
fn answered(Guarded { segment, flow, .. }: Guarded<'_>, rule: &GuardRule) -> Passage {
    if let Some(hash) = hash(flow) {
        segment.hash = hash;
        if let Some(known) = handshake(&flow.client, flow.client_port)
            && known.hash == hash
        {
            known.isn = segment.seq;
            known.flags |= HandshakeFlags::ANSWERED;
        }
    }
    if rule.flags & GuardFlags::HIDES_ANSWERS != GuardFlags::HIDES_ANSWERS {
        return Passage::Goes;
    }
    // SAFETY: no arguments.
    if alive(unsafe { bpf_ktime_get_coarse_ns() }) { Passage::Hidden } else { Passage::Goes }
}

/// The ACK that ends a handshake opens the connection.
#[inline(always)]
fn established(Guarded { segment, flow, guard }: Guarded<'_>, rule: &GuardRule, counts: &mut GuardCounts) -> Passage {
    let Some(hash) = hash(flow) else { return Passage::Goes };
    let Some(known) = handshake(&flow.client, flow.client_port) else { return Passage::Goes };
    if known.hash != hash {
        return Passage::Goes;
    }
    let checked = known.flags & HandshakeFlags::CHECKED;
    known.hash = 0;
    if checked == 0 && rule.flags & GuardFlags::AFTER == 0 {
        return Passage::Goes;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let open = OpenFlow { at_ns: now, guard, checked };
    if RB_OPEN.insert(flow, &open, u64::from(BPF_NOEXIST)).is_err() {
        return Passage::Goes;
    }
    if checked != 0 {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.open, 1) };
        return Passage::Goes;
    }
    // A full ring loses nothing: the daemon looks through the table of open connections too.
    let Some(mut entry) = RB_GUARD_RING.reserve(0) else {
        count(Counter::RingFull);
        return Passage::Goes;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: reserved for this record.
    unsafe {
        (*record).at_ns = now;
        (*record).ifindex = segment.ifindex;
        (*record).length = 0;
        (*record).kind = GuardRecordKind::ESTABLISHED;
        (*record).guard = guard;
        (*record).flow = *flow;
    }
    entry.submit(0);
    Passage::Goes
}

/// The connection ends: counted off once, whoever sees its end first.
#[inline(always)]
fn over(flow: &Flow, counts: &mut GuardCounts) {
    let Some(open) = RB_OPEN.get_ptr(flow) else { return };
    // SAFETY: a live map value.
    let checked = unsafe { (*open).checked };
    if RB_OPEN.remove(flow).is_ok() && checked != 0 {
        // SAFETY: as above.
        unsafe { atomic::add(&raw mut counts.open, u64::MAX) };
    }
}

/// The SYN is no longer held: counted off once.
#[inline(always)]
fn forget(flow: &Flow, counts: &mut GuardCounts) {
    if RB_HELD.remove(flow).is_ok() {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.held, u64::MAX) };
    }
}
