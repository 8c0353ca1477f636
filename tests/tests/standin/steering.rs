//! How clients are brought to the page, from its start to its end, and what a reload changes (F-21).

use anyhow::Result;
use aya::programs::{SchedClassifier, TcAttachType};
use lab::{
    Attempt, Daemon, Host, HttpServer, Lab, curl, learn,
    standin::{closed, config, fail, failed, url},
    wait_until,
};

use super::{LIMIT, MAIL};

/// Whether the page's program is on the gateway's interfaces: all of them, or none.
fn is_steering(gateway: &Host) -> Result<bool> {
    let on = gateway.enter(|| {
        let on = |interface: &String| {
            let (_, programs) = SchedClassifier::query_tcx(interface, TcAttachType::Ingress)?;
            Ok(programs.iter().any(|program| program.name_as_str() == Some("rb_standin")))
        };
        gateway.interfaces().iter().map(on).collect::<Result<Vec<_>>>()
    })??;
    assert!(on.iter().all(|one| *one == on[0]), "{on:?}");
    Ok(on[0])
}

// proves: F-21
#[test]
fn no_frame_passes_the_pages_program_while_nothing_is_failed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server, gateway) = (lab.client(1), lab.server(1), lab.gateway());
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(gateway, config())?;
    learn(&daemon, client, service)?;
    assert!(!is_steering(gateway)?);
    drop(nginx);
    fail(client, service)?;
    assert!(is_steering(gateway)?);
    let _nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    assert!(is_steering(gateway)?, "connections to the page may be open");
    Ok(())
}

// proves: V-1 F-21
#[test]
fn a_client_that_a_filter_bars_has_the_page_shown_to_nobody() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (barred, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config())?;
    learn(&daemon, other, service)?;
    server.nft("add table inet bar")?;
    server.nft("add chain inet bar input { type filter hook input priority 0; }")?;
    server.nft(&format!("add rule inet bar input ip saddr {} tcp dport 80 reject with tcp reset", barred.v4()))?;
    for _ in 0..5 {
        assert_eq!(barred.connect(None, service, LIMIT)?, Attempt::Refused);
        assert!(!is_steering(lab.gateway())?);
        assert_eq!(curl(other, &[&url(service, "/")])?.status, 200);
    }
    Ok(())
}

fn routing(gateway: &Host) -> Result<String> {
    let mut text = String::new();
    for args in [["-4", "rule"], ["-6", "rule"], ["-4", "route"], ["-6", "route"]] {
        let mut ip = gateway.command("ip");
        ip.args(args).arg("show");
        if args[1] == "route" {
            ip.args(["table", "7262"]);
        }
        text.push_str(&String::from_utf8_lossy(&ip.output()?.stdout));
    }
    Ok(text)
}

// proves: F-21
#[test]
fn the_routing_goes_on_every_way_out_and_what_arrives_then_passes() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let before = routing(lab.gateway())?;
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config())?;
    let during = routing(lab.gateway())?;
    assert_eq!(during.matches("0x72620001").count(), 2, "{during}");
    assert_eq!(during.matches("local").count() - before.matches("local").count(), 2, "{during}");
    assert!(daemon.sigterm()?.success());
    assert_eq!(routing(lab.gateway())?, before);
    daemon.launch()?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    daemon.kill9()?;
    assert_ne!(routing(lab.gateway())?, before);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    let output = daemon.ringback(&["cleanup"])?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(routing(lab.gateway())?, before);
    // What an earlier daemon left is replaced, not doubled.
    daemon.launch()?;
    daemon.kill9()?;
    daemon.launch()?;
    assert_eq!(routing(lab.gateway())?, during);
    Ok(())
}

// proves: F-21
#[test]
fn a_reload_brings_the_page_to_further_interfaces_and_takes_it_from_others() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (one, two, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let on = |interfaces: &str| config().set("watch.interfaces", interfaces);
    let daemon = failed(&lab, one, service, on("['client1', 'server1']"))?;
    assert_eq!(two.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.write_config(on("['client2', 'server1']"))?;
    daemon.sighup()?;
    let sees = |client: &Host| curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503);
    wait_until("the page is on the new interface", LIMIT, || sees(two))?;
    wait_until("it is no longer on the other", LIMIT, || {
        one.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })
}

/// A frame with a word of the operator's in it.
fn frame(built_in: &str, word: &str) -> String {
    built_in.replace("<main>", &format!("<main><p>{word}</p>"))
}

// proves: F-21
#[test]
fn the_operators_frame_and_rules_count_after_a_reload() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let built_in = include_str!("../../../monitor-userspace/src/page/templates/page.html");
    let file = lab.folder().join("page.html");
    std::fs::write(&file, frame(built_in, "Our help desk: 4711"))?;
    let config = |ask: &str| {
        config()
            .text("standin.page_dir", &lab.folder().display().to_string())
            .text("standin.ask", ask)
            .address(client.v4(), MAIL)
    };
    let daemon = Daemon::start(lab.gateway(), config("everyone"))?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    let shows = |word: &str| curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.body.contains(word));
    assert!(shows("<p>Our help desk: 4711</p>"));
    std::fs::write(&file, frame(built_in, "Our help desk: 4712"))?;
    daemon.sighup()?;
    wait_until("the new frame is shown", LIMIT, || shows("<p>Our help desk: 4712</p>"))?;
    // Whoever is on record is not asked any more.
    daemon.write_config(config("unknown"))?;
    daemon.sighup()?;
    wait_until("the new rule counts", LIMIT, || {
        client.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })
}
