//! What happens to the active host, and what a client notices of it (H-3 to H-5).

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{AppServer, Daemon, Knocking, Ways, cluster::settled, wait_until};
use nix::sys::signal::Signal;

use super::{BEAT, GONE, LIMIT, WORST, becomes, for_both_families, signal, v4};

// proves: H-3a H-4 H-5
#[test]
fn when_the_active_host_loses_its_link_the_other_takes_over() -> Result<()> {
    for_both_families(|cluster, address| {
        // Heartbeats of the same family.
        let ways = if address.is_ipv6() { Ways::FrontV6 } else { Ways::Front };
        let daemons = cluster.start(ways, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        cluster.host(1).link_down()?;
        knocking.answered_by("server2", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin);
        assert!(gap < WORST, "{gap:?}");
        assert_eq!(cluster.cached(address)?, Some(cluster.host(2).mac("eth0")?));
        // The host returns: nobody notices.
        let returned = Instant::now();
        cluster.host(1).link_up()?;
        settled(&daemons, 2)?;
        thread::sleep(Duration::from_millis(500));
        assert!(knocking.since(returned).iter().all(|name| name == "server2"));
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-3a H-4 H-5
#[test]
fn when_the_active_daemon_is_killed_the_other_takes_over_and_the_old_host_falls_silent() -> Result<()> {
    for_both_families(|cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        daemons[0].kill9()?;
        knocking.answered_by("server2", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin);
        assert!(gap < WORST, "{gap:?}");
        // Its kernel lives, with the address and the gate.
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        cluster.flush_cache()?;
        let flushed = Instant::now();
        wait_until("an answer", LIMIT, || !knocking.since(flushed).is_empty())?;
        assert_eq!(cluster.cached(address)?, Some(cluster.host(2).mac("eth0")?));
        daemons[0].launch()?;
        settled(&daemons, 2)
    })
}

// proves: H-3a
#[test]
fn a_daemon_that_was_stopped_finds_another_active_and_takes_nothing_back() -> Result<()> {
    for_both_families(|cluster, address| {
        let daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        signal(&daemons[0], Signal::SIGSTOP)?;
        knocking.answered_by("server2", LIMIT)?;
        // Longer than the socket holds beats.
        thread::sleep(Duration::from_secs(2));
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        let continued = Instant::now();
        signal(&daemons[0], Signal::SIGCONT)?;
        settled(&daemons, 2)?;
        thread::sleep(Duration::from_millis(500));
        assert!(knocking.since(continued).iter().all(|name| name == "server2"));
        let gap = knocking.gap(begin);
        assert!(gap < WORST, "{gap:?}");
        let log = daemons[0].log();
        assert!(log.contains("did not run for longer"), "{log}");
        // What the other has claimed meanwhile is its right.
        assert!(!log.contains("announcing again"), "{log}");
        Ok(())
    })
}

// proves: H-3a H-5
#[test]
fn a_host_whose_application_hangs_leaves_the_addresses_to_the_other() -> Result<()> {
    for_both_families(|cluster, address| {
        let apps =
            cluster.numbers().map(|number| AppServer::start(cluster.host(number), 8080)).collect::<Result<Vec<_>>>()?;
        let start = |number: u8| {
            let config = cluster.standby(number, Ways::Front, BEAT)?;
            let health = cluster.host(number).service_v4(8080);
            Daemon::start(cluster.host(number), config.table(&format!("application = 'http://{health}/health'")))
        };
        let daemons = [start(1)?, start(2)?];
        settled(&daemons, 1)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        apps[0].hang()?;
        knocking.answered_by("server2", LIMIT)?;
        thread::sleep(GONE);
        // The service on the address itself goes on: only the hand-over can be noticed.
        let gap = knocking.gap(begin);
        assert!(gap < Duration::from_millis(100), "{gap:?}");
        let group = &daemons[0].json(&["standby"])?[0];
        assert!(group["own_trouble"].as_str().is_some_and(|trouble| trouble.contains("no result within")), "{group:#}");
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        apps[0].go_on()?;
        settled(&daemons, 2)?;
        // Nobody is left who could: then nobody answers, and nobody claims.
        apps[0].hang()?;
        // Before it has looked, the first would take over from the second.
        daemons[0].wait_for(&["standby"], LIMIT, |groups| groups[0]["own_trouble"].is_string())?;
        apps[1].hang()?;
        becomes(&daemons[1], "undecided")?;
        assert!(cluster.answering(v4())?.is_empty());
        apps[0].go_on()?;
        becomes(&daemons[0], "active")?;
        knocking.answered_by("server1", LIMIT)
    })
}
