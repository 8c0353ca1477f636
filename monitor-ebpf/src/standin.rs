//! The stand-in connection: a SYN to a failed service goes to a listener of this host, and so do the packets that follow
//! it, so that the kernel's own TCP completes the connection in the server's name (F-21, F-25).
//!
//! In: what arrives on a watched interface. Out: the packet with a socket assigned and the mark [`STEERED`], or the packet
//! as it is. Connections that were opened before the recovery end here as they began; the first SYN after it passes.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{TC_ACT_OK, bpf_sock_tuple},
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_ktime_get_ns, bpf_sk_assign, bpf_sk_release, bpf_skc_lookup_tcp},
    programs::TcContext,
};
use monitor_common::{Addr, SENT_FOR_SERVER, STAND_IN_PORT, STEERED, ServiceKey, StandIn};

use crate::{
    frame::{ETH_P_IP, ETH_P_IPV6, Frame, IPPROTO_TCP, Ipv4, Ipv6, Payload, Tcp, ethertype},
    maps::{RB_ON_RECORD, RB_SERVICES, RB_STANDIN, RB_STEERED},
};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// States of a socket (include/net/tcp_states.h).
const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;

/// "This network namespace" to the look-up.
const THIS_NAMESPACE: u64 = u64::MAX;

/// Sizes of the tuple: they say to the look-up which family is meant.
const SIZE_V4: u32 = 12;
const SIZE_V6: u32 = 36;

/// Where the addresses lie in an IPv6 header.
const V6_SOURCE: usize = 8;
const V6_DESTINATION: usize = 24;

/// 127.0.0.1 and ::1 as they stand in a packet.
const LOOPBACK_V4: u32 = u32::from_ne_bytes([127, 0, 0, 1]);
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, u32::from_ne_bytes([0, 0, 0, 1])];

/// Whether the page sent this packet: no word of the server's.
#[inline(always)]
pub(crate) fn sent_for_server(ctx: &TcContext) -> bool {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { (*ctx.skb.skb).mark == SENT_FOR_SERVER }
}

/// A segment to the page's port, as the socket look-up wants it.
struct Segment {
    client: Addr,
    server: Addr,
    tuple: bpf_sock_tuple,
    /// Which of the tuple's forms counts.
    is_v4: bool,
    flags: u8,
}

/// The verdict for a packet of the page's; `None`: not its packet.
#[inline(always)]
pub(crate) fn steer(ctx: &TcContext) -> Option<i32> {
    let mut segment = segment(&Frame::new(ctx.data(), ctx.data_end()))?;
    let standin = RB_STANDIN.get(0)?;
    // SAFETY: a live map value that is read and written whole.
    let steered_ns = unsafe { &mut *RB_STEERED.get_ptr_mut(0)? };
    if segment.flags & (FIN | SYN | RST | ACK) != SYN {
        if *steered_ns == 0 || !to_open_connection(ctx, &mut segment, |state| state != LISTEN) {
            return None;
        }
        return Some(TC_ACT_OK);
    }
    if !wanted(&segment, standin) {
        // The SYN of a handshake that began before the recovery, sent again: the page goes on with it.
        let known = *steered_ns != 0 && to_open_connection(ctx, &mut segment, |state| state == NEW_SYN_RECV);
        return known.then_some(TC_ACT_OK);
    }
    if *steered_ns != 0 && to_open_connection(ctx, &mut segment, |state| state != LISTEN && state != TIME_WAIT) {
        return Some(TC_ACT_OK);
    }
    let port = if segment.is_v4 { standin.port_v4 } else { standin.port_v6 };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    if port == 0 || now > standin.alive_until_ns {
        return None;
    }
    name_listener(&mut segment, port);
    if !to_open_connection(ctx, &mut segment, |state| state == LISTEN) {
        return None;
    }
    *steered_ns = now;
    Some(TC_ACT_OK)
}

/// Whether this SYN is for a failed service, from a client that the page is for.
#[inline(always)]
fn wanted(segment: &Segment, standin: &StandIn) -> bool {
    if standin.alive_until_ns == 0 {
        return false;
    }
    let key = ServiceKey::new(segment.server, STAND_IN_PORT);
    // SAFETY: a live map value.
    let failed = RB_SERVICES.get_ptr(&key).is_some_and(|service| unsafe { (*service).failed_ns } != 0);
    failed && RB_ON_RECORD.get(&Key::new(128, segment.client)).is_none_or(|on_record| *on_record == 0)
}

/// Gives the packet to the socket of the segment's tuple if there is one in a state that `suits`.
#[inline(always)]
fn to_open_connection(ctx: &TcContext, segment: &mut Segment, suits: impl Fn(u32) -> bool) -> bool {
    // SAFETY: context and tuple are valid; the socket is released before anything else is done.
    unsafe {
        // The verifier wants to see the size.
        let size = if segment.is_v4 { SIZE_V4 } else { SIZE_V6 };
        let socket = bpf_skc_lookup_tcp(ctx.as_ptr(), &raw mut segment.tuple, size, THIS_NAMESPACE, 0);
        if socket.is_null() {
            return false;
        }
        let assigned = suits((*socket).state) && bpf_sk_assign(ctx.as_ptr(), socket.cast(), 0) == 0;
        bpf_sk_release(socket.cast());
        if assigned {
            (*ctx.skb.skb).mark = STEERED;
        }
        assigned
    }
}

/// Reads the headers of a TCP segment to the page's port.
#[inline(always)]
fn segment(frame: &Frame) -> Option<Segment> {
    let (ethertype, offset) = ethertype(frame)?;
    // SAFETY: integers only.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    match ethertype {
        ETH_P_IP => {
            let ip = frame.at::<Ipv4>(offset)?;
            let Payload::At(IPPROTO_TCP, at) = ip.payload(offset) else { return None };
            let tcp = to_page(frame, at)?;
            tuple.__bindgen_anon_1.ipv4.saddr = ip.src.native();
            tuple.__bindgen_anon_1.ipv4.daddr = ip.dst.native();
            tuple.__bindgen_anon_1.ipv4.sport = tcp.source.get().to_be();
            tuple.__bindgen_anon_1.ipv4.dport = STAND_IN_PORT.to_be();
            Some(Segment {
                client: Addr::from_v4(ip.src.native()),
                server: Addr::from_v4(ip.dst.native()),
                tuple,
                is_v4: true,
                flags: tcp.flags,
            })
        }
        ETH_P_IPV6 => {
            let ip = frame.at::<Ipv6>(offset)?;
            // A client that sends extension headers with its SYN is answered by the server or by nobody.
            if ip.next_header != IPPROTO_TCP {
                return None;
            }
            let tcp = to_page(frame, offset + size_of::<Ipv6>())?;
            tuple.__bindgen_anon_1.ipv6.saddr = frame.copy(offset + V6_SOURCE)?;
            tuple.__bindgen_anon_1.ipv6.daddr = frame.copy(offset + V6_DESTINATION)?;
            tuple.__bindgen_anon_1.ipv6.sport = tcp.source.get().to_be();
            tuple.__bindgen_anon_1.ipv6.dport = STAND_IN_PORT.to_be();
            Some(Segment { client: ip.src.into(), server: ip.dst.into(), tuple, is_v4: false, flags: tcp.flags })
        }
        _ => None,
    }
}

#[inline(always)]
fn to_page<'a>(frame: &'a Frame, at: usize) -> Option<&'a Tcp> {
    frame.at::<Tcp>(at).filter(|tcp| tcp.dest.get() == STAND_IN_PORT)
}

/// The listener is found by its own address: it is not bound to the server's.
#[inline(always)]
fn name_listener(segment: &mut Segment, port: u16) {
    if segment.is_v4 {
        segment.tuple.__bindgen_anon_1.ipv4.saddr = 0;
        segment.tuple.__bindgen_anon_1.ipv4.sport = 0;
        segment.tuple.__bindgen_anon_1.ipv4.daddr = LOOPBACK_V4;
        segment.tuple.__bindgen_anon_1.ipv4.dport = port.to_be();
    } else {
        segment.tuple.__bindgen_anon_1.ipv6.saddr = [0; 4];
        segment.tuple.__bindgen_anon_1.ipv6.sport = 0;
        segment.tuple.__bindgen_anon_1.ipv6.daddr = LOOPBACK_V6;
        segment.tuple.__bindgen_anon_1.ipv6.dport = port.to_be();
    }
}
