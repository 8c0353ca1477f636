//! What the failed server's other ports do (F-26, F-29).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{
    Attempt, Daemon, Host, HttpServer, Lab, curl, learn,
    standin::{closed, config, url},
    wait_until,
};
use serde_json::Value;

use super::LIMIT;

/// What a client's connection attempt to a port ends with, and how fast.
fn tried(client: &Host, service: SocketAddr) -> Result<(Attempt, Duration)> {
    let begin = Instant::now();
    Ok((client.connect(None, service, Duration::from_secs(2))?, begin.elapsed()))
}

// proves: F-26a F-29
#[test]
fn other_ports_of_a_failed_server_are_silent_or_refused_at_once_as_configured() -> Result<()> {
    let page_and_rules = [
        (true, "silent", Attempt::TimedOut),
        (true, "reset", Attempt::Refused),
        (false, "reset", Attempt::Refused),
        (true, "icmp", Attempt::Unreachable),
    ];
    for (page, rule, expected) in page_and_rules {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        // A veth takes frames that XDP sends back only with a program of its own.
        let _pass = client.xdp_pass(lab::host::INTERFACE)?;
        let (_web, _other) = (HttpServer::start(server, 80)?, HttpServer::start(server, 8080)?);
        let config = config().set("standin.enabled", if page { "true" } else { "false" });
        let daemon = Daemon::start(lab.gateway(), config.text("standin.other_ports", rule))?;
        for v6 in [false, true] {
            let at = |port| if v6 { server.service_v6(port) } else { server.service_v4(port) };
            learn(&daemon, client, at(8080))?;
            learn(&daemon, client, at(80))?;
            server.fall_silent()?;
            // Neither does it answer the gateway's probes.
            server.ip(&["route add blackhole 10.2.1.1/32", "route add blackhole fd00:2:1::1/128"])?;
            assert_eq!(client.connect(None, at(8080), Duration::from_millis(900))?, Attempt::TimedOut);
            assert_eq!(client.connect(None, at(80), Duration::from_millis(900))?, Attempt::TimedOut);
            let failed = format!("\"{}\"", at(8080));
            daemon.wait_for(&["outages"], LIMIT, |outages| {
                let text = outages.to_string();
                text.contains(&failed) && text.contains(&format!("\"{}\"", at(80)))
            })?;
            let mut attempt = (Attempt::TimedOut, LIMIT);
            let met = wait_until("the attempt ends as configured", LIMIT, || {
                attempt = tried(client, at(8080)).unwrap_or((Attempt::Connected, LIMIT));
                attempt.0 == expected
            });
            met.with_context(|| format!("{rule}, IPv6 {v6}: {attempt:?}"))?;
            // That one may have begun before the mark was set.
            attempt = tried(client, at(8080))?;
            assert_eq!(attempt.0, expected);
            // On a veth the message is there before connect(2) has let go of the socket, and Linux then only notes it (a
            // soft error): the answer to the SYN's first repetition counts.
            let limit = Duration::from_millis(if rule == "icmp" { 1500 } else { 500 });
            assert!(rule == "silent" || attempt.1 < limit, "{attempt:?}");
            if page {
                assert_eq!(curl(client, &[&url(at(80), "/")])?.status, 503, "port 80 is the page's");
            } else {
                assert_eq!(client.connect(None, at(80), LIMIT)?, expected);
            }
            // It is noted all the same; of the same client within a moment it is only counted.
            let before = noted(&daemon.status()?);
            client.connect(None, at(8080), Duration::from_millis(300))?;
            daemon.wait_for(&["status"], LIMIT, |status| noted(status) > before)?;
            server.ip(&["route del blackhole 10.2.1.1/32", "route del blackhole fd00:2:1::1/128"])?;
            server.speak_again()?;
            closed(&daemon)?;
            wait_until("the server is reached again", LIMIT, || {
                client.connect(None, at(8080), LIMIT).is_ok_and(|attempt| attempt == Attempt::Connected)
            })?;
        }
    }
    Ok(())
}

/// Attempts that were remembered, of all services.
fn noted(status: &Value) -> u64 {
    let counters = status["counters"].as_array().into_iter().flatten();
    counters.filter(|line| line["reason"] == "attempts").filter_map(|line| line["count"].as_u64()).sum()
}
