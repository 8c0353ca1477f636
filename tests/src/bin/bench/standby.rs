//! The gap in service when the active host of two fails, as a client sees it that connects every 10 ms: Ringback and
//! keepalived (VRRP version 3) at the same beat, in the same lab, in turns; by kind of fault.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, Knocking, Process, Ways, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::report::median;

/// Take-overs of each kind and program; `RINGBACK_TAKE_OVERS` changes it.
const TAKE_OVERS: usize = 50;

/// The beat of both. Ringback: gone after three; VRRP: three and a skew of up to one (RFC 5798 section 6.1).
const BEAT: &str = "50ms";
const ADVERT_INT: &str = "0.05";

const SHARED: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 50);

const LIMIT: Duration = Duration::from_secs(10);

/// After a take-over: everything repeated is said, and the host that returned is heard.
const CALM: Duration = Duration::from_millis(1500);

/// What happens to the active host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Its link goes down, as when its power fails.
    Link,
    /// Its program is killed.
    Kill,
    /// Its program hangs.
    Hang,
}

const FAULTS: [(&str, Fault); 3] =
    [("the link goes down", Fault::Link), ("kill -9", Fault::Kill), ("SIGSTOP", Fault::Hang)];

/// The programs of the two hosts, by number from 0.
trait Pair {
    fn kill(&mut self, host: usize) -> Result<()>;
    fn start_again(&mut self, host: usize) -> Result<()>;
    fn signal(&self, host: usize, signal: Signal) -> Result<()>;
}

pub(crate) fn run() -> Result<()> {
    let count = env::var("RINGBACK_TAKE_OVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(TAKE_OVERS);
    println!("\ngap in service when the active host fails, ms; beat {BEAT}, {count} take-overs each");
    println!("{:<24} {:>10} {:>8} {:>14} {:>8}", "fault", "Ringback", "worst", "keepalived", "worst");
    for (name, fault) in FAULTS {
        let ringback = {
            let cluster = Cluster::new(2)?.share(&[SHARED.into()])?;
            take_overs(&cluster, &mut Ringback::start(&cluster)?, fault, count)?
        };
        let keepalived = {
            // It gives the address to the active host and takes it away itself.
            let cluster = Cluster::new(2)?.share(&[])?;
            take_overs(&cluster, &mut Keepalived::start(&cluster)?, fault, count)?
        };
        let worst = |gaps: &[f64]| gaps.iter().copied().fold(0.0, f64::max);
        let (worst_ringback, worst_keepalived) = (worst(&ringback), worst(&keepalived));
        println!(
            "{name:<24} {:>10.0} {worst_ringback:>8.0} {:>14.0} {worst_keepalived:>8.0}",
            median(ringback),
            median(keepalived)
        );
    }
    Ok(())
}

/// Milliseconds without service, of each take-over.
fn take_overs(cluster: &Cluster, pair: &mut impl Pair, fault: Fault, count: usize) -> Result<Vec<f64>> {
    let knocking = Knocking::start(cluster.client(), IpAddr::V4(SHARED))?;
    wait_until("the service answers", LIMIT, || knocking.latest().is_some())?;
    thread::sleep(CALM);
    let mut gaps = Vec::with_capacity(count);
    for done in 0..count {
        let active = usize::from(knocking.latest().context("nobody answers")? != cluster.host(1).name());
        let number = active as u8 + 1;
        let next = cluster.host(3 - number).name();
        // Not always at the same place of a beat.
        thread::sleep(Duration::from_millis((done as u64 * 7) % 50));
        let begin = Instant::now();
        match fault {
            Fault::Link => cluster.host(number).link_down()?,
            Fault::Kill => pair.kill(active)?,
            Fault::Hang => pair.signal(active, Signal::SIGSTOP)?,
        }
        wait_until("the other host answers", LIMIT, || knocking.latest().as_deref() == Some(next))?;
        gaps.push(knocking.gap(begin)?.as_secs_f64() * 1e3);
        match fault {
            Fault::Link => cluster.host(number).link_up()?,
            Fault::Kill => pair.start_again(active)?,
            Fault::Hang => pair.signal(active, Signal::SIGCONT)?,
        }
        thread::sleep(CALM);
        eprint!("\rstandby: {fault:?}, take-over {} of {count}", done + 1);
    }
    eprintln!();
    Ok(gaps)
}

struct Ringback<'lab>([Daemon<'lab>; 2]);

impl<'lab> Ringback<'lab> {
    fn start(cluster: &'lab Cluster) -> Result<Self> {
        let start = |number: u8| {
            let config = cluster.config(number, Ways::Front, "")?;
            let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
            let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['{SHARED}']\npriority = {number}");
            Daemon::start(cluster.host(number), config.table(&group))
        };
        Ok(Self([start(1)?, start(2)?]))
    }
}

impl Pair for Ringback<'_> {
    fn kill(&mut self, host: usize) -> Result<()> {
        self.0[host].kill9()
    }

    fn start_again(&mut self, host: usize) -> Result<()> {
        self.0[host].launch()
    }

    fn signal(&self, host: usize, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.0[host].id()?.cast_signed()), signal)?)
    }
}

/// keepalived is a process that watches another, which speaks VRRP.
struct Keepalived<'lab> {
    cluster: &'lab Cluster,
    processes: [Process; 2],
}

impl<'lab> Keepalived<'lab> {
    fn start(cluster: &'lab Cluster) -> Result<Self> {
        Ok(Self { cluster, processes: [Self::launch(cluster, 1)?, Self::launch(cluster, 2)?] })
    }

    fn launch(cluster: &Cluster, number: u8) -> Result<Process> {
        let host = cluster.host(number);
        let at = |name: &str| host.folder().join(name).display().to_string();
        let config = format!(
            "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance web {{\n state BACKUP\n nopreempt\n interface eth0\n \
             virtual_router_id 50\n priority {}\n advert_int {ADVERT_INT}\n virtual_ipaddress {{\n  {SHARED}/24\n }}\n}}\n",
            101 - u32::from(number)
        );
        fs::write(at("keepalived.conf"), config)?;
        let mut command = host.command("keepalived");
        command.args(["--dont-fork", "--vrrp", "--log-console", "--use-file", &at("keepalived.conf")]);
        command.args(["--pid", &at("keepalived.pid"), "--vrrp_pid", &at("vrrp.pid")]);
        host.spawn("keepalived", &mut command)
    }

    fn pid_file(&self, host: usize) -> PathBuf {
        self.cluster.host(host as u8 + 1).folder().join("vrrp.pid")
    }

    /// The process that speaks VRRP.
    fn speaker(&self, host: usize) -> Result<Pid> {
        let text = fs::read_to_string(self.pid_file(host)).context("keepalived has written no vrrp.pid")?;
        Ok(Pid::from_raw(text.trim().parse().context("vrrp.pid has no number")?))
    }
}

impl Pair for Keepalived<'_> {
    fn kill(&mut self, host: usize) -> Result<()> {
        let speaker = self.speaker(host)?;
        // First, or the other would be told that its parent is gone and leave in order.
        kill(speaker, Signal::SIGKILL)?;
        self.processes[host].kill()
    }

    fn start_again(&mut self, host: usize) -> Result<()> {
        fs::remove_file(self.pid_file(host))?;
        self.processes[host] = Self::launch(self.cluster, host as u8 + 1)?;
        wait_until("keepalived runs", LIMIT, || self.speaker(host).is_ok())
    }

    fn signal(&self, host: usize, signal: Signal) -> Result<()> {
        self.processes[host].signal(signal)?;
        Ok(kill(self.speaker(host)?, signal)?)
    }
}
