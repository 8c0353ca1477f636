//! Clients that fail are found by watching their traffic, and wait in the table (F-1 to F-9).

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Wiring, counter, learn};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

/// Longer than the time-out below, shorter than the client's second retransmission.
const CLIENT_GIVES_UP: Duration = Duration::from_millis(1500);

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms")
}

fn line(lines: &Value, client: &Host, service: SocketAddr) -> Option<Value> {
    let (v4, v6) = (client.v4().to_string(), client.v6().to_string());
    let found = lines.as_array()?.iter().find(|line| {
        line["service"] == service.to_string() && (line["client"] == v4.as_str() || line["client"] == v6.as_str())
    });
    found.cloned()
}

/// Waits until the client waits for the service with this evidence.
fn waits(daemon: &Daemon<'_>, client: &Host, service: SocketAddr, evidence: &[&str]) -> Result<Value> {
    let lines = daemon.wait_for(&["waiting"], LIMIT, |lines| {
        line(lines, client, service).is_some_and(|line| evidence.iter().any(|word| line["evidence"] == *word))
    })?;
    Ok(line(&lines, client, service).unwrap_or_default())
}

// proves: F-1 F-3a F-7a
#[test]
fn an_unanswered_client_waits_and_an_answered_one_does_not() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (failing, lucky, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        learn(&daemon, failing, service)?;
        assert_eq!(lucky.connect(None, service, LIMIT)?, Attempt::Connected);
    }
    server.fall_silent()?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        assert_eq!(failing.connect(None, service, CLIENT_GIVES_UP)?, Attempt::TimedOut);
        waits(&daemon, failing, service, &["unanswered"])?;
    }
    let lines = daemon.json(&["waiting"])?;
    assert_eq!(lines.as_array().map(Vec::len), Some(2), "{lines:#}");
    let status = daemon.status()?;
    assert_eq!(status["outages"].as_array().map(Vec::len), Some(2), "{status:#}");
    assert_eq!(status["losses"], Value::Array(Vec::new()), "{status:#}");
    Ok(())
}

// proves: F-2a
#[test]
fn a_server_that_answers_no_arp_or_neighbour_solicitation_is_unreachable() -> Result<()> {
    for wiring in [Wiring::InterfacePerHost, Wiring::SingleInterface] {
        let lab = Lab::builder().wiring(wiring).build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let _nginx = HttpServer::start(server, 80)?;
        // The time-out is long: only the gateway's own ICMP can be the evidence.
        let daemon = Daemon::start(lab.gateway(), DaemonConfig::new().text("watch.syn_timeout", "60s"))?;
        for service in [server.service_v4(80), server.service_v6(80)] {
            learn(&daemon, client, service)?;
        }
        server.link_down()?;
        for service in [server.service_v4(80), server.service_v6(80)] {
            assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Unreachable, "{wiring:?}");
            waits(&daemon, client, service, &["host-unreachable"])?;
        }
    }
    Ok(())
}

// proves: F-6
#[test]
fn a_refused_client_waits_unless_the_operator_says_that_it_does_not() -> Result<()> {
    for counts in [true, false] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let daemon = Daemon::start(lab.gateway(), config().set("watch.refused_is_failure", &counts.to_string()))?;
        let services = [server.service_v4(80), server.service_v6(80)];
        for service in services {
            learn(&daemon, client, service)?;
        }
        drop(nginx);
        for service in services {
            assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
            if counts {
                waits(&daemon, client, service, &["refused"])?;
            }
        }
        if !counts {
            let status = daemon.wait_for(&["status"], LIMIT, |status| status["ignored"]["refused_ignored"] == 2)?;
            assert_eq!(status["waiting_clients"], 0, "{status:#}");
        }
    }
    Ok(())
}

// proves: F-3a F-4 F-7a
#[test]
fn retransmissions_are_one_attempt_and_a_second_client_joins_at_once() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (first, second, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config())?;
    learn(&daemon, first, service)?;
    server.fall_silent()?;
    // SYN at 0, 1 and 3 s.
    assert_eq!(first.connect(None, service, Duration::from_millis(3500))?, Attempt::TimedOut);
    let status = daemon.wait_for(&["status"], LIMIT, |status| counter(status, "retransmits") >= 2)?;
    assert_eq!(status["waiting_clients"], 1, "{status:#}");
    let waiting = waits(&daemon, first, service, &["unanswered"])?;
    assert_eq!(waiting["attempts"], 1, "{waiting:#}");
    // No time-out passes for the second: the SYN itself is the report.
    assert_eq!(second.connect(None, service, Duration::from_millis(50))?, Attempt::TimedOut);
    let joined = waits(&daemon, second, service, &["known-failed"])?;
    assert_eq!(joined["outage"], waiting["outage"], "{joined:#}");
    assert_eq!(daemon.status()?["outages"].as_array().map(Vec::len), Some(1));
    Ok(())
}

// proves: F-6 F-12
#[test]
fn on_the_servers_own_host_its_refusals_are_seen_as_they_leave() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let daemon = Daemon::start(server, config())?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    waits(&daemon, client, service, &["refused"])?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))?;
    Ok(())
}

#[test]
fn scans_of_empty_addresses_and_of_closed_ports_open_nothing() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    learn(&daemon, client, server.service_v4(80))?;
    for port in 1000..1020 {
        assert_eq!(client.connect(None, server.service_v4(port), LIMIT)?, Attempt::Refused);
    }
    let empty = SocketAddr::new([10, 2, 1, 77].into(), 80);
    assert_ne!(client.connect(None, empty, CLIENT_GIVES_UP)?, Attempt::Connected);
    let status = daemon.wait_for(&["status"], LIMIT, |status| counter(status, "unknown_service") >= 21)?;
    assert_eq!(status["outages"], Value::Array(Vec::new()), "{status:#}");
    Ok(())
}

// proves: F-7a
#[test]
fn a_listed_service_may_fail_before_it_ever_answered() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let config = config().set("watch.servers", &format!("['{}']", server.service_v4(80)));
    let daemon = Daemon::start(lab.gateway(), config)?;
    assert_eq!(client.connect(None, server.service_v4(80), LIMIT)?, Attempt::Refused);
    waits(&daemon, client, server.service_v4(80), &["refused"])?;
    assert_eq!(client.connect(None, server.service_v4(81), LIMIT)?, Attempt::Refused);
    assert_eq!(daemon.json(&["waiting"])?.as_array().map(Vec::len), Some(1));
    Ok(())
}

// proves: F-7b
#[test]
fn with_remember_known_only_clients_in_the_address_book_wait() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (known, unknown, server) = (lab.client(1), lab.client(2), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = config().text("watch.remember", "known").address(known.v4(), "sato@example.test");
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, known, service)?;
    drop(nginx);
    for client in [unknown, known] {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    }
    waits(&daemon, known, service, &["refused", "known-failed"])?;
    assert_eq!(daemon.json(&["waiting"])?.as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn bpftool_prints_the_pinned_maps_with_field_names() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    learn(&daemon, client, server.service_v4(80))?;
    let layout = format!("\"layout\": {}", monitor_common::LAYOUT);
    for (map, fields) in [
        ("RB_SERVICES", ["\"addr\"", "\"port\": 80", "\"last_answer_ns\""].as_slice()),
        ("RB_SETTINGS", &["\"syn_timeout_ns\": 500000000", &layout]),
        ("RB_CURSORS", &["\"head\"", "\"tail\""]),
    ] {
        let mut bpftool = lab.gateway().command("bpftool");
        let output = bpftool.args(["map", "dump", "pinned"]).arg(daemon.pin_dir().join(map)).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        for field in fields {
            assert!(
                text.contains(field),
                "{field} is not in {map}: {text} {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    Ok(())
}

/// A SYN of the client to the service in one VLAN, or in a VLAN within one (the tags' EtherTypes, outermost first).
fn tagged_syn(client: &Host, to: SocketAddr, tags: &[u16], port: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9]);
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 42]);
    }
    frame.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
    for addr in [client.v4(), to.ip()] {
        if let std::net::IpAddr::V4(addr) = addr {
            frame.extend(addr.octets());
        }
    }
    frame.extend(port.to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend([0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    frame
}

// proves: F-3a F-9a
#[test]
fn attempts_in_a_vlan_and_in_a_vlan_within_a_vlan_are_seen() -> Result<()> {
    for tags in [&[0x8100][..], &[0x88a8, 0x8100]] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let _nginx = HttpServer::start(server, 80)?;
        let service = SocketAddr::new(server.v4(), 8080);
        let config = config().set("watch.servers", &format!("['auto', '{service}']"));
        let daemon = Daemon::start(lab.gateway(), config)?;
        learn(&daemon, client, server.service_v4(80))?;
        // The gateway has no such VLAN and drops the frame: nobody answers.
        client.frame_socket("eth0")?.send(&tagged_syn(client, service, tags, 4000))?;
        waits(&daemon, client, service, &["unanswered"])?;
    }
    Ok(())
}
