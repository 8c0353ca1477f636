//! The connection first, then the check (D-2).

use std::{
    io::{ErrorKind, Read as _},
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{
    AppServer, Daemon, Lab,
    guarded::{LIMIT, MAIL, PORT, config, ended_by, open, request, services, told, wait_for_guard},
};
use serde_json::Value;

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

// proves: D-2
#[test]
fn after_mode_with_a_dead_daemon_withholds_and_ends_nothing_and_the_next_daemon_checks_again() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().clients(2).build()?;
        let (client, other, server) = (lab.client(1), lab.client(2), lab.server(1));
        let app = AppServer::start(server, PORT)?;
        let service = services(server)[usize::from(v6)];
        let mut daemon = Daemon::start(server, config(&lab, "mode = 'after'"))?;
        // Killed in the middle of the check of a connection that it would have ended.
        app.answers("503 1.5")?;
        let mut unchecked = open(client, service)?;
        wait_for_guard(&daemon, |guard| guard["checking"] == true)?;
        daemon.kill9()?;
        app.answers("503")?;
        request(&mut unchecked)?;
        let begin = Instant::now();
        let mut meanwhile = open(other, service)?;
        assert!(begin.elapsed() < Duration::from_millis(300), "{:?}", begin.elapsed());
        request(&mut meanwhile)?;
        // What was established then is left alone; what comes now is checked.
        daemon.launch()?;
        let mut sick = open(client, service)?;
        let ended = sick.read(&mut [0; 1]);
        assert!(ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{ended:?}");
        request(&mut unchecked)?;
        request(&mut meanwhile)?;
        assert_eq!(daemon.wait_for(&["guard"], LIMIT, |guards| guards[0]["health"] == "sick")?[0]["refused"], 1);
    }
    Ok(())
}
