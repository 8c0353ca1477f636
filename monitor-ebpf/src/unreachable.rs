//! ICMP unreachable: the quoted packet says which attempt it is about (F-2, RFC 792, RFC 4443 section 3.1).

use monitor_common::{Addr, Arrival, Attempt, Counter, Evidence};

use crate::{
    counters::count,
    frame::{Frame, IPPROTO_TCP, Icmp, Ipv4, Ipv6, Payload, QuotedTcp},
    report,
};

const ICMP_DEST_UNREACH: u8 = 3;
const ICMPV6_DEST_UNREACH: u8 = 1;

/// Takes an ICMP message whose header is at `at`.
#[inline(always)]
pub(crate) fn icmp(frame: &Frame, icmp: &Icmp, at: usize, ifindex: u32) {
    if icmp.kind != ICMP_DEST_UNREACH {
        return;
    }
    let evidence = match icmp.code {
        0 | 5 | 6 | 11 => Evidence::NetUnreachable,
        1 | 7 | 12 => Evidence::HostUnreachable,
        2 | 3 => Evidence::PortUnreachable,
        9 | 10 | 13 | 14 | 15 => Evidence::Prohibited,
        // 4 is path MTU discovery, 8 is obsolete: nothing failed.
        _ => return,
    };
    let at = at + size_of::<Icmp>();
    let Some(ip) = frame.at::<Ipv4>(at) else { return count(Counter::Malformed) };
    match ip.payload(at) {
        Payload::At(IPPROTO_TCP, at) => {
            let (client, server) = (Addr::from_v4(ip.src.native()), Addr::from_v4(ip.dst.native()));
            quoted(frame, client, server, at, evidence, ifindex);
        }
        Payload::At(..) | Payload::Hidden => {}
        Payload::Malformed => count(Counter::Malformed),
    }
}

/// Takes an ICMPv6 message whose header is at `at`.
#[inline(always)]
pub(crate) fn icmpv6(frame: &Frame, icmp: &Icmp, at: usize, ifindex: u32) {
    if icmp.kind != ICMPV6_DEST_UNREACH {
        return;
    }
    let evidence = match icmp.code {
        0 | 6 => Evidence::NetUnreachable,
        2 | 3 => Evidence::HostUnreachable,
        4 => Evidence::PortUnreachable,
        1 | 5 => Evidence::Prohibited,
        _ => return,
    };
    let at = at + size_of::<Icmp>();
    let Some(ip) = frame.at::<Ipv6>(at) else { return count(Counter::Malformed) };
    // A quoted TCP header behind extension headers is not looked for: walking two chains, one in the other, is more than
    // the verifier follows. The attempt's time-out finds it.
    if ip.next_header == IPPROTO_TCP {
        quoted(frame, ip.src.into(), ip.dst.into(), at + size_of::<Ipv6>(), evidence, ifindex);
    }
}

#[inline(always)]
fn quoted(frame: &Frame, client: Addr, server: Addr, at: usize, evidence: Evidence, ifindex: u32) {
    let Some(tcp) = frame.at::<QuotedTcp>(at) else { return count(Counter::Malformed) };
    let mut attempt = Attempt {
        client,
        server,
        client_port: tcp.source.get(),
        server_port: tcp.dest.get(),
        seq: tcp.seq.get(),
        seen_ns: 0,
        hash: 0,
        answers: 0,
        arrival: Arrival::of_syn(ifindex),
    };
    if report::more_evidence(&mut attempt, evidence) {
        count(Counter::Unreachables);
    } else {
        count(Counter::UnreachablesUnmatched);
    }
}
