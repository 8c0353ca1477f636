//! Which addresses ARP and neighbour messages ask for and claim.

use core::mem::offset_of;

use aya_ebpf::programs::TcContext;
use monitor_ebpf::parse::{Arp, ArpOperation, EtherType, Ethernet, Icmp, IcmpType, Ipv6, NeighbourMessage, Protocol};

/// Places in an Ethernet frame without a tag: the kernel has taken an outer VLAN tag off before these programs run.
const ETHERNET_SOURCE: usize = offset_of!(Ethernet, source);
const NETWORK: usize = size_of::<Ethernet>();
const ARP_OPERATION: usize = NETWORK + offset_of!(Arp, operation);
const ARP_SENDER_MAC: usize = NETWORK + offset_of!(Arp, sender_mac);
const ARP_SENDER: usize = NETWORK + offset_of!(Arp, sender);
const ARP_TARGET: usize = NETWORK + Arp::TARGET;
const IPV6_NEXT_HEADER: usize = NETWORK + offset_of!(Ipv6, next_header);
const IPV6_HOP_LIMIT: usize = NETWORK + offset_of!(Ipv6, hop_limit);
const IPV6_SOURCE: usize = NETWORK + offset_of!(Ipv6, src);
const ICMPV6: usize = NETWORK + size_of::<Ipv6>();
const ICMPV6_TYPE: usize = ICMPV6 + offset_of!(Icmp, kind);
const NEIGHBOUR_TARGET: usize = ICMPV6 + offset_of!(NeighbourMessage, target);

/// An address in halves: the verifier wants whole words on the stack.
pub(crate) type Halves = [u64; 2];

/// No address: all zero, which is never shared. An `Option` would leave its other bytes unset, and before Linux 6.3 the
/// verifier refuses a program that copies such.
pub(crate) const NO_ADDRESS: Halves = [0; 2];

/// What a message that arrived says.
pub(crate) struct Message {
    /// The address that its sender claims.
    pub(crate) claimed: Halves,
    /// The address that it asks for.
    pub(crate) asked: Halves,
    /// Where the sender's MAC address stands in the frame.
    pub(crate) mac_at: usize,
}

/// Reads what arrives.
#[inline(always)]
pub(crate) fn arrived(ctx: &TcContext) -> Message {
    let (claimed, asked, mac_at) = match protocol(ctx) {
        EtherType::ARP => {
            let is_request = half(ctx, ARP_OPERATION) == Some(ArpOperation::REQUEST);
            let asked = if is_request { v4(ctx, ARP_TARGET) } else { NO_ADDRESS };
            (v4(ctx, ARP_SENDER), asked, ARP_SENDER_MAC)
        }
        EtherType::IPV6 => match neighbour_message(ctx) {
            Some(IcmpType::NEIGHBOUR_SOLICITATION) => {
                (v6(ctx, IPV6_SOURCE), v6(ctx, NEIGHBOUR_TARGET), ETHERNET_SOURCE)
            }
            // From another link it would not have the highest hop limit (RFC 4861 section 7.1.2).
            Some(IcmpType::NEIGHBOUR_ADVERTISEMENT)
                if ctx.load::<u8>(IPV6_HOP_LIMIT).ok() == Some(NeighbourMessage::HOP_LIMIT) =>
            {
                (v6(ctx, NEIGHBOUR_TARGET), NO_ADDRESS, ETHERNET_SOURCE)
            }
            _ => (NO_ADDRESS, NO_ADDRESS, ETHERNET_SOURCE),
        },
        _ => (NO_ADDRESS, NO_ADDRESS, ETHERNET_SOURCE),
    };
    Message { claimed, asked, mac_at }
}

/// The address that a frame which leaves claims.
#[inline(always)]
pub(crate) fn claimed_by_leaving(ctx: &TcContext) -> Halves {
    match protocol(ctx) {
        // Requests too: a receiver learns the sender of either (RFC 826).
        EtherType::ARP => v4(ctx, ARP_SENDER),
        EtherType::IPV6 => match neighbour_message(ctx) {
            Some(IcmpType::NEIGHBOUR_ADVERTISEMENT) => v6(ctx, NEIGHBOUR_TARGET),
            // It carries the sender's link-layer address (RFC 4861 section 4.3).
            Some(IcmpType::NEIGHBOUR_SOLICITATION) => v6(ctx, IPV6_SOURCE),
            _ => NO_ADDRESS,
        },
        _ => NO_ADDRESS,
    }
}

#[inline(always)]
fn protocol(ctx: &TcContext) -> EtherType {
    // SAFETY: the context is valid for the whole run of the program.
    EtherType(u16::from_be(unsafe { (*ctx.skb.skb).protocol } as u16))
}

/// The ICMPv6 type. Neighbour messages have no extension headers in front: RFC 6980 forbids fragments, and no host sends
/// others.
#[inline(always)]
fn neighbour_message(ctx: &TcContext) -> Option<IcmpType> {
    if ctx.load::<u8>(IPV6_NEXT_HEADER).ok()? != Protocol::ICMPV6.0 {
        return None;
    }
    ctx.load(ICMPV6_TYPE).ok().map(IcmpType)
}

#[inline(always)]
fn half(ctx: &TcContext, at: usize) -> Option<u16> {
    ctx.load(at).ok().map(u16::from_be)
}

/// [`monitor_common::Addr::from_v4`] in halves.
#[inline(always)]
fn v4(ctx: &TcContext, at: usize) -> Halves {
    const { assert!(cfg!(target_endian = "little")) };
    match ctx.load::<u32>(at) {
        Ok(native) => [0, u64::from(native) << 32 | 0xffff_0000],
        Err(_) => NO_ADDRESS,
    }
}

#[inline(always)]
fn v6(ctx: &TcContext, at: usize) -> Halves {
    match (ctx.load(at), ctx.load(at + 8)) {
        (Ok(high), Ok(low)) => [high, low],
        _ => NO_ADDRESS,
    }
}
