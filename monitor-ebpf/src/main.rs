//! The kernel side: what a frame says about an attempt, decided where the frame passes.
//!
//! In: every frame that arrives on a watched interface (XDP) or that this host sends (TC egress). Out: changes of the
//! maps in [`maps`] and events on the ring buffer. Every frame goes on unchanged: these programs only watch. What is answered
//! in a failed server's name, where the operator wants that, is in [`standin`] and [`fast_refusal`]; SYNs to guarded ports of
//! this host are held in [`guard`].
//!
//! `frame` reads headers, `decide` picks what concerns us, and one file each handles a SYN ([`syn`]), its answer
//! ([`answer`]), a refusal ([`refusal`]), ICMP ([`unreachable`]), a host that speaks ([`neighbour`]) and the passing of
//! time ([`deadline`]).
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the BPF target has compare-and-swap, but core does not offer it there")]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make public functions of their own")]

mod answer;
mod atomic;
mod bucket;
mod counters;
mod deadline;
mod decide;
mod established;
mod fast_refusal;
mod frame;
mod guard;
mod maps;
mod mark;
mod neighbour;
mod refusal;
mod report;
mod segment;
mod standin;
mod syn;
mod unmatched;
mod unreachable;
mod yardstick;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

use aya_log_ebpf::{error, warn};
use monitor_common::Outcome;

use crate::{
    decide::{Side, decide},
    frame::Frame,
    guard::Passage,
};

/// What arrives on a watched interface.
#[xdp(frags)]
pub fn rb_ingress(ctx: XdpContext) -> u32 {
    let frame = Frame::new(ctx.data(), ctx.data_end());
    let passage = decide(&frame, Side::Ingress, ctx.ingress_ifindex() as u32);
    if guard::on() && matches!(passage, Passage::Held | Passage::Dropped) {
        if passage == Passage::Held {
            guard::hand_over(ctx.ctx, &frame);
        }
        return xdp_action::XDP_DROP;
    }
    if passage == Passage::ToFailed {
        return fast_refusal::answer(&ctx);
    }
    xdp_action::XDP_PASS
}

/// What this host sends, or forwards, out of a watched interface. "Unspecified" leaves the verdict to the next program.
#[classifier]
pub fn rb_egress(ctx: TcContext) -> i32 {
    // SAFETY: the context is valid for the whole run of the program.
    let ifindex = unsafe { (*ctx.skb.skb).ifindex };
    if !standin::sent_for_server(&ctx) {
        decide(&Frame::new(ctx.data(), ctx.data_end()), Side::Egress, ifindex);
    }
    TC_ACT_UNSPEC
}

/// Gives connections to failed services to the page; see [`standin`].
#[classifier]
pub fn rb_standin(ctx: TcContext) -> i32 {
    standin::steer(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// Arms the timer; the daemon runs this once after loading.
#[classifier]
pub fn rb_arm(ctx: TcContext) -> i32 {
    let result = deadline::arm();
    if result != 0 {
        error!(&ctx, "the timer is not armed: error {}; silent servers will not be noticed", -result);
    }
    result
}

/// Changes one service's state; the daemon runs this with a [`monitor_common::MarkRequest`].
#[classifier]
pub fn rb_mark(ctx: TcContext) -> i32 {
    let outcome = mark::apply(&Frame::new(ctx.data(), ctx.data_end()));
    if outcome == Outcome::NotDone {
        warn!(&ctx, "the table of services has no room for a mark");
    }
    outcome as i32
}

/// Changes what is known of a connection to a guarded port; the daemon runs this with a
/// [`monitor_common::GuardRequest`].
#[classifier]
pub fn rb_guard_req(ctx: TcContext) -> i32 {
    guard::apply(&Frame::new(ctx.data(), ctx.data_end())) as i32
}

/// Passes what the daemon puts back into the stack: a held SYN, as if it had just arrived.
#[xdp(frags)]
pub fn rb_reinject(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// Passes: what the others are measured against.
#[xdp(frags)]
pub fn rb_pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// Measures a SYN of a new flow in each run; see [`yardstick`].
#[xdp(frags)]
pub fn rb_new_syn(ctx: XdpContext) -> u32 {
    yardstick::new_syn(&mut Frame::new(ctx.data(), ctx.data_end()), ctx.ingress_ifindex() as u32);
    xdp_action::XDP_PASS
}

/// Measures one look of the timer at the deadlines.
#[classifier]
pub fn rb_look(_ctx: TcContext) -> i32 {
    deadline::look();
    0
}

/// Measures a SYN of a new flow and its SYN/ACK in each run.
#[xdp(frags)]
pub fn rb_pair(ctx: XdpContext) -> u32 {
    yardstick::pair(&mut Frame::new(ctx.data(), ctx.data_end()), ctx.ingress_ifindex() as u32);
    xdp_action::XDP_PASS
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers that the programs call are only for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
