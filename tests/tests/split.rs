//! Two hosts at the same time (H-3, H-7, H-8): how long both answer for a shared address, and what people are told when they
//! do.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{
    Cluster, Daemon, Owners, Ways,
    cluster::{mode, settled},
    wait_until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LIMIT: Duration = Duration::from_secs(10);
const BEAT: &str = "50ms";
const ONE_BEAT: Duration = Duration::from_millis(50);
/// A host is gone after three beats.
const GONE: Duration = Duration::from_millis(150);
/// The client's own scheduling.
const SLACK: Duration = Duration::from_millis(30);

/// Beats of 50 ms want the machine for themselves: one story at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn becomes(daemon: &Daemon<'_>, wanted: &str) -> Result<()> {
    wait_until(&format!("the mode is {wanted}"), LIMIT, || mode(daemon, "web").is_ok_and(|mode| mode == wanted))
        .with_context(|| daemon.log())
}

fn signal(daemon: &Daemon<'_>, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(daemon.id()?.cast_signed()), signal)?)
}

fn asker(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [10, 9, 0, 200].into() } else { [0xfd00, 9, 0, 0, 0, 0, 0, 0x200].into() }
}

// proves: H-1 H-3 H-8
#[test]
fn no_two_hosts_answer_for_longer_than_a_beat_whatever_happens_to_the_active_one() -> Result<()> {
    let _alone = alone();
    for address in Cluster::shared() {
        let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
        let macs = [cluster.host(1).mac("eth0")?, cluster.host(2).mac("eth0")?];
        let mut daemons = cluster.start(Ways::Both, BEAT)?;
        let owners = Owners::start(cluster.client(), asker(address), address)?;
        // Each fault hits the active host of that moment; the other takes over, and nobody answers beside it for longer.
        for (active, fault) in ["kill -9", "hand-over", "SIGSTOP", "SIGTERM"].into_iter().enumerate() {
            let (old, new) = (active % 2, 1 - active % 2);
            let begin = Instant::now();
            match fault {
                "kill -9" => daemons[old].kill9()?,
                "SIGTERM" => assert!(daemons[old].sigterm()?.success()),
                "SIGSTOP" => signal(&daemons[old], Signal::SIGSTOP)?,
                _ => assert!(daemons[old].ringback(&["standby", "hand-over"])?.status.success()),
            }
            becomes(&daemons[new], "active")?;
            wait_until("it answers", LIMIT, || owners.count(begin, macs[new]) > 20)?;
            let overlap = owners.overlap(begin, macs[old], macs[new]);
            assert!(overlap <= ONE_BEAT, "{address} {fault}: {overlap:?}");
            // Back: it finds the other active and stays silent.
            let back = Instant::now();
            match fault {
                "SIGSTOP" => signal(&daemons[old], Signal::SIGCONT)?,
                "kill -9" | "SIGTERM" => daemons[old].launch()?,
                _ => {}
            }
            settled(&daemons, new + 1)?;
            thread::sleep(2 * GONE);
            assert_eq!(owners.count(back, macs[old]), 0, "{address} {fault}");
        }
    }
    Ok(())
}

// proves: H-3 H-8
#[test]
fn a_split_that_has_healed_is_over_within_a_beat() -> Result<()> {
    let _alone = alone();
    for address in Cluster::shared() {
        let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
        let (better, worse) = (cluster.host(1).mac("eth0")?, cluster.host(2).mac("eth0")?);
        let daemons = cluster.start(Ways::Both, BEAT)?;
        let owners = Owners::start(cluster.client(), asker(address), address)?;
        // The heartbeats' ways are cut and nothing else: both hosts answer.
        for (number, other) in [(1, 2), (2, 1)] {
            cluster.host(number).ip(&[
                format!("route add blackhole 10.9.0.{other}/32"),
                format!("route add blackhole 10.8.0.{other}/32"),
            ])?;
        }
        becomes(&daemons[1], "active")?;
        let split = Instant::now();
        wait_until("both answer", LIMIT, || owners.count(split, better) > 20 && owners.count(split, worse) > 20)?;
        // One way is enough.
        cluster.host(1).ip(&["route del blackhole 10.8.0.2/32"])?;
        cluster.host(2).ip(&["route del blackhole 10.8.0.1/32"])?;
        let healed = Instant::now();
        settled(&daemons, 1)?;
        thread::sleep(2 * GONE);
        let last = owners.last(worse).context("it answered")?.saturating_duration_since(healed);
        assert!(
            last <= ONE_BEAT + SLACK,
            "{address}: the worse host answered until {last:?} after the end of the split"
        );
        assert!(owners.count(healed, better) > 20);
    }
    Ok(())
}

// proves: H-7
#[test]
fn of_three_hosts_two_that_do_not_hear_each_other_believe_the_third() -> Result<()> {
    let _alone = alone();
    let address = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 50));
    let cluster = Cluster::new(3)?.share(&Cluster::shared())?;
    let macs = [cluster.host(1).mac("eth0")?, cluster.host(2).mac("eth0")?, cluster.host(3).mac("eth0")?];
    let mut daemons = cluster.start(Ways::Front, BEAT)?;
    let owners = Owners::start(cluster.client(), asker(address), address)?;
    cluster.host(1).ip(&["route add blackhole 10.9.0.2/32"])?;
    cluster.host(2).ip(&["route add blackhole 10.9.0.1/32"])?;
    let cut = Instant::now();
    daemons[1].wait_for(&["peers"], LIMIT, |peers| peers["peers"][0]["reachable"] == false)?;
    thread::sleep(4 * GONE);
    settled(&daemons, 1)?;
    assert_eq!((owners.count(cut, macs[1]), owners.count(cut, macs[2])), (0, 0));
    // The active host dies: of the two that are left the better one takes over.
    daemons[0].kill9()?;
    becomes(&daemons[1], "active")?;
    wait_until("it answers", LIMIT, || owners.count(cut, macs[1]) > 20)?;
    assert!(owners.overlap(cut, macs[0], macs[1]) <= ONE_BEAT);
    assert_eq!(owners.count(cut, macs[2]), 0);
    Ok(())
}

/// Changes of mode in the journal.
fn in_journal(daemon: &Daemon<'_>) -> u64 {
    daemon.log().lines().filter(|line| line.contains("group") && line.contains("why")).count() as u64
}

// proves: H-3 H-8
#[test]
fn each_change_is_in_the_journal_and_a_storm_of_them_is_one_mail() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let start = |number: u8| {
        let config = cluster.config(number, Ways::Front, "admin = ['admin@example.test']")?;
        let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['10.9.0.50']\npriority = {number}");
        let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
        Daemon::start(cluster.host(number), config.table(&group))
    };
    let daemons = [start(1)?, start(2)?];
    settled(&daemons, 1)?;
    for _ in 0..4 {
        cluster.cut("server2")?;
        becomes(&daemons[1], "active")?;
        cluster.heal("server2")?;
        settled(&daemons, 1)?;
    }
    assert!(daemons[0].ringback(&["standby", "hand-over"])?.status.success());
    settled(&daemons, 2)?;
    for (daemon, least) in daemons.iter().zip([2, 10]) {
        let changes = daemon.json(&["standby"])?[0]["changes"].as_u64().unwrap_or_default();
        assert!(changes >= least, "{changes}");
        assert_eq!(in_journal(daemon), changes, "{}", daemon.log());
    }
    let maildir = daemons[1].maildir();
    wait_until("the mail is written", LIMIT, || maildir.mails().is_ok_and(|mails| !mails.is_empty()))?;
    thread::sleep(Duration::from_secs(1));
    let mails = maildir.mails()?;
    assert_eq!(mails.len(), 1, "one a minute, however often it changes");
    assert_eq!(mails[0].to().as_deref(), Some("admin@example.test"));
    assert_eq!(mails[0].header("Subject").as_deref(), Some("host2 is now active for web"));
    assert_eq!(daemons[0].maildir().mails()?.len(), 0, "the other host gave its addresses away on command");
    Ok(())
}
