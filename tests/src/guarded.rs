//! A guarded server: the small Python server behind a guard, and what clients and the daemon say of it.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{Attempt, Daemon, DaemonConfig, Host, Lab, wait_until};

/// More than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(15);
/// Who is told.
pub const MAIL: &str = "sato@example.test";
/// The guarded port.
pub const PORT: u16 = 8080;

/// Shorter than the second after which a client repeats its SYN.
pub const ONE_HANDSHAKE: Duration = Duration::from_millis(900);

/// A guard of the Python server with these lines.
#[must_use]
pub fn config(lab: &Lab, lines: &str) -> DaemonConfig {
    let health = format!("[[guard.check]]\nhttp = '127.0.0.1:{PORT}/health'\nlimit = '5s'");
    DaemonConfig::new()
        .address(lab.client(1).v4(), MAIL)
        .table(&format!("[[guard]]\nport = {PORT}\n{}{lines}\n{health}", probing(lines)))
}

/// Short pauses, unless the lines have others.
fn probing(lines: &str) -> &'static str {
    if lines.contains("probe") { "" } else { "probe = '200ms'\nprobe_max = '400ms'\n" }
}

/// By IPv4 and by IPv6.
#[must_use]
pub fn services(server: &Host) -> [SocketAddr; 2] {
    [server.service_v4(PORT), server.service_v6(PORT)]
}

/// The one guard.
pub fn guard(daemon: &Daemon<'_>) -> Result<Value> {
    Ok(daemon.json(&["guard"])?[0].clone())
}

/// Waits until the guard is like this.
pub fn wait_for_guard(daemon: &Daemon<'_>, condition: impl Fn(&Value) -> bool) -> Result<Value> {
    Ok(daemon.wait_for(&["guard"], LIMIT, |guards| condition(&guards[0]))?[0].clone())
}

/// A connection that stays open.
pub fn open(client: &Host, service: SocketAddr) -> Result<TcpStream> {
    let stream = client.enter(|| TcpStream::connect_timeout(&service, LIMIT))?.context("no connection")?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// One request on an open connection; what the server answers.
pub fn request(stream: &mut TcpStream) -> Result<String> {
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
pub fn timed(client: &Host, service: SocketAddr) -> Result<(Attempt, Duration)> {
    let begin = Instant::now();
    let attempt = client.connect(None, service, LIMIT)?;
    Ok((attempt, begin.elapsed()))
}

/// Waits until every outage has ended like this.
pub fn ended_by(daemon: &Daemon<'_>, evidence: &str) -> Result<Value> {
    daemon.wait_for(&["outages", "--all"], LIMIT, |outages| {
        outages
            .as_array()
            .is_some_and(|lines| !lines.is_empty() && lines.iter().all(|line| line["ended_by"] == evidence))
    })
}

/// Waits for the mails, and finds as many as wanted.
///
/// # Panics
///
/// With more, or to others.
pub fn told(daemon: &Daemon<'_>, count: usize) -> Result<()> {
    let maildir = daemon.maildir();
    wait_until("the mails are written", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
    assert!(maildir.mails()?.iter().all(|mail| mail.to().as_deref() == Some(MAIL)));
    assert_eq!(maildir.mails()?.len(), count);
    Ok(())
}
