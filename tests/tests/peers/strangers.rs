//! Whose word does not count: a recording's, and that of a host with another secret.

use std::fs;

use anyhow::Result;
use lab::{Cluster, wait_until};

use super::{LIMIT, SEVERAL_JUDGEMENTS, mails, pair, sees, state_of, told};

// proves: O-3
#[test]
fn recorded_signals_of_a_dead_host_do_not_bring_it_back() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let recorder = cluster.recorder(1)?;
    let (first, mut second) = pair(&cluster)?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    // From its start signal on.
    let recording = recorder.heard();
    assert!(recording.len() >= 10, "{}", recording.len());
    second.kill9()?;
    sees(&first, "host2", "down")?;
    for _ in 0..5 {
        cluster.replay(1, &recording)?;
        std::thread::sleep(SEVERAL_JUDGEMENTS / 5);
        assert_eq!(state_of(&first.json(&["peers"])?, "host2"), "down");
    }
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    assert_eq!(first.json(&["peers"])?["peers"][0]["reachable"], false);
    Ok(())
}

#[test]
fn a_peer_with_another_secret_is_not_heard() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let (first, mut second) = pair(&cluster)?;
    assert!(second.sigterm()?.success());
    sees(&first, "host2", "end")?;
    fs::write(cluster.host(2).folder().join("heartbeat.secret"), "another secret of as many letters\n")?;
    second.launch()?;
    wait_until("the first says so", LIMIT, || first.log().contains("not authentic"))?;
    sees(&first, "host2", "end")?;
    sees(&second, "host1", "initial").or_else(|_| sees(&second, "host1", "down"))
}
