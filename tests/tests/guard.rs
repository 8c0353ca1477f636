//! A client's connection makes the server check itself before it answers (D-1, D-3): real servers, real clients, the daemon
//! on the server's own host.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{
    AppServer, Attempt, Daemon, DaemonConfig, HttpServer, Lab,
    guarded::{LIMIT, MAIL, ONE_HANDSHAKE, PORT, config, ended_by, guard, services, timed, told, wait_for_guard},
};
use serde_json::Value;

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
    let daemon = Daemon::start(server, config(&lab, "").text("watch.hook", "generic"))?;
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

// proves: D-1 D-3 F-14 F-15a
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

// proves: D-1 D-3 F-15a
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
    let nginx = HttpServer::start(server, 80)?;
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
    // The kernel accepts for it, nothing answers: a client would wait for its own time-out.
    nginx.hang()?;
    let (attempt, took) = timed(client, server.service_v6(80))?;
    assert_eq!(attempt, Attempt::Refused);
    assert!(took > Duration::from_millis(990) && took < Duration::from_millis(1900), "the check's limit: {took:?}");
    let reason = guard(&daemon)?["reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.contains("no result within 1s")), "{reason}");
    nginx.go_on()?;
    let page = client.fetch(server.service_v6(80), LIMIT)?;
    assert!(page.succeeded() && page.body.contains("this is server1"), "{page:?}");
    wait_for_guard(&daemon, |guard| guard["open"] == 0)?;
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

/// Guards stay in force until a restart, and so does what they need.
// proves: D-1
#[test]
fn a_reload_without_guards_leaves_the_running_ones_in_force() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let daemon = Daemon::start(server, config(&lab, ""))?;
    daemon.write_config(DaemonConfig::new())?;
    daemon.sighup()?;
    thread::sleep(Duration::from_secs(2));
    assert_eq!(daemon.status()?["interfaces"][0]["ingress"], "native");
    app.answers("503")?;
    assert_eq!(timed(client, server.service_v4(PORT))?.0, Attempt::Refused);
    // TC cannot hold what arrives: the old configuration stays.
    daemon.write_config(DaemonConfig::new().text("watch.hook", "tc"))?;
    daemon.sighup()?;
    lab::wait_until("it is refused", LIMIT, || {
        daemon.log().contains("guards that are in force until a restart need XDP")
    })?;
    assert_eq!(timed(client, server.service_v4(PORT))?.0, Attempt::Refused);
    Ok(())
}
