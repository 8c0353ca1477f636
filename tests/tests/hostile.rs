//! Floods and forgeries: they cost no kernel memory, hide no outage, open and end none, and make nobody be mailed.
//!
//! Frames stay between the network namespaces of a lab, bounded in number and time.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use lab::{
    Attempt, Daemon, DaemonConfig, Flood, Host, HttpServer, Lab,
    flood::scramble,
    forged::{ACK, RST, SYN, Segment, advertisement, arp_reply},
    learn, wait_until,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
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

fn counter(status: &Value, name: &str) -> u64 {
    let counters = status["counters"].as_array();
    let found = counters.and_then(|counters| counters.iter().find(|counter| counter["reason"] == name));
    found.and_then(|counter| counter["count"].as_u64()).unwrap_or(0)
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

/// The open outage of a service, if there is one.
fn outage_of(outages: &Value, service: SocketAddr) -> Option<&Value> {
    outages.as_array()?.iter().find(|line| line["service"] == service.to_string() && line["ended"].is_null())
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

// proves: F-1 F-3 F-7 F-15 F-19
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
        println!("{target:?}: {sent} SYNs of {FRAMES}, {lost} not remembered");
        let told = status["losses"].as_array().map_or(0, Vec::len);
        assert_eq!(lost > 0, told > 0, "{target:?}: {status:#}");
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

// proves: F-3
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

/// Sends frames towards the gateway and waits until it has counted them.
struct Forger<'lab> {
    daemon: &'lab Daemon<'lab>,
    socket: lab::FrameSocket,
    gateway: [u8; 6],
}

impl Forger<'_> {
    fn send(&self, frames: &[Vec<u8>], counted_as: &str) -> Result<()> {
        let before = counter(&self.daemon.status()?, counted_as);
        for frame in frames {
            self.socket.send(frame)?;
        }
        let all = before + frames.len() as u64;
        self.daemon.wait_for(&["status"], LIMIT, |status| counter(status, counted_as) >= all)?;
        Ok(())
    }
}

/// Sends answers, refusals and ICMP that nearly belong to this attempt.
fn forge_around(forger: &Forger<'_>, syn: Segment, router: IpAddr) -> Result<()> {
    let mac = forger.gateway;
    let header = if router.is_ipv4() { 20 } else { 40 };
    let never_seen = Segment { from: SocketAddr::new(syn.from.ip(), 9), ..syn };
    let wrong_sequence = Segment { seq: syn.seq - 1, ..syn };
    let other_port = Segment { to: SocketAddr::new(syn.to.ip(), 81), ..syn };
    for wrong in [never_seen, wrong_sequence, other_port] {
        forger.send(&[wrong.answer(SYN | ACK).frame(mac)], "answers_unmatched")?;
        // Refusals that match nothing are not counted: what follows them in line shows that they were read.
        forger.socket.send(&wrong.answer(RST | ACK).frame(mac))?;
        forger.socket.send(&syn.answer(RST).frame(mac))?;
        forger.send(&[wrong.unreachable(mac, router, header + 8)], "unreachables_unmatched")?;
    }
    let truncated = [0, header - 1, header, header + 7].map(|quoted| syn.unreachable(mac, router, quoted));
    forger.send(&truncated, "malformed")
}

// proves: F-2 F-3 F-6 F-12
#[test]
fn forged_answers_refusals_and_icmp_that_match_nothing_neither_open_nor_end_an_outage() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, client, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    // Long: only what is forged could open anything.
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new().text("watch.syn_timeout", "60s"))?;
    let gateway = lab.gateway().mac("client1")?;
    let forger = Forger { daemon: &daemon, socket: attacker.frame_socket("eth0")?, gateway };
    let real = client.frame_socket("eth0")?;
    let towards_client = lab.gateway().mac("client2")?;
    let services = [server.service_v4(80), server.service_v6(80)];
    for service in services {
        learn(&daemon, client, service)?;
    }
    server.fall_silent()?;
    for service in services {
        let (from, router, header) = match service {
            SocketAddr::V4(_) => (client.v4(), lab.gateway().v4(), 20),
            SocketAddr::V6(_) => (client.v6(), lab.gateway().v6(), 40),
        };
        let syn = Segment::syn(SocketAddr::new(from, 4000), service, 1_000_000);
        let known = counter(&daemon.status()?, "attempts");
        real.send(&syn.frame(towards_client))?;
        daemon.wait_for(&["status"], LIMIT, |status| counter(status, "attempts") > known)?;

        forge_around(&forger, syn, router)?;
        let outages = daemon.json(&["outages", "--all"])?;
        assert!(outage_of(&outages, service).is_none(), "{outages:#}");

        // The same message with the right quote is evidence: the frames above were sound but for what was wrong in them.
        forger.send(&[syn.unreachable(gateway, router, header + 8)], "unreachables")?;
        daemon.wait_for(&["outages"], LIMIT, |outages| outage_of(outages, service).is_some())?;

        forge_around(&forger, syn, router)?;
        let outages = daemon.json(&["outages"])?;
        assert!(outage_of(&outages, service).is_some(), "{outages:#}");
        forger.send(&[syn.answer(SYN | ACK).frame(gateway)], "answers")?;
        daemon.wait_for(&["outages"], LIMIT, |outages| outage_of(outages, service).is_none())?;
    }
    Ok(())
}

// proves: F-11
#[test]
fn forged_arp_and_advertisements_that_match_nothing_end_no_outage() -> Result<()> {
    let lab = Lab::builder().servers(2).build()?;
    let (client, gone, refusing) = (lab.client(1), lab.server(1), lab.server(2));
    let nginx = [HttpServer::start(gone, 80)?, HttpServer::start(refusing, 80)?];
    let unused = gone.service_v4(81);
    let config = DaemonConfig::new().text("watch.syn_timeout", "60s");
    let daemon = Daemon::start(lab.gateway(), config.set("watch.servers", &format!("['auto', '{unused}']")))?;
    let services = [gone.service_v4(80), gone.service_v6(80), refusing.service_v4(80), refusing.service_v6(80)];
    for service in services {
        learn(&daemon, client, service)?;
    }
    // One host is gone, the other is there and refuses; the first has refused too while it was there.
    assert_eq!(client.connect(None, unused, LIMIT)?, Attempt::Refused);
    gone.link_down()?;
    drop(nginx);
    for (service, attempt) in
        services.into_iter().zip([Attempt::Unreachable, Attempt::Unreachable, Attempt::Refused, Attempt::Refused])
    {
        assert_eq!(client.connect(None, service, LIMIT)?, attempt, "{service}");
    }
    let open = |count| {
        daemon.wait_for(&["outages"], LIMIT, |outages| outages.as_array().is_some_and(|lines| lines.len() == count))
    };
    open(5)?;

    let (IpAddr::V4(gone_v4), IpAddr::V4(refusing_v4)) = (gone.v4(), refusing.v4()) else { bail!("two families") };
    let (IpAddr::V6(gone_v6), IpAddr::V6(refusing_v6)) = (gone.v6(), refusing.v6()) else { bail!("two families") };
    let forger =
        Forger { daemon: &daemon, socket: client.frame_socket("eth0")?, gateway: lab.gateway().mac("client1")? };
    let with = |place: usize, byte: u8| {
        let mut frame = arp_reply(gone_v4);
        frame[place] = byte;
        frame
    };
    let advertised = advertisement(gone_v6, 255);
    for frame in [
        // Of a host whose service failed while the host was there, and of hosts that nobody knows.
        arp_reply(refusing_v4),
        arp_reply(Ipv4Addr::new(10, 2, 1, 77)),
        advertisement(refusing_v6, 255),
        advertisement(Ipv6Addr::new(0xfd00, 2, 1, 0, 0, 0, 0, 0x77), 255),
        // Of the host that is gone, but: token ring, IPv6 in ARP, addresses of other lengths, cut.
        with(15, 6),
        with(16, 0x86),
        with(18, 8),
        with(19, 16),
        arp_reply(gone_v4)[..31].to_vec(),
        // Forwarded (RFC 4861 section 7.1.2), and cut.
        advertisement(gone_v6, 254),
        advertised[..advertised.len() - 1].to_vec(),
    ] {
        forger.socket.send(&frame)?;
    }
    // What follows them in line shows that they were read, and the daemon has had time for what they might have said.
    let attempt = Segment::syn(SocketAddr::new(client.v4(), 9), refusing.service_v4(80), 5);
    forger.send(&[Segment { seq: 4, ..attempt }.answer(SYN | ACK).frame(forger.gateway)], "answers_unmatched")?;
    let outages = open(5)?;
    assert!(outages.as_array().into_iter().flatten().all(|line| line["ended"].is_null()), "{outages:#}");

    // A sound one in the name of the host that is gone is believed (docs/threat-model.md), but says nothing of what was
    // refused there.
    forger.socket.send(&arp_reply(gone_v4))?;
    forger.socket.send(&advertised)?;
    let outages = open(3)?;
    assert!(outage_of(&outages, unused).is_some(), "{outages:#}");
    Ok(())
}
