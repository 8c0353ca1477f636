//! Who tries (client) and what is tried (service): newtypes, so that one is never taken for the other.
//!
//! Addresses are canonical: an IPv4 address that arrives as `::ffff:a.b.c.d` (the kernel's 16-byte form) is IPv4 here.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::ParseIntError,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// A host that tries to open a connection to a server through us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientAddr(IpAddr);

impl ClientAddr {
    /// The client at `addr`, in canonical form.
    #[must_use]
    pub fn new(addr: IpAddr) -> Self {
        Self(addr.to_canonical())
    }

    /// The address.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One `address:port` of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    addr: IpAddr,
    port: u16,
}

impl Service {
    /// The service on `port` (TCP) of the server at `addr`.
    #[must_use]
    pub fn new(addr: IpAddr, port: u16) -> Self {
        Self { addr: addr.to_canonical(), port }
    }

    /// The server's address.
    #[must_use]
    pub const fn addr(self) -> IpAddr {
        self.addr
    }

    /// The TCP port.
    #[must_use]
    pub const fn port(self) -> u16 {
        self.port
    }

    /// As the socket address to connect to.
    #[must_use]
    pub fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

/// `192.0.2.7:443` or `[2001:db8::7]:443`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

/// What is wrong with a text that should be a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a service: write ADDRESS:PORT, such as 192.0.2.7:443 or [2001:db8::7]:443")]
pub struct ParseServiceError(String);

impl FromStr for Service {
    type Err = ParseServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let addr: SocketAddr = text.parse().map_err(|_| ParseServiceError(text.to_owned()))?;
        Ok(Self::new(addr.ip(), addr.port()))
    }
}

impl Serialize for Service {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Service {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Names one outage in the store, in mails and in the log. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutageId(pub i64);

impl fmt::Display for OutageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for OutageId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
