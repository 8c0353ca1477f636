//! ICMP unreachable: the quoted packet says which attempt it is about (F-2, RFC 792, RFC 4443 section 3.1).

use monitor_common::{Addr, Arrival, Attempt, Counter, Evidence};
use monitor_ebpf::parse::{
    Frame, Icmp, IcmpType, Ipv4, Ipv6, Payload, Protocol, QuotedTcp, UnreachableV4 as V4, UnreachableV6 as V6,
};

use super::evidence;
use crate::state::count;

/// Takes an ICMP message whose header is at `at`.
#[inline(always)]
pub(crate) fn icmp(frame: &Frame, icmp: &Icmp, at: usize, ifindex: u32) {
    if icmp.kind != IcmpType::UNREACHABLE_V4 {
        return;
    }
    let evidence = match icmp.code {
        V4::NET | V4::SOURCE_ROUTE_FAILED | V4::NET_UNKNOWN | V4::NET_FOR_SERVICE => Evidence::NetUnreachable,
        V4::HOST | V4::HOST_UNKNOWN | V4::HOST_FOR_SERVICE => Evidence::HostUnreachable,
        V4::PROTOCOL | V4::PORT => Evidence::PortUnreachable,
        V4::NET_PROHIBITED
        | V4::HOST_PROHIBITED
        | V4::PROHIBITED
        | V4::PRECEDENCE_VIOLATION
        | V4::PRECEDENCE_CUTOFF => Evidence::Prohibited,
        // 4 is path MTU discovery, 8 is obsolete: nothing failed.
        _ => return,
    };
    let at = at + size_of::<Icmp>();
    let Some(ip) = frame.at::<Ipv4>(at) else { return count(Counter::Malformed) };
    match ip.payload(at) {
        Payload::At(Protocol::TCP, at) => {
            quoted(frame, ip.ends(), at, evidence, ifindex);
        }
        Payload::At(..) | Payload::Hidden => {}
        Payload::Malformed => count(Counter::Malformed),
    }
}

/// Takes an ICMPv6 message whose header is at `at`.
#[inline(always)]
pub(crate) fn icmpv6(frame: &Frame, icmp: &Icmp, at: usize, ifindex: u32) {
    if icmp.kind != IcmpType::UNREACHABLE_V6 {
        return;
    }
    let evidence = match icmp.code {
        V6::NO_ROUTE | V6::REJECT_ROUTE => Evidence::NetUnreachable,
        V6::BEYOND_SCOPE | V6::ADDRESS => Evidence::HostUnreachable,
        V6::PORT => Evidence::PortUnreachable,
        V6::PROHIBITED | V6::SOURCE_POLICY => Evidence::Prohibited,
        _ => return,
    };
    let at = at + size_of::<Icmp>();
    let Some(ip) = frame.at::<Ipv6>(at) else { return count(Counter::Malformed) };
    // A quoted TCP header behind extension headers is not looked for: walking two chains, one in the other, is more than
    // the verifier follows. The attempt's time-out finds it.
    if ip.next_header == Protocol::TCP {
        quoted(frame, ip.ends(), at + size_of::<Ipv6>(), evidence, ifindex);
    }
}

#[inline(always)]
fn quoted(frame: &Frame, (client, server): (Addr, Addr), at: usize, evidence: Evidence, ifindex: u32) {
    let Some(tcp) = frame.at::<QuotedTcp>(at) else { return count(Counter::Malformed) };
    let mut attempt = Attempt {
        client,
        server,
        client_port: tcp.source.get(),
        server_port: tcp.dest.get(),
        seq: tcp.seq.get(),
        seen_ns: 0,
        hash: 0,
        detail: 0,
        arrival: Arrival::of_syn(ifindex),
    };
    if evidence::take(&mut attempt, evidence) {
        count(Counter::Unreachables);
    } else {
        count(Counter::UnreachablesUnmatched);
    }
}
