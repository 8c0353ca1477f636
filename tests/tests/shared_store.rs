//! Two gateways, one database: one outage, one waiting list, one mail for each client.
//!
//! ```text
//! client1 ── gateway a ──┐
//!                        ├── server1     all on one switch, with a database on server3
//! client2 ── gateway b ──┘
//! ```

use std::{ops::Deref, path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use lab::{Attempt, Daemon, DaemonConfig, GatewayPair, Host, HttpServer, Mail, Postgres, gateway_pair::B, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
const CLIENT_GIVES_UP: Duration = Duration::from_millis(1200);

struct Pair(GatewayPair);

impl Deref for Pair {
    type Target = GatewayPair;

    fn deref(&self) -> &GatewayPair {
        &self.0
    }
}

impl Pair {
    fn new() -> Result<Self> {
        GatewayPair::new().map(Self)
    }

    fn config(&self, database: &Postgres<'_>) -> DaemonConfig {
        DaemonConfig::new()
            .text("watch.syn_timeout", "500ms")
            .set("watch.servers", "['10.2.1.0/24']")
            .text("store.url", &database.url())
            .text("store.lease", "4s")
            .address(self.client(1).v4(), "one@example.test")
            .address(self.client(2).v4(), "two@example.test")
    }

    /// Both ways work, and both gateways know the service.
    fn learn(&self, daemons: [&Daemon<'_>; 2]) -> Result<()> {
        let service = self.server().service_v4(80);
        for (number, daemon) in (1..).zip(daemons) {
            assert_eq!(self.client(number).connect(None, service, LIMIT)?, Attempt::Connected);
            daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        }
        Ok(())
    }

    fn refused(&self, number: usize) -> Result<()> {
        assert_eq!(self.client(number).connect(None, self.server().service_v4(80), LIMIT)?, Attempt::Refused);
        Ok(())
    }
}

fn waiting(daemon: &Daemon<'_>, clients: u64) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == clients)
}

/// The recipients of every mail of these gateways.
fn told(daemons: &[&Daemon<'_>]) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for daemon in daemons {
        told.extend(daemon.maildir().mails()?.iter().filter_map(Mail::to));
    }
    told.sort();
    Ok(told)
}

fn wait_until_told(daemons: &[&Daemon<'_>], count: usize) -> Result<Vec<String>> {
    wait_until("the mails are written", LIMIT, || told(daemons).is_ok_and(|told| told.len() >= count))?;
    told(daemons)
}

fn wait_for_log(daemon: &Daemon<'_>, words: &str) -> Result<()> {
    wait_until(&format!("the daemon logs `{words}`"), LIMIT, || daemon.log().contains(words))
        .with_context(|| daemon.log())
}

// proves: F-7a F-12 F-15a
#[test]
fn an_outage_that_two_gateways_see_is_one_and_each_client_gets_one_mail() -> Result<()> {
    let pair = Pair::new()?;
    let database = pair.database()?;
    let nginx = HttpServer::start(pair.server(), 80)?;
    let a = Daemon::start(pair.a(), pair.config(&database))?;
    let b = Daemon::start(pair.b(), pair.config(&database))?;
    pair.learn([&a, &b])?;
    drop(nginx);
    pair.refused(1)?;
    waiting(&a, 1)?;
    // The other gateway marks the service although nothing failed there.
    wait_for_log(&b, "10.2.1.2:80")?;
    pair.refused(2)?;
    for daemon in [&a, &b] {
        let status = waiting(daemon, 2)?;
        assert_eq!(status["outages"].as_array().map(Vec::len), Some(1), "{status:#}");
        assert_eq!(status["shared"]["gateways"].as_array().map(Vec::len), Some(2), "{status:#}");
    }
    let nginx = HttpServer::start(pair.server(), 80)?;
    assert_eq!(pair.client(1).connect(None, pair.server().service_v4(80), LIMIT)?, Attempt::Connected);
    assert_eq!(wait_until_told(&[&a, &b], 2)?, ["one@example.test", "two@example.test"]);
    // What one has seen ends it for the other too, and its mark goes: the next failure is judged by itself.
    wait_for_log(&b, "another gateway has ended the outage")?;
    for daemon in [&a, &b] {
        let lines = daemon.json(&["outages", "--all"])?;
        assert_eq!(lines.as_array().map(Vec::len), Some(1), "{lines:#}");
        assert_eq!(lines[0]["ended_by"], "answered", "{lines:#}");
    }
    drop(nginx);
    pair.refused(2)?;
    let lines = a.wait_for(&["outages"], LIMIT, |lines| lines.as_array().is_some_and(|lines| lines.len() == 1))?;
    assert_eq!((&lines[0]["outage"], &lines[0]["evidence"]), (&Value::from(2), &Value::from("refused")), "{lines:#}");
    assert_eq!(told(&[&a, &b])?.len(), 2, "told twice");
    Ok(())
}

// proves: F-15a
#[test]
fn mails_that_a_killed_gateway_had_taken_are_sent_by_the_other_after_its_lease() -> Result<()> {
    let pair = Pair::new()?;
    let database = pair.database()?;
    let nginx = HttpServer::start(pair.server(), 80)?;
    // A mail server that takes connections and says nothing.
    let mut silent = pair.lab.server(3).command("nc");
    let _silent = pair.lab.server(3).spawn("nc", silent.args(["-l", "-k", "2525"]))?;
    let mail = format!("smtp://{}:2525", pair.lab.server(3).v4());
    let mut a = Daemon::start(pair.a(), pair.config(&database).text("notify.smtp", &mail))?;
    let b = Daemon::start(pair.b(), pair.config(&database).text("notify.smtp", &mail))?;
    pair.learn([&a, &b])?;
    drop(b);
    drop(nginx);
    pair.refused(1)?;
    waiting(&a, 1)?;
    let _nginx = HttpServer::start(pair.server(), 80)?;
    assert_eq!(pair.client(1).connect(None, pair.server().service_v4(80), LIMIT)?, Attempt::Connected);
    wait_until("the first gateway has the letter", LIMIT, || {
        database.query("SELECT count(*) FROM letter WHERE leased <> 0").is_ok_and(|count| count == "1")
    })?;
    let b = Daemon::start(pair.b(), pair.config(&database))?;
    let due = || database.query("SELECT due FROM letter");
    let first = due()?;
    wait_until("the first gateway keeps it", LIMIT, || due().is_ok_and(|due| due != first))?;
    assert!(told(&[&b])?.is_empty(), "the other one sends what the first has");
    a.kill9()?;
    assert_eq!(wait_until_told(&[&b], 1)?, ["one@example.test"]);
    Ok(())
}

// proves: F-7a F-15a
#[test]
fn a_gateway_without_the_database_goes_on_watching_says_so_and_catches_up_also_after_kill_9() -> Result<()> {
    let pair = Pair::new()?;
    let database = pair.database()?;
    let nginx = HttpServer::start(pair.server(), 80)?;
    let a = Daemon::start(pair.a(), pair.config(&database))?;
    let mut b = Daemon::start(pair.b(), pair.config(&database))?;
    pair.learn([&a, &b])?;
    let cut = |verb: &str| pair.lab.server(3).ip(&[format!("route {verb} blackhole 10.2.3.{B}/32")]);
    cut("add")?;
    b.wait_for(&["status"], LIMIT, |status| status["shared"]["cut_off"].is_string())?;
    drop(nginx);
    pair.refused(1)?;
    waiting(&a, 1)?;
    pair.refused(2)?;
    let status = waiting(&b, 1)?;
    assert!(status["shared"]["kept"].as_u64() > Some(0), "{status:#}");
    let text = String::from_utf8(b.ringback(&["status"])?.stdout)?;
    assert!(text.contains("SHARED:    the database is out of reach") && text.contains("PROBLEM:"), "{text}");
    // The other one sees the end of it.
    let _nginx = HttpServer::start(pair.server(), 80)?;
    assert_eq!(pair.client(1).connect(None, pair.server().service_v4(80), LIMIT)?, Attempt::Connected);
    assert_eq!(wait_until_told(&[&a, &b], 1)?, ["one@example.test"]);
    b.kill9()?;
    cut("del")?;
    b.launch()?;
    assert_eq!(pair.client(2).connect(None, pair.server().service_v4(80), LIMIT)?, Attempt::Connected);
    assert_eq!(wait_until_told(&[&a, &b], 2)?, ["one@example.test", "two@example.test"]);
    let status = b.wait_for(&["status"], LIMIT, |status| {
        status["shared"]["kept"] == 0 && status["outages"].as_array().is_some_and(Vec::is_empty)
    })?;
    assert!(status["shared"]["cut_off"].is_null(), "{status:#}");
    Ok(())
}

// proves: F-3a
#[test]
fn requests_by_one_gateway_and_answers_by_the_other_are_no_outage() -> Result<()> {
    let pair = Pair::new()?;
    let database = pair.database()?;
    let _nginx = HttpServer::start(pair.server(), 80)?;
    pair.server().ip(&[format!("route add {}/32 via 10.2.1.{B}", pair.client(1).v4())])?;
    let service = pair.server().service_v4(80);
    let listed = || pair.config(&database).set("watch.servers", &format!("['{service}']"));
    let a = Daemon::start(pair.a(), listed())?;
    let b = Daemon::start(pair.b(), listed())?;
    // The second gateway sees requests and answers of its own client.
    assert_eq!(pair.client(2).connect(None, service, LIMIT)?, Attempt::Connected);
    b.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    assert_eq!(pair.client(1).connect(None, service, CLIENT_GIVES_UP)?, Attempt::Connected);
    a.wait_for(&["status"], LIMIT, |status| status["ignored"]["cannot_tell"] == 1)?;
    for daemon in [&a, &b] {
        let lines = daemon.json(&["outages", "--all"])?;
        assert_eq!(lines, Value::Array(Vec::new()), "{lines:#}");
    }
    Ok(())
}

#[test]
fn a_database_that_cannot_be_used_is_one_line_and_no_start() -> Result<()> {
    let pair = Pair::new()?;
    let database = pair.database()?;
    let daemon = Daemon::start(pair.a(), pair.config(&database))?;
    for (url, said) in [
        ("postgres://stranger:secret@10.2.3.2/postgres?sslmode=disable", "check the user in store.url"),
        ("postgres://ringback@10.2.3.2/nowhere?sslmode=disable", "create it, or name another one in store.url"),
        ("postgres://me:secret@10.2.3.2/postgres?sslmode=prefer", "write verify-full"),
        ("postgres://ringback@10.2.3.2/postgres", "check store.url"),
    ] {
        let folder = pair.lab.folder().display();
        let file = pair.lab.folder().join("wrong.toml");
        let text = format!(
            "[watch]\ninterfaces = ['lo']\npin_dir = '/sys/fs/bpf/{}-wrong'\n[control]\nsocket = '{folder}/w.sock'\n\
             [store]\nstate_dir = '{folder}/w'\nurl = '{url}'\n",
            pair.lab.name()
        );
        std::fs::write(&file, text)?;
        let output = daemon.ringback_with(&file, &["run"])?;
        let error = String::from_utf8(output.stderr)?;
        assert!(!output.status.success() && error.contains(said) && !error.contains("secret"), "{url}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
    Ok(())
}

/// A certificate for this address that vouches for itself.
fn certificate(host: &Host) -> Result<[PathBuf; 2]> {
    let files = ["db.crt", "db.key"].map(|name| host.folder().join(name));
    let mut openssl = host.command("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=database", "-addext", &format!("subjectAltName=IP:{}", host.v4())]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    let output = openssl.arg("-out").arg(&files[0]).arg("-keyout").arg(&files[1]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(files)
}

#[test]
fn the_way_to_the_database_is_encrypted_and_its_certificate_checked() -> Result<()> {
    let pair = Pair::new()?;
    let [certificate, key] = certificate(pair.lab.server(3))?;
    let database = Postgres::start_tls(pair.lab.server(3), &certificate, &key)?;
    let url = format!("postgres://ringback@{}/postgres", pair.lab.server(3).v4());
    let config = || pair.config(&database).text("store.url", &url);
    let trusted = config().text("store.ca_file", &certificate.display().to_string());
    let daemon = Daemon::start(pair.a(), trusted)?;
    daemon
        .wait_for(&["status"], LIMIT, |status| status["shared"]["gateways"].as_array().is_some_and(|g| g.len() == 1))?;
    let encrypted = database.query(
        "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a ON a.pid = s.pid
         WHERE a.application_name = 'ringback' AND NOT s.ssl",
    )?;
    assert_eq!(encrypted, "0", "a connection in clear");
    let refused = Daemon::start(pair.b(), config()).map(drop).expect_err("nobody vouches for the certificate");
    assert!(format!("{refused:#}").contains("UnknownIssuer"), "{refused:#}");
    Ok(())
}
