//! Two hosts at the same time (H-1, H-3, H-8): for how long both answer when the active one fails.

use std::{thread, time::Instant};

use anyhow::Result;
use lab::{Owners, Ways, cluster::settled, wait_until};
use nix::sys::signal::Signal;

use super::{BEAT, GONE, LIMIT, ONE_BEAT, asker, becomes, for_both_families, signal};

// proves: H-1 H-3a H-8
#[test]
fn no_two_hosts_answer_for_longer_than_a_beat_whatever_happens_to_the_active_one() -> Result<()> {
    for_both_families(|cluster, address| {
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
        Ok(())
    })
}
