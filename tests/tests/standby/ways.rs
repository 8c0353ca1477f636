//! The ways of heartbeats are cut and heal (H-2, H-4).

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{Daemon, Knocking, Owners, Ways, cluster::settled};

use super::{BEAT, GONE, LIMIT, WORST, asker, becomes, for_both_families, v4};

// proves: H-2a H-2b
#[test]
fn one_cut_path_of_two_is_nothing_that_a_client_notices() -> Result<()> {
    for ways in [Ways::Both, Ways::FrontAndLink] {
        for_both_families(|cluster, address| {
            let daemons = cluster.start(ways, BEAT)?;
            let knocking = Knocking::start(cluster.client(), address)?;
            let owners = Owners::start(cluster.client(), asker(address), address)?;
            knocking.answered_by("server1", LIMIT)?;
            let works = |daemon: &Daemon<'_>, wanted: [bool; 2]| {
                daemon.wait_for(&["peers"], LIMIT, |peers| {
                    let paths = &peers["peers"][0]["paths"];
                    paths[0]["works"] == wanted[0] && paths[1]["works"] == wanted[1]
                })
            };
            works(&daemons[1], [true, true])?;
            let begin = Instant::now();
            cluster.cut("back1")?;
            works(&daemons[1], [true, false])?;
            works(&daemons[0], [true, false])?;
            cluster.heal("back1")?;
            works(&daemons[1], [true, true])?;
            // The other one: the standby host is cut off from the clients' network.
            cluster.cut("server2")?;
            works(&daemons[1], [false, true])?;
            thread::sleep(Duration::from_secs(1));
            settled(&daemons, 1)?;
            cluster.heal("server2")?;
            works(&daemons[1], [true, true])?;
            thread::sleep(GONE);
            let gap = knocking.gap(begin);
            assert!(gap < GONE, "{gap:?}");
            assert!(knocking.since(begin).iter().all(|name| name == "server1"));
            assert_eq!(owners.count(begin, cluster.host(2).mac("eth0")?), 0);
            Ok(())
        })?;
    }
    Ok(())
}

// proves: H-3a H-4 H-8
#[test]
fn after_a_split_has_healed_the_better_host_is_the_only_one_and_caches_say_so() -> Result<()> {
    for_both_families(|cluster, address| {
        let daemons = cluster.start(Ways::Both, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        // The worse host is cut off with the client's side of the network: the client sees what it sees.
        cluster.cut("server1")?;
        cluster.cut("back1")?;
        knocking.answered_by("server2", LIMIT)?;
        becomes(&daemons[1], "active")?;
        becomes(&daemons[0], "active")?;
        let healed = Instant::now();
        cluster.heal("back1")?;
        cluster.heal("server1")?;
        knocking.answered_by("server1", LIMIT)?;
        let settled_after = healed.elapsed();
        settled(&daemons, 1)?;
        assert!(settled_after < WORST, "{settled_after:?}");
        thread::sleep(Duration::from_millis(200));
        assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        Ok(())
    })
}
