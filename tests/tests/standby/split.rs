//! A split that heals (H-3, H-7, H-8): how long both answer then.

use std::{thread, time::Instant};

use anyhow::{Context as _, Result};
use lab::{Owners, Ways, cluster::settled, wait_until};

use super::{BEAT, GONE, LIMIT, ONE_BEAT, SLACK, asker, becomes, for_both_families_of};

// proves: H-3a H-7 H-8
#[test]
fn a_split_that_has_healed_is_over_within_a_beat() -> Result<()> {
    for hosts in [2, 3] {
        for_both_families_of(hosts, |cluster, address| {
            let (better, worse) = (cluster.host(1).mac("eth0")?, cluster.host(2).mac("eth0")?);
            let daemons = cluster.start(Ways::Both, BEAT)?;
            let owners = Owners::start(cluster.client(), asker(address), address)?;
            // The ways of heartbeats between the first host and the others are cut and nothing else: two hosts answer.
            for other in 2..=hosts {
                for network in ["10.9.0", "10.8.0"] {
                    cluster.host(1).ip(&[format!("route add blackhole {network}.{other}/32")])?;
                    cluster.host(other).ip(&[format!("route add blackhole {network}.1/32")])?;
                }
            }
            becomes(&daemons[1], "active")?;
            let split = Instant::now();
            wait_until("both answer", LIMIT, || owners.count(split, better) > 20 && owners.count(split, worse) > 20)?;
            // One way of one host is enough.
            cluster.host(1).ip(&["route del blackhole 10.8.0.2/32"])?;
            cluster.host(2).ip(&["route del blackhole 10.8.0.1/32"])?;
            let healed = Instant::now();
            settled(&daemons, 1)?;
            thread::sleep(2 * GONE);
            let last = owners.last(worse).context("it answered")?.saturating_duration_since(healed);
            assert!(
                last <= ONE_BEAT + SLACK,
                "{hosts} hosts: the worse one answered until {last:?} after the end of the split"
            );
            assert!(owners.count(healed, better) > 20);
            for third in 3..=hosts {
                assert_eq!(owners.count(split, cluster.host(third).mac("eth0")?), 0);
            }
            Ok(())
        })?;
    }
    Ok(())
}
