//! Attempts that are too old when the service comes back: their clients are not told, also while they are still listed (F-8).

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, learn, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LIMIT: Duration = Duration::from_secs(20);

// proves: F-8a
#[test]
fn a_client_that_is_still_listed_and_whose_attempt_is_too_old_is_not_told() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("notify.max_age", "4s")
        .address(lab.client(1).v4(), "old@example.test")
        .address(lab.client(2).v4(), "young@example.test");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let nginx = HttpServer::start(server, 80)?;
    learn(&daemon, lab.client(3), service)?;
    drop(nginx);
    ensure!(lab.client(1).connect(None, service, LIMIT)? == Attempt::Refused, "nobody listens");
    thread::sleep(Duration::from_millis(2500));
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Refused, "nobody listens");
    let both = daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(|lines| lines.len() == 2));
    ensure!(both.is_ok(), "both are listed when the daemon stops\n{}", daemon.log());
    // Nothing is purged while the daemon sleeps: at the recovery the first client is four seconds old and listed.
    let daemon_id = Pid::from_raw(i32::try_from(daemon.id()?)?);
    kill(daemon_id, Signal::SIGSTOP)?;
    thread::sleep(Duration::from_millis(2000));
    let _nginx = HttpServer::start(server, 80)?;
    ensure!(lab.client(3).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    kill(daemon_id, Signal::SIGCONT)?;
    let maildir = daemon.maildir();
    wait_until("somebody is told", LIMIT, || maildir.mails().is_ok_and(|mails| !mails.is_empty()))?;
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(Vec::is_empty))?;
    let told: Vec<_> = maildir.mails()?.iter().filter_map(lab::Mail::to).collect();
    ensure!(told == ["young@example.test"], "{told:?}");
    Ok(())
}
