//! Which interfaces are to be watched now: those that the configuration names, the patterns and roles in it resolved.

use std::{collections::BTreeSet, fs};

use futures_util::TryStreamExt as _;
use monitor_core::config::{DEFAULT_ROUTE, FORWARDING, Watch, is_pattern};
use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use wildmatch::WildMatch;

use super::{
    attach::Unwatched,
    error::{KernelError, deepest},
    interface::{self, LinkLayer},
};

/// Interfaces by name, and what is named and not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// To be watched, each once, in the order of the configuration.
    pub names: Vec<String>,
    /// What the configuration names, and why it is no interface now.
    pub missing: Vec<Unwatched>,
    /// Ports of a bridge or bond that is to be watched too, with its name: each packet would be looked at twice.
    pub twice: Vec<(String, String)>,
}

/// What decides whether an interface plays a role.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    name: String,
    index: u32,
    /// Up, and not the loopback interface.
    is_up: bool,
    /// It hands packets on: the kernel's `forwarding` of IPv4 or IPv6.
    forwards: bool,
    /// Its packets are Ethernet frames or IP packets.
    is_readable: bool,
    /// A VRF's own device: packets pass its members.
    is_vrf: bool,
    is_vlan: bool,
    /// The bridge, bond or VRF that it belongs to.
    controller: Option<u32>,
    /// The interface below it.
    below: Option<u32>,
}

/// Looks at the interfaces and routes of this network namespace.
pub async fn select(watch: &Watch) -> Result<Selection, KernelError> {
    let links = links().await.map_err(|error| KernelError::Interfaces(deepest(&error)))?;
    let wanted =
        if watch.interfaces.is_empty() { vec![by_default(&links).to_owned()] } else { watch.interfaces.clone() };
    Ok(choose(&wanted, &links, &interface::default_route_interfaces()))
}

/// The role that is watched where the configuration names nothing: clients of a router come by any interface, those of
/// another host by the way to everywhere.
fn by_default(links: &[Link]) -> &'static str {
    if is_router() || forwarding(links).next().is_some() { FORWARDING } else { DEFAULT_ROUTE }
}

/// Whether this host forwards packets.
#[must_use]
pub fn is_router() -> bool {
    is_on("/proc/sys/net/ipv4/ip_forward") || is_on("/proc/sys/net/ipv6/conf/all/forwarding")
}

fn is_on(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|value| value.trim() == "1")
}

async fn links() -> Result<Vec<Link>, rtnetlink::Error> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(|_| rtnetlink::Error::RequestFailed)?;
    let connection = tokio::spawn(connection);
    let links: Result<Vec<LinkMessage>, _> = handle.link().get().execute().try_collect().await;
    connection.abort();
    Ok(links?.iter().filter_map(link).collect())
}

fn link(message: &LinkMessage) -> Option<Link> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let flags = message.header.flags;
    let forwards =
        ["ipv4", "ipv6"].iter().any(|family| is_on(&format!("/proc/sys/net/{family}/conf/{name}/forwarding")));
    let mut link = Link {
        name,
        index: message.header.index,
        is_up: flags.contains(LinkFlags::Up) && !flags.contains(LinkFlags::Loopback),
        forwards,
        is_readable: LinkLayer::of_kind(u16::from(message.header.link_layer_type)).is_some(),
        is_vrf: false,
        is_vlan: false,
        controller: None,
        below: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            LinkAttribute::Link(index) => link.below = Some(*index),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    link.is_vrf |= *info == LinkInfo::Kind(InfoKind::Vrf);
                    link.is_vlan |= *info == LinkInfo::Kind(InfoKind::Vlan);
                }
            }
            _ => {}
        }
    }
    Some(link)
}

/// Resolves names, patterns and roles.
fn choose(wanted: &[String], links: &[Link], default_route: &[String]) -> Selection {
    let mut selection = Selection::default();
    let mut seen = BTreeSet::new();
    for word in wanted {
        let (names, otherwise): (Vec<&str>, _) = match word.as_str() {
            FORWARDING => (forwarding(links).collect(), "no interface is up and forwards packets"),
            DEFAULT_ROUTE => (default_route.iter().map(String::as_str).collect(), "there is no default route"),
            pattern if is_pattern(pattern) => {
                let pattern = WildMatch::new(pattern);
                let alike = links.iter().filter(|link| link.is_readable).map(|link| link.name.as_str());
                let alike = alike.filter(|name| pattern.matches(name));
                (alike.collect(), "there is no interface of such a name")
            }
            name => {
                let there = links.iter().map(|link| link.name.as_str()).filter(|other| *other == name);
                (there.collect(), "there is no such interface")
            }
        };
        if names.is_empty() {
            selection.missing.push(Unwatched { name: word.clone(), reason: otherwise.to_owned() });
        }
        selection.names.extend(names.into_iter().filter(|name| seen.insert((*name).to_owned())).map(str::to_owned));
    }
    for vrf in links.iter().filter(|link| link.is_vrf && seen.contains(&link.name)) {
        let members = links.iter().filter(|link| link.controller == Some(vrf.index)).map(|link| link.name.as_str());
        let members = members.collect::<Vec<_>>().join(", ");
        let reason = format!("it is a VRF's own device, which packets do not pass: watch its members ({members})");
        selection.missing.push(Unwatched { name: vrf.name.clone(), reason });
        selection.names.retain(|name| *name != vrf.name);
    }
    for port in links.iter().filter(|link| seen.contains(&link.name)) {
        let controller = links.iter().find(|link| port.controller == Some(link.index));
        if let Some(controller) = controller.filter(|controller| !controller.is_vrf && seen.contains(&controller.name))
        {
            selection.twice.push((port.name.clone(), controller.name.clone()));
        }
    }
    selection
}

/// Those that hand packets on. What passes a port of a bridge or bond passes that one too, and what passes a VLAN of an
/// interface passes the interface.
fn forwarding(links: &[Link]) -> impl Iterator<Item = &str> {
    let of = |index: u32| links.iter().find(move |link| link.index == index);
    let carries = |link: &&Link| link.is_up && link.forwards && link.is_readable && !link.is_vrf;
    links
        .iter()
        .filter(carries)
        .filter(move |link| link.controller.and_then(of).is_none_or(|controller| controller.is_vrf))
        .filter(move |link| !link.is_vlan || !link.below.and_then(of).as_ref().is_some_and(carries))
        .map(|link| link.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::{Link, choose};

    fn link(name: &str, index: u32) -> Link {
        Link {
            name: name.to_owned(),
            index,
            is_up: true,
            forwards: true,
            is_readable: true,
            is_vrf: false,
            is_vlan: false,
            controller: None,
            below: None,
        }
    }

    fn names(wanted: &[&str], links: &[Link]) -> Vec<String> {
        let wanted: Vec<_> = wanted.iter().map(|word| (*word).to_owned()).collect();
        let selection = choose(&wanted, links, &["ppp0".to_owned()]);
        let missing = selection.missing.into_iter().map(|missing| format!("!{}", missing.name));
        selection.names.into_iter().chain(missing).collect()
    }

    #[test]
    fn a_router_watches_each_interface_that_forwards_once() {
        let links = [
            link("lan", 2),
            Link { is_vlan: true, below: Some(2), ..link("lan.10", 3) },
            Link { is_up: false, ..link("eth5", 4) },
            Link { is_vlan: true, below: Some(4), ..link("eth5.20", 5) },
            link("br0", 6),
            Link { controller: Some(6), ..link("veth1", 7) },
            Link { is_vrf: true, ..link("red", 8) },
            Link { controller: Some(8), ..link("eth3", 9) },
            Link { forwards: false, ..link("mgmt", 10) },
            Link { is_readable: false, ..link("pimreg", 12) },
            // The other end is in another network namespace, where the number means another interface.
            Link { below: Some(6), ..link("veth2", 11) },
        ];
        assert_eq!(names(&["forwarding"], &links), ["lan", "eth5.20", "br0", "eth3", "veth2"]);
        assert_eq!(names(&["forwarding"], &links[6..7]), ["!forwarding"]);
    }

    #[test]
    fn a_port_that_is_named_beside_its_bridge_or_bond_is_seen() {
        let links = [link("bond0", 1), Link { controller: Some(1), ..link("eth0", 2) }, link("eth1", 3)];
        let twice = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|word| (*word).to_owned()).collect();
            choose(&wanted, &links, &[]).twice
        };
        assert_eq!(twice(&["eth*", "bond0"]), [("eth0".to_owned(), "bond0".to_owned())]);
        assert_eq!(twice(&["eth*"]), []);
        assert_eq!(twice(&["forwarding"]), []);
    }

    #[test]
    fn in_place_of_a_vrf_its_members_are_to_be_named() {
        let links = [Link { is_vrf: true, ..link("red", 8) }, Link { controller: Some(8), ..link("eth3", 9) }];
        let selection = choose(&["red".to_owned(), "eth3".to_owned()], &links, &[]);
        assert_eq!((selection.names, selection.twice), (vec!["eth3".to_owned()], Vec::new()));
        assert!(selection.missing[0].reason.contains("watch its members (eth3)"));
    }

    #[test]
    fn names_patterns_and_roles_are_resolved_in_their_order_and_what_is_missing_is_named() {
        let links = [link("wg0", 1), link("wg1", 2), link("eth0.10", 3), link("ppp0", 4)];
        assert_eq!(names(&["wg*", "wg0", "eth?.10", "eth9"], &links), ["wg0", "wg1", "eth0.10", "!eth9"]);
        assert_eq!(names(&["default-route", "ppp*"], &links), ["ppp0"]);
        assert_eq!(names(&["tun*"], &links), ["!tun*"]);
    }
}
