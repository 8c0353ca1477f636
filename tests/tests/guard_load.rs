//! Many requests for a guarded port: beside an open connection (D-4, D-5), and as a flood.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use lab::{
    AppServer, Attempt, Daemon, DaemonConfig, Flood, Host, Lab,
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

/// A check that takes a while and says so when it finds another of itself at work.
struct SlowCheck {
    folder: PathBuf,
}

impl SlowCheck {
    fn new(server: &Host) -> Result<Self> {
        let folder = server.folder().join("check");
        fs::create_dir(&folder)?;
        Ok(Self { folder })
    }

    /// The guard that has it, with these lines.
    fn guard(&self, lines: &str) -> DaemonConfig {
        let script = format!(
            "cd {}; mkdir running || echo twice >> twice; sleep 0.15; echo x >> runs; rmdir running",
            self.folder.display()
        );
        DaemonConfig::new().table(&format!(
            "[[guard]]\nport = {PORT}\n{lines}\n\
             [[guard.check]]\ncommand = ['sh', '-c', '''{script}''']\nlimit = '5s'"
        ))
    }

    /// How often it ran; never two at a time.
    fn runs(&self) -> usize {
        assert!(!self.folder.join("twice").exists(), "two checks ran at the same time");
        fs::read_to_string(self.folder.join("runs")).map_or(0, |runs| runs.lines().count())
    }
}

/// 60,000 SYNs in three seconds from addresses that are nobody's.
fn flood(lab: &Lab, attacker: &Host, targets: [SocketAddr; 2]) -> Result<Flood> {
    Flood::start(attacker, lab.gateway().mac("client1")?, 60_000, Duration::from_secs(3), move |number| {
        let port = 1024 + (number % 60_000) as u16;
        if number % 2 == 0 {
            (SocketAddr::new([10, 1, 1, 77].into(), port), targets[0])
        } else {
            (SocketAddr::new([0xfd00, 1, 1, 0, 0, 0, 0, 0x77].into(), port), targets[1])
        }
    })
}

// proves: D-3
#[test]
fn a_flood_on_a_guarded_port_starts_one_check_at_a_time_and_holds_few_requests() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, client, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _app = AppServer::start(server, PORT)?;
    let check = SlowCheck::new(server)?;
    let daemon = Daemon::start(server, check.guard("max_held = 8"))?;
    let targets = services(server);
    let flood = flood(&lab, attacker, targets)?;
    let mut most = 0;
    while flood.goes_on() {
        most = most.max(guard(&daemon)?["held"].as_u64().unwrap_or(0));
    }
    let sent = flood.finish()?;
    assert!(sent > 30_000, "{sent}");
    let after = wait_for_guard(&daemon, |guard| guard["held"] == 0 && guard["checking"] == false)?;
    assert!(most <= 8 && after["held_most"].as_u64() <= Some(8), "{most} {after:#}");
    assert!(after["overflow"].as_u64() >= Some(1000), "{after:#}");
    let runs = check.runs();
    assert!((2..=60).contains(&runs), "{runs}");
    assert_eq!(timed(client, targets[0])?.0, Attempt::Connected);
    assert_eq!(timed(client, targets[1])?.0, Attempt::Connected);
    Ok(())
}

// proves: D-2
#[test]
fn in_after_mode_a_flood_of_syns_starts_no_check_and_holds_nothing() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, client, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _app = AppServer::start(server, PORT)?;
    let check = SlowCheck::new(server)?;
    let daemon = Daemon::start(server, check.guard("mode = 'after'"))?;
    let targets = services(server);
    let flood = flood(&lab, attacker, targets)?;
    while flood.sent() < 20_000 && flood.goes_on() {
        let now = guard(&daemon)?;
        assert_eq!((&now["held"], &now["runs"], &now["open"]), (&0.into(), &0.into(), &0.into()), "{now:#}");
        assert_eq!(now["checking"], false, "{now:#}");
    }
    assert!(flood.goes_on() && check.runs() == 0);
    // Who finishes the handshake is checked, also in between.
    for (number, target) in (1..).zip(targets) {
        let connection = open(client, target)?;
        wait_for_guard(&daemon, |guard| guard["runs"] == number && guard["open"] == 1)?;
        drop(connection);
        wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
    }
    assert!(flood.goes_on(), "the flood ended too early");
    assert!(flood.finish()? > 30_000);
    let after = guard(&daemon)?;
    assert_eq!(
        (&after["held_most"], &after["overflow"], &after["runs"]),
        (&0.into(), &0.into(), &2.into()),
        "{after:#}"
    );
    assert_eq!(check.runs(), 2);
    Ok(())
}

// proves: D-2
#[test]
fn in_after_mode_a_flood_of_connections_starts_one_check_at_a_time() -> Result<()> {
    let lab = Lab::builder().clients(4).build()?;
    let server = lab.server(1);
    let _app = AppServer::start(server, PORT)?;
    let check = SlowCheck::new(server)?;
    let daemon = Daemon::start(server, check.guard("mode = 'after'"))?;
    let end = Instant::now() + Duration::from_secs(3);
    let made = thread::scope(|scope| {
        let flood = |client| {
            move || {
                let mut made = 0;
                while Instant::now() < end {
                    for target in services(server) {
                        anyhow::ensure!(
                            Host::connect(client, None, target, LIMIT)? == Attempt::Connected,
                            "not connected"
                        );
                        made += 1;
                    }
                }
                Ok(made)
            }
        };
        let clients: Vec<_> = lab.clients().iter().map(|client| scope.spawn(flood(client))).collect();
        let made = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
        made.sum::<Result<usize>>()
    })?;
    let after = wait_for_guard(&daemon, |guard| guard["open"] == 0 && guard["checking"] == false)?;
    assert_eq!((&after["held_most"], &after["refused"]), (&0.into(), &0.into()), "{after:#}");
    let runs = check.runs();
    assert!(made > 500 && (2..=30).contains(&runs), "{made} connections, {runs} checks");
    Ok(())
}
