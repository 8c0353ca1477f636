//! Where the headers of a packet lie: TC sees packets of which a part is in pages that programs cannot read directly.
//!
//! Most drivers, and the kernel itself when it puts segments together, leave the headers in the part that can be read. Where
//! they do not, the kernel is asked to move them there. The bytes stay what they are.

use aya_ebpf::programs::TcContext;
use monitor_ebpf::parse::{Arp, EtherType, Frame, Ipv4, Ipv6, Payload, Protocol, Tcp, carried, ip_version};

/// What is moved at most: three VLAN tags, PPPoE, IPv6 with extension headers, and the packet that an ICMP message quotes.
const HEADERS: usize = 256;

/// The frame, with its headers where they can be read.
#[inline(always)]
pub(crate) fn ethernet(ctx: &TcContext) -> Frame {
    let frame = Frame::from(ctx);
    if is_whole(ctx, &frame) {
        return frame;
    }
    let shows = match carried(&frame) {
        Some((EtherType::IPV4, offset)) => shows_v4(&frame, offset),
        Some((EtherType::IPV6, offset)) => shows_v6(&frame, offset),
        Some((EtherType::ARP, offset)) => frame.at::<Arp>(offset).is_some(),
        Some(_) => true,
        None => false,
    };
    if shows { frame } else { moved(ctx) }
}

/// The same for a packet that has nothing before its IP header.
#[inline(always)]
pub(crate) fn packet(ctx: &TcContext) -> Frame {
    let frame = Frame::from(ctx);
    if is_whole(ctx, &frame) {
        return frame;
    }
    let shows = match ip_version(&frame) {
        Some(4) => shows_v4(&frame, 0),
        Some(6) => shows_v6(&frame, 0),
        Some(_) => true,
        None => false,
    };
    if shows { frame } else { moved(ctx) }
}

/// Whether all of the packet, or enough of it, can be read.
#[inline(always)]
fn is_whole(ctx: &TcContext, frame: &Frame) -> bool {
    frame.length() >= HEADERS || frame.length() >= ctx.len() as usize
}

/// Whether a TCP header can be read; of an ICMP message more is needed.
#[inline(always)]
fn shows_v4(frame: &Frame, offset: usize) -> bool {
    let Some(ip) = frame.at::<Ipv4>(offset) else { return false };
    match ip.payload(offset) {
        Payload::At(Protocol::TCP, at) => frame.at::<Tcp>(at).is_some(),
        Payload::At(Protocol::ICMP, _) => false,
        _ => true,
    }
}

/// The same. What has extension headers is moved.
#[inline(always)]
fn shows_v6(frame: &Frame, offset: usize) -> bool {
    let Some(ip) = frame.at::<Ipv6>(offset) else { return false };
    match ip.next_header {
        Protocol::TCP => frame.at::<Tcp>(offset + size_of::<Ipv6>()).is_some(),
        Protocol::ICMPV6 => false,
        other => !other.is_extension(),
    }
}

/// What cannot be moved is read as far as it goes.
#[inline(always)]
fn moved(ctx: &TcContext) -> Frame {
    let _ = ctx.pull_data((HEADERS as u32).min(ctx.len()));
    Frame::from(ctx)
}
