//! What stays the same however often a letter is sent: its Message-ID and its file name.

use std::net::IpAddr;

use crate::domain::{ClientAddr, OutageId, UnixMs};

/// The key of a letter that tells of a recovery: one per outage and client.
///
/// The begin of the outage is part of it because outage ids start again with a new database, and mail systems silently
/// drop a second message of the same id.
#[must_use]
pub fn recovery_key(outage: OutageId, since: UnixMs, client: ClientAddr) -> String {
    format!("{}.{}", outage_key(outage, since), client_key(client))
}

/// The same for an outage: what all letters about it refer to.
#[must_use]
pub fn outage_key(outage: OutageId, since: UnixMs) -> String {
    format!("ringback.{outage}.{}", since.0)
}

/// Hexadecimal: an IPv6 address has colons, which neither a Message-ID nor a Maildir name may have.
fn client_key(client: ClientAddr) -> String {
    match client.ip() {
        IpAddr::V4(addr) => format!("{:08x}", addr.to_bits()),
        IpAddr::V6(addr) => format!("{:032x}", addr.to_bits()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn outage_begin_and_client_each_make_another_key() {
        let key = |outage, since, client: &str| {
            recovery_key(OutageId(outage), UnixMs(since), ClientAddr::new(client.parse().unwrap()))
        };
        assert_eq!(key(17, 1_000, "198.18.0.1"), "ringback.17.1000.c6120001");
        assert_eq!(key(17, 1_000, "2001:db8::1"), "ringback.17.1000.20010db8000000000000000000000001");
        assert_ne!(key(17, 1_000, "198.18.0.1"), key(17, 1_000, "198.18.0.2"));
        assert_ne!(key(17, 1_000, "198.18.0.1"), key(18, 1_000, "198.18.0.1"));
        // Outage ids start again with a new database.
        assert_ne!(key(17, 1_000, "198.18.0.1"), key(17, 1_001, "198.18.0.1"));
    }
}
