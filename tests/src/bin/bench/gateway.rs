//! What a gateway forwards: connections and bytes per second between two hosts, with nothing attached, with programs that
//! only pass, with Ringback, and with connection tracking in its place.

use std::{
    env, fmt,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    programs::{Xdp, xdp::XdpMode},
};
use lab::{Daemon, DaemonConfig, Host, Lab, wait_until};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::report::median;

/// Rounds; in each, every way of watching has its turn, and is compared with the one that only passes of the same round.
const ROUNDS: usize = 25;

/// How long one measurement takes.
const TIME: Duration = Duration::from_millis(500);

/// Between attaching and measuring, for each way alike.
const SETTLED: Duration = Duration::from_millis(200);

/// After the daemon's start: the kernel makes room for its tables and goes on moving memory about for some seconds.
const STARTED: Duration = Duration::from_secs(10);

/// Clients that connect at the same time.
const AT_ONCE: usize = 16;

/// Where the server of the measurement listens.
const PORT: u16 = 8080;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Watching {
    Nothing,
    Pass,
    /// By the hook that it chooses by itself.
    Ringback,
    Arriving,
    Native,
    Generic,
    Conntrack,
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing attached",
            Self::Pass => "native XDP that only passes",
            Self::Ringback => "Ringback",
            Self::Arriving => "Ringback, egress = false",
            Self::Native => "Ringback, hook = native",
            Self::Generic => "Ringback, hook = generic",
            Self::Conntrack => "nf_conntrack",
        })
    }
}

impl Watching {
    /// `watch.hook` and `watch.egress`, where the daemon watches.
    const fn of_daemon(self) -> Option<(&'static str, bool)> {
        match self {
            Self::Ringback => Some(("auto", true)),
            Self::Arriving => Some(("auto", false)),
            Self::Native => Some(("native", true)),
            Self::Generic => Some(("generic", true)),
            Self::Nothing | Self::Pass | Self::Conntrack => None,
        }
    }
}

const WAYS: [Watching; 7] = [
    Watching::Nothing,
    Watching::Ringback,
    Watching::Arriving,
    Watching::Native,
    Watching::Generic,
    Watching::Pass,
    Watching::Conntrack,
];

pub(crate) fn run() -> Result<()> {
    let lab = Lab::builder().build()?;
    // One for all rounds, as on a gateway: what its start costs the machine is not what it costs the traffic.
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    detach(&daemon)?;
    thread::sleep(STARTED);
    let mut results = WAYS.map(|_| (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        // Each round begins with another: what warms up or cools down meets all of them.
        for turn in 0..WAYS.len() {
            let index = (round + turn) % WAYS.len();
            let (connections, bytes) = measure(&lab, &daemon, WAYS[index])?;
            results[index].0.push(connections);
            results[index].1.push(bytes);
        }
        eprint!("\rgateway: round {} of {ROUNDS}", round + 1);
    }
    eprintln!();
    println!(
        "\nthrough a gateway between two hosts on veth, {ROUNDS} rounds: medians, and of the ratios within each round"
    );
    println!("{:<28} {:>14} {:>11} {:>10} {:>11}", "", "connections/s", "of nothing", "Gbit/s", "of nothing");
    let nothing = results[0].clone();
    for (way, (connections, bytes)) in WAYS.iter().zip(results) {
        println!(
            "{:<28} {:>14.0} {:>11.3} {:>10.2} {:>11.3}",
            way.to_string(),
            median(connections.clone()),
            ratio(&connections, &nothing.0),
            median(bytes.clone()) * 8.0 / 1e9,
            ratio(&bytes, &nothing.1)
        );
    }
    Ok(())
}

/// Median of what was measured in a round over what it is compared with in the same round.
fn ratio(these: &[f64], those: &[f64]) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
}

fn measure(lab: &Lab, daemon: &Daemon<'_>, way: Watching) -> Result<(f64, f64)> {
    let gateway = lab.gateway();
    let _pass = if way == Watching::Pass { Some(pass(gateway)?) } else { None };
    if let Some(watching) = way.of_daemon() {
        attach(daemon, gateway, watching)?;
    }
    let _tracking = if way == Watching::Conntrack { Some(Tracking::begin(gateway)?) } else { None };
    thread::sleep(SETTLED);
    let measured = (connections(lab, PORT)?, throughput(lab, PORT + 1)?);
    if way.of_daemon().is_some() {
        detach(daemon)?;
    }
    Ok(measured)
}

/// Has the daemon watch an interface by which nothing comes.
fn detach(daemon: &Daemon<'_>) -> Result<()> {
    put(daemon, DaemonConfig::new().set("watch.interfaces", "['lo']"), &["lo".to_owned()])
}

/// Has it watch the gateway's interfaces.
fn attach(daemon: &Daemon<'_>, gateway: &Host, (hook, egress): (&str, bool)) -> Result<()> {
    let config = DaemonConfig::new().text("watch.hook", hook).set("watch.egress", &egress.to_string());
    put(daemon, config, gateway.interfaces())
}

fn put(daemon: &Daemon<'_>, config: DaemonConfig, interfaces: &[String]) -> Result<()> {
    daemon.write_config(config)?;
    daemon.sighup()?;
    wait_until("the programs are where they are to be", Duration::from_secs(5), || {
        let Ok(status) = daemon.status() else { return false };
        let watched: Vec<_> = status["interfaces"].as_array().into_iter().flatten().collect();
        watched.len() == interfaces.len()
            && watched.iter().all(|line| interfaces.iter().any(|name| line["name"] == name.as_str()))
    })
}

/// A program that only passes on each interface of the gateway; detached on drop.
fn pass(gateway: &Host) -> Result<Ebpf> {
    let folder: PathBuf = env::var_os("RINGBACK_REFERENCE").context("run this by `cargo xtask bench`")?.into();
    gateway.enter(|| {
        let mut object = Ebpf::load_file(folder.join("lru.o"))?;
        let program: &mut Xdp = object.program_mut("refpass").context("no program refpass")?.try_into()?;
        program.load()?;
        for interface in gateway.interfaces() {
            program.attach(interface, XdpMode::Driver)?;
        }
        Ok(object)
    })?
}

/// A rule of the gateway's firewall that asks for the state of each connection.
struct Tracking<'a>(&'a Host);

impl<'a> Tracking<'a> {
    fn begin(gateway: &'a Host) -> Result<Self> {
        let tracking = Self(gateway);
        for rule in [
            "add table ip bench",
            "add chain ip bench forward { type filter hook forward priority 0 ; }",
            "add rule ip bench forward ct state established,new accept",
        ] {
            let output = gateway.command("nft").arg(rule).output()?;
            ensure!(output.status.success(), "nft {rule}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(tracking)
    }
}

impl Drop for Tracking<'_> {
    fn drop(&mut self) {
        // It goes with the lab at the latest.
        let _ = self.0.command("nft").args(["delete", "table", "ip", "bench"]).output();
    }
}

/// Keeps this thread on one processor: where the scheduler puts the two ends decides more than what is measured.
fn stay_on(processor: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &only)?;
    Ok(())
}

/// Connections per second that several clients open and close, each one after the other: as many as the two processors can,
/// so that neither waits to be woken.
pub(crate) fn connections(lab: &Lab, port: u16) -> Result<f64> {
    let (client, server) = (lab.client(1), lab.server(1));
    let listener = server.enter(|| TcpListener::bind(("0.0.0.0", port)))??;
    let service: SocketAddr = server.service_v4(port);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let _ = stay_on(1);
                while !done.load(Ordering::Relaxed) {
                    drop(listener.accept());
                }
            });
        }
        let clients: Vec<_> =
            (0..AT_ONCE).map(|_| scope.spawn(|| client.enter(|| one_after_the_other(service)))).collect();
        let counted = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
            .sum::<Result<f64>>();
        done.store(true, Ordering::Relaxed);
        for _ in 0..AT_ONCE {
            // Wakes one that accepts.
            let _ = client.enter(|| TcpStream::connect(service))?;
        }
        counted
    })
}

/// Connections per second of one client.
fn one_after_the_other(service: SocketAddr) -> Result<f64> {
    stay_on(0)?;
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < TIME {
        let mut stream = TcpStream::connect(service)?;
        // The server closes first: its side keeps what TIME_WAIT there is.
        let _ = stream.read(&mut [0; 1])?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// Bytes per second over one connection.
pub(crate) fn throughput(lab: &Lab, port: u16) -> Result<f64> {
    let (client, server) = (lab.client(1), lab.server(1));
    let listener = server.enter(|| TcpListener::bind(("0.0.0.0", port)))??;
    let service = server.service_v4(port);
    thread::scope(|scope| {
        let taking = scope.spawn(move || {
            stay_on(1)?;
            let (mut stream, _) = listener.accept()?;
            let mut buffer = vec![0; 1 << 18];
            let (mut bytes, begun) = (0_u64, Instant::now());
            loop {
                match stream.read(&mut buffer)? {
                    0 => return Ok::<_, anyhow::Error>(bytes as f64 / begun.elapsed().as_secs_f64()),
                    more => bytes += more as u64,
                }
            }
        });
        client.enter(|| {
            stay_on(0)?;
            let mut stream = TcpStream::connect(service)?;
            let (buffer, begun) = (vec![0; 1 << 18], Instant::now());
            while begun.elapsed() < TIME {
                stream.write_all(&buffer)?;
            }
            stream.shutdown(Shutdown::Write)?;
            Ok::<_, anyhow::Error>(())
        })??;
        taking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
