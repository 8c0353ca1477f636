//! Hosts that share an address (H-1 to H-8): what a client that connects every 10 ms notices, and who answers for the
//! address.

mod claims;
mod dead;
mod faults;
mod groups;
mod hand_over;
mod interfaces;
mod owners;
mod split;
mod take_over;
mod three;
mod ways;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, Knocking, Ways, cluster::mode, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LIMIT: Duration = Duration::from_secs(10);
const BEAT: &str = "50ms";
const ONE_BEAT: Duration = Duration::from_millis(50);
/// A host is gone after three beats.
const GONE: Duration = Duration::from_millis(150);
/// What a client may notice of a take-over.
const WORST: Duration = Duration::from_millis(300);
/// The client's own scheduling.
const SLACK: Duration = Duration::from_millis(30);

/// Beats of 50 ms want the machine for themselves: one story at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn v4() -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 50)
}

/// The client's own address of the same family.
fn asker(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [10, 9, 0, 200].into() } else { [0xfd00, 9, 0, 0, 0, 0, 0, 0x200].into() }
}

fn becomes(daemon: &Daemon<'_>, wanted: &str) -> Result<()> {
    wait_until(&format!("the mode is {wanted}"), LIMIT, || mode(daemon, "web").is_ok_and(|mode| mode == wanted))
        .with_context(|| daemon.log())
}

fn signal(daemon: &Daemon<'_>, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(daemon.id()?.cast_signed()), signal)?)
}

/// A cluster of two with a client that asks for the IPv4 or the IPv6 address.
fn for_both_families(story: impl Fn(&Cluster, IpAddr) -> Result<()>) -> Result<()> {
    for_both_families_of(2, story)
}

/// The same with this many hosts.
fn for_both_families_of(hosts: u8, story: impl Fn(&Cluster, IpAddr) -> Result<()>) -> Result<()> {
    let _alone = alone();
    for address in Cluster::shared() {
        let cluster = Cluster::new(hosts)?.share(&Cluster::shared())?;
        story(&cluster, address).with_context(|| address.to_string())?;
    }
    Ok(())
}

// proves: H-1 H-3a
#[test]
fn both_hosts_have_the_address_and_only_the_active_one_is_seen_to_have_it() -> Result<()> {
    for_both_families(|cluster, address| {
        assert_eq!(cluster.answering(v4())?.len(), 2, "without Ringback both answer");
        let daemons = cluster.start(Ways::Front, BEAT)?;
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        let knocking = Knocking::start(cluster.client(), address)?;
        for _ in 0..5 {
            cluster.flush_cache()?;
            let flushed = Instant::now();
            wait_until("an answer", LIMIT, || !knocking.since(flushed).is_empty())?;
            assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        }
        // The standby host claims the address, as a careless program on it might: nobody hears of it.
        let mut claim = cluster.host(2).command("arping");
        claim.args(["-c", "1", "-w", "1", "-U", "-I", "eth0", "-s", "10.9.0.50", "10.9.0.50"]).output()?;
        cluster.host(2).ip(&["neighbour flush all"])?;
        let towards_client = if address.is_ipv4() { "10.9.0.200:81" } else { "[fd00:9::200]:81" }.parse()?;
        cluster.host(2).connect(Some(address), towards_client, Duration::from_millis(300))?;
        assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        let groups = daemons[1].json(&["standby"])?;
        assert!(groups[0]["stopped"].as_u64().is_some_and(|stopped| stopped > 0), "{groups:#}");
        // The peers' addresses of their own are no business of the gate.
        assert_eq!(cluster.answering(Ipv4Addr::new(10, 9, 0, 2))?, [cluster.host(2).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-1
#[test]
fn without_the_section_and_after_cleanup_nothing_of_the_gate_is_left() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let mut daemons = cluster.start(Ways::Front, BEAT)?;
    let gate = daemons[1].pin_dir().join("gate");
    assert!(gate.join("RB_GATE").exists());
    assert!(daemons[1].sigterm()?.success());
    assert!(gate.join("RB_GATE").exists(), "a host that has stopped stays in standby");
    daemons[1].write_config(lab::DaemonConfig::new().set("watch.pending", "1024"))?;
    daemons[1].launch()?;
    assert!(!gate.exists());
    assert_eq!(cluster.answering(v4())?.len(), 2);
    assert!(daemons[0].sigterm()?.success());
    assert!(daemons[0].ringback(&["cleanup"])?.status.success());
    assert!(!daemons[0].pin_dir().exists());
    Ok(())
}
