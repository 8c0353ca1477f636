//! From a frame to the one handler that it concerns. Everything else returns as early as it can.

use monitor_common::{Addr, Attempt, Counter};

use crate::{
    answer,
    counters::count,
    established::{self, Segment},
    frame::{
        Arp, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6, Frame, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, Icmp, Ipv4, Ipv6,
        Payload, Tcp, ethertype,
    },
    guard::{self, Passage},
    neighbour, refusal, syn, unreachable,
};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

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
    match ethertype {
        ETH_P_IP => return ipv4(frame, offset, side, ifindex),
        ETH_P_IPV6 => return ipv6(frame, offset, side, ifindex),
        // Own ARP is no evidence: only what arrives is looked at.
        ETH_P_ARP if side == Side::Ingress => {
            if let Some(arp) = frame.at::<Arp>(offset) {
                neighbour::arp(arp, ifindex);
            }
        }
        _ => {}
    }
    Passage::Goes
}

/// The same for a frame whose IPv4 header lies at `offset`.
#[inline(always)]
pub(crate) fn ipv4(frame: &Frame, offset: usize, side: Side, ifindex: u32) -> Passage {
    let Some(ip) = frame.at::<Ipv4>(offset) else { return malformed() };
    match ip.payload(offset) {
        Payload::At(IPPROTO_TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            if established::are_followed() {
                let (src, dst) = (Addr::from_v4(ip.src.native()), Addr::from_v4(ip.dst.native()));
                follow(src, dst, tcp, (offset + usize::from(ip.total_len.get())).wrapping_sub(at), side, ifindex);
            }
            let guard = guard::of(tcp, side);
            if guard != 0 || concerns_us(tcp) {
                return tcp_segment(
                    Addr::from_v4(ip.src.native()),
                    Addr::from_v4(ip.dst.native()),
                    tcp,
                    (side, guard),
                    ifindex,
                );
            }
        }
        Payload::At(IPPROTO_ICMP, at) => {
            let Some(icmp) = frame.at::<Icmp>(at) else { return malformed() };
            unreachable::icmp(frame, icmp, at, ifindex);
        }
        Payload::At(..) | Payload::Hidden => {}
        Payload::Malformed => return malformed(),
    }
    Passage::Goes
}

#[inline(always)]
fn ipv6(frame: &Frame, offset: usize, side: Side, ifindex: u32) -> Passage {
    let Some(ip) = frame.at::<Ipv6>(offset) else { return malformed() };
    match ip.payload(frame, offset) {
        Payload::At(IPPROTO_TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            if established::are_followed() {
                let end = offset + size_of::<Ipv6>() + usize::from(ip.payload_len.get());
                follow(ip.src.into(), ip.dst.into(), tcp, end.wrapping_sub(at), side, ifindex);
            }
            let guard = guard::of(tcp, side);
            if guard != 0 || concerns_us(tcp) {
                return tcp_segment(ip.src.into(), ip.dst.into(), tcp, (side, guard), ifindex);
            }
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
    Passage::Goes
}

#[inline(always)]
fn malformed() -> Passage {
    count(Counter::Malformed);
    Passage::Goes
}

/// Guards first: what they hide is no evidence.
#[inline(always)]
fn tcp_segment(src: Addr, dst: Addr, tcp: &Tcp, (side, guard): (Side, u32), ifindex: u32) -> Passage {
    let passage = if guard != 0 { guard::segment((src, dst), tcp, side, guard - 1, ifindex) } else { Passage::Goes };
    if passage != Passage::Hidden
        && concerns_us(tcp)
        && by_flags(src, dst, tcp, side, ifindex)
        && passage == Passage::Goes
    {
        return Passage::ToFailed;
    }
    passage
}

/// The one question that every TCP segment is asked.
#[inline(always)]
fn concerns_us(tcp: &Tcp) -> bool {
    tcp.flags & (SYN | RST) != 0 || (answer::client_ack_counts() && tcp.flags & (FIN | ACK) == ACK)
}

/// Names the attempt that the segment speaks of, seen from its client, and gives it to the one handler.
#[inline(always)]
fn by_flags(src: Addr, dst: Addr, tcp: &Tcp, side: Side, ifindex: u32) -> bool {
    if tcp.data_offset >> 4 < 5 {
        count(Counter::Malformed);
        return false;
    }
    let (source, dest) = (tcp.source.get(), tcp.dest.get());
    let from_client = |seq| attempt(src, dst, source, dest, seq, ifindex);
    let from_server = |seq| attempt(dst, src, dest, source, seq, ifindex);
    match tcp.flags & (FIN | SYN | RST | ACK) {
        // A SYN that leaves was seen when it arrived, or is this host's own.
        SYN if side == Side::Ingress => return syn::rb_syn(&mut from_client(tcp.seq.get())) != 0,
        // Answer and refusal acknowledge the SYN's sequence number + 1 (RFC 9293 sections 3.5 and 3.5.2); a lone RST,
        // or one that acknowledges something else, is nothing.
        flags if flags == SYN | ACK => answer::syn_ack(&mut from_server(tcp.ack.get().wrapping_sub(1))),
        flags if flags == RST | ACK => refusal::seen(&mut from_server(tcp.ack.get().wrapping_sub(1))),
        // The client's ACK that ends the handshake carries the SYN's sequence number + 1.
        ACK if side == Side::Ingress && answer::client_ack_counts() => {
            answer::client_ack(&mut from_client(tcp.seq.get().wrapping_sub(1)));
        }
        _ => {}
    }
    false
}

/// Gives a segment of `bytes` bytes, header included, to what follows established connections (F-5).
#[inline(always)]
fn follow(src: Addr, dst: Addr, tcp: &Tcp, bytes: usize, side: Side, ifindex: u32) {
    let header = usize::from(tcp.data_offset >> 4) * 4;
    // The handshake is that of the attempt; what contradicts itself was counted.
    if tcp.flags & SYN != 0 || header < size_of::<Tcp>() || bytes < header || bytes > usize::from(u16::MAX) {
        return;
    }
    established::rb_segment(&Segment {
        src,
        dst,
        source: tcp.source.get(),
        dest: tcp.dest.get(),
        seq: tcp.seq.get(),
        ack: tcp.ack.get(),
        length: (bytes - header) as u32,
        ifindex,
        ends: u8::from(tcp.flags & (FIN | RST) != 0),
        acks: u8::from(tcp.flags & ACK != 0),
        arrived: u8::from(side == Side::Ingress),
        _pad: 0,
    });
}

#[inline(always)]
const fn attempt(client: Addr, server: Addr, client_port: u16, server_port: u16, seq: u32, ifindex: u32) -> Attempt {
    Attempt { client, server, client_port, server_port, seq, seen_ns: 0, hash: 0, answers: 0, ifindex }
}
