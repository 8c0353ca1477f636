//! Gateways that are such a pair themselves (H-1, H-5): the clients' router has one address on two hosts, and the two share
//! a database. The one that takes over knows the outages.
//!
//! ```text
//! client1, 2 ┐                     ┌── gateway a   10.1.1.1, 10.2.1.1
//!           ├── one switch ───────┼── gateway b   10.1.1.254, 10.2.1.254
//! server1 ──┘                     └── database    both routers: 10.1.1.100, 10.1.2.100, 10.2.1.100
//! ```

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Mail, Postgres, Wiring, cluster::mode, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const MAIL: &str = "sato@example.test";
const OTHER_MAIL: &str = "suzuki@example.test";

/// Both have the router's addresses, forward, and find each other.
fn prepare(host: &Host) -> Result<()> {
    host.sysctl("ipv4/ip_forward", "1")?;
    for (key, value) in [("rp_filter", "0"), ("send_redirects", "0"), ("arp_ignore", "1"), ("arp_announce", "2")] {
        host.sysctl(&format!("ipv4/conf/all/{key}"), value)?;
        host.sysctl(&format!("ipv4/conf/eth0/{key}"), value)?;
    }
    host.ip(&["10.1.1.100", "10.1.2.100", "10.2.1.100"].map(|address| format!("address add {address}/24 dev eth0")))
}

fn config(
    lab: &Lab,
    database: &Postgres<'_>,
    host: &Host,
    (own, other): (&str, &str),
    way: &str,
) -> Result<DaemonConfig> {
    let secret = host.folder().join("heartbeat.secret");
    fs::write(&secret, "a secret of the lab's gateways\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let priority = if own == "a" { 1 } else { 2 };
    let group = format!(
        "[[standby.group]]\nname = 'router'\naddresses = ['10.1.1.100', '10.1.2.100', '10.2.1.100']\npriority = {priority}"
    );
    Ok(DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("watch.servers", "['10.2.1.0/24']")
        .text("store.url", &database.url())
        .text("store.lease", "4s")
        .text("heartbeat.name", own)
        .text("heartbeat.secret_file", &secret.display().to_string())
        .text("standby.interface", "eth0")
        .text("standby.beat", "100ms")
        .table(&format!("[[peer]]\nname = '{other}'\npaths = ['{way}:7411']"))
        .table(&group)
        .address(lab.client(1).v4(), MAIL)
        .address(lab.client(2).v4(), OTHER_MAIL))
}

// proves: H-1 H-5 F-4 F-15a
#[test]
fn the_gateway_that_takes_over_knows_the_outage_and_tells_of_its_end_once() -> Result<()> {
    let lab = Lab::builder().clients(2).servers(3).wiring(Wiring::SingleInterface).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let (a, b) = (lab.gateway(), lab.server(2));
    b.ip(&[
        "address add 10.1.1.254/24 dev eth0",
        "address add 10.1.2.254/24 dev eth0",
        "address add 10.2.1.254/24 dev eth0",
    ])?;
    // Towards the database, whose way back is a's address of its network.
    b.ip(&["address add 10.2.3.254/24 dev eth0"])?;
    prepare(a)?;
    prepare(b)?;
    client.ip(&["route replace default via 10.1.1.100"])?;
    other.ip(&["route replace default via 10.1.2.100"])?;
    server.ip(&["route replace default via 10.2.1.100"])?;
    let database = Postgres::start(lab.server(3))?;
    let nginx = HttpServer::start(server, 80)?;
    let mut first = Daemon::start(a, config(&lab, &database, a, ("a", "b"), "10.1.1.254")?)?;
    let second = Daemon::start(b, config(&lab, &database, b, ("b", "a"), "10.1.1.1")?)?;
    let is = |daemon: &Daemon<'_>, wanted: &str| {
        wait_until(&format!("it is {wanted}"), LIMIT, || mode(daemon, "router").is_ok_and(|mode| mode == wanted))
    };
    is(&first, "active")?;
    is(&second, "standby")?;
    let service = server.service_v4(80);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    first.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    for daemon in [&first, &second] {
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    }
    // It has the outage itself, not only a view of the database: it looks once a second.
    wait_until("the standby gateway knows the outage", LIMIT, || second.log().contains("10.2.1.2:80"))?;
    first.kill9()?;
    is(&second, "active")?;
    // The same outage: one more client waits for its end.
    assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Refused);
    let status = second.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2)?;
    assert_eq!(status["outages"].as_array().map(Vec::len), Some(1), "{status:#}");
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    let told = |daemon: &Daemon<'_>| {
        let mut told: Vec<_> = daemon.maildir().mails().unwrap_or_default().iter().filter_map(Mail::to).collect();
        told.sort();
        told
    };
    wait_until("both are told", LIMIT, || told(&second) == [MAIL, OTHER_MAIL])?;
    // The one that returns finds nothing left to tell.
    first.launch()?;
    is(&first, "standby")?;
    first.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().is_some_and(Vec::is_empty))?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    assert_eq!((told(&first).len(), told(&second).len()), (0, 2));
    Ok(())
}
