//! Which interfaces there are, and who sits on them.

use std::{collections::BTreeSet, fs};

use futures_util::TryStreamExt as _;
use nix::net::if_::{if_nameindex, if_nametoindex};
use rtnetlink::packet_route::link::{LinkAttribute, LinkXdp, XdpAttached};

use super::error::KernelError;
use crate::interface;

/// Names of this network namespace's interfaces.
#[must_use]
pub fn existing_interfaces() -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else { return Vec::new() };
    interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
}

/// Interfaces of the default routes, IPv4 and IPv6, in alphabetical order.
pub(super) fn default_route_interfaces() -> Vec<String> {
    let v4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let names: BTreeSet<String> = default_v4(&v4).chain(default_v6(&v6)).map(str::to_owned).collect();
    names.into_iter().collect()
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

/// What a frame of an interface begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// The IP packet itself: WireGuard and other tunnels, PPP.
    None,
}

impl LinkLayer {
    /// Of this interface, or why its frames cannot be read.
    pub(super) fn of(name: &str) -> Result<Self, KernelError> {
        let kind = interface::link_layer(name).map_err(|source| KernelError::Attach {
            interface: name.to_owned(),
            how: "its kind",
            reason: source.to_string(),
        })?;
        Self::of_kind(kind).ok_or_else(|| KernelError::LinkLayer { interface: name.to_owned(), kind })
    }

    /// Of an interface of this kind (a number of `if_arp.h`); `None`: its frames cannot be read.
    pub(super) const fn of_kind(kind: u16) -> Option<Self> {
        // Not all of these are in libc; if_arp.h has them.
        const RAW_IP: u16 = 519;
        const IP6_GRE: u16 = 823;
        match kind {
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(Self::Ethernet),
            libc::ARPHRD_NONE
            | libc::ARPHRD_PPP
            | libc::ARPHRD_TUNNEL
            | libc::ARPHRD_TUNNEL6
            | libc::ARPHRD_SIT
            | libc::ARPHRD_IPGRE
            | RAW_IP
            | IP6_GRE => Some(Self::None),
            _ => None,
        }
    }
}

/// Whether this process may open packet sockets as far as their kind goes: a unit can forbid it.
#[must_use]
pub fn knows_packet_sockets() -> bool {
    let opened = interface::packet_socket(0, 0);
    !opened.is_err_and(|error| error.raw_os_error() == Some(libc::EAFNOSUPPORT))
}

/// Whether frames of this interface are Ethernet or IP packets.
pub fn can_be_read(name: &str) -> Result<(), KernelError> {
    LinkLayer::of(name).map(drop)
}

/// An XDP program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct XdpOn {
    /// Its id.
    pub(super) program: u32,
    /// Whether it runs in the kernel's generic path.
    pub(super) generic: bool,
}

/// The XDP program on an interface, if there is one.
pub(super) async fn xdp_on(ifindex: u32) -> Option<XdpOn> {
    let (connection, handle, _) = rtnetlink::new_connection().ok()?;
    let connection = tokio::spawn(connection);
    let link = handle.link().get().match_index(ifindex).execute().try_next().await.ok().flatten();
    connection.abort();
    link?.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => {
            let program = xdp.iter().find_map(|xdp| match xdp {
                LinkXdp::ProgId(id) if *id != 0 => Some(*id),
                _ => None,
            })?;
            let generic = xdp.iter().any(|xdp| matches!(xdp, LinkXdp::Attached(XdpAttached::SocketBuffer)));
            Some(XdpOn { program, generic })
        }
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
