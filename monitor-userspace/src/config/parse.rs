//! Texts to settings and back: the entries that are more than a plain value.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{ClientNet, WatchEntry};

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

impl FromStr for WatchEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "`{text}` is not something to watch: write auto, 10.0.2.0/24, 192.0.2.7, 192.0.2.7:443, [2001:db8::7]:443 or [2001:db8::/32]:443"
            )
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        if let Some(net) = parse_net(text) {
            return Ok(Self::Network(net.trunc()));
        }
        let (net, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let net = net.strip_prefix('[').and_then(|net| net.strip_suffix(']')).unwrap_or(net);
        match (parse_net(net), port.parse()) {
            (Some(net), Ok(port)) if port != 0 => Ok(Self::Service(net.trunc(), port)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for WatchEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Network(net) => write_net(*net, f),
            Self::Service(net @ IpNet::V4(_), port) => {
                write_net(*net, f)?;
                write!(f, ":{port}")
            }
            Self::Service(net @ IpNet::V6(_), port) => {
                f.write_str("[")?;
                write_net(*net, f)?;
                write!(f, "]:{port}")
            }
        }
    }
}

fn parse_net(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|addr| IpNet::from(addr.to_canonical())))
}

fn write_net(net: IpNet, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if net.prefix_len() == net.max_prefix_len() { write!(f, "{}", net.addr()) } else { write!(f, "{net}") }
}

macro_rules! serde_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

serde_as_text!(ClientNet, WatchEntry);
