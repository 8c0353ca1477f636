//! What a daemon that is gone leaves behind (H-1): its gate, as it was, until the time is over that others take over after.

use std::{thread, time::Instant};

use anyhow::{Context as _, Result};
use lab::{Owners, Ways, wait_until};

use super::{BEAT, GONE, LIMIT, ONE_BEAT, SLACK, asker, becomes, for_both_families};

// proves: H-1 H-3a
#[test]
fn a_killed_daemon_leaves_standby_in_standby_and_active_active_for_a_take_overs_time() -> Result<()> {
    for_both_families(|cluster, address| {
        let (active, standby) = (cluster.host(1).mac("eth0")?, cluster.host(2).mac("eth0")?);
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let owners = Owners::start(cluster.client(), asker(address), address)?;
        let dead = Instant::now();
        daemons[1].kill9()?;
        thread::sleep(4 * GONE);
        assert_eq!(owners.count(dead, standby), 0);
        assert!(owners.count(dead, active) > 20);
        // Nobody is left to take over: it falls silent all the same, as it cannot know that.
        let killed = Instant::now();
        daemons[0].kill9()?;
        thread::sleep(4 * GONE);
        let last = owners.last(active).context("it answered")?.saturating_duration_since(killed);
        // The latest beat was one beat before at the most.
        assert!(last >= GONE - ONE_BEAT - SLACK && last <= GONE + SLACK, "{last:?}");
        assert_eq!(owners.count(dead, standby), 0);
        let again = Instant::now();
        daemons[0].launch()?;
        becomes(&daemons[0], "active")?;
        wait_until("it answers again", LIMIT, || owners.count(again, active) > 20)?;
        Ok(())
    })
}
