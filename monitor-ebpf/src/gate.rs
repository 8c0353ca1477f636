//! The gate of shared addresses (H-1): a host in standby has the address but is not seen to have it.
//!
//! In: what arrives at and leaves the interface of the shared addresses, and [`RB_GATE`], which the daemon writes. Out:
//! while an address's gate is closed, nobody's question for it (ARP request, neighbour solicitation) reaches this host,
//! and nothing that leaves claims it (ARP with it as the sender, an advertisement of it, a solicitation from it).
//! Everything else goes on unchanged. What others claim is counted in [`RB_CLAIMS`], so that the active host can answer
//! it (H-4).
//!
//! An object of its own, loaded and attached only where `[standby]` is configured: other hosts pay nothing for it.
#![no_std]
#![no_main]
#![expect(missing_docs, unreachable_pub, reason = "the program macros make public functions of their own")]

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    btf_maps::HashMap,
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_map, classifier},
    programs::TcContext,
};
use monitor_common::{Addr, Claims, GATE_ENTRIES, GateState};

const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
const IPPROTO_ICMPV6: u8 = 58;
const ARP_REQUEST: u16 = 1;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Places in an Ethernet frame without a tag: the kernel has taken an outer VLAN tag off before these programs run.
const ETHERNET_SOURCE: usize = 6;
const ARP_OPERATION: usize = 14 + 6;
const ARP_SENDER_MAC: usize = 14 + 8;
const ARP_SENDER: usize = 14 + 14;
const ARP_TARGET: usize = 14 + 24;
const IPV6_NEXT_HEADER: usize = 14 + 6;
const IPV6_HOP_LIMIT: usize = 14 + 7;
const IPV6_SOURCE: usize = 14 + 8;
const ICMPV6_TYPE: usize = 14 + 40;
const NEIGHBOUR_TARGET: usize = 14 + 40 + 8;

/// No address: all zero, which nobody shares. An `Option` would leave its other bytes unset, and before Linux 6.3 the
/// verifier refuses a program that copies such.
const NOBODY: [u64; 2] = [0; 2];

/// One entry per shared address; pinned, so that it outlives the daemon.
#[btf_map]
static RB_GATE: HashMap<Addr, GateState, GATE_ENTRIES> = HashMap::new();

/// The same addresses; begun anew by each daemon.
#[btf_map]
static RB_CLAIMS: HashMap<Addr, Claims, GATE_ENTRIES> = HashMap::new();

/// What arrives.
#[classifier]
pub fn rb_gate_in(ctx: TcContext) -> i32 {
    let (claimed, asked, mac_at) = match protocol(&ctx) {
        ETH_P_ARP => {
            let asked = if half(&ctx, ARP_OPERATION) == Some(ARP_REQUEST) { v4(&ctx, ARP_TARGET) } else { NOBODY };
            (v4(&ctx, ARP_SENDER), asked, ARP_SENDER_MAC)
        }
        ETH_P_IPV6 => match neighbour_message(&ctx) {
            Some(SOLICITATION) => (v6(&ctx, IPV6_SOURCE), v6(&ctx, NEIGHBOUR_TARGET), ETHERNET_SOURCE),
            // From another link it would not have the highest hop limit (RFC 4861 section 7.1.2).
            Some(ADVERTISEMENT) if ctx.load::<u8>(IPV6_HOP_LIMIT).ok() == Some(255) => {
                (v6(&ctx, NEIGHBOUR_TARGET), NOBODY, ETHERNET_SOURCE)
            }
            _ => (NOBODY, NOBODY, ETHERNET_SOURCE),
        },
        _ => (NOBODY, NOBODY, ETHERNET_SOURCE),
    };
    count_claim(&ctx, claimed, mac_at);
    verdict(asked)
}

/// Counts it when somebody else says that a shared address is its own.
#[inline(always)]
fn count_claim(ctx: &TcContext, halves: [u64; 2], mac_at: usize) {
    if halves == NOBODY {
        return;
    }
    // SAFETY: both are 16 bytes without meaning.
    let addr: Addr = unsafe { core::mem::transmute(halves) };
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

/// What leaves.
#[classifier]
pub fn rb_gate_out(ctx: TcContext) -> i32 {
    let claimed = match protocol(&ctx) {
        // Requests too: a receiver learns the sender of either (RFC 826).
        ETH_P_ARP => v4(&ctx, ARP_SENDER),
        ETH_P_IPV6 => match neighbour_message(&ctx) {
            Some(ADVERTISEMENT) => v6(&ctx, NEIGHBOUR_TARGET),
            // It carries the sender's link-layer address (RFC 4861 section 4.3).
            Some(SOLICITATION) => v6(&ctx, IPV6_SOURCE),
            _ => NOBODY,
        },
        _ => NOBODY,
    };
    verdict(claimed)
}

/// Stops what concerns a shared address whose gate is closed; leaves the rest to the next program.
#[inline(always)]
fn verdict(halves: [u64; 2]) -> i32 {
    if halves == NOBODY {
        return TC_ACT_UNSPEC;
    }
    // SAFETY: both are 16 bytes without meaning.
    let addr: Addr = unsafe { core::mem::transmute(halves) };
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
    TC_ACT_SHOT as i32
}

#[inline(always)]
fn protocol(ctx: &TcContext) -> u16 {
    // SAFETY: the context is valid for the whole run of the program.
    u16::from_be(unsafe { (*ctx.skb.skb).protocol } as u16)
}

/// The ICMPv6 type. Neighbour messages have no extension headers in front: RFC 6980 forbids fragments, and nobody sends
/// others.
#[inline(always)]
fn neighbour_message(ctx: &TcContext) -> Option<u8> {
    if ctx.load::<u8>(IPV6_NEXT_HEADER).ok()? != IPPROTO_ICMPV6 {
        return None;
    }
    ctx.load(ICMPV6_TYPE).ok()
}

#[inline(always)]
fn half(ctx: &TcContext, at: usize) -> Option<u16> {
    ctx.load(at).ok().map(u16::from_be)
}

/// [`Addr::from_v4`] in halves, as the verifier wants whole words on the stack.
#[inline(always)]
fn v4(ctx: &TcContext, at: usize) -> [u64; 2] {
    const { assert!(cfg!(target_endian = "little")) };
    match ctx.load::<u32>(at) {
        Ok(native) => [0, u64::from(native) << 32 | 0xffff_0000],
        Err(_) => NOBODY,
    }
}

#[inline(always)]
fn v6(ctx: &TcContext, at: usize) -> [u64; 2] {
    match (ctx.load(at), ctx.load(at + 8)) {
        (Ok(high), Ok(low)) => [high, low],
        _ => NOBODY,
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers that the programs call are only for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
