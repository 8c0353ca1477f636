//! The gap in service when the active host fails and when it returns, as a client sees it that connects every 10 ms: Ringback
//! and keepalived (VRRP version 3) at the same beat, in the same lab, in turns; by kind of fault.
//!
//! In: a cluster of hosts with one of the [`programs`] on each. Out: a table of medians and worst cases.

mod programs;

use std::{
    env,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cluster, Knocking, Ways, wait_until};
use nix::sys::signal::Signal;

use self::programs::{Keepalived, Program, Ringback};
use crate::report::median;

/// Take-overs of each kind and program; `RINGBACK_TAKE_OVERS` changes it.
const TAKE_OVERS: usize = 50;
/// The same for what is compared with the first table.
const FEWER: usize = 20;

/// The beat of both. Ringback: gone after three; VRRP: three and a skew of up to one (RFC 5798 section 6.1).
const BEAT: &str = "50ms";
const ADVERT_INT: &str = "0.05";

const LIMIT: Duration = Duration::from_secs(20);

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
    /// One way of its heartbeats is cut; the client's is not. No take-over.
    OneWay,
    /// All ways are cut, the client's too: both hosts live.
    AllWays,
}

impl Fault {
    /// For the table: the fault, and what ends it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Link => ("the link goes down", "and comes up"),
            Self::Kill => ("kill -9", "and start"),
            Self::Hang => ("SIGSTOP", "and SIGCONT"),
            Self::OneWay => ("one of two ways is cut", "and heals"),
            Self::AllWays => ("all ways are cut", "and heal"),
        }
    }
}

/// What is measured.
struct Setting {
    hosts: u8,
    /// The shared address.
    address: IpAddr,
    ways: Ways,
    faults: &'static [Fault],
    take_overs: usize,
}

/// Two hosts and an IPv4 address.
pub(crate) fn run() -> Result<()> {
    let faults = &[Fault::Link, Fault::Kill, Fault::Hang];
    table(&Setting { hosts: 2, address: v4(), ways: Ways::Front, faults, take_overs: TAKE_OVERS })
}

/// Two hosts and an IPv6 address.
pub(crate) fn ipv6() -> Result<()> {
    let faults = &[Fault::Link, Fault::Kill, Fault::Hang];
    table(&Setting { hosts: 2, address: v6(), ways: Ways::Front, faults, take_overs: FEWER })
}

/// Three hosts and an IPv4 address.
pub(crate) fn three() -> Result<()> {
    let faults = &[Fault::Link, Fault::Kill, Fault::Hang, Fault::AllWays];
    table(&Setting { hosts: 3, address: v4(), ways: Ways::Front, faults, take_overs: FEWER })
}

/// Two hosts, of which Ringback has a second way between them; keepalived knows one.
pub(crate) fn ways() -> Result<()> {
    let faults = &[Fault::OneWay, Fault::AllWays];
    table(&Setting { hosts: 2, address: v4(), ways: Ways::Both, faults, take_overs: FEWER })
}

const fn v4() -> IpAddr {
    Cluster::shared()[0]
}

const fn v6() -> IpAddr {
    Cluster::shared()[1]
}

fn table(setting: &Setting) -> Result<()> {
    let given = env::var("RINGBACK_TAKE_OVERS").ok().and_then(|text| text.parse().ok());
    let count = given.unwrap_or(setting.take_overs);
    let (hosts, address) = (setting.hosts, setting.address);
    println!("\ngap in service of {address} on {hosts} hosts, ms; beat {BEAT}, {count} times each");
    println!("{:<24} {:>10} {:>8} {:>14} {:>8}", "active host", "Ringback", "worst", "keepalived", "worst");
    for fault in setting.faults {
        let ringback = {
            let cluster = Cluster::new(hosts)?.share(&[address])?;
            let mut program = Ringback::start(&cluster, setting.ways, address)?;
            gaps(&cluster, &mut program, address, *fault, count)?
        };
        // keepalived gives the address to the active host and takes it away itself.
        let keepalived = match fault {
            Fault::OneWay => None,
            _ => {
                let cluster = Cluster::new(hosts)?.share(&[])?;
                Some(gaps(&cluster, &mut Keepalived::start(&cluster, address)?, address, *fault, count)?)
            }
        };
        let (fails, returns) = fault.words();
        line(fails, &ringback.failed, keepalived.as_ref().map(|gaps| &gaps.failed));
        line(&format!("  {returns}"), &ringback.returned, keepalived.as_ref().map(|gaps| &gaps.returned));
    }
    Ok(())
}

fn line(name: &str, ringback: &[f64], keepalived: Option<&Vec<f64>>) {
    let worst = |gaps: &[f64]| gaps.iter().copied().fold(0.0, f64::max);
    print!("{name:<24} {:>10.0} {:>8.0}", median(ringback.to_vec()), worst(ringback));
    match keepalived {
        Some(gaps) => println!(" {:>14.0} {:>8.0}", median(gaps.clone()), worst(gaps)),
        None => println!(" {:>14} {:>8}", "-", "-"),
    }
}

/// Milliseconds without service.
#[derive(Default)]
struct Gaps {
    failed: Vec<f64>,
    returned: Vec<f64>,
}

fn gaps(cluster: &Cluster, program: &mut impl Program, address: IpAddr, fault: Fault, count: usize) -> Result<Gaps> {
    let knocking = Knocking::start(cluster.client(), address)?;
    wait_until("the service answers", LIMIT, || knocking.latest().is_some())?;
    thread::sleep(CALM);
    let mut gaps = Gaps::default();
    let milliseconds = |gap: Duration| gap.as_secs_f64() * 1e3;
    for done in 0..count {
        let active = knocking.latest().context("nobody answers")?;
        let number = cluster.numbers().find(|number| cluster.host(*number).name() == active);
        let number = number.with_context(|| format!("{active} is no host of the lab"))?;
        // Not always at the same place of a beat.
        thread::sleep(Duration::from_millis((done as u64 * 7) % 50));
        let failed = Instant::now();
        fail(cluster, program, fault, number)?;
        if fault == Fault::OneWay {
            thread::sleep(CALM);
        } else {
            let other = || knocking.latest().is_some_and(|latest| latest != active);
            patiently(wait_until("another host answers", LIMIT, other));
        }
        gaps.failed.push(milliseconds(knocking.gap(failed)));
        let returned = Instant::now();
        end(cluster, program, fault, number)?;
        thread::sleep(CALM);
        patiently(wait_until("the service answers again", LIMIT, || !knocking.since(returned).is_empty()));
        gaps.returned.push(milliseconds(knocking.gap(returned)));
        eprint!("\rstandby: {fault:?}, {} of {count}", done + 1);
    }
    eprintln!();
    Ok(gaps)
}

/// A host that stays away is a gap like others, and the longest: the table goes on.
fn patiently(answered: Result<()>) {
    if let Err(error) = answered {
        eprintln!("\n{error:#}");
    }
}

fn fail(cluster: &Cluster, program: &mut impl Program, fault: Fault, host: u8) -> Result<()> {
    match fault {
        Fault::Link => cluster.host(host).link_down(),
        Fault::Kill => program.kill(host),
        Fault::Hang => program.signal(host, Signal::SIGSTOP),
        Fault::OneWay => cluster.cut(&format!("back{host}")),
        Fault::AllWays => {
            cluster.cut(&format!("back{host}"))?;
            cluster.cut(&format!("server{host}"))
        }
    }
}

fn end(cluster: &Cluster, program: &mut impl Program, fault: Fault, host: u8) -> Result<()> {
    match fault {
        Fault::Link => cluster.host(host).link_up(),
        Fault::Kill => program.start_again(host),
        Fault::Hang => program.signal(host, Signal::SIGCONT),
        Fault::OneWay => cluster.heal(&format!("back{host}")),
        Fault::AllWays => {
            cluster.heal(&format!("back{host}"))?;
            cluster.heal(&format!("server{host}"))
        }
    }
}
