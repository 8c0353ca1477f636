//! kill -9, restarts and reloads: nothing that happened is lost, nobody is told twice.

use std::time::Duration;

use anyhow::Result;
use aya::programs::{SchedClassifier, TcAttachType};
use lab::{Attempt, Daemon, DaemonConfig, DatabaseLock, HttpServer, Lab, MailSink, learn, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";

fn config(lab: &Lab) -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms").address(lab.client(1).v4(), MAIL)
}

// proves: F-1 F-3a R-6a
#[test]
fn attempts_that_fail_while_no_daemon_lives_are_found_by_the_next_one() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let server = lab.server(1);
    let _nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config(&lab))?;
    learn(&daemon, lab.client(1), service)?;
    daemon.kill9()?;
    server.fall_silent()?;
    for client in lab.clients() {
        assert_eq!(client.connect(None, service, Duration::from_millis(900))?, Attempt::TimedOut);
    }
    daemon.launch()?;
    let waiting =
        daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(|lines| lines.len() == 3))?;
    for client in lab.clients() {
        assert!(waiting.to_string().contains(&client.v4().to_string()), "{waiting:#}");
    }
    Ok(())
}

// proves: F-1
#[test]
fn a_stop_while_the_store_takes_no_changes_ends_and_loses_nothing() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config(&lab))?;
    learn(&daemon, client, service)?;
    let lock = DatabaseLock::take(&daemon)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    wait_until("the store takes no changes", LIMIT, || daemon.log().contains("the store does not take changes"))?;
    assert_eq!(daemon.sigterm()?.code(), Some(1));
    assert!(daemon.log().contains("the kernel keeps what is not in it"), "{}", daemon.log());
    lock.release()?;
    daemon.launch()?;
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    Ok(())
}

// proves: F-12 F-15a R-6a
#[test]
fn an_outage_goes_on_over_a_restart_and_an_answer_meanwhile_ends_it() -> Result<()> {
    for hard in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let service = server.service_v4(80);
        let mut daemon = Daemon::start(lab.gateway(), config(&lab))?;
        learn(&daemon, client, service)?;
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        if hard {
            daemon.kill9()?;
        } else {
            assert!(daemon.sigterm()?.success());
        }
        let _nginx = HttpServer::start(server, 80)?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.launch()?;
        let maildir = daemon.maildir();
        wait_until("the mail is written", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() == 1))?;
        let status = daemon.status()?;
        assert_eq!(status["outages"], Value::Array(Vec::new()), "{status:#}");
    }
    Ok(())
}

// proves: F-15a R-6a
#[test]
fn killed_between_closing_and_mailing_each_client_is_told_exactly_once() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    // Nobody listens yet: the letter is in the outbox and cannot leave.
    let config = config(&lab)
        .text("notify.smtp", "smtp://127.0.0.1:2525")
        .text("notify.retry", "300ms")
        .text("notify.retry_max", "1s");
    let mut daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == 1)?;
    daemon.kill9()?;
    let sink = MailSink::start(lab.gateway(), 2525)?;
    daemon.launch()?;
    daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["delivered"] == 1)?;
    daemon.kill9()?;
    daemon.launch()?;
    daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == 0)?;
    assert_eq!(sink.mails()?.len(), 1);
    Ok(())
}

#[test]
fn a_reload_takes_the_new_configuration_and_a_wrong_one_changes_nothing() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(lab.gateway(), config(&lab))?;
    learn(&daemon, client, server.service_v4(80))?;
    daemon.write_config(config(&lab).address(lab.server(1).v4(), "new@example.test"))?;
    daemon.sighup()?;
    daemon.wait_for(&["address", "list"], LIMIT, |lines| lines.to_string().contains("new@example.test"))?;
    daemon.write_config(config(&lab).text("watch.syn_timeout", "soon"))?;
    daemon.sighup()?;
    wait_until("the refusal is logged", LIMIT, || daemon.log().contains("the old configuration stays"))?;
    assert!(daemon.log().contains("`soon` is not a duration"), "{}", daemon.log());
    Ok(())
}

#[test]
fn cleanup_leaves_nothing_behind() -> Result<()> {
    for (hook, pin) in [("native", "link_xdp_"), ("tc", "ingress_")] {
        let lab = Lab::builder().build()?;
        let mut daemon = Daemon::start(lab.gateway(), config(&lab).text("watch.hook", hook))?;
        daemon.kill9()?;
        let attached = |lab: &Lab| -> Result<bool> {
            let links = lab.gateway().command("ip").args(["-details", "link"]).output()?;
            let filters = lab.gateway().command("tc").args(["filter", "show", "dev", "client1", "ingress"]).output()?;
            let by_link = lab.gateway().enter(|| SchedClassifier::query_tcx("client1", TcAttachType::Ingress))?;
            Ok(String::from_utf8_lossy(&links.stdout).contains("xdp")
                || String::from_utf8_lossy(&filters.stdout).contains("rb_ingress_tc")
                || by_link.is_ok_and(|(_, programs)| !programs.is_empty()))
        };
        assert!(attached(&lab)?, "pinned links outlive the daemon");
        let output = daemon.ringback(&["cleanup"])?;
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(pin), "{said}");
        wait_until("the programs are detached", LIMIT, || attached(&lab).is_ok_and(|attached| !attached))?;
        assert!(!daemon.pin_dir().exists());
    }
    Ok(())
}
