//! Sockets of this host that a packet is given to.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
    },
    helpers::generated::{bpf_sk_assign, bpf_sk_release, bpf_skc_lookup_tcp},
    programs::TcContext,
};
use monitor_common::{Addr, STEERED};

/// "This network namespace" to the look-up.
const THIS_NAMESPACE: u64 = u64::MAX;

/// Sizes of the tuple: they say to the look-up which family is meant.
const SIZE_V4: u32 = 12;
const SIZE_V6: u32 = 36;

/// 127.0.0.1 and ::1 as they stand in a packet.
const LOOPBACK_V4: u32 = u32::from_ne_bytes([127, 0, 0, 1]);
const LOOPBACK_V6: [u32; 4] = [0, 0, 0, u32::from_ne_bytes([0, 0, 0, 1])];

/// A connection to one of the page's ports, as its packets name it.
pub(super) struct PageConnection {
    pub(super) client: Addr,
    pub(super) server: Addr,
    pub(super) client_port: u16,
    pub(super) port: u16,
    pub(super) is_v4: bool,
}

/// The state of a socket (include/net/tcp_states.h).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u32);

impl State {
    /// It waits for connections.
    pub(super) const LISTEN: Self = Self(10);
    /// It has accepted a SYN, and waits for the ACK of its own.
    pub(super) const NEW_SYN_RECV: Self = Self(12);
}

/// Gives the packet to the connection that it belongs to, if there is one in a state that `suits`.
#[inline(always)]
pub(super) fn to_open_connection(ctx: &TcContext, connection: &PageConnection, suits: impl Fn(State) -> bool) -> bool {
    give(ctx, tuple_of(connection), connection.is_v4, suits)
}

/// Gives the packet to the page's listener on `port`, if there is one.
#[inline(always)]
pub(super) fn to_listener(ctx: &TcContext, connection: &PageConnection, port: u16) -> bool {
    give(ctx, tuple_of_listener(connection, port), connection.is_v4, |state| state == State::LISTEN)
}

/// Gives the packet to the socket of this tuple if there is one in a state that `suits`.
#[inline(always)]
fn give(ctx: &TcContext, mut tuple: bpf_sock_tuple, is_v4: bool, suits: impl Fn(State) -> bool) -> bool {
    // SAFETY: context and tuple are valid; the socket is released before anything else is done.
    unsafe {
        // The verifier wants to see the size.
        let size = if is_v4 { SIZE_V4 } else { SIZE_V6 };
        let socket = bpf_skc_lookup_tcp(ctx.as_ptr(), &raw mut tuple, size, THIS_NAMESPACE, 0);
        if socket.is_null() {
            return false;
        }
        let assigned = suits(State((*socket).state)) && bpf_sk_assign(ctx.as_ptr(), socket.cast(), 0) == 0;
        bpf_sk_release(socket.cast());
        if assigned {
            (*ctx.skb.skb).mark = STEERED;
        }
        assigned
    }
}

/// What the look-up calls the connection.
#[inline(always)]
fn tuple_of(connection: &PageConnection) -> bpf_sock_tuple {
    let (client, server) = (words(&connection.client), words(&connection.server));
    let ports = (connection.client_port.to_be(), connection.port.to_be());
    if connection.is_v4 { tuple_v4(client[3], server[3], ports) } else { tuple_v6(client, server, ports) }
}

/// What it calls the listener, which is found by its own address: it is not bound to the server's.
#[inline(always)]
fn tuple_of_listener(connection: &PageConnection, port: u16) -> bpf_sock_tuple {
    let ports = (0, port.to_be());
    if connection.is_v4 { tuple_v4(0, LOOPBACK_V4, ports) } else { tuple_v6([0; 4], LOOPBACK_V6, ports) }
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
