//! The gate of shared addresses (H-1): a host in standby has the address but is not seen to have it.
//!
//! In: what arrives at and leaves the interface of the shared addresses, and [`shared::RB_GATE`], which the daemon writes.
//! Out: while an address's gate is closed, no question for it (ARP request, neighbour solicitation) reaches this host, and
//! nothing that leaves claims it (ARP with it as the sender, an advertisement of it, a solicitation from it). Everything
//! else goes on unchanged. What others claim is counted in [`shared::RB_CLAIMS`], so that the active host can answer it
//! (H-4).
//!
//! An object of its own, loaded and attached only where `[standby]` is configured: other hosts pay nothing for it.
#![no_std]
#![no_main]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "a key that is given by value is copied on the small stack"
)]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make public functions of their own")]

mod message;
mod shared;

use aya_ebpf::{macros::classifier, programs::TcContext};

/// What arrives.
#[classifier]
pub fn rb_gate_in(ctx: TcContext) -> i32 {
    let message = message::arrived(&ctx);
    shared::count_claim(&ctx, message.claimed, message.mac_at);
    shared::verdict(message.asked)
}

/// What leaves.
#[classifier]
pub fn rb_gate_out(ctx: TcContext) -> i32 {
    shared::verdict(message::claimed_by_leaving(&ctx))
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers that the programs call are only for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
