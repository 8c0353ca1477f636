//! Requests by one gateway and answers by another, of some connections and not of others, as where each direction of a
//! connection is hashed by itself (design rule 3).
//!
//! The first client has two addresses: all of one passes gateway a; of the other, requests pass a and answers pass b. The
//! second client is gateway b's.

use std::{net::IpAddr, time::Duration};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, GatewayPair, HttpServer, Mail, gateway_pair::B, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const CLIENT_GIVES_UP: Duration = Duration::from_millis(1200);

struct Paths {
    pair: GatewayPair,
    both_by_a: IpAddr,
    answered_by_b: IpAddr,
}

impl Paths {
    fn new() -> Result<Self> {
        let pair = GatewayPair::new()?;
        let [both_by_a, answered_by_b, ..] = pair.lab.client_addresses(1)[..] else { anyhow::bail!("two addresses") };
        pair.server().ip(&[format!("route add {answered_by_b}/32 via 10.2.1.{B}")])?;
        Ok(Self { pair, both_by_a, answered_by_b })
    }

    fn config(&self) -> DaemonConfig {
        DaemonConfig::new()
            .text("watch.syn_timeout", "500ms")
            .set("watch.servers", "['10.2.1.0/24']")
            .address(self.both_by_a, "one@example.test")
            .address(self.answered_by_b, "other@example.test")
    }

    /// From this address of the first client.
    fn connect(&self, from: IpAddr, limit: Duration) -> Result<Attempt> {
        self.pair.client(1).connect(Some(from), self.pair.server().service_v4(80), limit)
    }

    /// Nothing that the server sends to this address leaves it.
    fn silence(&self, to: IpAddr) -> Result<()> {
        self.pair.server().ip(&[format!("route replace blackhole {to}/32")])
    }

    /// Gateway a knows the service, and that it sees answers.
    fn learn(&self, a: &Daemon<'_>) -> Result<()> {
        assert_eq!(self.connect(self.both_by_a, LIMIT)?, Attempt::Connected);
        let service = self.pair.server().service_v4(80).to_string();
        a.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service))?;
        Ok(())
    }
}

/// No outage, and nothing that anybody would be told of.
fn assert_no_outage(daemon: &Daemon<'_>) -> Result<()> {
    let status = daemon.status()?;
    assert_eq!((&status["waiting_clients"], &status["outages"]), (&0.into(), &serde_json::json!([])), "{status:#}");
    let lines = daemon.json(&["outages", "--all"])?;
    let came_to_nothing = |lines: &Vec<serde_json::Value>| lines.iter().all(|line| line["ended_by"] == "discarded");
    assert!(lines.as_array().is_some_and(came_to_nothing), "{lines:#}");
    Ok(())
}

// proves: F-3a F-7a F-15a
#[test]
fn an_answer_by_the_other_gateway_is_no_silence_and_real_silence_is_an_outage() -> Result<()> {
    let paths = Paths::new()?;
    let database = paths.pair.database()?;
    let _nginx = HttpServer::start(paths.pair.server(), 80)?;
    let a = Daemon::start(paths.pair.a(), paths.config().text("store.url", &database.url()))?;
    let b = Daemon::start(paths.pair.b(), paths.config().text("store.url", &database.url()))?;
    paths.learn(&a)?;
    assert_eq!(paths.connect(paths.answered_by_b, LIMIT)?, Attempt::Connected);
    a.wait_for(&["status"], LIMIT, |status| status["ignored"]["answered_elsewhere"] == 1)?;
    assert_no_outage(&a)?;
    for address in [paths.both_by_a, paths.answered_by_b] {
        paths.silence(address)?;
    }
    assert_eq!(paths.connect(paths.answered_by_b, CLIENT_GIVES_UP)?, Attempt::TimedOut);
    let open = |status: &serde_json::Value| status["outages"][0]["phase"]["phase"] == "open";
    for daemon in [&a, &b] {
        daemon.wait_for(&["status"], LIMIT, open)?;
    }
    assert_eq!(paths.connect(paths.both_by_a, CLIENT_GIVES_UP)?, Attempt::TimedOut);
    a.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2)?;
    paths.pair.server().ip(&[
        format!("route del blackhole {}/32", paths.both_by_a),
        format!("route replace {}/32 via 10.2.1.{B}", paths.answered_by_b),
    ])?;
    assert_eq!(paths.connect(paths.both_by_a, LIMIT)?, Attempt::Connected);
    let told = || -> Result<Vec<String>> {
        let mut told = Vec::new();
        for daemon in [&a, &b] {
            told.extend(daemon.maildir().mails()?.iter().filter_map(Mail::to));
        }
        told.sort();
        Ok(told)
    };
    wait_until("both are told", LIMIT, || told().is_ok_and(|told| told.len() >= 2))?;
    assert_eq!(told()?, ["one@example.test", "other@example.test"]);
    Ok(())
}

// proves: F-3a
#[test]
fn who_fails_alone_is_no_outage_also_where_only_the_other_gateway_sees_that_the_service_is_well() -> Result<()> {
    let paths = Paths::new()?;
    let database = paths.pair.database()?;
    let _nginx = HttpServer::start(paths.pair.server(), 80)?;
    let a = Daemon::start(paths.pair.a(), paths.config().text("store.url", &database.url()))?;
    let _b = Daemon::start(paths.pair.b(), paths.config().text("store.url", &database.url()))?;
    paths.learn(&a)?;
    paths.silence(paths.answered_by_b)?;
    assert_eq!(paths.connect(paths.answered_by_b, CLIENT_GIVES_UP)?, Attempt::TimedOut);
    assert_eq!(paths.pair.client(2).connect(None, paths.pair.server().service_v4(80), LIMIT)?, Attempt::Connected);
    a.wait_for(&["status"], LIMIT, |status| status["ignored"]["answered_elsewhere"] == 1)?;
    assert_no_outage(&a)
}

// proves: F-3a
#[test]
fn a_gateway_of_its_own_takes_the_client_s_ack_for_an_answer_that_it_did_not_see() -> Result<()> {
    let paths = Paths::new()?;
    let _nginx = HttpServer::start(paths.pair.server(), 80)?;
    let a = Daemon::start(paths.pair.a(), paths.config().set("watch.client_ack", "true"))?;
    paths.learn(&a)?;
    assert_eq!(paths.connect(paths.answered_by_b, LIMIT)?, Attempt::Connected);
    a.wait_for(&["status"], LIMIT, |status| {
        let count = |line: &serde_json::Value| line["reason"] == "answers" && line["count"] == 2;
        status["counters"].as_array().is_some_and(|lines| lines.iter().any(count))
    })?;
    // A later attempt's time-out comes after that one's would have.
    for address in [paths.both_by_a, paths.answered_by_b] {
        paths.silence(address)?;
    }
    assert_eq!(paths.connect(paths.both_by_a, CLIENT_GIVES_UP)?, Attempt::TimedOut);
    let status = a.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    assert_eq!(status["outages"].as_array().map(Vec::len), Some(1), "{status:#}");
    let waiting = a.json(&["waiting"])?;
    assert_eq!(waiting[0]["client"], paths.both_by_a.to_string(), "{waiting:#}");
    Ok(())
}
