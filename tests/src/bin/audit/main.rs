//! The audit that `cargo xtask audit` runs: many clients, faults of many kinds, a daemon that is killed again and again,
//! and an unreliable mail server. In the end everybody who could not connect in an outage must have been told of it
//! once, and nobody else.
//!
//! In: minutes, a seed, numbers of clients and servers. Out: findings with their history, a summary, an exit status.
//! Everything happens in network namespaces of its own.

mod clients;
mod clock;
mod faults;
mod plan;
mod random;
mod report;
mod servers;
mod settings;
#[cfg(test)]
mod tests;
mod told;
mod truth;
mod verdict;
mod witness;

use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Attempt as Outcome, Daemon, DaemonConfig, Lab, Path, UnreliableMailServer, wait_until};

use crate::{
    clients::Tried,
    clock::{Clocks, Ns, SECOND, ns},
    faults::{Death, Listeners, Window},
    plan::Plan,
    random::Random,
    report::Report,
    servers::Listener,
    settings::Settings,
    truth::Truth,
    verdict::FindingKind,
    witness::{Testimony, Witness},
};

/// Nothing that the audit waits for takes longer, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Clients go on this long after the last fault, so that each service is tried again.
const AFTERMATH: Duration = Duration::from_secs(15);

/// The daemon is at rest when nothing has changed for this long: longer than the longest attempt and its time-out.
const REST: Duration = Duration::from_secs(35);

/// It comes to rest within this time.
const REST_WITHIN: Duration = Duration::from_secs(300);

/// Of so many clients, one uses IPv6.
const SIXTH: usize = 6;

fn main() -> ExitCode {
    match Settings::from_arguments().and_then(|settings| audit(&settings)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the audit broke off: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nobody was missed, told wrongly or told twice.
fn audit(settings: &Settings) -> Result<bool> {
    println!("{settings}");
    let lasts = Duration::from_secs_f64(settings.minutes * 60.0);
    let plan = Plan::new(settings.seed, lasts, settings.servers, settings.services);
    println!("plan: {} faults, {} kills", plan.faults.len(), plan.deaths.len());
    let lab = build(settings)?;
    let clients = addresses(&lab, settings);
    let mail = UnreliableMailServer::start(lab.gateway(), 2525)?;
    let services = start_services(&lab, settings)?;
    let named: Vec<SocketAddr> =
        services.keys().flat_map(|(server, port)| both_families(&lab, *server, *port)).collect();
    let mut daemon = Daemon::start(lab.gateway(), config(&clients.concat(), &mail))?;
    let witness = Witness::start(lab.gateway())?;
    let (start, ahead, begin) = (clock::now(), clock::wall_ahead(), Instant::now());
    connect_everywhere(&lab, &named)?;
    daemon.wait_for(&["services"], LIMIT, |known| known.as_array().map(Vec::len) == Some(named.len()))?;
    println!("{} clients, {} services are known; here we go", clients.concat().len(), named.len());

    let stage = Stage { settings, plan: &plan, lab: &lab, clients: &clients, services: &services, named: &named };
    let (attempts, windows, deaths) = stage.play(begin, &mail, &mut daemon)?;
    connect_everywhere(&lab, &named)?;
    come_to_rest(&daemon, &mail)?;
    let testimony = witness.end()?;
    let played = Played { start, ahead, begin, attempts, windows, deaths, testimony };
    played.judge(settings, &lab, &clients.concat(), &daemon, &mail)
}

/// A lab whose servers are 20 to 100 ms away; from some of them, packets are lost.
fn build(settings: &Settings) -> Result<Lab> {
    let lab = Lab::builder()
        .clients(u8::try_from(settings.hosts())?)
        .addresses_per_client(u8::try_from(settings.clients_per_host())?)
        .servers(u8::try_from(settings.servers)?)
        .path(Path::default())
        .build()?;
    for server in 1..=settings.servers {
        let seed = settings.seed.wrapping_add(server as u64);
        let loss = [0.0, 0.004, 0.008][(server - 1) % 3];
        lab.server_path(server).change(Path { loss, seed, ..Path::with_round_trip(round_trip(server)) });
    }
    Ok(lab)
}

/// How far away the server of this number is.
const fn round_trip(server: usize) -> Duration {
    Duration::from_millis([20, 60, 100][(server - 1) % 3])
}

/// The addresses of the clients, by host.
fn addresses(lab: &Lab, settings: &Settings) -> Vec<Vec<IpAddr>> {
    let mut left = settings.clients;
    (1..=settings.hosts())
        .map(|host| {
            let all = lab.client_addresses(u8::try_from(host).unwrap_or(u8::MAX));
            let (v4, v6) = all.split_at(all.len() / 2);
            let count = left.min(v4.len());
            left -= count;
            (0..count).map(|n| if n % SIXTH == SIXTH - 1 { v6[n] } else { v4[n] }).collect()
        })
        .collect()
}

fn start_services(lab: &Lab, settings: &Settings) -> Result<Listeners> {
    let mut services = Listeners::new();
    for server in 1..=settings.servers {
        for port in plan::ports(settings.services) {
            services.insert((server, port), Listener::start(lab.server(server), port)?);
        }
    }
    Ok(services)
}

fn both_families(lab: &Lab, server: usize, port: u16) -> [SocketAddr; 2] {
    [lab.server(server).service_v4(port), lab.server(server).service_v6(port)]
}

/// Everybody is in the address book, with a mail address of their own.
fn config(clients: &[IpAddr], mail: &UnreliableMailServer) -> DaemonConfig {
    let config =
        // The pauses of a mail that may have been taken grow up to an eighth of its lifetime.
        DaemonConfig::new()
            .text("notify.smtp", &mail.url())
            .text("notify.retry", "1s")
            .text("notify.retry_max", "3s")
            .text("notify.lifetime", "16m");
    clients.iter().fold(config, |config, client| config.address(*client, &told::address(*client)))
}

/// Every service answers once.
fn connect_everywhere(lab: &Lab, services: &[SocketAddr]) -> Result<()> {
    for service in services {
        let outcome = lab.client(1).connect(None, *service, LIMIT)?;
        ensure!(outcome == Outcome::Connected, "{service} does not answer though nothing is broken: {outcome:?}");
    }
    Ok(())
}

/// Everybody who plays a part.
struct Stage<'a> {
    settings: &'a Settings,
    plan: &'a Plan,
    lab: &'a Lab,
    clients: &'a [Vec<IpAddr>],
    services: &'a Listeners,
    named: &'a [SocketAddr],
}

impl Stage<'_> {
    /// Plays the plan. Whatever fails ends everything else.
    fn play(
        &self,
        begin: Instant,
        mail: &UnreliableMailServer,
        daemon: &mut Daemon<'_>,
    ) -> Result<(Vec<Tried>, Vec<Window>, Vec<Death>)> {
        let (stop_faults, stop_clients) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            let mut trying = Vec::new();
            for (number, addresses) in (1..).zip(self.clients) {
                let random = Random::new(self.settings.seed, 2_000 + number as u64);
                let (stop, services) = (&stop_clients, self.named);
                // A thread keeps the namespace of the one that began it.
                let run = move || clients::run(addresses, services, random, stop);
                trying.push(self.lab.client(number).enter(|| scope.spawn(run))?);
            }
            let stop = &stop_faults;
            let killing = scope.spawn(move || {
                faults::kill(&self.plan.deaths, begin, daemon, stop)
                    .inspect_err(|_| stop.store(true, Ordering::Relaxed))
            });
            let windows = faults::play(self.plan, begin, self.lab, self.services, mail, stop);
            if windows.is_err() {
                stop_faults.store(true, Ordering::Relaxed);
            } else {
                println!("the last fault is over; the clients go on for a while");
                thread::sleep(AFTERMATH);
            }
            stop_clients.store(true, Ordering::Relaxed);
            let mut attempts = Vec::new();
            for thread in trying {
                attempts.extend(joined(thread.join())?);
            }
            Ok((attempts, windows?, joined(killing.join())?))
        })
    }
}

fn joined<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Waits until no outage is open, every mail is delivered, and nothing changes any more.
fn come_to_rest(daemon: &Daemon<'_>, mail: &UnreliableMailServer) -> Result<()> {
    println!("waiting until the outbox is empty and nothing changes any more");
    let (mut before, mut since) = (String::new(), Instant::now());
    wait_until("the daemon comes to rest", REST_WITHIN, || {
        thread::sleep(Duration::from_millis(500));
        let Ok(status) = daemon.status() else { return false };
        let state = format!("{} {} {}", status["outages"], status["waiting_clients"], status["outbox"]);
        let now = format!("{state} {}", mail.arrivals().len());
        if now != before {
            (before, since) = (now, Instant::now());
        }
        let done = status["outages"].as_array().is_some_and(Vec::is_empty) && status["outbox"]["queued"] == 0;
        done && since.elapsed() >= REST
    })
    .with_context(|| format!("at last: {before}"))
}

/// What has happened.
struct Played {
    start: Ns,
    /// By how much the wall clock was ahead of the monotonic one then.
    ahead: Ns,
    begin: Instant,
    attempts: Vec<Tried>,
    windows: Vec<Window>,
    deaths: Vec<Death>,
    testimony: Testimony,
}

impl Played {
    /// Compares it with what the daemon told.
    fn judge(
        &self,
        settings: &Settings,
        lab: &Lab,
        clients: &[IpAddr],
        daemon: &Daemon<'_>,
        mail: &UnreliableMailServer,
    ) -> Result<bool> {
        let server_of = |service: SocketAddr| {
            let is = |number: &usize| both_families(lab, *number, service.port()).contains(&service);
            (1..=settings.servers).find(is).unwrap_or(0)
        };
        let far = |service| ns(round_trip(server_of(service).max(1)));
        let truth = Truth::new(&self.attempts, &self.testimony, &self.windows, &server_of, &far);
        let outages = told::outages(daemon, Clocks::since((self.start, self.ahead)))?;
        let at = |arrival: &lab::Arrival| self.start + ns(arrival.at.saturating_duration_since(self.begin));
        let letters = told::letters(&mail.arrivals(), clients, at)?;
        let verdict = verdict::judge(&truth, &outages, &letters, &self.deaths);
        let report = Report {
            start: self.start,
            time_of_start: witness::seconds((self.start + self.ahead) % (24 * 3600 * SECOND), 0),
            truth: &truth,
            outages: &outages,
            letters: &letters,
            deaths: &self.deaths,
            log: &daemon.log(),
            verdict: &verdict,
        };
        report.give(&settings.keep)?;
        ensure!(self.testimony.missed == 0, "the witness missed {} frames: nothing is proven", self.testimony.missed);
        Ok([FindingKind::Missed, FindingKind::Wrong, FindingKind::Twice]
            .into_iter()
            .all(|kind| report.count(kind) == 0))
    }
}
