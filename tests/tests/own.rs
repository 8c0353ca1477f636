//! On the client's own host: "tell me when it is back" (F-9d).

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, counter, wait_until};

const LIMIT: Duration = Duration::from_secs(15);

// proves: F-9d F-15a
#[test]
fn a_hosts_own_attempts_count_where_that_is_configured() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("watch.own", "true")
        .address(client.v4(), "me@example.net")
        .address(client.v6(), "me@example.net");
    let daemon = Daemon::start(client, config)?;
    for (letters, service) in [(1, server.service_v4(80)), (2, server.service_v6(80))] {
        let nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        // Refused, and then silence.
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        server.fall_silent()?;
        assert_eq!(client.connect(None, service, Duration::from_millis(900))?, Attempt::TimedOut);
        server.speak_again()?;
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        let status = daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0)?;
        assert_eq!(status["health"], "ok");
        wait_until("the letter is there", LIMIT, || {
            daemon.maildir().mails().is_ok_and(|mails| mails.len() == letters)
        })?;
    }
    Ok(())
}

// proves: F-14
#[test]
fn the_daemons_own_probes_are_nobodys_attempts() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let config = DaemonConfig::new().set("watch.own", "true").text("recovery.probe", "1s");
    let daemon = Daemon::start(client, config)?;
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    // Probes go on, and are refused.
    let probed = |status: &serde_json::Value| counter(status, "refusals") >= 1;
    daemon.wait_for(&["status"], LIMIT, probed)?;
    std::thread::sleep(Duration::from_secs(4));
    let status = daemon.status()?;
    assert_eq!((counter(&status, "attempts"), counter(&status, "refusals")), (2, 1));
    let _nginx = HttpServer::start(server, 80)?;
    daemon.wait_for(&["outages", "--all"], LIMIT, |outages| outages[0]["ended_by"] == "probe")?;
    Ok(())
}
