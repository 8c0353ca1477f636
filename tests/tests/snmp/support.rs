//! Outages, net-snmp's programs, and what the daemon makes of them.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Process};
use nix::sys::signal::Signal;
use serde_json::Value;

pub(crate) const LIMIT: Duration = Duration::from_secs(15);
pub(crate) const COLD_START: &str = "1.3.6.1.6.3.1.1.5.1";

pub(crate) fn config() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("recovery.trap_listen", "0.0.0.0:162")
        .set("recovery.communities", "['s3cret']")
}

/// An outage of the server's port 80, seen from client1.
pub(crate) fn fail(daemon: &Daemon<'_>, lab: &Lab) -> Result<()> {
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

pub(crate) fn gateway_of(server: &Host) -> Result<String> {
    let output = server.command("ip").args(["route", "show", "default"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().nth(2).context("the server has no default route")?.to_owned())
}

pub(crate) fn snmp(server: &Host, program: &str, args: &[&str]) -> Result<bool> {
    // Programs that run at the same time must not share the file where net-snmp counts its boots.
    let state = server.folder().join("snmp-state");
    let output = server.command(program).env("MIBS", "").env("SNMP_PERSISTENT_DIR", state).args(args).output()?;
    if !output.status.success() {
        eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.status.success())
}

pub(crate) fn counted(daemon: &Daemon<'_>, reason: &str, count: u64) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| {
        status["snmp"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["reason"] == reason && line["count"] == count))
    })
}

/// What this status says of one reason.
pub(crate) fn count_of(status: &Value, reason: &str) -> u64 {
    let lines = status["snmp"].as_array().into_iter().flatten();
    lines.filter(|line| line["reason"] == reason).find_map(|line| line["count"].as_u64()).unwrap_or(0)
}

pub(crate) fn ended_by_trap(daemon: &Daemon<'_>, outages: usize) -> Result<()> {
    daemon.wait_for(&["outages", "--all"], LIMIT, |lines| {
        lines
            .as_array()
            .is_some_and(|lines| lines.len() == outages && lines.iter().all(|line| line["ended_by"] == "trap"))
    })?;
    Ok(())
}

/// The real snmpd.
pub(crate) struct Agent {
    folder: PathBuf,
}

impl Agent {
    pub(crate) fn configured(server: &Host, conf: &str) -> Result<Self> {
        let folder = server.folder().join("snmp");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("snmpd.conf"), format!("agentAddress udp:127.0.0.1:161\n{conf}"))?;
        Ok(Self { folder })
    }

    pub(crate) fn start(&self, server: &Host) -> Result<Process> {
        let mut command = server.command("snmpd");
        command
            .env("MIBS", "")
            // It rewrites a configuration that lies there.
            .env("SNMP_PERSISTENT_DIR", self.folder.join("state"))
            .args(["-f", "-Lo", "-C", "-c"])
            .arg(self.folder.join("snmpd.conf"));
        server.spawn("snmpd", &mut command)
    }
}

pub(crate) fn stop(mut agent: Process) -> Result<()> {
    agent.signal(Signal::SIGTERM)?;
    agent.wait_for_end(LIMIT)?;
    Ok(())
}
