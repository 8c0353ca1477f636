//! The wall clock is set while something is waited for: no clock of its own, and then NTP; a mistyped date (G-10).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailSink, WallClock, learn, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
/// How long it takes at most until a step is adopted, and that is seen.
const ADOPTED: Duration = Duration::from_secs(5);

fn config(lab: &Lab) -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms").address(lab.client(1).v4(), "sato@example.test")
}

/// By how many milliseconds this time is off the truth.
fn off(at: &Value) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    at.as_i64().unwrap_or(0) - i64::try_from(now).unwrap_or(0)
}

const MINUTE: i64 = 60_000;

// proves: G-10 F-15a
#[test]
fn an_open_outage_outlives_a_clock_that_is_set_ahead_or_back() -> Result<()> {
    for wrong in ["-3d", "+3d"] {
        let lab = Lab::new()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let service = server.service_v4(80);
        let nginx = HttpServer::start(server, 80)?;
        let clock = WallClock::new(lab.gateway(), wrong)?;
        let daemon = Daemon::start_by(lab.gateway(), &clock, config(&lab))?;
        learn(&daemon, client, service)?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        let outages = daemon.wait_for(&["outages"], LIMIT, |outages| outages[0]["phase"]["phase"] == "open")?;
        assert!(off(&outages[0]["since"]).abs() > 1440 * MINUTE, "{outages:#}");
        clock.set("+0")?;
        let right =
            |outages: &Value| off(&outages[0]["since"]).abs() < MINUTE && outages[0]["phase"]["phase"] == "open";
        daemon.wait_for(&["outages"], ADOPTED, right)?;
        // Nothing is due that was not: a while later it is as it was.
        std::thread::sleep(Duration::from_secs(3));
        assert!(right(&daemon.json(&["outages"])?));
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        wait_until("the client is mailed", LIMIT, || daemon.maildir().mails().is_ok_and(|mails| mails.len() == 1))?;
        assert_eq!(daemon.status()?["waiting_clients"], 0);
    }
    Ok(())
}

// proves: G-10 F-14
#[test]
fn probes_go_on_when_the_clock_is_set_back() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    let clock = WallClock::new(lab.gateway(), "+2h")?;
    let config = config(&lab).text("recovery.probe", "2s").text("recovery.probe_max", "4s");
    let daemon = Daemon::start_by(lab.gateway(), &clock, config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["outages"], LIMIT, |outages| outages[0]["phase"]["phase"] == "open")?;
    clock.set("+0")?;
    let _nginx = HttpServer::start(server, 80)?;
    daemon.wait_for(&["outages", "--all"], LIMIT, |outages| outages[0]["ended_by"] == "probe")?;
    wait_until("the client is mailed", LIMIT, || daemon.maildir().mails().is_ok_and(|mails| mails.len() == 1))?;
    Ok(())
}

// proves: G-10 F-20
#[test]
fn a_letter_that_is_put_off_neither_ages_nor_waits_when_the_clock_is_set() -> Result<()> {
    for wrong in ["-3d", "+2h"] {
        let lab = Lab::new()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let service = server.service_v4(80);
        let nginx = HttpServer::start(server, 80)?;
        let clock = WallClock::new(lab.gateway(), wrong)?;
        let config = config(&lab)
            .text("notify.smtp", "smtp://127.0.0.1:2525")
            .text("notify.retry", "1s")
            .text("notify.retry_max", "2s");
        let mut daemon = Daemon::start_by(lab.gateway(), &clock, config)?;
        learn(&daemon, client, service)?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["retrying"] == 1)?;
        if wrong == "-3d" {
            clock.set("+0")?;
        } else {
            // While no daemon runs.
            daemon.kill9()?;
            clock.set("+0")?;
            daemon.launch()?;
        }
        std::thread::sleep(Duration::from_secs(3));
        let status = daemon.status()?;
        assert_eq!((&status["outbox"]["queued"], &status["outbox"]["dead"]), (&Value::from(1), &Value::from(0)));
        let sink = MailSink::start(lab.gateway(), 2525)?;
        wait_until("the mail arrives", LIMIT, || sink.mails().is_ok_and(|mails| mails.len() == 1))?;
    }
    Ok(())
}
