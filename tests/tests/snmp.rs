//! Traps and informs of the real net-snmp end the outages of their sender (F-10).

use std::{fs, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Process, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const COLD_START: &str = "1.3.6.1.6.3.1.1.5.1";

fn config() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("recovery.trap_listen", "0.0.0.0:162")
        .set("recovery.communities", "['s3cret']")
}

/// An outage of the server's port 80, seen from client1.
fn fail(daemon: &Daemon<'_>, lab: &Lab) -> Result<()> {
    let (client, server) = (lab.client(1), lab.server(1));
    let service: SocketAddr = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    Ok(())
}

fn gateway_of(server: &Host) -> Result<String> {
    let output = server.command("ip").args(["route", "show", "default"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().nth(2).context("the server has no default route")?.to_owned())
}

fn snmp(server: &Host, program: &str, args: &[&str]) -> Result<bool> {
    let output = server.command(program).env("MIBS", "").args(args).output()?;
    Ok(output.status.success())
}

fn counted(daemon: &Daemon<'_>, reason: &str, count: u64) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["snmp"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["reason"] == reason && line["count"] == count))
    })
}

fn ended_by_trap(daemon: &Daemon<'_>, outages: usize) -> Result<()> {
    daemon.wait_for(&["outages", "--all"], LIMIT, |lines| {
        lines
            .as_array()
            .is_some_and(|lines| lines.len() == outages && lines.iter().all(|line| line["ended_by"] == "trap"))
    })?;
    Ok(())
}

// proves: F-10
#[test]
fn traps_and_informs_of_each_version_end_the_outages_of_their_sender() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    let sent: [(&str, &[&str]); 3] = [
        ("snmptrap", &["-v", "1", "-c", "s3cret", &to, "", "", "0", "0", ""]),
        ("snmptrap", &["-v", "2c", "-c", "s3cret", &to, "", COLD_START]),
        ("snmpinform", &["-v", "2c", "-c", "s3cret", "-t", "2", "-r", "1", &to, "", COLD_START]),
    ];
    for (index, (program, args)) in sent.into_iter().enumerate() {
        fail(&daemon, &lab)?;
        assert!(snmp(server, program, args)?, "{program} {args:?}");
        ended_by_trap(&daemon, index + 1)?;
    }
    counted(&daemon, "acknowledged", 1)?;
    Ok(())
}

// proves: F-10
#[test]
fn a_wrong_community_another_meaning_and_another_sender_end_nothing() -> Result<()> {
    let lab = Lab::builder().servers(2).build()?;
    let (server, other) = (lab.server(1), lab.server(2));
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    fail(&daemon, &lab)?;
    assert!(snmp(server, "snmptrap", &["-v", "2c", "-c", "public", &to, "", COLD_START])?);
    counted(&daemon, "bad_community", 1)?;
    // authenticationFailure, and net-snmp's own word that it goes down.
    for oid in ["1.3.6.1.6.3.1.1.5.5", "1.3.6.1.4.1.8072.4.0.2"] {
        assert!(snmp(server, "snmptrap", &["-v", "2c", "-c", "s3cret", &to, "", oid])?);
    }
    counted(&daemon, "not_recovery", 2)?;
    // Another server that claims to speak for this one is not a configured proxy.
    let claim = server.v4().to_string();
    let args = ["-v", "2c", "-c", "s3cret", &gateway_of(other)?, "", COLD_START, "1.3.6.1.6.3.18.1.3.0", "a", &claim];
    assert!(snmp(other, "snmptrap", &args)?);
    counted(&daemon, "recoveries", 1)?;
    let mut noise = lab.gateway().command("nc");
    noise.args(["-u", "-w", "1", "127.0.0.1", "162"]).stdin(fs::File::open(daemon.config_file())?);
    noise.output()?;
    counted(&daemon, "malformed", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    Ok(())
}

// proves: F-10
#[test]
fn an_agent_that_stops_is_no_recovery_and_one_that_starts_is() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    let folder = server.folder().join("snmp");
    fs::create_dir_all(&folder)?;
    let conf = folder.join("snmpd.conf");
    fs::write(&conf, format!("agentAddress udp:127.0.0.1:161\nrocommunity s3cret\ntrap2sink {to} s3cret\n"))?;
    let start = || -> Result<Process> {
        let mut command = server.command("snmpd");
        command
            .env("MIBS", "")
            .env("SNMP_PERSISTENT_DIR", folder.join("state"))
            .args(["-f", "-Lo", "-C", "-c"])
            .arg(&conf);
        server.spawn("snmpd", &mut command)
    };
    let mut agent = start()?;
    counted(&daemon, "recoveries", 1)?;
    fail(&daemon, &lab)?;
    agent.signal(nix::sys::signal::Signal::SIGTERM)?;
    agent.wait_for_end(LIMIT)?;
    counted(&daemon, "not_recovery", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    let agent = start()?;
    counted(&daemon, "recoveries", 2).with_context(|| agent.output())?;
    ended_by_trap(&daemon, 1)
}

// proves: F-10
#[test]
fn an_inform_is_acknowledged_only_by_a_daemon_that_has_committed_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let mut daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    fail(&daemon, &lab)?;
    let inform = ["-v", "2c", "-c", "s3cret", "-t", "1", "-r", "0", &to, "", COLD_START];
    // The database is locked by somebody else for longer than the sender waits: nothing can be committed.
    let mut python = lab.gateway().command("python3");
    let script = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1],isolation_level=None); d.execute('begin immediate'); print('locked',flush=True); sys.stdin.read()";
    python.args(["-c", script]).arg(daemon.state_dir().join("ringback.db")).stdin(std::process::Stdio::piped());
    let mut lock = python.stdout(std::process::Stdio::piped()).spawn()?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(lock.stdout.take().context("its output")?), &mut line)?;
    assert_eq!(line.trim(), "locked");
    assert!(!snmp(server, "snmpinform", &inform)?, "acknowledged before the commit");
    drop(lock.stdin.take());
    lock.wait()?;
    wait_until("the inform is acknowledged", LIMIT, || snmp(server, "snmpinform", &inform).unwrap_or(false))?;
    ended_by_trap(&daemon, 1)?;
    daemon.sigterm()?;
    Ok(())
}
