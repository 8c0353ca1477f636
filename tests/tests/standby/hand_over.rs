//! Planned changes, and what people are told of all changes (H-3, H-8).

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{Cluster, Daemon, Knocking, Ways, cluster::settled, wait_until};

use super::{BEAT, GONE, LIMIT, alone, becomes, for_both_families, v4};

// proves: H-8
#[test]
fn a_hand_over_and_an_orderly_stop_cost_less_than_a_beat_of_silence() -> Result<()> {
    for_both_families(|cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        let output = daemons[0].ringback(&["standby", "hand-over"])?;
        assert!(output.status.success(), "{output:?}");
        settled(&daemons, 2)?;
        knocking.answered_by("server2", LIMIT)?;
        let refused = daemons[0].ringback(&["standby", "hand-over", "web"])?;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("not active"), "{refused:?}");
        thread::sleep(2 * GONE);
        assert!(daemons[1].sigterm()?.success());
        knocking.answered_by("server1", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin);
        assert!(gap < Duration::from_millis(100), "{gap:?}");
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        Ok(())
    })
}

/// Changes of mode in the journal.
fn in_journal(daemon: &Daemon<'_>) -> u64 {
    daemon.log().lines().filter(|line| line.contains("group") && line.contains("why")).count() as u64
}

// proves: H-3a H-8
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
