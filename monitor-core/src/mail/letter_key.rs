//! What stays the same however often a letter is written: its Message-ID and its file name.

use std::net::IpAddr;

use crate::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::Letter,
};

/// The stable part of a letter's Message-ID: one per (outage, client).
///
/// The begin of the outage is part of it because outage ids start again with a new database, and mail systems silently
/// drop a second message of the same id.
pub fn letter_key(letter: &Letter) -> String {
    if let Some(ready) = &letter.ready {
        return ready.key.clone();
    }
    format!("{}.{}", outage_key(letter.outage, since(letter)), client_key(letter.client))
}

/// The same for an outage: what all letters about it refer to.
pub fn outage_key(outage: OutageId, since: UnixMs) -> String {
    format!("ringback.{outage}.{}", since.0)
}

/// Begin of the outage that names the letter.
fn since(letter: &Letter) -> UnixMs {
    let named = letter.services.iter().find(|service| service.outage == letter.outage);
    named.map_or(letter.recovered, |service| service.since)
}

/// Hexadecimal: an IPv6 address has colons, which neither a Message-ID nor a Maildir name may have.
fn client_key(client: ClientAddr) -> String {
    match client.ip() {
        IpAddr::V4(addr) => format!("{:08x}", addr.to_bits()),
        IpAddr::V6(addr) => format!("{:032x}", addr.to_bits()),
    }
}
