//! A host that speaks: ARP or a neighbour advertisement of a host with host-level evidence (F-11).

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use monitor_common::{Addr, Arrival, Attempt, EventKind, Evidence};
use monitor_ebpf::parse::{Arp, Frame, Ipv6, NeighbourMessage};

use super::report::{self, Room, Word};
use crate::state::maps::RB_HOSTS;

/// A host is reported at most this often while it stays failed: a reply to each client's attempt says nothing new.
const REPORT_INTERVAL_NS: u64 = 1_000_000_000;

/// Takes ARP for IPv4 over Ethernet, reply or request: its sender is alive either way (RFC 826).
#[inline(always)]
pub(crate) fn arp(arp: &Arp, ifindex: u32) {
    if arp.is_for_ipv4() {
        spoke(Addr::from_v4(arp.sender.native()).halves(), Evidence::Arp, ifindex);
    }
}

/// Takes a neighbour advertisement; one that a router forwarded is forged (RFC 4861 section 7.1.2).
#[inline(always)]
pub(crate) fn advertisement(frame: &Frame, ip: &Ipv6, at: usize, ifindex: u32) {
    if ip.hop_limit != NeighbourMessage::HOP_LIMIT {
        return;
    }
    if let Some(advertisement) = frame.at::<NeighbourMessage>(at) {
        spoke(Addr::from(advertisement.target).halves(), Evidence::NeighbourAdvertisement, ifindex);
    }
}

/// The address goes in two registers: the caller's stack has no room for it.
#[inline(always)]
fn spoke([low, high]: [u64; 2], evidence: Evidence, ifindex: u32) {
    host_spoke(low, high, evidence, ifindex);
}

#[inline(never)]
fn host_spoke(low: u64, high: u64, evidence: Evidence, ifindex: u32) {
    let host = Addr::from_halves([low, high]);
    let Some(state) = RB_HOSTS.get_ptr_mut(&host) else { return };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: a live map value; its one field is read and written whole.
    let state = unsafe { &mut *state };
    if now.wrapping_sub(state.reported_ns) < REPORT_INTERVAL_NS {
        return;
    }
    let no_attempt = Attempt {
        client: Addr { bytes: [0; 16] },
        server: host,
        client_port: 0,
        server_port: 0,
        seq: 0,
        seen_ns: now,
        hash: 0,
        detail: 0,
        arrival: Arrival::of_syn(ifindex),
    };
    let word = Word { latest_ns: now, at_ns: now, kind: EventKind::HostSeen, evidence, attempts: 0, standing: 0 };
    if report::plain(&no_attempt, &word) == Room::Yes {
        state.reported_ns = now;
    }
}
