//! From a frame to the one handler that it concerns. Everything else returns as early as it can.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    programs::{TcContext, XdpContext},
};
use monitor_common::{Counter, OWN_CONNECTIONS};
use monitor_ebpf::parse::{
    Arp, Direction, EtherType, Frame, Icmp, IcmpType, Ipv4, Ipv6, Payload, Protocol, Segment, Tcp, TcpFlags, carried,
    ip_version,
};

use crate::{
    guard, linear,
    standin::{refuse, sent_for_server},
    state::count,
    verdict::Verdict,
    watch::{answer, established, evidence, neighbour, refusal, syn, unreachable},
};

/// The verdict of XDP for what arrives on a watched interface.
#[inline(always)]
pub(crate) fn arrives(ctx: &XdpContext) -> u32 {
    let frame = Frame::from(ctx);
    let verdict = decide(&frame, Direction::Ingress, ctx.ingress_ifindex() as u32);
    if guard::on() && matches!(verdict, Verdict::Hold | Verdict::Drop) {
        if verdict == Verdict::Hold {
            guard::hand_over(ctx.ctx, &frame);
        }
        return xdp_action::XDP_DROP;
    }
    if verdict == Verdict::ToFailed {
        return refuse::answer(ctx);
    }
    xdp_action::XDP_PASS
}

/// The same as [`arrives`] by TC. Everything goes on: guards, and what is refused at once, need XDP.
#[inline(always)]
pub(crate) fn arrives_by_tc(ctx: &TcContext) -> i32 {
    decide(&linear::ethernet(ctx), Direction::Ingress, ifindex(ctx));
    TC_ACT_UNSPEC
}

/// The verdict of TC for what leaves by a watched interface: always "unspecified", which leaves it to the next program.
#[inline(always)]
pub(crate) fn leaves(ctx: &TcContext) -> i32 {
    if !sent_for_server(ctx) {
        decide(&linear::ethernet(ctx), leaving(ctx), ifindex(ctx));
    }
    TC_ACT_UNSPEC
}

/// Whose a packet is that leaves: what this host has made has come in nowhere. The daemon's probes and mails are nobody's.
#[inline(always)]
fn leaving(ctx: &TcContext) -> Direction {
    if !syn::own_counts() {
        return Direction::Egress;
    }
    // SAFETY: the context is valid for the whole run of the program.
    let (came_in, priority) = unsafe { ((*ctx.skb.skb).ingress_ifindex, (*ctx.skb.skb).priority) };
    if came_in == 0 && priority != OWN_CONNECTIONS { Direction::Own } else { Direction::Egress }
}

#[inline(always)]
fn ifindex(ctx: &TcContext) -> u32 {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { (*ctx.skb.skb).ifindex }
}

/// The same as [`arrives`] for an interface without a link-layer header. Everything goes on: what is held or refused there
/// would need one.
#[inline(always)]
pub(crate) fn packet_arrives(ctx: &XdpContext) -> u32 {
    packet(&Frame::from(ctx), Direction::Ingress, ctx.ingress_ifindex() as u32);
    xdp_action::XDP_PASS
}

/// The same by TC.
#[inline(always)]
pub(crate) fn packet_arrives_by_tc(ctx: &TcContext) -> i32 {
    packet(&linear::packet(ctx), Direction::Ingress, ifindex(ctx));
    TC_ACT_UNSPEC
}

/// The same as [`leaves`] for such an interface.
#[inline(always)]
pub(crate) fn packet_leaves(ctx: &TcContext) -> i32 {
    if !sent_for_server(ctx) {
        packet(&linear::packet(ctx), leaving(ctx), ifindex(ctx));
    }
    TC_ACT_UNSPEC
}

/// Looks at an IP packet that has nothing before it.
#[inline(always)]
fn packet(frame: &Frame, direction: Direction, ifindex: u32) {
    let mut segment = MaybeUninit::uninit();
    let segment = match ip_version(frame) {
        Some(4) => ipv4(frame, 0, direction, ifindex, &mut segment),
        Some(6) => ipv6(frame, 0, direction, ifindex, &mut segment),
        _ => None,
    };
    if let Some(segment) = segment {
        segment.guard = 0;
        verdict(segment);
    }
}

/// Looks at one frame. All but SYNs to a guarded port go on.
#[inline(always)]
pub(crate) fn decide(frame: &Frame, direction: Direction, ifindex: u32) -> Verdict {
    let Some((ethertype, offset)) = carried(frame) else { return Verdict::Pass };
    let mut segment = MaybeUninit::uninit();
    let segment = match ethertype {
        EtherType::IPV4 => ipv4(frame, offset, direction, ifindex, &mut segment),
        EtherType::IPV6 => ipv6(frame, offset, direction, ifindex, &mut segment),
        // This host's own ARP is no evidence: only what arrives is looked at.
        EtherType::ARP if direction == Direction::Ingress => {
            if let Some(arp) = frame.at::<Arp>(offset) {
                neighbour::arp(arp, ifindex);
            }
            None
        }
        _ => None,
    };
    segment.map_or(Verdict::Pass, verdict)
}

/// The same for a frame whose IPv4 header lies at `offset`, up to the segment, if it is wanted.
#[inline(always)]
pub(crate) fn ipv4<'place>(
    frame: &Frame,
    offset: usize,
    direction: Direction,
    ifindex: u32,
    segment: &'place mut MaybeUninit<Segment>,
) -> Option<&'place mut Segment> {
    let Some(ip) = frame.at::<Ipv4>(offset) else { return malformed() };
    match ip.payload(offset) {
        Payload::At(Protocol::TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            let guard = wanted(tcp, direction)?;
            let bytes = (offset + usize::from(ip.total_len.get())).wrapping_sub(at);
            return Some(segment.write(Segment::new(ip.ends(), tcp, bytes, guard, direction, ifindex)));
        }
        Payload::At(Protocol::ICMP, at) => {
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
    direction: Direction,
    ifindex: u32,
    segment: &'place mut MaybeUninit<Segment>,
) -> Option<&'place mut Segment> {
    let Some(ip) = frame.at::<Ipv6>(offset) else { return malformed() };
    match ip.payload(frame, offset) {
        Payload::At(Protocol::TCP, at) => {
            let Some(tcp) = frame.at::<Tcp>(at) else { return malformed() };
            let guard = wanted(tcp, direction)?;
            let bytes = (offset + size_of::<Ipv6>() + usize::from(ip.payload_len.get())).wrapping_sub(at);
            return Some(segment.write(Segment::new(ip.ends(), tcp, bytes, guard, direction, ifindex)));
        }
        Payload::At(Protocol::ICMPV6, at) => {
            let Some(icmp) = frame.at::<Icmp>(at) else { return malformed() };
            if icmp.kind == IcmpType::NEIGHBOUR_ADVERTISEMENT && direction == Direction::Ingress {
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

/// Whether any part wants this segment, and then the guard of its port (0: none): all that most TCP segments are asked.
#[inline(always)]
fn wanted(tcp: &Tcp, direction: Direction) -> Option<u8> {
    let guard = guard::of(tcp, direction);
    (guard != 0 || concerns_us(tcp.flags) || established::are_followed()).then_some(guard)
}

/// Whether these flags say something of an attempt.
#[inline(always)]
fn concerns_us(flags: TcpFlags) -> bool {
    flags.any(TcpFlags::SYN | TcpFlags::RST)
        || (answer::client_ack_counts() && flags & (TcpFlags::FIN | TcpFlags::ACK) == TcpFlags::ACK)
}

/// Guards first: what they hide is no evidence.
#[inline(always)]
pub(crate) fn verdict(segment: &mut Segment) -> Verdict {
    if established::are_followed() {
        established::follow(segment);
    }
    let verdict = if segment.guard != 0 { guard::verdict(segment) } else { Verdict::Pass };
    if verdict != Verdict::Hide && concerns_us(segment.flags) && by_flags(segment) && verdict == Verdict::Pass {
        return Verdict::ToFailed;
    }
    verdict
}

/// Names the attempt that the segment speaks of, seen from its client, and gives it to the one handler. Returns whether it
/// is a SYN to a failed service.
#[inline(always)]
fn by_flags(segment: &Segment) -> bool {
    if usize::from(segment.header_length()) < size_of::<Tcp>() {
        count(Counter::Malformed);
        return false;
    }
    let flags = segment.flags.purpose();
    // An answer, and a refusal, come from the server.
    let mut attempt = segment.attempt(flags.any(TcpFlags::SYN | TcpFlags::RST) && flags.any(TcpFlags::ACK));
    match flags {
        // A SYN that leaves was seen when it arrived, or is this host's own.
        TcpFlags::SYN if segment.may_be_clients() => return syn::rb_syn(&mut attempt) != 0,
        // Answer and refusal acknowledge the SYN's sequence number + 1 (RFC 9293 sections 3.5 and 3.5.2); an RST that
        // acknowledges something else is nothing.
        TcpFlags::SYN_ACK => answer::syn_ack(&mut attempt),
        TcpFlags::RST_ACK => refusal::seen(&mut attempt),
        // A client that has given up answers the SYN/ACK with an RST without ACK, whose sequence number is the one that
        // was acknowledged (RFC 9293 section 3.10.7.1).
        TcpFlags::RST if segment.may_be_clients() => {
            attempt.seq = segment.seq.wrapping_sub(1);
            evidence::gave_up(&mut attempt);
        }
        // The client's ACK that ends the handshake carries the SYN's sequence number + 1.
        TcpFlags::ACK if segment.may_be_clients() && answer::client_ack_counts() => {
            attempt.seq = segment.seq.wrapping_sub(1);
            answer::client_ack(&mut attempt);
        }
        _ => {}
    }
    false
}
