//! Many requests for a guarded port: beside an open connection (D-4, D-5), and as a flood.

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::Result;
use lab::{
    AppServer, Attempt, Daemon, DaemonConfig, Flood, Lab,
    guarded::{LIMIT, PORT, config, guard, open, request, services, timed, wait_for_guard},
};
use serde_json::Value;

// proves: D-4 D-5
#[test]
fn a_thousand_connections_beside_an_open_one_are_not_checked_and_the_next_after_all_is() -> Result<()> {
    ["mode = 'before'", "mode = 'after'"].into_iter().try_for_each(a_thousand_connections)
}

fn a_thousand_connections(mode: &str) -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, mode))?;
    let mut runs = 0;
    for service in services(server) {
        app.answers("200")?;
        let mut first = open(client, service)?;
        runs += 1;
        wait_for_guard(&daemon, |guard| guard["open"] == 1 && guard["runs"] == runs)?;
        // It would be found sick if anybody looked.
        app.answers("503")?;
        let mut kept = Vec::new();
        for number in 0..1000 {
            assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Connected, "{number}");
            if number % 100 == 0 {
                kept.push(open(other, service)?);
            }
        }
        let now = guard(&daemon)?;
        assert_eq!((&now["runs"], &now["refused"]), (&Value::from(runs), &Value::from(0)), "{now:#}");
        request(&mut first)?;
        // The first may go: the others were treated as healthy, and count.
        drop(first);
        wait_for_guard(&daemon, |guard| guard["open"] == kept.len())?;
        assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Connected);
        request(&mut kept[3])?;
        drop(kept);
        wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
        assert_eq!(guard(&daemon)?["runs"], runs);
        app.answers("200")?;
        assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Connected);
        runs += 1;
        wait_for_guard(&daemon, |guard| guard["runs"] == runs && guard["open"] == 0)?;
    }
    Ok(())
}

// proves: D-4
#[test]
fn a_connection_whose_client_vanishes_stops_counting() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    let stream = open(client, server.service_v4(PORT))?;
    wait_for_guard(&daemon, |guard| guard["open"] == 1)?;
    // Its FIN never arrives, and the server's own time-out ends the connection without a word on this interface.
    client.link_down()?;
    drop(stream);
    let gone = format!("ss -K state established '( sport = :{PORT} )' dst {}", client.v4());
    server.ip(&["route add blackhole 10.1.1.0/24"])?;
    assert!(server.command("sh").args(["-c", &gone]).output()?.status.success());
    wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
    assert_eq!(timed(other, server.service_v4(PORT))?.0, Attempt::Connected);
    assert_eq!(guard(&daemon)?["runs"], 2);
    Ok(())
}

// proves: D-3
#[test]
fn a_flood_on_a_guarded_port_starts_one_check_at_a_time_and_holds_few_requests() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, client, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _app = AppServer::start(server, PORT)?;
    let folder = server.folder().join("check");
    fs::create_dir(&folder)?;
    // Says so when it finds another of itself at work.
    let script = format!(
        "cd {}; mkdir running || echo twice >> twice; sleep 0.15; echo x >> runs; rmdir running",
        folder.display()
    );
    let table = format!(
        "[[guard]]\nport = {PORT}\nmax_held = 8\n[[guard.check]]\ncommand = ['sh', '-c', '''{script}''']\nlimit = '5s'"
    );
    let daemon = Daemon::start(server, DaemonConfig::new().table(&table))?;
    let targets = services(server);
    let flood = Flood::start(attacker, lab.gateway().mac("client1")?, 60_000, Duration::from_secs(3), move |number| {
        let port = 1024 + (number % 60_000) as u16;
        if number % 2 == 0 {
            (SocketAddr::new([10, 1, 1, 77].into(), port), targets[0])
        } else {
            (SocketAddr::new([0xfd00, 1, 1, 0, 0, 0, 0, 0x77].into(), port), targets[1])
        }
    })?;
    let mut most = 0;
    while flood.goes_on() {
        most = most.max(guard(&daemon)?["held"].as_u64().unwrap_or(0));
    }
    let sent = flood.finish()?;
    assert!(sent > 30_000, "{sent}");
    let after = wait_for_guard(&daemon, |guard| guard["held"] == 0 && guard["checking"] == false)?;
    assert!(most <= 8 && after["held_most"].as_u64() <= Some(8), "{most} {after:#}");
    assert!(after["overflow"].as_u64() >= Some(1000), "{after:#}");
    assert!(!folder.join("twice").exists(), "two checks ran at the same time");
    let runs = fs::read_to_string(folder.join("runs"))?.lines().count();
    assert!((2..=60).contains(&runs), "{runs}");
    assert_eq!(timed(client, targets[0])?.0, Attempt::Connected);
    assert_eq!(timed(client, targets[1])?.0, Attempt::Connected);
    Ok(())
}
