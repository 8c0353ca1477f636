//! From a frame to the one handler that it concerns. Everything else returns as early as it can.

use core::mem::MaybeUninit;

use monitor_common::{Addr, Counter};

use crate::{
    answer,
    counters::count,
    established,
    frame::{
        Arp, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Frame, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, Icmp, Ipv4, Ipv6,
        Payload, Tcp, ethertype,
    },
    guard::{self, Passage},
    neighbour, refusal,
    segment::{ACK, FIN, RST, SYN, Segment},
    syn, unreachable,
};

/// Which way the frame passes this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// It arrived.
    Ingress,
    /// It leaves: this host's own answers, refusals and ICMP are only seen here.
    Egress,
}

/// Looks at one frame. All but SYNs to a guarded port go on.
#[inline(always)]
pub(crate) fn decide(frame: &Frame, side: Side, ifindex: u32) -> Passage {
    let Some((ethertype, offset)) = ethertype(frame) else { return Passage::Goes };
    let mut segment = MaybeUninit::uninit();
    let segment = match ethertype {
        ETH_P_IP => ipv4(frame, offset, side, ifindex, &mut segment),
        ETH_P_IPV6 => ipv6(frame, offset, side, ifindex, &mut segment),
        // Own ARP is no evidence: only what arrives is looked at.
        ETH_P_ARP if side == Side::Ingress => {
            if let Some(arp) = frame.at::<Arp>(offset) {
                neighbour::arp(arp, ifindex);
            }
            None
        }
        _ => None,
    };
    segment.map_or(Passage::Goes, |segment| passage(segment))
}

/// The same for a frame whose IPv4 header lies at `offset`, up to the segment that somebody asks for.
#[inline(always)]
pub(crate) fn ipv4<'place>(
    frame: &Frame,
    offset: usize,
    side: Side,
    ifindex: u32,
    segment: &'place mut MaybeUninit<Segment>,
) -> Option<&'place mut Segment> {
    let Some(ip) = frame.at::<Ipv4>(offset) else { return malformed() };
    match ip.payload(offset) {
        Payload::At(IPPROTO_TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            let guard = wanted(tcp, side)?;
            let ends = (Addr::from_v4(ip.src.native()), Addr::from_v4(ip.dst.native()));
            let bytes = (offset + usize::from(ip.total_len.get())).wrapping_sub(at);
            return Some(segment.write(Segment::new(ends, tcp, bytes, guard, side, ifindex)));
        }
        Payload::At(IPPROTO_ICMP, at) => {
            let Some(icmp) = frame.at::<Icmp>(at) else { return malformed() };
            unreachable::icmp(frame, icmp, at, ifindex);
        }
        Payload::At(..) | Payload::Hidden => {}
        Payload::Malformed => return malformed(),
    }
    None
}

#[inline(always)]
fn ipv6<'place>(
    frame: &Frame,
    offset: usize,
    side: Side,
    ifindex: u32,
    segment: &'place mut MaybeUninit<Segment>,
) -> Option<&'place mut Segment> {
    let Some(ip) = frame.at::<Ipv6>(offset) else { return malformed() };
    match ip.payload(frame, offset) {
        Payload::At(IPPROTO_TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            let guard = wanted(tcp, side)?;
            let bytes = (offset + size_of::<Ipv6>() + usize::from(ip.payload_len.get())).wrapping_sub(at);
            return Some(segment.write(Segment::new((ip.src.into(), ip.dst.into()), tcp, bytes, guard, side, ifindex)));
        }
        Payload::At(IPPROTO_ICMPV6, at) => {
            let Some(icmp) = frame.at::<Icmp>(at) else { return malformed() };
            if icmp.kind == neighbour::ADVERTISEMENT && side == Side::Ingress {
                neighbour::advertisement(frame, ip, at, ifindex);
            } else {
                unreachable::icmpv6(frame, icmp, at, ifindex);
            }
        }
        Payload::At(..) | Payload::Hidden => {}
        Payload::Malformed => return malformed(),
    }
    None
}

#[inline(always)]
fn malformed<T>() -> Option<T> {
    count(Counter::Malformed);
    None
}

/// The one question that every TCP segment is asked: whether anybody wants it, and then its port's guard (0: none).
#[inline(always)]
fn wanted(tcp: &Tcp, side: Side) -> Option<u8> {
    let guard = guard::of(tcp, side);
    (guard != 0 || concerns_us(tcp.flags) || established::are_followed()).then_some(guard)
}

/// Whether these flags say something of an attempt.
#[inline(always)]
fn concerns_us(flags: u8) -> bool {
    flags & (SYN | RST) != 0 || (answer::client_ack_counts() && flags & (FIN | ACK) == ACK)
}

/// Guards first: what they hide is no evidence.
#[inline(always)]
pub(crate) fn passage(segment: &mut Segment) -> Passage {
    if established::are_followed() {
        established::follow(segment);
    }
    let passage = if segment.guard != 0 { guard::passage(segment) } else { Passage::Goes };
    if passage != Passage::Hidden && concerns_us(segment.flags) && by_flags(segment) && passage == Passage::Goes {
        return Passage::ToFailed;
    }
    passage
}

/// Names the attempt that the segment speaks of, seen from its client, and gives it to the one handler. Returns whether it
/// is a SYN to a failed service.
#[inline(always)]
fn by_flags(segment: &Segment) -> bool {
    if segment.data_offset >> 4 < 5 {
        count(Counter::Malformed);
        return false;
    }
    let flags = segment.flags & (FIN | SYN | RST | ACK);
    // An answer, and a refusal, come from the server.
    let mut attempt = segment.attempt(flags & (SYN | RST) != 0 && flags & ACK != 0);
    match flags {
        // A SYN that leaves was seen when it arrived, or is this host's own.
        SYN if segment.arrived != 0 => return syn::rb_syn(&mut attempt) != 0,
        // Answer and refusal acknowledge the SYN's sequence number + 1 (RFC 9293 sections 3.5 and 3.5.2); a lone RST,
        // or one that acknowledges something else, is nothing.
        flags if flags == SYN | ACK => answer::syn_ack(&mut attempt),
        flags if flags == RST | ACK => refusal::seen(&mut attempt),
        // The client's ACK that ends the handshake carries the SYN's sequence number + 1.
        ACK if segment.arrived != 0 && answer::client_ack_counts() => {
            attempt.seq = segment.seq.wrapping_sub(1);
            answer::client_ack(&mut attempt);
        }
        _ => {}
    }
    false
}
