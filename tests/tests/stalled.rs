//! Established connections whose server falls silent (F-5).

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Lab};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(15);

/// Longer than the retransmissions that a short loss takes, shorter than a test's patience.
const STALLED_AFTER: Duration = Duration::from_secs(2);

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "2s").set("watch.established", "true")
}

/// A server that says everything back, until the client hangs up.
fn serve(lab: &Lab, service: SocketAddr) -> Result<()> {
    let listener = lab.server(1).enter(|| TcpListener::bind(service))??;
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            thread::spawn(move || {
                let mut buffer = [0; 512];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..length]);
                }
            });
        }
    });
    Ok(())
}

fn connect(lab: &Lab, client: usize, service: SocketAddr) -> Result<TcpStream> {
    let stream = lab.client(client).enter(|| TcpStream::connect_timeout(&service, LIMIT))??;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn say(stream: &mut TcpStream, word: &[u8]) -> Result<()> {
    stream.write_all(word)?;
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, word);
    Ok(())
}

fn waits(daemon: &Daemon<'_>, count: u64) -> Result<()> {
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == count)?;
    Ok(())
}

// proves: F-5a F-12
#[test]
fn a_client_with_an_open_connection_waits_when_its_server_dies_and_nobody_else_tries() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().clients(2).build()?;
        let server = lab.server(1);
        let service = if v6 { server.service_v6(7) } else { server.service_v4(7) };
        serve(&lab, service)?;
        let daemon = Daemon::start(lab.gateway(), config())?;
        let (mut talking, mut idle) = (connect(&lab, 1, service)?, connect(&lab, 2, service)?);
        say(&mut talking, b"hello")?;
        say(&mut idle, b"hello")?;
        server.fall_silent()?;
        talking.write_all(b"are you there?")?;
        waits(&daemon, 1)?;
        let lines = daemon.json(&["waiting"])?;
        assert_eq!(lines[0]["evidence"], "stalled", "{lines:#}");
        // The acknowledgement of what was sent again is the recovery.
        server.speak_again()?;
        daemon.wait_for(&["outages", "--all"], LIMIT, |lines| lines[0]["ended_by"] == "answered")?;
        say(&mut idle, b"still here")?;
    }
    Ok(())
}

// proves: F-5a
#[test]
fn idle_connections_and_a_process_that_is_stopped_are_no_failure() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(7);
    let script = "import socket\ns=socket.create_server(('', 7))\nwhile True:\n c,_=s.accept()\n while d:=c.recv(512): c.sendall(d)\n";
    let mut python = server.command("python3");
    let echo = server.spawn("echo", python.args(["-c", script]))?;
    lab::wait_until("the server answers", LIMIT, || {
        matches!(client.connect(None, service, LIMIT), Ok(Attempt::Connected))
    })?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    let mut stream = connect(&lab, 1, service)?;
    say(&mut stream, b"hello")?;
    thread::sleep(STALLED_AFTER + Duration::from_millis(500));
    // Its kernel still acknowledges what the process does not read.
    echo.signal(Signal::SIGSTOP)?;
    stream.write_all(b"are you there?")?;
    thread::sleep(STALLED_AFTER + Duration::from_millis(500));
    assert_eq!(daemon.status()?["waiting_clients"], 0);
    echo.signal(Signal::SIGCONT)?;
    Ok(())
}

// proves: F-5a
#[test]
fn data_that_is_acknowledged_when_it_is_sent_again_is_no_failure() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let service = server.service_v4(7);
    serve(&lab, service)?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    let mut stream = connect(&lab, 1, service)?;
    for _ in 0..4 {
        server.fall_silent()?;
        stream.write_all(b"hello")?;
        thread::sleep(Duration::from_millis(500));
        server.speak_again()?;
        stream.read_exact(&mut [0; 5])?;
    }
    thread::sleep(STALLED_AFTER + Duration::from_millis(500));
    let status = daemon.status()?;
    assert_eq!(status["waiting_clients"], 0, "{status:#}");
    Ok(())
}

// proves: F-5a
#[test]
fn one_client_whose_way_is_broken_is_no_failure_of_a_server_that_answers_others() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let server = lab.server(1);
    let service = server.service_v4(7);
    serve(&lab, service)?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    let (mut cut_off, mut lucky) = (connect(&lab, 1, service)?, connect(&lab, 2, service)?);
    say(&mut cut_off, b"hello")?;
    server.ip(&[format!("route add blackhole {}/32", lab.client(1).v4())])?;
    cut_off.write_all(b"are you there?")?;
    for _ in 0..14 {
        say(&mut lucky, b"hello")?;
        thread::sleep(Duration::from_millis(250));
    }
    let status = daemon.status()?;
    assert_eq!(status["waiting_clients"], 0, "{status:#}");
    let isolated =
        status["counters"].as_array().and_then(|lines| lines.iter().find(|line| line["reason"] == "isolated"));
    assert!(isolated.is_some_and(|line| line["count"].as_u64() > Some(0)), "{status:#}");
    Ok(())
}
