//! Two cables that are one interface.

use anyhow::{Context as _, Result};
use lab::{Lab, wait_until};

use super::{LIMIT, Link, lab_with, output, sees, services, turn, watch};

/// The second cable is a spare.
fn bond(lab: &Lab) -> Result<Link> {
    let (client, gateway) = (lab.client(1), lab.gateway());
    gateway.ip(&[format!("link add spare type veth peer name eth1 netns {}", client.namespace())])?;
    for (host, ports) in [(client, ["eth0", "eth1"]), (gateway, ["client1", "spare"])] {
        host.ip(&["link add bond0 type bond mode active-backup miimon 20"])?;
        for port in ports {
            host.ip(&[format!("link set {port} down"), format!("link set {port} master bond0")])?;
        }
    }
    Ok(Link::new("bond0", "bond0"))
}

/// The bond uses this port, and the client's the other end of it: the other cable is pulled for a moment.
fn use_port(lab: &Lab, port: &str) -> Result<()> {
    let (other, end) = if port == "spare" { ("client1", "eth1") } else { ("spare", "eth0") };
    lab.gateway().ip(&[format!("link set {other} down")])?;
    wait_until(&format!("{port} is active"), LIMIT, || {
        [(lab.gateway(), port), (lab.client(1), end)].iter().all(|(host, port)| {
            let shown = output(host, "ip", &["-d", "link", "show", "bond0"]);
            shown.is_ok_and(|shown| shown.contains(&format!("active_slave {port} ")))
        })
    })?;
    lab.gateway().ip(&[format!("link set {other} up")])
}

// proves: G-6
#[test]
fn clients_that_come_by_a_bond_are_seen_whichever_port_is_active() -> Result<()> {
    let Some((lab, _link)) = lab_with("bonding", bond)? else { return Ok(()) };
    let (bond, ports) = (&["bond0"][..], &["client1", "spare"][..]);
    let daemon = watch(lab.gateway(), ports, "native")?;
    for (watched, hook, active) in [
        (ports, "native", "client1"),
        (ports, "auto", "spare"),
        (ports, "generic", "spare"),
        (&["bond0", "client1", "spare"], "auto", "client1"),
        (bond, "native", "spare"),
        (bond, "auto", "client1"),
        (bond, "auto", "spare"),
        (bond, "generic", "client1"),
    ] {
        use_port(&lab, active)?;
        turn(&daemon, watched, hook)?;
        sees(&lab, &daemon, &services(&lab)).with_context(|| format!("{watched:?} by {hook}, {active} is active"))?;
    }
    Ok(())
}
