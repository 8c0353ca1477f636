//! Guarded ports: the gate for their SYNs, and the count of their open connections (D-1 to D-5).
//!
//! In: every TCP segment to or from a guarded port of this host. Out: whether it goes on, is hidden from the rest of
//! Ringback, or is held; records on the guards' ring buffer. Without guards the verifier removes all of this when the
//! object is loaded; with them, a segment of another port costs one look into an array.
//!
//! A SYN passes while a connection that was checked healthy is open, or the last result still counts. Otherwise it is
//! held: the frame goes to the daemon, which puts it back or refuses it. If the daemon gives no sign of life, or has not
//! decided in time, the client's own repetition of the SYN is decided here, by the guard's rule ([`syn`]). [`handshake`]
//! remembers the SYNs that pass, [`connection`] counts what they open, [`held`] forgets what is decided, and [`daemon`]
//! hands over what is held and takes the answers.

mod connection;
mod daemon;
mod handshake;
mod held;
mod syn;

use monitor_common::{DEAD_AFTER_NS, Flow, GuardFlags};
use monitor_ebpf::parse::{Direction, Segment, Tcp, TcpFlags};

pub(crate) use self::daemon::{apply, hand_over};
use self::handshake::ends_handshake;
use crate::{
    state::maps::{RB_GUARD_COUNTS, RB_GUARD_LIFE, RB_GUARD_PORTS, RB_GUARDS},
    verdict::Verdict,
};

/// Set when the object is loaded: whether there are guards.
#[unsafe(no_mangle)]
static GUARDS: u32 = 0;

/// The loopback interface has this index in every namespace. The checks themselves come by it.
const LOOPBACK: u32 = 1;

/// Known to the verifier when it checks the program: without guards, it removes the code behind this.
#[inline(always)]
pub(crate) fn on() -> bool {
    // SAFETY: read-only data of the object.
    unsafe { (&raw const GUARDS).read_volatile() != 0 }
}

/// The guard of this segment's port on this host, its index + 1; 0: none. Ports without a guard pay only for this.
#[inline(always)]
pub(crate) fn of(tcp: &Tcp, direction: Direction) -> u8 {
    if !on() {
        return 0;
    }
    let port = if direction == Direction::Ingress { tcp.dest.get() } else { tcp.source.get() };
    RB_GUARD_PORTS.get(u32::from(port)).map_or(0, |index| *index as u8)
}

/// Looks at one segment of a guarded port.
#[inline(always)]
pub(crate) fn verdict(segment: &mut Segment) -> Verdict {
    Verdict::of_guard(rb_guard(segment))
}

/// A segment, and where it belongs.
struct Guarded<'frame> {
    segment: &'frame mut Segment,
    flow: &'frame Flow,
    /// The guard's index.
    guard: u32,
}

/// Takes a segment of a guarded port; returns a [`Verdict`] as a number. A global function, which the verifier checks once,
/// by itself: what it is given may be null, as far as the verifier knows.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rb_guard(segment: *mut Segment) -> u32 {
    // SAFETY: the caller's segment, on its stack.
    unsafe { segment.as_mut() }.map_or(Verdict::Pass, judged) as u32
}

#[inline(always)]
fn judged(segment: &mut Segment) -> Verdict {
    let guard = u32::from(segment.guard).wrapping_sub(1);
    let Some(rule) = RB_GUARDS.get(guard) else { return Verdict::Pass };
    if segment.ifindex == LOOPBACK && rule.flags & GuardFlags::LOOPBACK == 0 {
        return Verdict::Pass;
    }
    let Some(counts) = RB_GUARD_COUNTS.get_ptr_mut(guard) else { return Verdict::Pass };
    // SAFETY: a live map value; shared words are changed by atomic operations or written whole.
    let counts = unsafe { &mut *counts };
    let said = (segment.flags.purpose(), segment.has_arrived());
    // All but a few ACKs are data of connections that are open already.
    if said == (TcpFlags::ACK, true) && !ends_handshake(segment) {
        return Verdict::Pass;
    }
    let flow = segment.flow();
    let guarded = Guarded { segment, flow: &flow, guard };
    match said {
        (TcpFlags::SYN, true) => syn::asked(guarded, rule, counts),
        (TcpFlags::SYN_ACK, false) => connection::answered(guarded, rule),
        (TcpFlags::ACK, true) => connection::established(guarded, rule, counts),
        (flags, _) if flags.any(TcpFlags::FIN | TcpFlags::RST) => {
            connection::over(guarded.flow, counts);
            Verdict::Pass
        }
        _ => Verdict::Pass,
    }
}

/// Whether the daemon decides.
#[inline(always)]
fn daemon_is_alive(now: u64) -> bool {
    RB_GUARD_LIFE.get(0).is_some_and(|life| *life + DEAD_AFTER_NS > now)
}
