//! Links that carry packets in packets, most of them without a link-layer header.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Host, Lab, wait_until};

use super::{LIMIT, Link, NO_DRIVER, lab_with, output, sees_by, services, story};

/// An interface with a key of its own; returns the public key.
fn wireguard_end(host: &Host) -> Result<String> {
    host.ip(&["link add wg0 type wireguard"])?;
    let file = host.folder().join("wg0.key");
    let make = format!("umask 077; wg genkey > {0} && wg pubkey < {0} && wg set wg0 private-key {0}", file.display());
    output(host, "sh", &["-c", &make])
}

fn wireguard(lab: &Lab) -> Result<Link> {
    let (client, gateway) = (lab.client(1), lab.gateway());
    let (near, far) = (wireguard_end(client)?, wireguard_end(gateway)?);
    let addresses = "10.1.9.2/32,fd00:1:9::2/128";
    output(gateway, "wg", &["set", "wg0", "listen-port", "51820", "peer", &near, "allowed-ips", addresses])?;
    let endpoint = format!("{}:51820", gateway.v4());
    output(client, "wg", &["set", "wg0", "peer", &far, "endpoint", &endpoint, "allowed-ips", "0.0.0.0/0,::/0"])?;
    Ok(Link::new("wg0", "wg0"))
}

// proves: G-1
#[test]
fn clients_that_come_by_wireguard_are_seen() -> Result<()> {
    story("WireGuard", &["auto", "generic"], wireguard)
}

/// The gateway is the access concentrator, and the client dials in.
fn pppoe(lab: &Lab) -> Result<Link> {
    // pppd makes the interface: there is no kind of link to ask for.
    ensure!(Path::new("/dev/ppp").exists(), "PPP: {NO_DRIVER}");
    let (client, gateway) = (lab.client(1), lab.gateway());
    let options = gateway.folder().join("ppp.options");
    fs::write(&options, "noauth\nnodetach\n+ipv6\n")?;
    let serve = format!(
        "exec pppoe-server -F -I client1 -L 10.1.8.1 -R 10.1.8.2 -N 1 \
         -q $(command -v pppd) -Q $(command -v pppoe) -O {}",
        options.display()
    );
    let dial = "exec pppd pty \"$(command -v pppoe) -I eth0\" noauth nodetach +ipv6 \
                noaccomp nopcomp default-asyncmap mtu 1492 mru 1492";
    let server = gateway.spawn("pppoe-server", gateway.command("sh").args(["-c", &serve]))?;
    let dialled = client.spawn("pppd", client.command("sh").args(["-c", dial]))?;
    let is_up = |host: &Host| {
        output(host, "ip", &["-o", "address", "show", "dev", "ppp0"])
            .is_ok_and(|said| said.contains("inet ") && said.contains("inet6 "))
    };
    if let Err(error) = wait_until("both ends of PPP are up", LIMIT, || is_up(client) && is_up(gateway)) {
        bail!("{error:#}\n{}\n{}", server.output(), dialled.output());
    }
    Ok(Link { client: "ppp0", gateway: "ppp0", _programs: vec![dialled, server] })
}

// proves: G-1
#[test]
fn clients_that_come_by_pppoe_are_seen_at_its_end() -> Result<()> {
    story("PPP", &["auto", "generic"], pppoe)
}

// proves: G-2
#[test]
fn clients_that_come_by_pppoe_are_seen_on_its_cable() -> Result<()> {
    let Some((lab, _link)) = lab_with("PPP", pppoe)? else { return Ok(()) };
    let ways = ["native", "auto", "generic"].map(|hook| (&["client1"][..], hook));
    sees_by(&lab, lab.gateway(), &ways, &services(&lab))
}

/// A tunnel of this kind over IPv4, or over IPv6.
fn tunnel(lab: &Lab, kind: &str) -> Result<Link> {
    let (client, gateway) = (lab.client(1), lab.gateway());
    let addresses = if kind.starts_with("ip6") { (client.v6(), gateway.v6()) } else { (client.v4(), gateway.v4()) };
    let add = |near, far| format!("link add tunnel7 type {kind} local {near} remote {far} ttl 64");
    client.ip(&[add(addresses.0, addresses.1)])?;
    gateway.ip(&[add(addresses.1, addresses.0)])?;
    Ok(Link::new("tunnel7", "tunnel7"))
}

/// What each kind carries: IPv4, IPv6.
const TUNNELS: [(&str, bool, bool); 8] = [
    ("ipip", true, false),
    ("sit", false, true),
    ("gre", true, true),
    ("ip6tnl mode any", true, true),
    ("ip6gre", true, true),
    ("gretap", true, true),
    ("ip6gretap", true, true),
    ("vxlan id 7 dstport 4789", true, true),
];

// proves: G-1
#[test]
fn clients_that_come_by_a_tunnel_of_the_kernel_are_seen() -> Result<()> {
    for (kind, v4, v6) in TUNNELS {
        let Some((lab, _link)) = lab_with(kind, |lab| tunnel(lab, kind))? else { continue };
        let carried: Vec<_> =
            services(&lab).into_iter().filter(|service| if service.is_ipv4() { v4 } else { v6 }).collect();
        let ways = ["auto", "generic"].map(|hook| (&["tunnel7"][..], hook));
        sees_by(&lab, lab.gateway(), &ways, &carried).with_context(|| kind)?;
    }
    Ok(())
}
