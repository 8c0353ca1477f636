//! A gateway that starts while its database cannot be reached: it watches, keeps what it sees, and catches up.

use std::time::Duration;

use anyhow::Result;
use lab::{
    Attempt, Daemon, DaemonConfig, GatewayPair, HttpServer, Mail, Postgres, curl, learn,
    standin::{self, fail},
    wait_until,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

fn config(url: &str) -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("watch.servers", "['10.2.1.0/24']")
        .text("store.url", url)
}

fn is_cut_off(status: &Value) -> bool {
    status["shared"]["cut_off"].is_string()
}

fn has_caught_up(status: &Value) -> bool {
    status["shared"]["cut_off"].is_null() && status["shared"]["kept"] == 0
}

fn told(daemon: &Daemon<'_>) -> Result<Vec<String>> {
    let mut told: Vec<_> = daemon.maildir().mails()?.iter().filter_map(Mail::to).collect();
    told.sort();
    Ok(told)
}

// proves: F-7a F-12 F-15a
#[test]
fn a_gateway_that_starts_before_its_database_watches_and_tells_each_client_once_when_it_is_there() -> Result<()> {
    let pair = GatewayPair::new()?;
    let service = pair.server().service_v4(80);
    let [one, two, ..] = pair.lab.client_addresses(1)[..] else { anyhow::bail!("two addresses") };
    let connect = |from| pair.client(1).connect(Some(from), service, LIMIT);
    let url = Postgres::url_on(pair.lab.server(3));
    let settings = config(&url).address(one, "one@example.test").address(two, "two@example.test");
    let mut daemon = Daemon::start(pair.a(), settings)?;
    let said = daemon.status()?;
    assert!(is_cut_off(&said), "{said:#}");
    let lines: Vec<_> = daemon.log().lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
    assert!(matches!(&lines[..], [line] if line.contains("started without the shared database")), "{lines:#?}");
    let text = String::from_utf8(daemon.ringback(&["status"])?.stdout)?;
    assert!(text.contains("SHARED:    the database is out of reach") && text.contains("Connection refused"), "{text}");

    let nginx = HttpServer::start(pair.server(), 80)?;
    learn(&daemon, pair.client(1), service)?;
    drop(nginx);
    assert_eq!(connect(one)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    // Again without it, and in the middle of the outage.
    daemon.kill9()?;
    daemon.launch()?;
    assert!(is_cut_off(&daemon.status()?));
    assert_eq!(connect(two)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2)?;
    let _nginx = HttpServer::start(pair.server(), 80)?;
    assert_eq!(connect(one)?, Attempt::Connected);
    let status =
        daemon.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().is_some_and(Vec::is_empty))?;
    assert!(is_cut_off(&status) && status["shared"]["kept"].as_u64() > Some(0), "{status:#}");
    assert!(told(&daemon)?.is_empty(), "nobody is mailed without the database");

    let database = pair.database()?;
    assert_eq!(database.url(), url);
    wait_until("both are told", LIMIT, || told(&daemon).is_ok_and(|told| told.len() >= 2))?;
    daemon.wait_for(&["status"], LIMIT, has_caught_up)?;
    assert_eq!(told(&daemon)?, ["one@example.test", "two@example.test"]);
    assert_eq!(database.query("SELECT count(*) FROM letter WHERE state = 'delivered'")?, "2");
    assert!(daemon.log().contains("the shared database is in reach again"));
    Ok(())
}

// proves: F-7a F-15a
#[test]
fn a_gateway_that_is_restarted_without_its_database_still_knows_the_address_book() -> Result<()> {
    let pair = GatewayPair::new()?;
    let service = pair.server().service_v4(80);
    let [one, two, ..] = pair.lab.client_addresses(1)[..] else { anyhow::bail!("two addresses") };
    let connect = |from| pair.client(1).connect(Some(from), service, LIMIT);
    let database = pair.database()?;
    let nginx = HttpServer::start(pair.server(), 80)?;
    let mut daemon = Daemon::start(pair.a(), config(&database.url()).text("watch.remember", "known"))?;
    for client in [one, two] {
        assert!(daemon.ringback(&["address", "add", &client.to_string(), "one@example.test"])?.status.success());
    }
    assert!(daemon.ringback(&["address", "remove", &two.to_string()])?.status.success());
    learn(&daemon, pair.client(1), service)?;
    daemon.sigterm()?;
    // As behind a switch that has not started yet: no refusal, silence.
    let cut = |verb: &str| pair.lab.server(3).ip(&[format!("route {verb} blackhole 10.2.3.1/32")]);
    cut("add")?;
    daemon.launch()?;
    assert!(is_cut_off(&daemon.status()?));
    drop(nginx);
    for client in [two, one] {
        assert_eq!(connect(client)?, Attempt::Refused);
    }
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["waiting_clients"] == 1 && status["ignored"]["unknown_client"] == 1
    })?;
    cut("del")?;
    daemon.wait_for(&["status"], LIMIT, has_caught_up)?;
    let _nginx = HttpServer::start(pair.server(), 80)?;
    assert_eq!(connect(one)?, Attempt::Connected);
    wait_until("who waits is told", LIMIT, || told(&daemon).is_ok_and(|told| !told.is_empty()))?;
    assert_eq!(told(&daemon)?, ["one@example.test"]);
    Ok(())
}

// proves: F-21
#[test]
fn the_stand_in_page_waits_for_the_database_and_is_there_then() -> Result<()> {
    let pair = GatewayPair::new()?;
    let (client, service) = (pair.client(1), pair.server().service_v4(80));
    let settings = standin::config().text("store.url", &Postgres::url_on(pair.lab.server(3)));
    let daemon = Daemon::start(pair.a(), settings)?;
    wait_until("the page waits", LIMIT, || daemon.log().contains("the page waits until it can see what is failed"))?;
    let nginx = HttpServer::start(pair.server(), 80)?;
    learn(&daemon, client, service)?;
    let _database = pair.database()?;
    daemon.wait_for(&["status"], LIMIT, has_caught_up)?;
    drop(nginx);
    fail(client, service)?;
    let page = curl(client, &[&standin::url(service, "/")])?;
    assert!(page.status == 503 && page.body.contains("cannot be reached"), "{page:?}");
    Ok(())
}
