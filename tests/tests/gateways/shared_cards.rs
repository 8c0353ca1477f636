//! Several interfaces on one card: macvlan and ipvlan.

use anyhow::{Context as _, Result};
use lab::Lab;

use super::{Link, sees_by, sees_nothing, services, story, unless_missing, watch};

fn macvlan(lab: &Lab) -> Result<Link> {
    lab.gateway().ip(&["link add link client1 name macvlan0 type macvlan mode bridge"])?;
    // The card itself would answer for the address, with its own MAC address.
    lab.gateway().sysctl("ipv4/conf/client1/arp_ignore", "1")?;
    Ok(Link::new("eth0", "macvlan0"))
}

// proves: G-6
#[test]
fn clients_that_come_by_macvlan_are_seen() -> Result<()> {
    story("macvlan", &["auto", "generic"], macvlan)
}

/// server2 is a container on server1: it has nothing but an ipvlan device on that host's card.
fn ipvlan(lab: &Lab, mode: &str) -> Result<()> {
    let (gateway, host, container) = (lab.gateway(), lab.server(1), lab.server(2));
    let (v4, v6) = (container.v4(), container.v6());
    host.ip(&[
        format!("link add link eth0 name ipvlan0 type ipvlan mode {mode}"),
        format!("link set ipvlan0 netns {}", container.namespace()),
    ])?;
    container.ip(&[
        "link set eth0 down".to_owned(),
        format!("address del {v4}/24 dev eth0"),
        format!("address del {v6}/64 dev eth0"),
        "link set ipvlan0 up".to_owned(),
        format!("address add {v4}/32 dev ipvlan0"),
        format!("address add {v6}/128 dev ipvlan0 nodad"),
        "route replace default via 10.2.1.1 dev ipvlan0 onlink".to_owned(),
        "route replace default via fd00:2:1::1 dev ipvlan0 onlink".to_owned(),
    ])?;
    // In L3 mode no one answers ARP requests for the container.
    gateway.ip(&[
        format!("route replace {v4}/32 via {} dev server1", host.v4()),
        format!("route replace {v6}/128 via {} dev server1", host.v6()),
    ])
}

/// In mode L3S, what arrives goes to the container by a netfilter hook, past those of its device.
// proves: G-6
#[test]
fn clients_of_a_container_on_ipvlan_are_seen_there_and_on_the_card() -> Result<()> {
    for mode in ["l2", "l3", "l3s"] {
        let lab = Lab::builder().servers(2).build()?;
        let Some(()) = unless_missing("ipvlan", ipvlan(&lab, mode))? else { return Ok(()) };
        let card = ["native", "auto", "generic"].map(|hook| (&["eth0"][..], hook));
        sees_by(&lab, lab.server(1), &card, &services(&lab)).with_context(|| format!("mode {mode}, the card"))?;
        if mode == "l3s" {
            sees_nothing(&lab, &watch(lab.server(2), &["ipvlan0"], "auto")?).context("mode l3s")?;
            continue;
        }
        let own = ["auto", "generic"].map(|hook| (&["ipvlan0"][..], hook));
        sees_by(&lab, lab.server(2), &own, &services(&lab)).with_context(|| format!("mode {mode}, its own"))?;
    }
    Ok(())
}
