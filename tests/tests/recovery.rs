//! What says that a server is back, and who is told then (F-10 to F-20).

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailSink, learn, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const CLIENT_GIVES_UP: Duration = Duration::from_millis(1200);
const MAIL: &str = "sato@example.test";

fn config(lab: &Lab) -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms").address(lab.client(1).v4(), MAIL)
}

fn waiting_clients(daemon: &Daemon<'_>, count: u64) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == count)
}

fn ended_by(daemon: &Daemon<'_>, evidence: &str) -> Result<Value> {
    daemon.wait_for(&["outages", "--all"], LIMIT, |outages| {
        outages
            .as_array()
            .is_some_and(|outages| !outages.is_empty() && outages.iter().all(|line| line["ended_by"] == evidence))
    })
}

/// The recipients of the mails, once there are as many as expected.
fn recipients(daemon: &Daemon<'_>, count: usize) -> Result<Vec<String>> {
    let maildir = daemon.maildir();
    wait_until("the mails are written", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
    Ok(maildir.mails()?.iter().filter_map(lab::Mail::to).collect())
}

// proves: F-12 F-15a F-15b F-19
#[test]
fn an_answer_ends_the_outage_and_every_waiting_client_on_record_gets_one_mail() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (known, also_known, unknown, server) = (lab.client(1), lab.client(2), lab.client(3), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab).address(also_known.v4(), "suzuki@example.test"))?;
    learn(&daemon, known, service)?;
    drop(nginx);
    for client in [known, also_known, unknown, known] {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    }
    waiting_clients(&daemon, 3)?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(unknown.connect(None, service, LIMIT)?, Attempt::Connected);
    ended_by(&daemon, "answered")?;
    let mut told = recipients(&daemon, 2)?;
    told.sort();
    assert_eq!(told, [MAIL, "suzuki@example.test"]);
    let status = waiting_clients(&daemon, 0)?;
    assert_eq!(status["outages"], Value::Array(Vec::new()), "{status:#}");
    let mails = daemon.maildir().mails()?;
    let mail = mails.iter().find(|mail| mail.to().as_deref() == Some(MAIL)).map(|mail| mail.text.clone());
    let mail = mail.unwrap_or_default();
    for part in ["Auto-Submitted: auto-generated", "10.2.1.2 port 80 is reachable again", "your machine 10.1.1.2"] {
        assert!(mail.contains(part), "{part} is not in\n{mail}");
    }
    Ok(())
}

// proves: F-11
#[test]
fn arp_or_a_neighbour_advertisement_ends_an_outage_of_an_unreachable_host() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let _nginx = HttpServer::start(server, 80)?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = Daemon::start(lab.gateway(), config(&lab).text("watch.syn_timeout", "30s"))?;
        learn(&daemon, client, service)?;
        server.link_down()?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Unreachable);
        waiting_clients(&daemon, 1)?;
        server.link_up()?;
        // Nobody tries the service: the gateway asks for the host because of another port.
        let mut other = service;
        other.set_port(81);
        wait_until("the gateway reaches the server", LIMIT, || {
            client.connect(None, other, CLIENT_GIVES_UP).is_ok_and(|attempt| attempt == Attempt::Refused)
        })?;
        ended_by(&daemon, if v6 { "neighbour-advertisement" } else { "arp" })?;
    }
    Ok(())
}

// proves: F-11
#[test]
fn arp_says_nothing_of_a_service_that_failed_on_a_host_that_was_there() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    lab.gateway().command("ip").args(["neighbour", "flush", "all"]).output()?;
    assert_eq!(client.connect(None, server.service_v4(81), LIMIT)?, Attempt::Refused);
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    Ok(())
}

// proves: F-13a
#[test]
fn a_signal_on_the_command_line_ends_the_outages_of_a_server() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    assert!(daemon.ringback(&["signal", &server.v4().to_string()])?.status.success());
    ended_by(&daemon, "signal")?;
    assert_eq!(recipients(&daemon, 1)?, [MAIL]);
    Ok(())
}

// proves: F-13a
#[test]
fn a_signal_over_http_needs_the_secret() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server, gateway) = (lab.client(1), lab.server(1), lab.gateway());
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let secret = gateway.folder().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123\n")?;
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let config = config(&lab)
        .text("recovery.signal_listen", "127.0.0.1:8099")
        .text("recovery.signal_secret_file", &secret.display().to_string());
    let daemon = Daemon::start(gateway, config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    let post = |secret: &str, body: &str| -> Result<String> {
        let mut curl = gateway.command("curl");
        curl.args(["--silent", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        curl.args(["--header", &format!("Authorization: Bearer {secret}"), "--data", body]);
        Ok(String::from_utf8_lossy(&curl.arg("http://127.0.0.1:8099/v1/recovered").output()?.stdout).into_owned())
    };
    let body = format!(r#"{{"service":"{service}"}}"#);
    assert_eq!(post("wrong", &body)?, "401");
    assert_eq!(post("0123456789abcdef0123", "{}")?, "400");
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    assert_eq!(post("0123456789abcdef0123", &body)?, "202");
    ended_by(&daemon, "signal")?;
    Ok(())
}

// proves: F-14
#[test]
fn a_probe_finds_the_recovery_when_nobody_tries_any_more() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon =
        Daemon::start(lab.gateway(), config(&lab).text("recovery.probe", "300ms").text("recovery.probe_max", "1s"))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    ended_by(&daemon, "probe")?;
    assert_eq!(recipients(&daemon, 1)?, [MAIL]);
    Ok(())
}

// proves: F-8b
#[test]
fn a_client_whose_attempt_is_too_old_is_forgotten_and_not_told() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (early, late, server) = (lab.client(1), lab.client(2), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = config(&lab).text("notify.max_age", "3s").address(late.v4(), "suzuki@example.test");
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, early, service)?;
    drop(nginx);
    assert_eq!(early.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    // The late client keeps trying, so the outage lives on while the early one's entry ages out.
    wait_until("the early client is purged", LIMIT, || {
        let refused = late.connect(None, service, CLIENT_GIVES_UP);
        let waiting = daemon.json(&["waiting"]);
        assert_eq!(refused.ok(), Some(Attempt::Refused));
        waiting.is_ok_and(|waiting| !waiting.to_string().contains(&early.v4().to_string()))
    })?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(late.connect(None, service, LIMIT)?, Attempt::Connected);
    ended_by(&daemon, "answered")?;
    assert_eq!(recipients(&daemon, 1)?, ["suzuki@example.test"]);
    Ok(())
}

// proves: F-15a F-20
#[test]
fn mail_waits_for_a_mail_server_that_is_down_for_the_whole_outage() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = config(&lab)
        .text("notify.smtp", "smtp://127.0.0.1:2525")
        .text("notify.retry", "300ms")
        .text("notify.retry_max", "1s");
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waiting_clients(&daemon, 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    let status = daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["retrying"] == 1)?;
    assert_eq!(status["health"], "degraded", "{status:#}");
    let sink = MailSink::start(lab.gateway(), 2525)?;
    wait_until("the mail arrives", LIMIT, || sink.mails().is_ok_and(|mails| !mails.is_empty()))?;
    let status = daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["delivered"] == 1)?;
    assert_eq!((&status["outbox"]["queued"], &status["health"]), (&Value::from(0), &Value::from("ok")), "{status:#}");
    let mails = sink.mails()?;
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("X-Rcpt-Args").as_deref(), Some("<sato@example.test>"));
    assert_eq!(mails[0].header("X-Mail-Args").as_deref(), Some("<>"));
    Ok(())
}

// proves: F-20
#[test]
fn a_temporary_refusal_is_tried_again_and_a_permanent_one_is_a_dead_letter() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let config = config(&lab)
        .text("notify.smtp", "smtp://127.0.0.1:2525")
        .text("notify.retry", "300ms")
        .text("notify.retry_max", "1s");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let outage = || -> Result<()> {
        let nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        waiting_clients(&daemon, 1)?;
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        Ok(())
    };
    for refusal in ["-r", "-q"] {
        let sink = MailSink::start_with(lab.gateway(), 2525, &[refusal, "RCPT"])?;
        outage()?;
        daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["retrying"] == 1)?;
        drop(sink);
        let before = daemon.status()?["outbox"]["delivered"].as_u64().unwrap_or(0);
        let _sink = MailSink::start(lab.gateway(), 2525)?;
        daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["delivered"] == before + 1)?;
    }
    let _sink = MailSink::start_with(lab.gateway(), 2525, &["-f", "RCPT"])?;
    outage()?;
    let status = daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["dead"] == 1)?;
    assert_eq!(status["dead_letters"][0]["to"], MAIL, "{status:#}");
    let text = String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout).into_owned();
    assert!(text.contains("given up") && text.contains("10.2.1.2:80"), "{text}");
    Ok(())
}
