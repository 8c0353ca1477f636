//! The shared addresses: whether their gates are open, and what others claim of them.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    btf_maps::HashMap,
    helpers::generated::bpf_ktime_get_ns,
    macros::btf_map,
    programs::TcContext,
};
use monitor_common::{Addr, Claims, GATE_ENTRIES, GateState};

use crate::message::{Halves, NO_ADDRESS};

/// One entry per shared address; pinned, so that it outlives the daemon.
#[btf_map]
pub(crate) static RB_GATE: HashMap<Addr, GateState, GATE_ENTRIES> = HashMap::new();

/// The same addresses; each daemon begins anew.
#[btf_map]
pub(crate) static RB_CLAIMS: HashMap<Addr, Claims, GATE_ENTRIES> = HashMap::new();

/// Counts it when another host says that a shared address is its own.
#[inline(always)]
pub(crate) fn count_claim(ctx: &TcContext, halves: Halves, mac_at: usize) {
    if halves == NO_ADDRESS {
        return;
    }
    let addr = Addr::from_halves(halves);
    let Some(claims) = RB_CLAIMS.get_ptr_mut(&addr) else { return };
    let (Ok(upper), Ok(lower)) = (ctx.load::<u16>(mac_at), ctx.load::<u32>(mac_at + 2)) else { return };
    let mac = u64::from(u16::from_be(upper)) << 32 | u64::from(u32::from_be(lower));
    // SAFETY: a live map value of integers, each read and written whole; the daemon only writes the first, before.
    unsafe {
        if mac != (*claims).own {
            (*claims).latest = mac;
            (*claims).count += 1;
        }
    }
}

/// Stops what concerns a shared address whose gate is closed; leaves the rest to the next program.
#[inline(always)]
pub(crate) fn verdict(halves: Halves) -> i32 {
    if halves == NO_ADDRESS {
        return TC_ACT_UNSPEC;
    }
    let addr = Addr::from_halves(halves);
    let Some(state) = RB_GATE.get_ptr_mut(&addr) else { return TC_ACT_UNSPEC };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: a live map value of two integers, each read and written whole; the daemon only writes the first.
    unsafe {
        if now < (&raw const (*state).open_until_ns).read_volatile() {
            return TC_ACT_UNSPEC;
        }
        (*state).stopped += 1;
    }
    TC_ACT_SHOT
}
