//! What a client does: open a connection, or fetch a page, and see how it went.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::{
        socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt},
        time::TimeVal,
    },
};

use crate::Host;

/// How a connection attempt ended, as the client's own kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The connection was established (and closed again).
    Connected,
    /// RST.
    Refused,
    /// ICMP destination unreachable.
    Unreachable,
    /// Nothing within the limit.
    TimedOut,
}

/// What curl said.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// curl's exit status; 0 is success, 7 no connection, 28 time-out.
    pub exit: Option<i32>,
    /// The page.
    pub body: String,
    /// curl's own words.
    pub error: String,
}

impl Fetched {
    /// Whether the page came.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit == Some(0)
    }
}

impl Host {
    /// Opens a TCP connection, from this address or from the one that the kernel picks, and closes it.
    pub fn connect(&self, from: Option<IpAddr>, to: SocketAddr, limit: Duration) -> Result<Attempt> {
        let tried = self.enter(|| connect_once(from, to, limit))?;
        let Err(error) = tried else { return Ok(Attempt::Connected) };
        match error.kind() {
            ErrorKind::ConnectionRefused => Ok(Attempt::Refused),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Ok(Attempt::Unreachable),
            ErrorKind::TimedOut => Ok(Attempt::TimedOut),
            _ => Err(error).with_context(|| format!("cannot try to connect to {to} on {}", self.name())),
        }
    }

    /// Fetches `http://SERVICE/` with curl, which gives up after `limit`.
    pub fn fetch(&self, service: SocketAddr, limit: Duration) -> Result<Fetched> {
        self.fetch_path(service, "/", limit)
    }

    /// The same with this path.
    pub fn fetch_path(&self, service: SocketAddr, path: &str, limit: Duration) -> Result<Fetched> {
        let seconds = limit.as_secs_f32().to_string();
        let mut curl = self.command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            &seconds,
            &format!("http://{service}{path}"),
        ]);
        let output = curl.output().context("cannot start `curl`")?;
        Ok(Fetched {
            exit: output.status.code(),
            body: String::from_utf8_lossy(&output.stdout).into_owned(),
            error: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

fn connect_once(from: Option<IpAddr>, to: SocketAddr, limit: Duration) -> io::Result<()> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // connect(2) gives up with EINPROGRESS after the send time-out.
    let limit = TimeVal::new(limit.as_secs().cast_signed(), i64::from(limit.subsec_micros()));
    setsockopt(&socket, sockopt::SendTimeout, &limit)?;
    if let Some(from) = from {
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(from, 0)))?;
    }
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Err(Errno::EINPROGRESS | Errno::EAGAIN) => Err(ErrorKind::TimedOut.into()),
        other => Ok(other?),
    }
}
