//! Floods: they hide no outage and cost no kernel memory, and what is lost is counted.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Flood, Host, HttpServer, Lab, counter, flood::scramble, learn, wait_until};
use serde_json::Value;

use super::{LIMIT, outage_of};

const MAIL: &str = "sato@example.test";

/// What one flood sends, and in what time.
const FRAMES: u64 = 200_000;
const DURING: Duration = Duration::from_secs(6);

/// Addresses that are nobody's: 11.0.0.0/8.
fn nobody(number: u64) -> SocketAddr {
    let random = scramble(number);
    let addr = Ipv4Addr::from_bits(0x0b00_0000 | (random as u32 & 0x00ff_ffff));
    SocketAddr::new(addr.into(), (random >> 40) as u16 | 1024)
}

/// Name, entries and bytes of each pinned map, as the kernel accounts for them.
fn kernel_memory(daemon: &Daemon<'_>, gateway: &Host) -> Result<Vec<(String, u64, u64)>> {
    let mut maps = Vec::new();
    for entry in std::fs::read_dir(daemon.pin_dir())? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("RB_")) {
            continue;
        }
        let output = gateway.command("bpftool").args(["--json", "map", "show", "pinned"]).arg(&path).output()?;
        let map: Value = serde_json::from_slice(&output.stdout).context("bpftool printed no JSON")?;
        let (Some(entries), Some(bytes)) = (map["max_entries"].as_u64(), map["bytes_memlock"].as_u64()) else {
            bail!("{} has no size: {map}", path.display());
        };
        maps.push((path.display().to_string(), entries, bytes));
    }
    maps.sort();
    ensure!(maps.len() >= 10, "only these maps are pinned: {maps:?}");
    Ok(maps)
}

/// Every address of the client tries the service at the same time, and gives up.
fn all_try(client: &Host, from: &[IpAddr], services: &[SocketAddr], gives_up: Duration) -> Result<()> {
    thread::scope(|scope| {
        let tries: Vec<_> = from
            .iter()
            .flat_map(|from| services.iter().filter(|to| to.is_ipv4() == from.is_ipv4()).map(move |to| (from, to)))
            .map(|(from, to)| scope.spawn(move || client.connect(Some(*from), *to, gives_up)))
            .collect();
        for tried in tries {
            let attempt = tried.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
            ensure!(attempt == Attempt::TimedOut, "a client of the silent server: {attempt:?}");
        }
        Ok(())
    })
}

/// Waits until each of these addresses waits for the service of its family.
fn all_wait(daemon: &Daemon<'_>, from: &[IpAddr], services: &[SocketAddr]) -> Result<()> {
    for service in services {
        let outages = daemon.wait_for(&["outages"], LIMIT, |outages| outage_of(outages, *service).is_some())?;
        let outage = outage_of(&outages, *service).context("it was there")?["outage"].to_string();
        let expected: Vec<_> = from.iter().filter(|from| from.is_ipv4() == service.is_ipv4()).collect();
        daemon.wait_for(&["waiting", "--outage", &outage], LIMIT, |lines| {
            let clients: Vec<_> = lines.as_array().into_iter().flatten().map(|line| &line["client"]).collect();
            clients.len() == expected.len()
                && expected.iter().all(|from| clients.iter().any(|client| **client == from.to_string()))
        })?;
    }
    Ok(())
}

/// What the flood is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    DeadService,
    LiveService,
    EmptyAddresses,
    AllPorts,
}

impl Target {
    /// Sender and receiver of each frame.
    fn ends(self, client: IpAddr, server: SocketAddr) -> impl Fn(u64) -> (SocketAddr, SocketAddr) + Send + 'static {
        move |number| match self {
            Self::DeadService | Self::LiveService => (nobody(number), server),
            // Of the network between gateway and server, but for the gateway and the server.
            Self::EmptyAddresses => {
                (nobody(number), SocketAddr::new([10, 2, 1, 3 + (scramble(number) % 250) as u8].into(), 80))
            }
            Self::AllPorts => (
                SocketAddr::new(client, 1024 + (number / 65_536) as u16),
                SocketAddr::new(server.ip(), (number % 65_536) as u16),
            ),
        }
    }
}

/// A lab with an attacker (client 1), a host with several clients (client 2), the flood's target (server 1) and a server
/// that fails meanwhile (server 2).
struct Scene {
    lab: Lab,
    _target: HttpServer,
    _other: HttpServer,
}

impl Scene {
    fn new() -> Result<Self> {
        let lab = Lab::builder().clients(2).servers(2).addresses_per_client(4).build()?;
        // The gateway forwards whatever source it is told.
        for interface in ["all", "client1", "server1"] {
            lab.gateway().sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "0")?;
        }
        let (target, other) = (HttpServer::start(lab.server(1), 80)?, HttpServer::start(lab.server(2), 80)?);
        Ok(Self { lab, _target: target, _other: other })
    }

    fn config(&self) -> DaemonConfig {
        DaemonConfig::new().text("watch.syn_timeout", "500ms").address(self.lab.client(2).v4(), MAIL)
    }

    fn target(&self) -> SocketAddr {
        self.lab.server(1).service_v4(80)
    }

    fn others(&self) -> [SocketAddr; 2] {
        [self.lab.server(2).service_v4(80), self.lab.server(2).service_v6(80)]
    }

    fn daemon(&self, config: DaemonConfig) -> Result<Daemon<'_>> {
        let daemon = Daemon::start(self.lab.gateway(), config)?;
        for service in [self.target()].into_iter().chain(self.others()) {
            learn(&daemon, self.lab.client(2), service)?;
        }
        Ok(daemon)
    }

    fn flood(&self, target: Target, frames: u64, during: Duration) -> Result<Flood> {
        let client = self.lab.client(1);
        let gateway = self.lab.gateway().mac("client1")?;
        Flood::start(client, gateway, frames, during, target.ends(client.v4(), self.target()))
    }
}

/// Everybody who was mailed.
fn mailed(daemon: &Daemon<'_>) -> Result<Vec<String>> {
    Ok(daemon.maildir().mails()?.iter().filter_map(lab::Mail::to).collect())
}

// proves: F-1 F-3a F-7a F-15a F-19
#[test]
fn a_flood_of_syns_hides_no_outage_and_costs_no_kernel_memory() -> Result<()> {
    for target in [Target::LiveService, Target::EmptyAddresses, Target::AllPorts, Target::DeadService] {
        let scene = Scene::new()?;
        let (lab, others) = (&scene.lab, scene.others());
        let daemon = scene.daemon(scene.config())?;
        if target == Target::DeadService {
            lab.server(1).fall_silent()?;
            lab.server(1).ip(&["route add blackhole 11.0.0.0/8"])?;
        }
        let before = kernel_memory(&daemon, lab.gateway())?;
        let clients = lab.client_addresses(2);

        let flood = scene.flood(target, FRAMES, DURING)?;
        // The clients' attempts stand behind many others.
        wait_until("the flood is under way", LIMIT, || flood.sent() > FRAMES / 4)?;
        lab.server(2).fall_silent()?;
        all_try(lab.client(2), &clients, &others, Duration::from_millis(1500))?;
        all_wait(&daemon, &clients, &others).with_context(|| format!("{target:?}"))?;
        assert!(flood.goes_on(), "{target:?}: the outage was found only after the flood");
        let sent = flood.finish()?;
        assert!(sent > FRAMES / 10, "{target:?}: only {sent} frames went out");

        // Every frame is a remembered attempt, a repetition, or a counted loss.
        let status = daemon.wait_for(&["status"], LIMIT, |status| {
            ["attempts", "retransmits", "deadlines_full", "pending_evicted"]
                .iter()
                .map(|reason| counter(status, reason))
                .sum::<u64>()
                >= sent
        })?;
        let lost: u64 = ["deadlines_full", "pending_evicted"].iter().map(|reason| counter(&status, reason)).sum();
        // Failed attempts that were forgotten while their clients might have got through.
        let forgotten = counter(&status, "said_evicted");
        println!("{target:?}: {sent} SYNs of {FRAMES}, {lost} not remembered, {forgotten} forgotten early");
        let told = status["losses"].as_array().map_or(0, Vec::len);
        assert_eq!(lost + forgotten > 0, told > 0, "{target:?}: {status:#}");
        assert_eq!(kernel_memory(&daemon, lab.gateway())?, before, "{target:?}");

        // Nothing but what failed has an outage.
        let outages = daemon.json(&["outages", "--all"])?;
        let failed: Vec<_> = outages.as_array().into_iter().flatten().map(|line| line["service"].clone()).collect();
        let mut expected: Vec<_> = others.iter().map(SocketAddr::to_string).collect();
        if target == Target::DeadService {
            expected.push(scene.target().to_string());
        }
        assert!(
            failed.len() == expected.len() && expected.iter().all(|service| failed.iter().any(|line| line == service)),
            "{target:?}: {outages:#}"
        );

        // The flooded service and the other recover: of all who wait, one is on record.
        for server in lab.servers() {
            if server.speak_again().is_err() {
                assert!(server.name() == "server1" && target != Target::DeadService, "{}", server.name());
            }
        }
        for service in others.into_iter().chain([scene.target()]) {
            assert_eq!(lab.client(2).connect(None, service, LIMIT)?, Attempt::Connected);
        }
        let limit = Duration::from_secs(60);
        daemon.wait_for(&["status"], limit, |status| status["outages"] == Value::Array(Vec::new()))?;
        wait_until("the mail is written", limit, || mailed(&daemon).is_ok_and(|mails| !mails.is_empty()))?;
        daemon.wait_for(&["status"], limit, |status| status["outbox"]["queued"] == 0)?;
        let mails = mailed(&daemon)?;
        assert!(mails.iter().all(|to| to == MAIL) && mails.len() <= 2, "{target:?}: {mails:?}");
    }
    Ok(())
}

// proves: F-3a
#[test]
fn a_flood_beyond_the_kernels_tables_is_counted_and_clients_that_go_on_trying_are_found() -> Result<()> {
    for target in [Target::EmptyAddresses, Target::LiveService] {
        let scene = Scene::new()?;
        let (lab, others) = (&scene.lab, scene.others());
        let daemon = scene.daemon(scene.config().set("watch.pending", "1024"))?;
        let before = kernel_memory(&daemon, lab.gateway())?;
        let clients = lab.client_addresses(2);
        let flood = scene.flood(target, FRAMES / 2, Duration::from_secs(2))?;
        lab.server(2).fall_silent()?;
        // SYNs at 0, 1, 3 and 7 s.
        all_try(lab.client(2), &clients, &others, Duration::from_millis(7500))?;
        let sent = flood.finish()?;
        all_wait(&daemon, &clients, &others).with_context(|| format!("{target:?}"))?;
        let status = daemon.status()?;
        let remembered = counter(&status, "attempts") + counter(&status, "retransmits");
        let lost = counter(&status, "deadlines_full") + counter(&status, "pending_evicted");
        println!("{target:?}: {sent} SYNs, {lost} not remembered");
        assert!(lost > 0 && remembered + lost >= sent, "{target:?}: {sent} SYNs of the flood, {status:#}");
        assert_ne!(status["losses"], Value::Array(Vec::new()), "{status:#}");
        assert_eq!(kernel_memory(&daemon, lab.gateway())?, before, "{target:?}");
        let outages = daemon.json(&["outages", "--all"])?;
        assert_eq!(outages.as_array().map(Vec::len), Some(others.len()), "{target:?}: {outages:#}");
    }
    Ok(())
}
