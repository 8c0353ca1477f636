//! Three hosts (H-7).

use std::{thread, time::Instant};

use anyhow::Result;
use lab::{Knocking, Owners, Ways, cluster::settled, wait_until};

use super::{BEAT, GONE, LIMIT, ONE_BEAT, WORST, asker, becomes, for_both_families_of, v4};

// proves: H-7
#[test]
fn of_three_hosts_the_best_that_is_left_takes_over_each_time() -> Result<()> {
    for_both_families_of(3, |cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        for (gone, next) in [(0, "server2"), (1, "server3")] {
            let begin = Instant::now();
            daemons[gone].kill9()?;
            knocking.answered_by(next, LIMIT)?;
            thread::sleep(GONE);
            let gap = knocking.gap(begin);
            assert!(gap < WORST, "{next}: {gap:?}");
            let seen = knocking.since(begin + GONE);
            assert!(seen.iter().skip_while(|name| *name != next).all(|name| name == next), "{seen:?}");
        }
        assert_eq!(cluster.answering(v4())?, [cluster.host(3).mac("eth0")?]);
        daemons[0].launch()?;
        daemons[1].launch()?;
        settled(&daemons, 3)
    })
}

// proves: H-7
#[test]
fn of_three_hosts_two_that_do_not_hear_each_other_believe_the_third() -> Result<()> {
    for_both_families_of(3, |cluster, address| {
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
    })
}
