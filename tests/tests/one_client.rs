//! One client's trouble is not the service's (V-1): who is barred by a filter is told nothing, and nobody else is disturbed.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, learn, wait_until};

const LIMIT: Duration = Duration::from_secs(15);

fn config(lab: &Lab) -> DaemonConfig {
    let addresses = [1, 2].into_iter().flat_map(|number| [lab.client(number).v4(), lab.client(number).v6()]);
    let config = DaemonConfig::new().text("watch.syn_timeout", "500ms");
    addresses.fold(config, |config, address| config.address(address, "sato@example.test"))
}

/// The server's own filter rejects this client, as fail2ban has it do.
fn bar(server: &Host, client: IpAddr, how: &str) -> Result<()> {
    server.nft("add table inet bar")?;
    server.nft("add chain inet bar input { type filter hook input priority 0; }")?;
    let family = if client.is_ipv4() { "ip" } else { "ip6" };
    server.nft(&format!("add rule inet bar input {family} saddr {client} tcp dport 80 reject with {how}"))
}

fn let_in(server: &Host) -> Result<()> {
    server.nft("delete table inet bar")
}

fn own_address(client: &Host, service: SocketAddr) -> IpAddr {
    if service.is_ipv4() { client.v4() } else { client.v6() }
}

// proves: V-1
#[test]
fn a_barred_client_opens_no_outage_and_is_told_nothing() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (barred, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(lab.gateway(), config(&lab))?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        learn(&daemon, other, service)?;
        for how in ["tcp reset", "icmpx type admin-prohibited", "icmpx type port-unreachable"] {
            let before = daemon.status()?["ignored"]["isolated"].as_u64().unwrap_or(0);
            bar(server, own_address(barred, service), how)?;
            for knock in 0..5 {
                ensure!(barred.connect(None, service, Duration::from_millis(900))? != Attempt::Connected, "not barred");
                // Now and then somebody else comes; mostly the site is quiet.
                if knock == 3 {
                    assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Connected);
                }
            }
            let isolated = |status: &serde_json::Value| status["ignored"]["isolated"].as_u64() >= Some(before + 5);
            daemon.wait_for(&["status"], LIMIT, isolated)?;
            let open = |outages: &serde_json::Value| outages.as_array().is_some_and(Vec::is_empty);
            daemon.wait_for(&["outages"], LIMIT, open)?;
            let_in(server)?;
        }
    }
    let all = daemon.json(&["outages", "--all"])?;
    let opened = |outage: &&serde_json::Value| outage["ended_by"] != "discarded";
    assert_eq!(all.as_array().map_or(0, |all| all.iter().filter(opened).count()), 0, "{all:#}");
    assert_eq!((daemon.maildir().mails()?.len(), &daemon.status()?["waiting_clients"]), (0, &0.into()));
    Ok(())
}

// proves: V-1
#[test]
fn a_real_crash_is_an_outage_within_a_second_though_one_client_alone_has_seen_it() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let config = config(&lab).set("watch.servers", &format!("['{service}']"));
    let daemon = Daemon::start(lab.gateway(), config)?;
    let began = Instant::now();
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["outages"], LIMIT, |outages| outages[0]["phase"]["phase"] == "open")?;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    wait_until("it is mailed", LIMIT, || daemon.maildir().mails().is_ok_and(|mails| mails.len() == 1))?;
    Ok(())
}

// proves: V-1
#[test]
fn where_a_probe_gets_no_answer_a_second_client_is_the_witness() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (first, second, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    let config = config(&lab).text("recovery.probe_timeout", "20s");
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, first, service)?;
    // The server hears nothing of the gateway.
    server.nft("add table inet bar")?;
    server.nft("add chain inet bar input { type filter hook input priority 0; }")?;
    for client in [first, second] {
        server.nft(&format!("add rule inet bar input ip saddr {} accept", client.v4()))?;
    }
    server.nft("add rule inet bar input tcp dport 80 drop")?;
    drop(nginx);
    assert_eq!(first.connect(None, service, LIMIT)?, Attempt::Refused);
    let suspected = |outages: &serde_json::Value| outages[0]["phase"]["phase"] == "suspected";
    daemon.wait_for(&["outages"], LIMIT, suspected)?;
    std::thread::sleep(Duration::from_secs(1));
    assert!(suspected(&daemon.json(&["outages"])?));
    assert_eq!(second.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["outages"], LIMIT, |outages| outages[0]["phase"]["phase"] == "open")?;
    assert_eq!(daemon.status()?["waiting_clients"], 2);
    Ok(())
}
