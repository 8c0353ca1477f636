//! Which addresses this host has.

use std::{collections::HashSet, net::IpAddr};

use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};

/// Every address of this host.
#[must_use]
pub fn local_addresses() -> HashSet<IpAddr> {
    let Ok(addresses) = getifaddrs() else { return HashSet::new() };
    let ip = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    addresses.filter_map(|interface| ip(interface.address?)).collect()
}
