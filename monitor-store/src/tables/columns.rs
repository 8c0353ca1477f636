//! The form of the domain's words and addresses in columns.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use monitor_core::{
    domain::{ClientAddr, ClientNet, Language, OutageId, Service, UnixMs},
    mail::{LetterId, Origin},
    outage::{Failure, Level, Recovery},
};

use crate::sql::{Error, FromSql, Row, ToSql, Value, Wrong};

/// Bits of the prefix `::ffff:0:0/96` that IPv4 networks lie in.
const MAPPED_BITS: u8 = 96;

/// An address as 16 bytes, IPv4 mapped: the kernel's form.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) IpAddr);

fn octets(addr: IpAddr) -> Value<'static> {
    let mapped = match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    };
    Value::Blob(mapped.octets().to_vec().into())
}

impl ToSql for Address {
    fn to_sql(&self) -> Value<'_> {
        octets(self.0)
    }
}

impl FromSql for Address {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        <[u8; 16]>::column_result(value).map(|bytes| Self(Ipv6Addr::from(bytes).to_canonical()))
    }
}

impl ToSql for ClientAddr {
    fn to_sql(&self) -> Value<'_> {
        octets(self.ip())
    }
}

impl FromSql for ClientAddr {
    fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
        Address::column_result(value).map(|addr| Self::new(addr.0))
    }
}

macro_rules! number {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> Value<'_> {
                Value::Integer(self.0)
            }
        }

        impl FromSql for $name {
            fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
                i64::column_result(value).map(Self)
            }
        }
    )*};
}
number!(UnixMs, OutageId, LetterId);

macro_rules! word {
    ($($name:ident: $to:expr, $from:expr;)*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> Value<'_> {
                let to: fn($name) -> &'static str = $to;
                Value::Text(to(*self))
            }
        }

        impl FromSql for $name {
            fn column_result(value: &Value<'_>) -> Result<Self, Wrong> {
                let from: fn(&str) -> Option<$name> = $from;
                if let Value::Text(word) = value { from(word).ok_or(Wrong) } else { Err(Wrong) }
            }
        }
    )*};
}
word! {
    Failure: Self::word, Self::from_word;
    Recovery: Self::word, Self::from_word;
    Level: level_word, |word| [Self::Service, Self::Host].into_iter().find(|level| level_word(*level) == word);
    Origin: origin_word, |word| {
        [Self::Config, Self::Operator, Self::Page].into_iter().find(|origin| origin_word(*origin) == word)
    };
    Language: language_word, |word| [Self::En, Self::Ja].into_iter().find(|lang| language_word(*lang) == word);
}

const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Service => "service",
        Level::Host => "host",
    }
}

const fn origin_word(origin: Origin) -> &'static str {
    match origin {
        Origin::Config => "config",
        Origin::Operator => "operator",
        Origin::Page => "page",
    }
}

const fn language_word(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ja => "ja",
    }
}

/// A count as the database's number, which has a sign.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count column; counts are never negative.
pub(super) fn count(row: &Row<'_>, column: &str) -> Result<u64, Error> {
    row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap_or(0))
}

/// Columns `server` and `port`.
pub(super) fn service(row: &Row<'_>) -> Result<Service, Error> {
    Ok(Service::new(row.get::<_, Address>("server")?.0, row.get("port")?))
}

/// A network as columns `net` and `prefix`.
pub(super) fn network(net: ClientNet) -> (Address, u8) {
    let net = net.net();
    let outside = if net.addr().is_ipv4() { MAPPED_BITS } else { 0 };
    (Address(net.addr()), net.prefix_len() + outside)
}

/// Columns `net` and `prefix`.
pub(super) fn client_net(row: &Row<'_>) -> Result<ClientNet, Error> {
    let Address(addr) = row.get("net")?;
    let prefix: u8 = row.get("prefix")?;
    let length = if addr.is_ipv4() { prefix.checked_sub(MAPPED_BITS) } else { Some(prefix) };
    length
        .and_then(|length| IpNet::new(addr, length).ok())
        .map(ClientNet::new)
        .ok_or_else(|| Error::Column("prefix".to_owned()))
}
