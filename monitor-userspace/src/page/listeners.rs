//! Transparent listeners on the loopback addresses: connections that the kernel's program gives them keep the server's
//! address as their own.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use monitor_common::SENT_FOR_SERVER;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Handshakes that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// One listener for each family.
pub(super) struct PageListeners {
    v4: TcpListener,
    v6: Option<TcpListener>,
    ports: (u16, u16),
}

impl PageListeners {
    /// Listens on ports that the kernel picks; without IPv6 on IPv4 alone.
    pub(super) fn bind() -> io::Result<Self> {
        let v4 = listener(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let v6 = match listener(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))) {
            Ok(listener) => Some(listener),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT)) => {
                tracing::info!("this host has no IPv6; the page stands in for IPv4 only");
                None
            }
            Err(error) => return Err(error),
        };
        let port_v6 = v6.as_ref().map(TcpListener::local_addr).transpose()?.map_or(0, |addr| addr.port());
        Ok(Self { ports: (v4.local_addr()?.port(), port_v6), v4, v6 })
    }

    /// Ports on 127.0.0.1 and ::1; 0: none.
    pub(super) const fn ports(&self) -> (u16, u16) {
        self.ports
    }

    /// The next connection and its client.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.v6 {
            None => self.v4.accept().await,
            Some(v6) => tokio::select! {
                accepted = self.v4.accept() => accepted,
                accepted = v6.accept() => accepted,
            },
        }
    }
}

fn listener(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv4() {
        socket.set_ip_transparent_v4(true)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_ip_transparent_v6(true)?;
    }
    // Accepted connections inherit it: what we send in a server's name is never taken for the server's own answer.
    socket.set_mark(SENT_FOR_SERVER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
