//! The interface of shared addresses is made again, or gets another MAC address (H-1, H-4).

use std::time::Duration;

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, Knocking, Ways, cluster::settled, wait_until};

use super::{BEAT, LIMIT, v4};

/// What changes is seen within this time.
const SOON: Duration = Duration::from_secs(2);

/// The cable of a host to a switch is pulled out for good, and another one of the same name and addresses put in its place.
fn plug_again(cluster: &Cluster, number: u8, (bridge, interface): (&str, &str), addresses: &[&str]) -> Result<()> {
    let host = cluster.host(number);
    let port = if bridge == "br1" { format!("back{number}") } else { format!("server{number}") };
    host.ip(&[format!("link del {interface}")])?;
    cluster.lab().switch().context("a switch")?.ip(&[
        format!("link add {port} type veth peer name {interface} netns {}", host.namespace()),
        format!("link set {port} master {bridge} up"),
    ])?;
    host.ip(&[format!("link set {interface} up")])?;
    addresses.iter().try_for_each(|address| host.ip(&[format!("address add {address} dev {interface} nodad")]))
}

/// Waits until nobody but this host answers questions for the shared address.
fn answers_alone(cluster: &Cluster, number: u8) -> Result<()> {
    let mac = cluster.host(number).mac("eth0")?;
    wait_until(&format!("host {number} alone answers"), LIMIT, || {
        cluster.answering(v4()).is_ok_and(|answering| answering == [mac])
    })
}

fn trouble(daemon: &Daemon<'_>, wanted: &str) -> Result<()> {
    daemon.wait_for(&["standby"], SOON, |groups| groups[0]["own_trouble"].as_str().unwrap_or("") == wanted).map(drop)
}

// proves: H-1
#[test]
fn a_host_in_standby_stays_silent_when_its_interface_is_made_again() -> Result<()> {
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::Both, BEAT)?;
    answers_alone(&cluster, 1)?;
    for _ in 0..2 {
        plug_again(&cluster, 2, ("br0", "eth0"), &["10.9.0.2/24", "10.9.0.50/24", "fd00:9::50/64"])?;
        daemons[1].wait_for(&["standby"], SOON, |groups| groups[0]["own_trouble"].is_null())?;
        settled(&daemons, 1)?;
        answers_alone(&cluster, 1)?;
    }
    // And it can take over: its announcements leave by the new interface.
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    let first = cluster.host(1);
    first.ip(&["link del eth0"])?;
    trouble(&daemons[0], "eth0: there is no such interface")?;
    daemons[0].wait_for(&["status"], SOON, |status| {
        status["health"] == "degraded"
            && status["problems"].to_string().contains("shared addresses `web` cannot be here")
    })?;
    wait_until("the other host is in the client's cache", LIMIT, || {
        let mac = cluster.host(2).mac("eth0").ok();
        cluster.cached(v4().into()).is_ok_and(|cached| cached == mac)
    })?;
    answers_alone(&cluster, 2)
}

// proves: H-4
#[test]
fn announcements_carry_the_mac_address_that_the_interface_has_now() -> Result<()> {
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::Both, BEAT)?;
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    let is_cached = |mac: [u8; 6]| {
        wait_until("the client's cache is right", SOON, || {
            cluster.cached(v4().into()).is_ok_and(|cached| cached == Some(mac))
        })
    };
    is_cached(cluster.host(1).mac("eth0")?)?;
    // The active host's changes: it says so at once.
    cluster.host(1).ip(&["link set eth0 address 02:00:00:00:01:aa"])?;
    is_cached([2, 0, 0, 0, 1, 0xaa])?;
    // The other's: when it takes over.
    cluster.host(2).ip(&["link set eth0 address 02:00:00:00:02:aa"])?;
    assert!(daemons[0].ringback(&["standby", "hand-over"])?.status.success());
    settled(&daemons, 2)?;
    is_cached([2, 0, 0, 0, 2, 0xaa])?;
    knocking.answered_by("server2", LIMIT)?;
    for daemon in &daemons {
        assert_eq!(daemon.json(&["standby"])?[0]["conflicts"], 0, "one's own words are no claim of another");
    }
    Ok(())
}

// proves: H-2b
#[test]
fn a_way_by_the_data_link_works_again_when_its_interface_is_made_again() -> Result<()> {
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::FrontAndLink, BEAT)?;
    let works = |daemon: &Daemon<'_>, wanted: bool| {
        daemon.wait_for(&["peers"], LIMIT, |peers| peers["peers"][0]["paths"][1]["works"] == wanted).map(drop)
    };
    works(&daemons[1], true)?;
    cluster.host(1).ip(&["link del eth1"])?;
    works(&daemons[1], false)?;
    cluster.lab().switch().context("a switch")?.ip(&[
        format!("link add back1 type veth peer name eth1 netns {}", cluster.host(1).namespace()),
        "link set back1 master br1 up".to_owned(),
    ])?;
    cluster.host(1).ip(&["link set eth1 up"])?;
    works(&daemons[0], true)?;
    works(&daemons[1], true)
}
