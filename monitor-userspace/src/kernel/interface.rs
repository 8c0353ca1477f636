//! Which interfaces there are, and who sits on them.

use std::{collections::BTreeSet, fs};

use futures_util::TryStreamExt as _;
use monitor_core::config::Watch;
use nix::net::if_::{if_nameindex, if_nametoindex};
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp};

use super::error::KernelError;

/// Names of this network namespace's interfaces.
#[must_use]
pub fn existing_interfaces() -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else { return Vec::new() };
    interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
}

/// Interfaces of the default routes, IPv4 and IPv6, in alphabetical order.
#[must_use]
pub fn default_route_interfaces() -> Vec<String> {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let names: BTreeSet<String> = default_v4(&v4).chain(default_v6(&v6)).map(str::to_owned).collect();
    names.into_iter().collect()
}

/// The interfaces to watch: configured, or those of the default routes.
pub fn interfaces(watch: &Watch) -> Result<Vec<String>, KernelError> {
    if !watch.interfaces.is_empty() {
        return Ok(watch.interfaces.clone());
    }
    let names = default_route_interfaces();
    if names.is_empty() { Err(KernelError::NoInterface) } else { Ok(names) }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, addresses in hexadecimal.
fn default_v4(table: &str) -> impl Iterator<Item = &str> {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")).then(|| fields[0])
    })
}

/// `destination length source length next-hop metric refcount use flags interface`.
fn default_v6(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let any = fields.first()?.bytes().all(|digit| digit == b'0') && fields.get(1) == Some(&"00");
        // The kernel's own catch-all entries stand on the loopback interface.
        fields.get(9).copied().filter(|name| any && *name != "lo")
    })
}

/// The index of an interface.
pub(super) fn index(name: &str) -> Result<u32, KernelError> {
    if_nametoindex(name)
        .map_err(|_| KernelError::UnknownInterface { name: name.to_owned(), present: existing_interfaces().join(", ") })
}

/// The id of the XDP program on an interface, if there is one.
pub(super) async fn xdp_program(ifindex: u32) -> Option<u32> {
    let (connection, handle, _) = rtnetlink::new_connection().ok()?;
    let connection = tokio::spawn(connection);
    let link = handle.link().get().match_index(ifindex).execute().try_next().await.ok().flatten();
    connection.abort();
    link?.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => xdp.iter().find_map(|xdp| match xdp {
            LinkXdp::ProgId(id) if *id != 0 => Some(*id),
            _ => None,
        }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{default_v4, default_v6};

    #[test]
    fn default_routes_are_found_in_both_tables() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                  eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                  eth1\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_v4(v4).collect::<Vec<_>>(), ["eth0"]);
        let zero = "00000000000000000000000000000000";
        let v6 = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 1 0 00000003 eth2\n\
             {zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo\n"
        );
        assert_eq!(default_v6(&v6).collect::<Vec<_>>(), ["eth2"]);
    }
}
