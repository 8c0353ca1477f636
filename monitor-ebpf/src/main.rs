//! The kernel side: what a frame says about an attempt, decided where the frame passes.
//!
//! In: every frame that arrives on a watched interface (XDP) or that this host sends (TC egress). Out: changes of the maps
//! in [`state`] and events on the ring buffer. Every frame goes on unchanged, with two exceptions that the operator asks
//! for: SYNs to guarded ports of this host are held in [`guard`], and what is answered in a failed server's name is in
//! [`standin`].
//!
//! [`monitor_ebpf::parse`] reads headers, [`decide`] picks what concerns us, and [`watch`] handles it. Here are the entry
//! points, one a program.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "the BPF target has compare-and-swap, but core does not offer it there")]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a key that is given by value is copied on the small stack"
)]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make public functions of their own")]

mod bench;
mod decide;
mod guard;
mod linear;
mod standin;
mod state;
mod verdict;
mod watch;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use aya_log_ebpf::{error, warn};
use monitor_common::Outcome;
use monitor_ebpf::parse::Frame;

use crate::watch::{deadline, mark};

/// What arrives on a watched interface.
#[xdp(frags)]
pub fn rb_ingress(ctx: XdpContext) -> u32 {
    decide::arrives(&ctx)
}

/// The same by TC ingress, where XDP would cost more or is taken.
#[classifier]
pub fn rb_ingress_tc(ctx: TcContext) -> i32 {
    decide::arrives_by_tc(&ctx)
}

/// What this host sends, or forwards, out of a watched interface.
#[classifier]
pub fn rb_egress(ctx: TcContext) -> i32 {
    decide::leaves(&ctx)
}

/// What arrives on an interface whose frames have no link-layer header: a tunnel, PPP.
#[xdp(frags)]
pub fn rb_ingress_ip(ctx: XdpContext) -> u32 {
    decide::packet_arrives(&ctx)
}

/// The same by TC ingress.
#[classifier]
pub fn rb_ingress_ip_tc(ctx: TcContext) -> i32 {
    decide::packet_arrives_by_tc(&ctx)
}

/// What leaves by such an interface.
#[classifier]
pub fn rb_egress_ip(ctx: TcContext) -> i32 {
    decide::packet_leaves(&ctx)
}

/// Gives connections to failed services to the page; see [`standin::steer`].
#[classifier]
pub fn rb_standin(ctx: TcContext) -> i32 {
    standin::steer::steer(&ctx).unwrap_or(TC_ACT_UNSPEC)
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
    let outcome = mark::apply(&Frame::from(&ctx));
    if outcome == Outcome::NotDone {
        warn!(&ctx, "the table of services has no room for a mark");
    }
    outcome as i32
}

/// Changes what is known of a connection to a guarded port; the daemon runs this with a
/// [`monitor_common::GuardRequest`].
#[classifier]
pub fn rb_guard_req(ctx: TcContext) -> i32 {
    guard::apply(&Frame::from(&ctx)) as i32
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

/// Measures a SYN of a new flow in each run; see [`bench`].
#[xdp(frags)]
pub fn rb_new_syn(ctx: XdpContext) -> u32 {
    bench::new_syn(&mut Frame::from(&ctx), ctx.ingress_ifindex() as u32);
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
    bench::pair(&mut Frame::from(&ctx), ctx.ingress_ifindex() as u32);
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
