//! Networks of clients, and how networks are written.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// An address (a network of one) or a network of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNet(IpNet);

impl ClientNet {
    /// The network, its host bits cleared.
    #[must_use]
    pub fn new(net: IpNet) -> Self {
        Self(net.trunc())
    }

    /// Every IPv4 address.
    #[must_use]
    pub fn all_v4() -> Self {
        Self::new(IpNet::from(ipnet::Ipv4Net::default()))
    }

    /// Every IPv6 address.
    #[must_use]
    pub fn all_v6() -> Self {
        Self::new(IpNet::from(ipnet::Ipv6Net::default()))
    }

    /// The network of one that is this address.
    #[must_use]
    pub fn host(addr: IpAddr) -> Self {
        Self(IpNet::from(addr.to_canonical()))
    }

    /// The network.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }
}

impl FromStr for ClientNet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_net(text).map(Self::new).ok_or_else(|| {
            format!("`{text}` is not an address or network: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
        })
    }
}

/// A network of one is written as its address.
impl fmt::Display for ClientNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_net(self.net(), f)
    }
}

pub(crate) fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|addr| IpNet::from(addr.to_canonical())))
}

pub(crate) fn write_net(net: IpNet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write!(f, "{}", net.addr()) } else { write!(f, "{net}") }
}

/// Makes serde read and write a type as its text.
macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use serde_as_text;

serde_as_text!(ClientNet);
