//! Texts to settings and back: the entries that are more than a plain value.

use std::{fmt, str::FromStr};

use ipnet::IpNet;

use super::WatchEntry;
use crate::domain::net::{parse_net, serde_as_text, write_net};

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

serde_as_text!(WatchEntry);
