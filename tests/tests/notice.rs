//! Operators are told too: by server and kind of evidence, once, and not too often.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use lab::{AppServer, Attempt, Cluster, Daemon, DaemonConfig, HttpServer, Lab, Mail, Ways, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// Tells at once what happens.
const AT_ONCE: &str = "gather = '0s'\npause = '0s'";

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms")
}

/// The service has answered, so that it can fail.
fn learn(lab: &Lab, daemon: &Daemon<'_>, service: SocketAddr) -> Result<()> {
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    Ok(())
}

fn wait_for_mails(daemon: &Daemon<'_>, count: usize) -> Result<Vec<Mail>> {
    let maildir = daemon.maildir();
    wait_until(&format!("{count} mails"), LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
    let mails = maildir.mails()?;
    assert_eq!(mails.len(), count, "{mails:#?}");
    Ok(mails)
}

fn subjects(mails: &[Mail]) -> Vec<String> {
    let mut subjects: Vec<_> = mails.iter().filter_map(|mail| mail.header("Subject")).collect();
    subjects.sort();
    subjects
}

// proves: B-1a
#[test]
fn operators_chosen_by_server_and_evidence_are_told_of_opening_and_end() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (server, service) = (lab.server(1), lab.server(1).service_v4(80));
    let config = config()
        .table(&format!(
            "[[notice]]\nto = ['web@lab.test']\nservers = ['{}']\nevidence = ['refused']\n{AT_ONCE}",
            server.v4()
        ))
        .table("[[notice]]\nto = ['cables@lab.test']\nevidence = ['unreachable', 'sick', 'peer-down']")
        .table("[[notice]]\nto = ['others@lab.test']\nservers = ['192.0.2.0/24']");
    let mut daemon = Daemon::start(lab.gateway(), config)?;
    let nginx = HttpServer::start(server, 80)?;
    learn(&lab, &daemon, service)?;
    drop(nginx);
    for client in lab.clients() {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    }
    wait_for_mails(&daemon, 1)?;
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2)?;
    // It goes on over a restart, and is not told again.
    daemon.kill9()?;
    daemon.launch()?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    // Nobody is in the address book, and the others are not meant.
    let mails = wait_for_mails(&daemon, 2)?;
    assert!(mails.iter().all(|mail| mail.to().as_deref() == Some("web@lab.test")), "{mails:#?}");
    let text: String = mails.iter().map(|mail| mail.text.as_str()).collect();
    assert!(text.contains(&format!("{service} is down: refused")), "{text}");
    assert!(text.contains(&format!("{service} is back")) && text.contains("2 clients"), "{text}");
    Ok(())
}

// proves: B-1a
#[test]
fn what_happens_within_a_pause_is_told_together_whatever_kills_the_daemon() -> Result<()> {
    let lab = Lab::builder().servers(3).build()?;
    let services = [1, 2, 3].map(|server| lab.server(server).service_v4(80));
    let notice = "[[notice]]\nto = ['ops@lab.test']\ngather = '1s'\npause = '8s'";
    let mut daemon = Daemon::start(lab.gateway(), config().table(notice))?;
    let mut servers = [1, 2, 3].map(|server| HttpServer::start(lab.server(server), 80).ok());
    for service in services {
        learn(&lab, &daemon, service)?;
    }
    let fail = |service| lab.client(1).connect(None, service, LIMIT);
    servers[0] = None;
    assert_eq!(fail(services[0])?, Attempt::Refused);
    wait_for_mails(&daemon, 1)?;
    // Within the pause: two more go down, the first comes back.
    (servers[1], servers[2]) = (None, None);
    assert_eq!(fail(services[1])?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().map(Vec::len) == Some(2))?;
    daemon.kill9()?;
    daemon.launch()?;
    assert_eq!(fail(services[2])?, Attempt::Refused);
    servers[0] = HttpServer::start(lab.server(1), 80).ok();
    assert_eq!(fail(services[0])?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["outages"].as_array().is_some_and(|outages| {
            outages.len() == 2 && outages.iter().all(|outage| outage["service"] != services[0].to_string())
        })
    })?;
    daemon.kill9()?;
    daemon.launch()?;
    let mails = wait_for_mails(&daemon, 2)?;
    let first = format!("Ringback: {} is down: refused", services[0]);
    assert_eq!(subjects(&mails), [first, "Ringback: 2 down, 1 back".to_owned()]);
    let digest =
        mails.iter().find(|mail| mail.text.contains("2 down")).map(|mail| mail.text.as_str()).unwrap_or_default();
    for (line, service) in
        [("is back", services[0]), ("is down: refused", services[1]), ("is down: refused", services[2])]
    {
        assert_eq!(digest.matches(&format!("\n{service} {line}\n")).count(), 1, "{digest}");
    }
    assert_eq!(daemon.status()?["outbox"]["queued"], Value::from(0));
    Ok(())
}

// proves: B-1a D-1
#[test]
fn a_guard_s_finding_is_sick_and_no_refusal() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (server, service) = (lab.server(1), lab.server(1).service_v4(8080));
    let app = AppServer::start(server, 8080)?;
    let guard = "[[guard]]\nport = 8080\nprobe = '200ms'\nprobe_max = '400ms'\n\
                 [[guard.check]]\nhttp = '127.0.0.1:8080/health'\nlimit = '5s'";
    let config = config()
        // A sick server is one also where a refusal by itself is nothing.
        .set("watch.refused_is_failure", "false")
        .text("watch.syn_timeout", "3s")
        .table(guard)
        .table(&format!("[[notice]]\nto = ['sick@lab.test']\nevidence = ['sick']\n{AT_ONCE}"))
        .table(&format!("[[notice]]\nto = ['refused@lab.test']\nevidence = ['refused', 'unreachable']\n{AT_ONCE}"));
    let daemon = Daemon::start(server, config)?;
    app.answers("503")?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Refused);
    let mails = wait_for_mails(&daemon, 1)?;
    assert_eq!(mails[0].header("Subject"), Some(format!("Ringback: {service} is down: sick")));
    assert_eq!(mails[0].to().as_deref(), Some("sick@lab.test"));
    app.answers("200")?;
    wait_for_mails(&daemon, 2)?;
    Ok(())
}

// proves: B-1a
#[test]
fn a_peer_that_is_down_is_told_to_those_who_want_that() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let watch = "watch = true\nrunning_every = '200ms'\njudge_every = '600ms'\n";
    let config = |number| cluster.config(number, Ways::Front, watch);
    let first = config(1)?
        .table(&format!(
            "[[notice]]\nto = ['peers@lab.test']\nservers = ['10.9.0.2']\nevidence = ['peer-down']\n{AT_ONCE}"
        ))
        .table(&format!("[[notice]]\nto = ['others@lab.test']\nservers = ['192.0.2.7']\n{AT_ONCE}"))
        .table(&format!("[[notice]]\nto = ['cables@lab.test']\nevidence = ['unreachable']\n{AT_ONCE}"));
    let first = Daemon::start(cluster.host(1), first)?;
    let mut second = Daemon::start(cluster.host(2), config(2)?)?;
    let running = |daemon: &Daemon<'_>| {
        daemon.wait_for(&["peers"], LIMIT, |report| report["peers"][0]["watch"]["state"] == "running").map(drop)
    };
    running(&first)?;
    running(&second)?;
    second.kill9()?;
    wait_for_mails(&first, 1).with_context(|| first.log())?;
    second.launch()?;
    let mails = wait_for_mails(&first, 2)?;
    assert_eq!(subjects(&mails), ["Ringback: peer host2 is back", "Ringback: peer host2 is down"]);
    assert!(mails.iter().all(|mail| mail.to().as_deref() == Some("peers@lab.test")), "{mails:#?}");
    Ok(())
}
