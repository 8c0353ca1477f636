//! The stand-in connection: a SYN to a failed service goes to a listener of this host, and so do the packets that follow
//! it, so that the kernel's own TCP completes the connection in the server's name (F-21, F-25).
//!
//! In: what arrives on a watched interface. Out: the packet with a socket assigned and the mark [`monitor_common::STEERED`],
//! or the packet as it is. Connections that were opened before the recovery end here as they began; the first SYN after it
//! passes.

use aya_ebpf::{bindings::TC_ACT_OK, helpers::generated::bpf_ktime_get_ns, programs::TcContext};
use monitor_common::{Addr, STEERED_FOR_NS, STEERED_SLOTS, ServiceKey, StandIn};
use monitor_ebpf::parse::{EtherType, Frame, Ipv4, Ipv6, Payload, Protocol, Tcp, TcpFlags, ethertype};

use super::{
    page,
    socket::{PageConnection, State, to_listener, to_open_connection},
};
use crate::state::maps::{RB_SERVICES, RB_STANDIN, RB_STEERED};

/// The verdict for a packet that belongs to the page; `None`: it does not.
#[inline(always)]
pub(crate) fn steer(ctx: &TcContext) -> Option<i32> {
    let standin = RB_STANDIN.get(0)?;
    let (connection, flags) = read(&Frame::from(ctx), standin)?;
    // SAFETY: a live map value that is read and written whole.
    let steered_ns = unsafe { &mut *RB_STEERED.get_ptr_mut(slot(&connection.server))? };
    // Most servers never had the page: one look at an array ends here.
    let may_be_open = *steered_ns != 0 && now() < *steered_ns + STEERED_FOR_NS;
    if flags.purpose() != TcpFlags::SYN {
        if !may_be_open || !to_open_connection(ctx, &connection, |state| state != State::LISTEN) {
            return None;
        }
        return Some(TC_ACT_OK);
    }
    if !is_wanted(&connection, standin) {
        // The SYN of a handshake that began before the recovery, sent again: the page goes on with it.
        let known = may_be_open && to_open_connection(ctx, &connection, |state| state == State::NEW_SYN_RECV);
        return known.then_some(TC_ACT_OK);
    }
    // Also to what a connection of the same ports has left (TIME_WAIT): the listener would drop the SYN beside it for a minute.
    // That answers with an ACK, the client's RST removes it, and the client's next SYN finds the listener.
    if may_be_open && to_open_connection(ctx, &connection, |state| state != State::LISTEN) {
        return Some(TC_ACT_OK);
    }
    let port = if connection.is_v4 { standin.port_v4 } else { standin.port_v6 };
    if port == 0 || now() > standin.alive_until_ns {
        return None;
    }
    if !to_listener(ctx, &connection, port) {
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

/// Where the time of a server's last SYN is kept. Servers that share the place pay one more look-up.
#[inline(always)]
fn slot(server: &Addr) -> u32 {
    let low = &server.bytes;
    u32::from(low[15] ^ low[14].rotate_left(3) ^ low[13].rotate_left(5)) & (STEERED_SLOTS as u32 - 1)
}

/// Whether this SYN is for a failed service, from a client that the page is for.
#[inline(always)]
fn is_wanted(connection: &PageConnection, standin: &StandIn) -> bool {
    if standin.alive_until_ns == 0 {
        return false;
    }
    let key = ServiceKey::new(connection.server, connection.port);
    // SAFETY: a live map value.
    let failed = RB_SERVICES.get_ptr(&key).is_some_and(|service| unsafe { (*service).failed_ns } != 0);
    failed && page::is_of(standin, &connection.server, connection.port) && page::is_for(&connection.client)
}

/// Reads the headers of a TCP segment to one of the page's ports.
#[inline(always)]
fn read(frame: &Frame, standin: &StandIn) -> Option<(PageConnection, TcpFlags)> {
    let (ethertype, offset) = ethertype(frame)?;
    let ((client, server), tcp, is_v4) = match ethertype {
        EtherType::IPV4 => {
            let ip = frame.at::<Ipv4>(offset)?;
            let Payload::At(Protocol::TCP, at) = ip.payload(offset) else { return None };
            let tcp = to_page(frame, at, standin)?;
            (ip.ends(), tcp, true)
        }
        EtherType::IPV6 => {
            let ip = frame.at::<Ipv6>(offset)?;
            // A SYN behind extension headers is answered by the server, or not at all.
            if ip.next_header != Protocol::TCP {
                return None;
            }
            let tcp = to_page(frame, offset + size_of::<Ipv6>(), standin)?;
            (ip.ends(), tcp, false)
        }
        _ => return None,
    };
    let connection = PageConnection { client, server, client_port: tcp.source.get(), port: tcp.dest.get(), is_v4 };
    Some((connection, tcp.flags))
}

#[inline(always)]
fn to_page<'a>(frame: &'a Frame, at: usize, standin: &StandIn) -> Option<&'a Tcp> {
    let tcp = frame.at::<Tcp>(at)?;
    page::may_be_on(standin, tcp.dest.get()).then_some(tcp)
}
