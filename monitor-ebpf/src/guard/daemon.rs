//! Between the guards and the daemon: held frames go to it, and its decisions on single connections are carried out.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_md},
    helpers::generated::{bpf_ktime_get_ns, bpf_xdp_load_bytes},
};
use monitor_common::{
    Counter, Flow, GuardOp, GuardRecordKind, GuardRequest, HandshakeFlags, LONGEST_FRAME, Outcome, ServiceFlags,
    ServiceKey, ServiceState,
};
use monitor_ebpf::parse::Frame;

use super::{
    connection::over,
    handshake::{hash, passed},
    held::forget,
};
use crate::state::{
    atomic, count,
    maps::{RB_GUARD_COUNTS, RB_GUARD_RING, RB_HELD, RB_OPEN, RB_SERVICES},
};

/// Gives a held frame to the daemon, which reads its addresses. If the ring is full, the SYN stays held until its time is
/// up.
#[inline(always)]
pub(crate) fn hand_over(ctx: *mut xdp_md, frame: &Frame) {
    // SAFETY: the context is valid for the whole run of the program.
    let ifindex = unsafe { (*ctx).ingress_ifindex };
    let length = frame.length();
    if length == 0 || length > LONGEST_FRAME {
        return;
    }
    let Some(mut entry) = RB_GUARD_RING.reserve(0) else { return count(Counter::RingFull) };
    let record = entry.as_mut_ptr();
    // The verifier's way to see that 1 <= length <= LONGEST_FRAME.
    let length = ((length as u32).wrapping_sub(1) & (LONGEST_FRAME as u32 - 1)) + 1;
    // SAFETY: reserved for this record; the helper writes at most as many bytes as there are.
    let loaded = unsafe {
        (*record).at_ns = bpf_ktime_get_ns();
        (*record).ifindex = ifindex;
        (*record).length = length;
        (*record).kind = GuardRecordKind::HELD;
        (*record).guard = 0;
        bpf_xdp_load_bytes(ctx, 0, (&raw mut (*record).frame).cast(), length)
    };
    if loaded == 0 {
        entry.submit(0);
    } else {
        entry.discard(0);
    }
}

/// Carries out the daemon's decision on one connection. It is not done if that was decided before.
#[inline(always)]
pub(crate) fn apply(frame: &Frame) -> Outcome {
    let Some(request) = frame.copy::<GuardRequest>(GuardRequest::OFFSET) else { return Outcome::NotDone };
    let Some(counts) = RB_GUARD_COUNTS.get_ptr_mut(request.guard) else { return Outcome::NotDone };
    // SAFETY: a live map value; shared words are changed by atomic operations or written whole.
    let counts = unsafe { &mut *counts };
    let flow = request.flow;
    match request.op {
        GuardOp::ADMIT | GuardOp::PASS | GuardOp::REFUSE | GuardOp::FORGET => {
            let Some(held) = RB_HELD.get_ptr(&flow) else { return Outcome::NotDone };
            // SAFETY: a live map value.
            if unsafe { (*held).seq } != request.seq {
                return Outcome::NotDone;
            }
            if request.op == GuardOp::ADMIT || request.op == GuardOp::PASS {
                let Some(hash) = hash(&flow) else { return Outcome::NotDone };
                let flags = if request.op == GuardOp::ADMIT { HandshakeFlags::CHECKED } else { 0 };
                passed(&flow, hash, request.seq, flags);
            }
            if request.op == GuardOp::REFUSE {
                may_fail(&flow);
            }
            forget(&flow, counts);
        }
        GuardOp::HEALTHY => {
            let Some(open) = RB_OPEN.get_ptr_mut(&flow) else { return Outcome::NotDone };
            // SAFETY: a live map value; only this program, which runs once at a time, writes this field.
            unsafe {
                if (*open).checked == 0 {
                    (*open).checked = 1;
                    atomic::add(&raw mut counts.open, 1);
                }
            }
        }
        GuardOp::OVER => over(&flow, counts),
        GuardOp::CORRECT => {
            // SAFETY: a live map value.
            unsafe { atomic::add(&raw mut counts.open, i64::from(request.seq.cast_signed()).cast_unsigned()) };
        }
        _ => return Outcome::NotDone,
    }
    Outcome::Done
}

/// A guarded service is listed: it may have an outage though it never answered.
#[inline(always)]
fn may_fail(flow: &Flow) {
    let key = ServiceKey::new(flow.server, flow.server_port);
    match RB_SERVICES.get_ptr_mut(&key) {
        // SAFETY: a live map value; the field is read and written whole, as in `mark`.
        Some(service) => unsafe { (*service).flags |= ServiceFlags::LISTED },
        None => {
            let service = ServiceState { flags: ServiceFlags::LISTED, ..ServiceState::default() };
            let _ = RB_SERVICES.insert(&key, &service, u64::from(BPF_NOEXIST));
        }
    }
}
