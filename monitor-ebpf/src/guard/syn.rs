//! A SYN to a guarded port: it passes, is held for the daemon, or is decided by the guard's rule where the daemon does not.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use monitor_common::{Flow, GuardCounts, GuardFlags, GuardRule, HandshakeFlags, HeldSyn};

use super::{
    Guarded, daemon_is_alive,
    handshake::{handshake, hash, passed},
    held::forget,
};
use crate::{
    state::{atomic, maps::RB_HELD},
    verdict::Verdict,
};

/// Takes a SYN that arrived.
#[inline(always)]
pub(super) fn asked(
    Guarded { segment, flow, guard }: Guarded<'_>,
    rule: &GuardRule,
    counts: &mut GuardCounts,
) -> Verdict {
    let Some(hash) = hash(flow) else { return Verdict::Pass };
    segment.hash = hash;
    // SAFETY: no arguments. A tick early or late is nothing to a result's lifetime.
    let tick_ns = unsafe { bpf_ktime_get_coarse_ns() };
    if counts.open != 0 || rule.good_until_ns > tick_ns {
        passed(flow, hash, segment.seq, HandshakeFlags::CHECKED);
        return Verdict::Pass;
    }
    if rule.flags & GuardFlags::AFTER != 0 {
        passed(flow, hash, segment.seq, 0);
        return Verdict::Pass;
    }
    // Decided before: its repetition, or, in generic mode, the frame that the daemon put back.
    if handshake(&flow.client, flow.client_port).is_some_and(|known| known.hash == hash && known.seq == segment.seq) {
        return Verdict::Pass;
    }
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let alive = daemon_is_alive(now);
    if let Some(held) = RB_HELD.get_ptr(flow) {
        // SAFETY: a live map value; its fields are written before it is in the map.
        let held = unsafe { &*held };
        let (same, waits) = (held.seq == segment.seq, now < held.at_ns + rule.hold_ns);
        if same && alive && waits {
            return Verdict::Drop;
        }
        forget(flow, counts);
        if same {
            return undecided(flow, hash, segment.seq, rule, counts);
        }
    }
    if !alive {
        return undecided(flow, hash, segment.seq, rule, counts);
    }
    hold(flow, HeldSyn { at_ns: now, seq: segment.seq, guard }, rule, counts)
}

/// Holds a SYN, if there is room.
#[inline(always)]
fn hold(flow: &Flow, held: HeldSyn, rule: &GuardRule, counts: &mut GuardCounts) -> Verdict {
    // SAFETY: a live map value.
    if !unsafe { atomic::add_up_to(&raw mut counts.held, u64::from(rule.max_held)) } {
        // SAFETY: as above.
        unsafe { atomic::add(&raw mut counts.overflow, 1) };
        return Verdict::Drop;
    }
    if RB_HELD.insert(flow, &held, u64::from(BPF_NOEXIST)).is_err() {
        // SAFETY: as above.
        unsafe {
            atomic::add(&raw mut counts.held, u64::MAX);
            atomic::add(&raw mut counts.overflow, 1);
        }
        return Verdict::Drop;
    }
    Verdict::Hold
}

/// The daemon has not decided: the guard's rule does.
#[inline(always)]
fn undecided(flow: &Flow, hash: u64, seq: u32, rule: &GuardRule, counts: &mut GuardCounts) -> Verdict {
    if rule.flags & GuardFlags::CLOSED != 0 {
        // SAFETY: a live map value.
        unsafe { atomic::add(&raw mut counts.closed, 1) };
        return Verdict::Drop;
    }
    // SAFETY: as above.
    unsafe { atomic::add(&raw mut counts.unchecked, 1) };
    passed(flow, hash, seq, 0);
    Verdict::Pass
}
