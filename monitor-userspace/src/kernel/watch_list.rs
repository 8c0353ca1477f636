//! Networks as keys of the kernel's prefix tables.

use aya::maps::lpm_trie::Key;
use ipnet::IpNet;
use monitor_common::Addr;

/// The table's key of a network: IPv4 networks lie behind the 96 bits of `::ffff:0:0/96`.
pub(super) fn key(net: IpNet) -> Key<Addr> {
    let length = match net {
        IpNet::V4(net) => 96 + u32::from(net.prefix_len()),
        IpNet::V6(net) => u32::from(net.prefix_len()),
    };
    Key::new(length, Addr::from(net.network()))
}

/// Whether two keys are the same network.
pub(super) fn same(one: &Key<Addr>, other: &Key<Addr>) -> bool {
    one.prefix_len() == other.prefix_len() && { one.data() } == { other.data() }
}
