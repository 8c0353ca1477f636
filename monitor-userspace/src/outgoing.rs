//! Connections that the daemon itself begins: to mail servers, webhooks, mailboxes, and services that it probes.
//!
//! Their packets have a priority of their own, by which the programs know that they are no client's attempts, also where this
//! host's attempts count (`watch.own`).

use std::{io, net::SocketAddr};

use monitor_common::OWN_CONNECTIONS;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream};

/// Connects.
pub(crate) async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Not without CAP_NET_ADMIN: but then nothing is watched here either.
    let _ = setsockopt(&socket, sockopt::Priority, &OWN_CONNECTIONS.cast_signed());
    socket.connect(addr).await
}
