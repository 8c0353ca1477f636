//! TCP Fast Open: a SYN that carries data, and answers that acknowledge it (RFC 7413; F-1).

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::{Daemon, DaemonConfig, Host, Lab, counter};
use nix::{
    libc,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, sendto, socket},
};

const LIMIT: Duration = Duration::from_secs(15);

/// A listener that takes data in SYNs.
fn listen(host: &Host, at: SocketAddr) -> Result<TcpListener> {
    let listener = host.enter(|| TcpListener::bind(at))??;
    let waiting: libc::c_int = 16;
    let length = size_of_val(&waiting) as libc::socklen_t;
    let value = (&raw const waiting).cast();
    // SAFETY: the value is an int that outlives the call, and the length is its own.
    let set = unsafe { libc::setsockopt(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, value, length) };
    (set == 0).then_some(listener).ok_or_else(io::Error::last_os_error).context("TCP_FASTOPEN")
}

/// Connects and sends in one step: with data in the SYN, if the client has the server's cookie.
fn connect_with_data(host: &Host, to: SocketAddr) -> Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    host.enter(|| {
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        let fast_open = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
        sendto(socket.as_raw_fd(), b"hello", &SockaddrStorage::from(to), fast_open)?;
        Ok(socket)
    })?
}

// proves: F-1
#[test]
fn an_answer_that_acknowledges_data_of_the_syn_is_one() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    for host in [client, server] {
        host.sysctl("ipv4/tcp_fastopen", "3")?;
    }
    let config = DaemonConfig::new().text("watch.syn_timeout", "300ms");
    let daemon = Daemon::start(gateway, config)?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        let listener = listen(server, service)?;
        // The first connection brings the cookie, the others carry data in their SYNs.
        for _ in 0..3 {
            let connection = connect_with_data(client, service)?;
            let (accepted, _) = listener.accept()?;
            accepted.shutdown(Shutdown::Both)?;
            drop(connection);
        }
    }
    daemon.wait_for(&["status"], LIMIT, |status| counter(status, "answers") == 6)?;
    // Longer than the time-out: no SYN is left without an answer.
    std::thread::sleep(Duration::from_secs(1));
    daemon.wait_for(&["status"], LIMIT, |status| {
        (counter(status, "attempts"), counter(status, "expired")) == (6, 0) && status["waiting_clients"] == 0
    })?;
    Ok(())
}
