//! The stand-in connection: a SYN to a failed service goes to a listener of this host, and so do the packets that follow
//! it, so that the kernel's own TCP completes the connection in the server's name (F-21, F-25).
//!
//! In: what arrives on a watched interface. Out: the packet with a socket assigned and the mark [`STEERED`], or the packet
//! as it is. Connections that were opened before the recovery end here as they began; the first SYN after it passes.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        TC_ACT_OK, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
    },
    btf_maps::lpm_trie::Key,
    helpers::generated::{bpf_ktime_get_ns, bpf_sk_assign, bpf_sk_release, bpf_skc_lookup_tcp},
    programs::TcContext,
};
use monitor_common::{
    Addr, SENT_FOR_SERVER, STAND_IN_PORT, STAND_IN_TLS_PORT, STEERED, STEERED_FOR_NS, STEERED_SLOTS, ServiceKey,
    StandIn,
};

use crate::{
    frame::{ETH_P_IP, ETH_P_IPV6, Frame, IPPROTO_TCP, Ipv4, Ipv6, Payload, Tcp, ethertype},
    maps::{RB_ON_RECORD, RB_SERVICES, RB_STANDIN, RB_STANDIN_TLS, RB_STEERED},
};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// States of a socket (include/net/tcp_states.h).
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;

/// "This network namespace" to the look-up.
const THIS_NAMESPACE: u64 = u64::MAX;

/// Sizes of the tuple: they say to the look-up which family is meant.
const SIZE_V4: u32 = 12;
const SIZE_V6: u32 = 36;

/// 127.0.0.1 and ::1 as they stand in a packet.
const LOOPBACK_V4: u32 = u32::from_ne_bytes([127, 0, 0, 1]);
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, u32::from_ne_bytes([0, 0, 0, 1])];

/// Whether the page sent this packet: no word of the server's.
#[inline(always)]
pub(crate) fn sent_for_server(ctx: &TcContext) -> bool {
    // SAFETY: the context is valid for the whole run of the program.
    unsafe { (*ctx.skb.skb).mark == SENT_FOR_SERVER }
}

/// A single address as the key of a table of networks. The address lies on an eight-byte boundary: the compiler stores it in
/// halves, which the verifier wants aligned.
#[repr(C, align(8))]
struct Whole {
    _pad: u32,
    key: Key<Addr>,
}

impl Whole {
    #[inline(always)]
    const fn new(addr: Addr) -> Self {
        Self { _pad: 0, key: Key::new(128, addr) }
    }

    #[inline(always)]
    const fn key(&self) -> &Key<Addr> {
        &self.key
    }
}

/// Whether the page stands in for this port of the server, if that is failed.
#[inline(always)]
pub(crate) fn has_page(standin: &StandIn, server: &Addr, port: u16) -> bool {
    match port {
        STAND_IN_PORT => true,
        STAND_IN_TLS_PORT => standin.tls != 0 && RB_STANDIN_TLS.get(Whole::new(*server).key()).is_some(),
        _ => false,
    }
}

/// A segment to one of the page's ports.
struct Segment {
    client: Addr,
    server: Addr,
    client_port: u16,
    port: u16,
    is_v4: bool,
    flags: u8,
}

/// The verdict for a packet of the page's; `None`: not its packet.
#[inline(always)]
pub(crate) fn steer(ctx: &TcContext) -> Option<i32> {
    let standin = RB_STANDIN.get(0)?;
    let segment = segment(&Frame::new(ctx.data(), ctx.data_end()), standin)?;
    // SAFETY: a live map value that is read and written whole.
    let steered_ns = unsafe { &mut *RB_STEERED.get_ptr_mut(slot(&segment.server))? };
    // Most servers never had the page: one look at an array ends here.
    let may_be_open = *steered_ns != 0 && now() < *steered_ns + STEERED_FOR_NS;
    if segment.flags & (FIN | SYN | RST | ACK) != SYN {
        if !may_be_open || !to_open_connection(ctx, &segment, |state| state != LISTEN) {
            return None;
        }
        return Some(TC_ACT_OK);
    }
    if !wanted(&segment, standin) {
        // The SYN of a handshake that began before the recovery, sent again: the page goes on with it.
        let known = may_be_open && to_open_connection(ctx, &segment, |state| state == NEW_SYN_RECV);
        return known.then_some(TC_ACT_OK);
    }
    // Also to what a connection of the same ports has left (TIME_WAIT): the listener would drop the SYN beside it for a minute.
    // That answers with an ACK, the client's RST removes it, and the client's next SYN finds the listener.
    if may_be_open && to_open_connection(ctx, &segment, |state| state != LISTEN) {
        return Some(TC_ACT_OK);
    }
    let port = if segment.is_v4 { standin.port_v4 } else { standin.port_v6 };
    if port == 0 || now() > standin.alive_until_ns {
        return None;
    }
    if !to_socket(ctx, listener(&segment, port), segment.is_v4, |state| state == LISTEN) {
        return None;
    }
    *steered_ns = now();
    Some(TC_ACT_OK)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Where a server's time of the last SYN is kept; others may share it, and then pay a look-up more.
#[inline(always)]
fn slot(server: &Addr) -> u32 {
    let low = &server.bytes;
    u32::from(low[15] ^ low[14].rotate_left(3) ^ low[13].rotate_left(5)) & (STEERED_SLOTS as u32 - 1)
}

/// Whether this SYN is for a failed service, from a client that the page is for.
#[inline(always)]
fn wanted(segment: &Segment, standin: &StandIn) -> bool {
    if standin.alive_until_ns == 0 {
        return false;
    }
    let key = ServiceKey::new(segment.server, segment.port);
    // SAFETY: a live map value.
    let failed = RB_SERVICES.get_ptr(&key).is_some_and(|service| unsafe { (*service).failed_ns } != 0);
    failed
        && has_page(standin, &segment.server, segment.port)
        && RB_ON_RECORD.get(Whole::new(segment.client).key()).is_none_or(|on_record| *on_record == 0)
}

/// Gives the packet to the connection that it belongs to, if there is one in a state that `suits`.
#[inline(always)]
fn to_open_connection(ctx: &TcContext, segment: &Segment, suits: impl Fn(u32) -> bool) -> bool {
    to_socket(ctx, connection(segment), segment.is_v4, suits)
}

/// Gives the packet to the socket of this tuple if there is one in a state that `suits`.
#[inline(always)]
fn to_socket(ctx: &TcContext, mut tuple: bpf_sock_tuple, is_v4: bool, suits: impl Fn(u32) -> bool) -> bool {
    // SAFETY: context and tuple are valid; the socket is released before anything else is done.
    unsafe {
        // The verifier wants to see the size.
        let size = if is_v4 { SIZE_V4 } else { SIZE_V6 };
        let socket = bpf_skc_lookup_tcp(ctx.as_ptr(), &raw mut tuple, size, THIS_NAMESPACE, 0);
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

/// Reads the headers of a TCP segment to one of the page's ports.
#[inline(always)]
fn segment(frame: &Frame, standin: &StandIn) -> Option<Segment> {
    let (ethertype, offset) = ethertype(frame)?;
    let (client, server, tcp, is_v4) = match ethertype {
        ETH_P_IP => {
            let ip = frame.at::<Ipv4>(offset)?;
            let Payload::At(IPPROTO_TCP, at) = ip.payload(offset) else { return None };
            let tcp = to_page(frame, at, standin)?;
            (Addr::from_v4(ip.src.native()), Addr::from_v4(ip.dst.native()), tcp, true)
        }
        ETH_P_IPV6 => {
            let ip = frame.at::<Ipv6>(offset)?;
            // A client that sends extension headers with its SYN is answered by the server or by nobody.
            if ip.next_header != IPPROTO_TCP {
                return None;
            }
            let tcp = to_page(frame, offset + size_of::<Ipv6>(), standin)?;
            (ip.src.into(), ip.dst.into(), tcp, false)
        }
        _ => return None,
    };
    Some(Segment { client, server, client_port: tcp.source.get(), port: tcp.dest.get(), is_v4, flags: tcp.flags })
}

#[inline(always)]
fn to_page<'a>(frame: &'a Frame, at: usize, standin: &StandIn) -> Option<&'a Tcp> {
    let tcp = frame.at::<Tcp>(at)?;
    let port = tcp.dest.get();
    (port == STAND_IN_PORT || port == STAND_IN_TLS_PORT && standin.tls != 0).then_some(tcp)
}

/// What the socket look-up calls the segment's own connection.
#[inline(always)]
fn connection(segment: &Segment) -> bpf_sock_tuple {
    let (client, server) = (words(&segment.client), words(&segment.server));
    let ports = (segment.client_port.to_be(), segment.port.to_be());
    if segment.is_v4 { tuple_v4(client[3], server[3], ports) } else { tuple_v6(client, server, ports) }
}

/// What it calls the listener, which is found by its own address: it is not bound to the server's.
#[inline(always)]
fn listener(segment: &Segment, port: u16) -> bpf_sock_tuple {
    let ports = (0, port.to_be());
    if segment.is_v4 { tuple_v4(0, LOOPBACK_V4, ports) } else { tuple_v6([0; 4], LOOPBACK_V6, ports) }
}

#[inline(always)]
fn tuple_v4(saddr: u32, daddr: u32, (sport, dport): (u16, u16)) -> bpf_sock_tuple {
    let ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 { saddr, daddr, sport, dport };
    bpf_sock_tuple { __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv4 } }
}

#[inline(always)]
fn tuple_v6(saddr: [u32; 4], daddr: [u32; 4], (sport, dport): (u16, u16)) -> bpf_sock_tuple {
    let ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 { saddr, daddr, sport, dport };
    bpf_sock_tuple { __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv6 } }
}

/// The address as it stands in a packet; of an IPv4 address the last word.
#[inline(always)]
fn words(addr: &Addr) -> [u32; 4] {
    let bytes = &addr.bytes;
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    [word(0), word(4), word(8), word(12)]
}
