//! `watch.servers` as the rules of the kernel's prefix table.
//!
//! The table gives the longest prefix only, so each rule also holds what the networks around it say.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use monitor_common::{MAX_PORTS, WatchRule};

use super::WatchEntry;
use crate::domain::Service;

/// The rules, one for each network that an entry names.
///
/// # Errors
/// The first network that cannot be written as a rule.
pub fn watch_rules(entries: &[WatchEntry]) -> Result<Vec<(IpNet, WatchRule)>, TooManyPorts> {
    let mut networks: BTreeMap<IpNet, (bool, Vec<u16>)> = BTreeMap::new();
    for net in entries.iter().flat_map(nets) {
        networks.entry(net).or_default();
    }
    for (net, (learn, ports)) in &mut networks {
        for entry in entries {
            if !nets(entry).iter().any(|around| around.contains(net)) {
                continue;
            }
            match entry {
                WatchEntry::Auto | WatchEntry::Network(_) => *learn = true,
                WatchEntry::Service(_, port) => {
                    if !ports.contains(port) {
                        ports.push(*port);
                    }
                }
            }
        }
    }
    networks.into_iter().map(|(net, (learn, ports))| Ok((net, rule(net, learn, &ports)?))).collect()
}

/// A network with more ports than a rule has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{net} lists {ports} ports, at most {MAX_PORTS} can be")]
pub struct TooManyPorts {
    /// Which.
    pub net: IpNet,
    /// How many it lists.
    pub ports: usize,
}

fn rule(net: IpNet, learn: bool, ports: &[u16]) -> Result<WatchRule, TooManyPorts> {
    if ports.len() > MAX_PORTS {
        return Err(TooManyPorts { net, ports: ports.len() });
    }
    let mut rule = WatchRule { learn: u16::from(learn), port_count: ports.len() as u16, ports: [0; MAX_PORTS] };
    rule.ports[..ports.len()].copy_from_slice(ports);
    Ok(rule)
}

/// The networks that an entry speaks of.
fn nets(entry: &WatchEntry) -> Vec<IpNet> {
    match entry {
        WatchEntry::Auto => vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())],
        WatchEntry::Network(net) | WatchEntry::Service(net, _) => vec![*net],
    }
}

/// Whether the service is watched, and if so whether it is listed.
#[must_use]
pub fn standing(entries: &[WatchEntry], service: Service) -> Option<bool> {
    let mut watched = None;
    for entry in entries {
        if nets(entry).iter().any(|net| net.contains(&service.addr())) {
            match entry {
                WatchEntry::Service(_, port) if *port == service.port() => return Some(true),
                WatchEntry::Service(..) => {}
                WatchEntry::Auto | WatchEntry::Network(_) => watched = Some(false),
            }
        }
    }
    watched
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{standing, watch_rules};
    use crate::config::WatchEntry;

    fn entries(texts: &[&str]) -> Vec<WatchEntry> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_rule_holds_what_the_networks_around_it_say() {
        let rules = watch_rules(&entries(&["10.0.0.0/8", "10.0.2.0/24:443", "10.0.2.7:25"])).unwrap();
        let of = |net: &str| rules.iter().find(|(other, _)| other.to_string() == net).unwrap().1;
        assert_eq!((of("10.0.0.0/8").learn, of("10.0.0.0/8").port_count), (1, 0));
        assert_eq!(of("10.0.2.0/24").learn, 1);
        assert!(of("10.0.2.0/24").lists(443) && !of("10.0.2.0/24").lists(25));
        assert!(of("10.0.2.7/32").lists(443) && of("10.0.2.7/32").lists(25));
    }

    #[test]
    fn too_many_ports_are_refused() {
        let texts: Vec<String> = (1..=15).map(|port| format!("192.0.2.7:{port}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let error = watch_rules(&entries(&texts)).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.7/32 lists 15 ports, at most 14 can be");
    }

    #[test]
    fn a_service_is_listed_learned_or_not_watched() {
        let entries = entries(&["10.0.0.0/8", "10.0.2.7:443", "[2001:db8::/32]:80"]);
        assert_eq!(standing(&entries, "10.0.2.7:443".parse().unwrap()), Some(true));
        assert_eq!(standing(&entries, "10.0.2.7:80".parse().unwrap()), Some(false));
        assert_eq!(standing(&entries, "[2001:db8::1]:80".parse().unwrap()), Some(true));
        assert_eq!(standing(&entries, "[2001:db8::1]:81".parse().unwrap()), None);
        assert_eq!(standing(&entries, "192.0.2.1:80".parse().unwrap()), None);
    }
}
