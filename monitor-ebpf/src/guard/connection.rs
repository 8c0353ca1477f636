//! Connections to guarded ports, from the server's answer to their end: how many that were checked healthy are open.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_coarse_ns};
use monitor_common::{Counter, Flow, GuardCounts, GuardFlags, GuardRecordKind, GuardRule, HandshakeFlags, OpenFlow};

use super::{
    Guarded, daemon_is_alive,
    handshake::{handshake, hash},
};
use crate::{
    state::{
        atomic, count,
        maps::{RB_GUARD_RING, RB_OPEN},
    },
    verdict::Verdict,
};

/// The server's SYN/ACK: its sequence number makes the client's ACK certain.
#[inline(always)]
pub(super) fn answered(Guarded { segment, flow, .. }: Guarded<'_>, rule: &GuardRule) -> Verdict {
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
        return Verdict::Pass;
    }
    // SAFETY: no arguments.
    if daemon_is_alive(unsafe { bpf_ktime_get_coarse_ns() }) { Verdict::Hide } else { Verdict::Pass }
}

/// The ACK that ends a handshake opens the connection.
#[inline(always)]
pub(super) fn established(
    Guarded { segment, flow, guard }: Guarded<'_>,
    rule: &GuardRule,
    counts: &mut GuardCounts,
) -> Verdict {
    let Some(hash) = hash(flow) else { return Verdict::Pass };
    let Some(known) = handshake(&flow.client, flow.client_port) else { return Verdict::Pass };
    if known.hash != hash {
        return Verdict::Pass;
    }
    let checked = known.flags & HandshakeFlags::CHECKED;
    known.hash = 0;
    if checked == 0 && rule.flags & GuardFlags::AFTER == 0 {
        return Verdict::Pass;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let open = OpenFlow { at_ns: now, guard, checked };
    if RB_OPEN.insert(flow, &open, u64::from(BPF_NOEXIST)).is_err() {
        return Verdict::Pass;
    }
    if checked != 0 {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.open, 1) };
        return Verdict::Pass;
    }
    // A full ring loses nothing: the daemon looks through the table of open connections too.
    let Some(mut entry) = RB_GUARD_RING.reserve(0) else {
        count(Counter::RingFull);
        return Verdict::Pass;
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
    Verdict::Pass
}

/// The connection ends: counted off once, by the first that sees its end.
#[inline(always)]
pub(super) fn over(flow: &Flow, counts: &mut GuardCounts) {
    let Some(open) = RB_OPEN.get_ptr(flow) else { return };
    // SAFETY: a live map value.
    let checked = unsafe { (*open).checked };
    if RB_OPEN.remove(flow).is_ok() && checked != 0 {
        // SAFETY: as above.
        unsafe { atomic::add(&raw mut counts.open, u64::MAX) };
    }
}
