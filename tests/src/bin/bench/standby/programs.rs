//! The programs that are compared, one on each host: started, killed and signalled in the same way.

use std::{fs, net::IpAddr, path::PathBuf};

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, Process, Ways, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{ADVERT_INT, BEAT, LIMIT};

/// What runs on every host; hosts by number, from 1.
pub(super) trait Program {
    fn kill(&mut self, host: u8) -> Result<()>;
    fn start_again(&mut self, host: u8) -> Result<()>;
    fn signal(&self, host: u8, signal: Signal) -> Result<()>;
}

pub(super) struct Ringback<'lab>(Vec<Daemon<'lab>>);

impl<'lab> Ringback<'lab> {
    pub(super) fn start(cluster: &'lab Cluster, ways: Ways, address: IpAddr) -> Result<Self> {
        let start = |number: u8| {
            let config = cluster.config(number, ways, "")?;
            let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
            let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['{address}']\npriority = {number}");
            Daemon::start(cluster.host(number), config.table(&group))
        };
        Ok(Self(cluster.numbers().map(start).collect::<Result<_>>()?))
    }
}

impl Program for Ringback<'_> {
    fn kill(&mut self, host: u8) -> Result<()> {
        self.0[index(host)].kill9()
    }

    fn start_again(&mut self, host: u8) -> Result<()> {
        self.0[index(host)].launch()
    }

    fn signal(&self, host: u8, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.0[index(host)].id()?.cast_signed()), signal)?)
    }
}

/// keepalived is a process that watches another, which speaks VRRP.
pub(super) struct Keepalived<'lab> {
    cluster: &'lab Cluster,
    address: IpAddr,
    processes: Vec<Process>,
}

impl<'lab> Keepalived<'lab> {
    pub(super) fn start(cluster: &'lab Cluster, address: IpAddr) -> Result<Self> {
        let processes = cluster.numbers().map(|host| launch(cluster, address, host)).collect::<Result<_>>()?;
        Ok(Self { cluster, address, processes })
    }

    fn pid_file(&self, host: u8) -> PathBuf {
        self.cluster.host(host).folder().join("vrrp.pid")
    }

    /// The process that speaks VRRP.
    fn speaker(&self, host: u8) -> Result<Pid> {
        let text = fs::read_to_string(self.pid_file(host)).context("keepalived has written no vrrp.pid")?;
        Ok(Pid::from_raw(text.trim().parse().context("vrrp.pid has no number")?))
    }
}

fn launch(cluster: &Cluster, address: IpAddr, number: u8) -> Result<Process> {
    let host = cluster.host(number);
    let at = |name: &str| host.folder().join(name).display().to_string();
    // In IPv6 the first address is link-local (RFC 5798 section 5.2.9).
    let addresses = match address {
        IpAddr::V4(address) => format!("{address}/24"),
        IpAddr::V6(address) => format!("fe80::50/64\n  {address}/64"),
    };
    let config = format!(
        "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance web {{\n state BACKUP\n nopreempt\n interface eth0\n \
         virtual_router_id 50\n priority {}\n advert_int {ADVERT_INT}\n virtual_ipaddress {{\n  {addresses}\n }}\n}}\n",
        101 - u32::from(number)
    );
    fs::write(at("keepalived.conf"), config)?;
    let mut command = host.command("keepalived");
    command.args(["--dont-fork", "--vrrp", "--log-console", "--use-file", &at("keepalived.conf")]);
    command.args(["--pid", &at("keepalived.pid"), "--vrrp_pid", &at("vrrp.pid")]);
    host.spawn("keepalived", &mut command)
}

impl Program for Keepalived<'_> {
    fn kill(&mut self, host: u8) -> Result<()> {
        let speaker = self.speaker(host)?;
        // First, or the other would be told that its parent is gone and leave in order.
        kill(speaker, Signal::SIGKILL)?;
        self.processes[index(host)].kill()
    }

    fn start_again(&mut self, host: u8) -> Result<()> {
        fs::remove_file(self.pid_file(host))?;
        self.processes[index(host)] = launch(self.cluster, self.address, host)?;
        wait_until("keepalived runs", LIMIT, || self.speaker(host).is_ok())
    }

    fn signal(&self, host: u8, signal: Signal) -> Result<()> {
        self.processes[index(host)].signal(signal)?;
        Ok(kill(self.speaker(host)?, signal)?)
    }
}

fn index(host: u8) -> usize {
    usize::from(host) - 1
}
