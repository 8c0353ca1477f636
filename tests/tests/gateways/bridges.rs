//! Interfaces that gather others: bridges and VRFs.

use anyhow::{Context as _, Result};
use lab::{Daemon, Lab, Wiring};

use super::{LIMIT, Link, lab_with, sees_by, sees_nothing, services, turn, watch, watching};

/// The client's cable ends at a port of the gateway's own bridge.
fn bridge(lab: &Lab) -> Result<Link> {
    lab.gateway().ip(&["link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set client1 master br0"])?;
    Ok(Link::new("eth0", "br0"))
}

// proves: G-6
#[test]
fn clients_behind_a_bridge_are_seen_on_it_and_on_its_port() -> Result<()> {
    let Some((lab, _link)) = lab_with("bridge", bridge)? else { return Ok(()) };
    let (bridge, port) = (&["br0"][..], &["client1"][..]);
    let ways = [
        (port, "native"),
        (port, "auto"),
        (port, "generic"),
        (&["br0", "client1"], "auto"),
        (bridge, "auto"),
        (bridge, "generic"),
    ];
    sees_by(&lab, lab.gateway(), &ways, &services(&lab))
}

// proves: G-6
#[test]
fn what_a_bridge_passes_on_is_seen_on_its_ports_and_not_on_it() -> Result<()> {
    let lab = Lab::builder().wiring(Wiring::SingleInterface).build()?;
    let switch = lab.switch().context("no switch")?;
    let ports = ["native", "auto", "generic"].map(|hook| (&["client1"][..], hook));
    sees_by(&lab, switch, &ports, &services(&lab))?;
    let daemon = watch(switch, &["br0"], "auto")?;
    sees_nothing(&lab, &daemon)?;
    turn(&daemon, &["br0"], "generic")?;
    sees_nothing(&lab, &daemon)
}

/// The cables of client and server are in a VRF of the gateway's.
fn vrf(lab: &Lab) -> Result<Link> {
    lab.gateway().ip(&["link add vrf1 type vrf table 10", "link set vrf1 up"])?;
    for (cable, v4, v6) in [("client1", "10.1.1.1/24", "fd00:1:1::1/64"), ("server1", "10.2.1.1/24", "fd00:2:1::1/64")]
    {
        lab.gateway().ip(&[
            format!("link set {cable} master vrf1"),
            format!("address replace {v4} dev {cable}"),
            format!("address replace {v6} dev {cable} nodad"),
        ])?;
    }
    Ok(Link::new("eth0", "client1"))
}

// proves: G-6
#[test]
fn clients_in_a_vrf_are_seen_on_its_members_and_its_own_device_is_refused() -> Result<()> {
    let Some((lab, _link)) = lab_with("VRF", vrf)? else { return Ok(()) };
    let ports = ["native", "auto", "generic"].map(|hook| (&["client1"][..], hook));
    sees_by(&lab, lab.gateway(), &ports, &services(&lab))?;
    let daemon = Daemon::start(lab.gateway(), watching(&["vrf1"], "auto"))?;
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["health"] == "degraded"
            && status["problems"].to_string().contains("watch its members (client1, server1)")
    })?;
    Ok(())
}
