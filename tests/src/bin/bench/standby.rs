//! The gap in service when the active host of two loses its link, as a client sees it that connects every 10 ms: Ringback
//! and keepalived (VRRP version 3) at the same beat, in the same lab, in turns.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cluster, Daemon, Knocking, Process, Ways, wait_until};

use crate::report::median;

/// Take-overs of each; `RINGBACK_TAKE_OVERS` changes it.
const TAKE_OVERS: usize = 50;

/// The beat of both. Ringback: gone after three; VRRP: three and a skew of up to one (RFC 5798 section 6.1).
const BEAT: &str = "50ms";
const ADVERT_INT: &str = "0.05";

const SHARED: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 50);

const LIMIT: Duration = Duration::from_secs(10);

/// After a take-over: everything repeated is said, and the host that returned is heard.
const CALM: Duration = Duration::from_millis(1500);

pub(crate) fn run() -> Result<()> {
    let count = env::var("RINGBACK_TAKE_OVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(TAKE_OVERS);
    println!("\ngap in service when the active host's link goes down, beat {BEAT}, {count} take-overs each");
    println!("{:<38} {:>12} {:>12}", "", "median ms", "worst ms");
    say("Ringback", ringback(count)?);
    say("keepalived", keepalived(count)?);
    Ok(())
}

fn say(name: &str, gaps: Vec<f64>) {
    let worst = gaps.iter().copied().fold(0.0, f64::max);
    println!("{name:<38} {:>12.0} {worst:>12.0}", median(gaps));
}

fn ringback(count: usize) -> Result<Vec<f64>> {
    let cluster = Cluster::new(2)?.share(&[SHARED.into()])?;
    let start = |number: u8| {
        let config = cluster.config(number, Ways::Front, "")?;
        let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
        let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['{SHARED}']\npriority = {number}");
        Daemon::start(cluster.host(number), config.table(&group))
    };
    let _daemons = [start(1)?, start(2)?];
    take_overs(&cluster, count)
}

fn keepalived(count: usize) -> Result<Vec<f64>> {
    // It gives the address to the active host and takes it away itself.
    let cluster = Cluster::new(2)?.share(&[])?;
    let start = |number: u8| {
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
    };
    let _processes: [Process; 2] = [start(1)?, start(2)?];
    take_overs(&cluster, count)
}

/// Milliseconds without service, of each take-over.
fn take_overs(cluster: &Cluster, count: usize) -> Result<Vec<f64>> {
    let knocking = Knocking::start(cluster.client(), IpAddr::V4(SHARED))?;
    wait_until("the service answers", LIMIT, || knocking.latest().is_some())?;
    thread::sleep(CALM);
    let mut gaps = Vec::with_capacity(count);
    for done in 0..count {
        let active = knocking.latest().context("nobody answers")?;
        let number = if active == cluster.host(1).name() { 1 } else { 2 };
        let next = cluster.host(3 - number).name();
        // Not always at the same place of a beat.
        thread::sleep(Duration::from_millis((done as u64 * 7) % 50));
        let begin = Instant::now();
        cluster.host(number).link_down()?;
        wait_until("the other host answers", LIMIT, || knocking.latest().as_deref() == Some(next))?;
        gaps.push(knocking.gap(begin)?.as_secs_f64() * 1e3);
        cluster.host(number).link_up()?;
        thread::sleep(CALM);
        eprint!("\rstandby: take-over {} of {count}", done + 1);
    }
    eprintln!();
    Ok(gaps)
}
