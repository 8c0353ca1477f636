//! A client's connection makes the server check itself (D-1 to D-5): real servers, real clients, the daemon on the server's
//! own host.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{AppServer, Attempt, Daemon, DaemonConfig, Flood, Host, HttpServer, Lab, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";
const PORT: u16 = 8080;

/// Shorter than the second after which a client repeats its SYN.
const ONE_HANDSHAKE: Duration = Duration::from_millis(900);

/// A guard of the Python server with these lines.
fn config(lab: &Lab, lines: &str) -> DaemonConfig {
    let health = format!("[[guard.check]]\nhttp = '127.0.0.1:{PORT}/health'\nlimit = '5s'");
    DaemonConfig::new()
        .address(lab.client(1).v4(), MAIL)
        .table(&format!("[[guard]]\nport = {PORT}\n{}{lines}\n{health}", probing(lines)))
}

/// Short pauses, unless the lines have others.
fn probing(lines: &str) -> &'static str {
    if lines.contains("probe") { "" } else { "probe = '200ms'\nprobe_max = '400ms'\n" }
}

fn services(server: &Host) -> [SocketAddr; 2] {
    [server.service_v4(PORT), server.service_v6(PORT)]
}

/// The one guard.
fn guard(daemon: &Daemon<'_>) -> Result<Value> {
    Ok(daemon.json(&["guard"])?[0].clone())
}

fn wait_for_guard(daemon: &Daemon<'_>, condition: impl Fn(&Value) -> bool) -> Result<Value> {
    Ok(daemon.wait_for(&["guard"], LIMIT, |guards| condition(&guards[0]))?[0].clone())
}

/// A connection that stays open.
fn open(client: &Host, service: SocketAddr) -> Result<TcpStream> {
    let stream = client.enter(|| TcpStream::connect_timeout(&service, LIMIT))?.context("no connection")?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// One request on an open connection; what the server answers.
fn request(stream: &mut TcpStream) -> Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    while !answer.contains("the application") {
        let mut part = [0; 512];
        let length = stream.read(&mut part)?;
        anyhow::ensure!(length > 0, "the server closed after `{answer}`");
        answer.push_str(std::str::from_utf8(&part[..length])?);
    }
    Ok(answer)
}

/// The connection attempt and how long it took.
fn timed(client: &Host, service: SocketAddr) -> Result<(Attempt, Duration)> {
    let begin = Instant::now();
    let attempt = client.connect(None, service, LIMIT)?;
    Ok((attempt, begin.elapsed()))
}

fn ended_by(daemon: &Daemon<'_>, evidence: &str) -> Result<Value> {
    daemon.wait_for(&["outages", "--all"], LIMIT, |outages| {
        outages
            .as_array()
            .is_some_and(|lines| !lines.is_empty() && lines.iter().all(|line| line["ended_by"] == evidence))
    })
}

fn told(daemon: &Daemon<'_>, count: usize) -> Result<()> {
    let maildir = daemon.maildir();
    wait_until("the mails are written", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
    assert!(maildir.mails()?.iter().all(|mail| mail.to().as_deref() == Some(MAIL)));
    assert_eq!(maildir.mails()?.len(), count);
    Ok(())
}

// proves: D-1 D-3 D-5
#[test]
fn before_a_healthy_server_answers_every_client_is_one_check_and_one_handshake() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let server = lab.server(1);
    let _app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    let mut runs = 0;
    for service in services(server) {
        for client in lab.clients() {
            let (attempt, took) = timed(client, service)?;
            assert_eq!(attempt, Attempt::Connected);
            assert!(took < ONE_HANDSHAKE, "{took:?}");
            runs += 1;
            let guard = wait_for_guard(&daemon, |guard| guard["open"] == 0 && guard["runs"] == runs)?;
            assert_eq!((&guard["health"], &guard["held"]), (&Value::from("healthy"), &Value::from(0)), "{guard:#}");
        }
        let page = lab.client(1).fetch(service, LIMIT)?;
        assert!(page.succeeded() && page.body.contains("the application"), "{page:?}");
        runs += 1;
        wait_for_guard(&daemon, |guard| guard["open"] == 0 && guard["runs"] == runs)?;
    }
    let guard = guard(&daemon)?;
    assert_eq!((&guard["refused"], &guard["unchecked"]), (&Value::from(0), &Value::from(0)), "{guard:#}");
    assert_eq!(daemon.json(&["outages", "--all"])?, Value::Array(Vec::new()));
    Ok(())
}

// proves: D-1 D-3
#[test]
fn in_generic_xdp_a_frame_that_is_put_back_is_not_held_again() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, "").text("watch.xdp", "generic"))?;
    for (runs, service) in (1..).zip(services(server)) {
        let (attempt, took) = timed(client, service)?;
        assert_eq!(attempt, Attempt::Connected);
        assert!(took < ONE_HANDSHAKE, "{took:?}");
        wait_for_guard(&daemon, |guard| guard["open"] == 0 && guard["runs"] == runs)?;
    }
    app.answers("503")?;
    assert_eq!(timed(client, server.service_v4(PORT))?.0, Attempt::Refused);
    Ok(())
}

// proves: D-1 D-3 F-14 F-15
#[test]
fn a_sick_server_refuses_and_the_refused_clients_are_told_when_it_is_well() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let app = AppServer::start(server, PORT)?;
        let service = services(server)[usize::from(v6)];
        // The port accepts connections all the time: a probe that only connects must not end the outage.
        let config = config(&lab, "").address(client.v6(), MAIL).text("recovery.probe", "100ms");
        let daemon = Daemon::start(server, config)?;
        app.answers("503")?;
        let (attempt, took) = timed(client, service)?;
        assert_eq!(attempt, Attempt::Refused);
        assert!(took < ONE_HANDSHAKE, "{took:?}");
        let line = wait_for_guard(&daemon, |guard| guard["health"] == "sick")?;
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("answers 503 where 200 is expected"), "{line:#}");
        let text = String::from_utf8_lossy(&daemon.ringback(&["guard"])?.stdout).into_owned();
        assert!(text.contains("sick") && text.contains("answers 503"), "{text}");
        let status = daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        assert_eq!(status["outages"][0]["evidence"], "sick", "{status:#}");
        assert_eq!(status["outages"][0]["service"], service.to_string(), "{status:#}");
        // Checked again by itself, with growing pauses.
        wait_for_guard(&daemon, |guard| guard["runs"].as_u64() >= Some(3))?;
        assert_eq!(daemon.status()?["waiting_clients"], 1);
        app.answers("200")?;
        ended_by(&daemon, "probe")?;
        told(&daemon, 1)?;
        assert_eq!(timed(client, service)?.0, Attempt::Connected);
    }
    Ok(())
}

// proves: D-1 D-3 F-15
#[test]
fn an_outage_from_before_a_restart_ends_with_the_first_check_that_is_passed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let mut daemon = Daemon::start(server, config(&lab, ""))?;
    app.answers("503")?;
    assert_eq!(timed(client, server.service_v4(PORT))?.0, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    wait_for_guard(&daemon, |guard| guard["health"] == "sick" && guard["runs"].as_u64() >= Some(2))?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    app.answers("200")?;
    ended_by(&daemon, "probe")?;
    told(&daemon, 1)
}

// proves: D-1 D-4
#[test]
fn a_result_that_is_kept_answers_for_its_time_sick_or_well() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, "keep = '2s'\nprobe = '30s'\nprobe_max = '30s'"))?;
    for (health, expected, runs) in [("200", Attempt::Connected, 1), ("503", Attempt::Refused, 2)] {
        app.answers(health)?;
        for _ in 0..3 {
            assert_eq!(timed(client, server.service_v4(PORT))?.0, expected);
            wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
        }
        assert_eq!(guard(&daemon)?["runs"], runs);
        thread::sleep(Duration::from_millis(2100));
    }
    Ok(())
}

// proves: D-1 D-3
#[test]
fn nginx_that_hangs_is_found_out_and_one_that_works_is_not_disturbed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let fresh = server.folder().join("fresh");
    fs::write(&fresh, "")?;
    let table = format!(
        "[[guard]]\nport = 80\n[[guard.check]]\nhttp = '{}/'\n[[guard.check]]\ntcp = '{}'\n\
         [[guard.check]]\nfile = '{}'\nmax_age = '1h'\n[[guard.check]]\nmin_memory_mib = 1",
        server.service_v4(80),
        server.service_v6(80),
        fresh.display()
    );
    let daemon = Daemon::start(server, DaemonConfig::new().table(&table))?;
    for service in [server.service_v4(80), server.service_v6(80)] {
        let page = client.fetch(service, LIMIT)?;
        assert!(page.succeeded() && page.body.contains("this is server1"), "{page:?}");
    }
    let checks = guard(&daemon)?["checks"].clone();
    assert_eq!(checks.as_array().map(Vec::len), Some(4), "{checks:#}");
    assert!(checks.as_array().is_some_and(|checks| checks.iter().all(|check| check["ok"] == true)), "{checks:#}");
    fs::remove_file(&fresh)?;
    let page = client.fetch(server.service_v4(80), LIMIT)?;
    assert_eq!(page.exit, Some(7), "{page:?}");
    let reason = guard(&daemon)?["reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("fresh cannot be looked at")), "{reason}");
    Ok(())
}

// proves: D-1 D-3
#[test]
fn a_flapping_server_is_seen_as_it_is_each_time() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    let service = server.service_v4(PORT);
    for round in 1..=4 {
        app.answers("503")?;
        assert_eq!(timed(client, service)?.0, Attempt::Refused, "round {round}");
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        app.answers("200")?;
        // By its own attempt or by a check in between, whichever is first.
        assert_eq!(timed(client, service)?.0, Attempt::Connected, "round {round}");
        daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))?;
        wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
    }
    Ok(())
}

// proves: D-3
#[test]
fn clients_that_come_during_a_slow_check_share_it() -> Result<()> {
    let lab = Lab::builder().clients(4).build()?;
    let server = lab.server(1);
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    app.answers("200 0.4")?;
    thread::scope(|scope| {
        let tries: Vec<_> = lab
            .clients()
            .iter()
            .flat_map(|client| services(server).map(|service| scope.spawn(move || timed(client, service))))
            .collect();
        for attempt in tries {
            let (attempt, took) = attempt.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            assert_eq!(attempt, Attempt::Connected);
            // Not by repetition of the SYN.
            assert!(took < ONE_HANDSHAKE, "{took:?}");
        }
        anyhow::Ok(())
    })?;
    let guard = guard(&daemon)?;
    assert_eq!((&guard["runs"], &guard["admitted"]), (&Value::from(1), &Value::from(8)), "{guard:#}");
    Ok(())
}

// proves: D-3
#[test]
fn a_check_that_takes_too_long_leaves_it_to_the_rule() -> Result<()> {
    for (fail, expected) in [("open", Attempt::Connected), ("closed", Attempt::Refused)] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let app = AppServer::start(server, PORT)?;
        let daemon = Daemon::start(server, config(&lab, &format!("hold = '400ms'\nfail = '{fail}'")))?;
        app.answers("200 3")?;
        for service in services(server) {
            let (attempt, took) = timed(client, service)?;
            assert_eq!(attempt, expected);
            assert!(took > Duration::from_millis(390) && took < ONE_HANDSHAKE, "{took:?}");
        }
        let guard = guard(&daemon)?;
        assert_eq!(guard["unchecked"], if fail == "open" { 2 } else { 0 }, "{guard:#}");
    }
    Ok(())
}

// proves: D-3
#[test]
fn a_daemon_that_is_killed_with_a_held_request_leaves_it_to_the_kernel() -> Result<()> {
    for (fail, expected) in [("open", Attempt::Connected), ("closed", Attempt::TimedOut)] {
        for v6 in [false, true] {
            let lab = Lab::builder().build()?;
            let (client, server) = (lab.client(1), lab.server(1));
            let app = AppServer::start(server, PORT)?;
            let service = services(server)[usize::from(v6)];
            let mut daemon = Daemon::start(server, config(&lab, &format!("fail = '{fail}'")))?;
            app.answers("200 1.5")?;
            let attempt = thread::scope(|scope| {
                let attempt = scope.spawn(|| client.connect(None, service, Duration::from_secs(5)));
                wait_for_guard(&daemon, |guard| guard["held"] == 1)?;
                daemon.kill9()?;
                attempt.join().map_err(|_| anyhow::anyhow!("the client panicked"))?
            })?;
            assert_eq!(attempt, expected, "{fail}");
            // While nobody decides, everybody meets the same rule at once.
            let begin = Instant::now();
            assert_eq!(client.connect(None, service, Duration::from_millis(900))?, expected, "{fail}");
            assert!(fail == "closed" || begin.elapsed() < Duration::from_millis(300));
            app.answers("200")?;
            daemon.launch()?;
            assert_eq!(timed(client, service)?.0, Attempt::Connected);
            assert_eq!(guard(&daemon)?["admitted"], 1);
        }
    }
    Ok(())
}

// proves: D-4 D-5
#[test]
fn a_thousand_connections_beside_an_open_one_are_not_checked_and_the_next_after_all_is() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    let mut runs = 0;
    for service in services(server) {
        app.answers("200")?;
        let mut first = open(client, service)?;
        runs += 1;
        wait_for_guard(&daemon, |guard| guard["open"] == 1 && guard["runs"] == runs)?;
        // It would be found sick if anybody looked.
        app.answers("503")?;
        let mut kept = Vec::new();
        for number in 0..500 {
            assert_eq!(other.connect(None, service, LIMIT)?, Attempt::Connected, "{number}");
            if number % 50 == 0 {
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

// proves: D-1 D-2
#[test]
fn after_the_handshake_a_sick_server_ends_the_connection_by_reset_or_fin() -> Result<()> {
    for end in ["reset", "fin"] {
        for v6 in [false, true] {
            let lab = Lab::builder().build()?;
            let (client, server) = (lab.client(1), lab.server(1));
            let app = AppServer::start(server, PORT)?;
            let service = services(server)[usize::from(v6)];
            let lines = format!("mode = 'after'\nend = '{end}'");
            let daemon = Daemon::start(server, config(&lab, &lines).address(client.v6(), MAIL))?;
            let mut well = open(client, service)?;
            wait_for_guard(&daemon, |guard| guard["open"] == 1 && guard["runs"] == 1)?;
            request(&mut well)?;
            drop(well);
            wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
            app.answers("503")?;
            for attempts in 1..=2 {
                let mut sick = open(client, service)?;
                match sick.read(&mut [0; 1]) {
                    Ok(0) => assert_eq!(end, "fin"),
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => assert_eq!(end, "reset"),
                    other => panic!("{end}: {other:?}"),
                }
                let waiting = daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting[0]["attempts"] == attempts)?;
                assert_eq!(waiting.as_array().map(Vec::len), Some(1), "{waiting:#}");
            }
            let status = daemon.status()?;
            assert_eq!(status["outages"][0]["evidence"], "sick", "{status:#}");
            app.answers("200")?;
            ended_by(&daemon, "probe")?;
            told(&daemon, 1)?;
            let mut well = open(client, service)?;
            request(&mut well)?;
        }
    }
    Ok(())
}

// proves: D-2 D-4
#[test]
fn after_mode_does_not_disturb_connections_that_were_checked() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, "mode = 'after'"))?;
    let service = server.service_v4(PORT);
    let mut first = open(client, service)?;
    wait_for_guard(&daemon, |guard| guard["open"] == 1 && guard["runs"] == 1)?;
    app.answers("503")?;
    let mut second = open(other, service)?;
    request(&mut second)?;
    request(&mut first)?;
    let now = wait_for_guard(&daemon, |guard| guard["open"] == 2)?;
    assert_eq!((&now["runs"], &now["refused"]), (&Value::from(1), &Value::from(0)), "{now:#}");
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
