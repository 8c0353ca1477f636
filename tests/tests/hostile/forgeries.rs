//! Forged answers, refusals, ICMP, ARP and advertisements: what matches nothing opens and ends nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Result, bail};
use lab::{
    Attempt, Daemon, DaemonConfig, HttpServer, Lab, counter,
    forged::{ACK, RST, SYN, Segment, advertisement, arp_reply},
    learn,
};

use super::{LIMIT, outage_of};

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

// proves: F-2a F-3a F-6 F-12
#[test]
fn forged_answers_refusals_and_icmp_that_match_nothing_neither_open_nor_end_an_outage() -> Result<()> {
    let lab = Lab::builder().clients(2).build()?;
    let (attacker, client, server) = (lab.client(1), lab.client(2), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    // Long: only what is forged could open anything.
    let config = DaemonConfig::new().text("watch.syn_timeout", "60s").text("recovery.probe_timeout", "1s");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let gateway = lab.gateway().mac("client1")?;
    let forger = Forger { daemon: &daemon, socket: attacker.frame_socket("eth0")?, gateway };
    let real = client.frame_socket("eth0")?;
    let towards_client = lab.gateway().mac("client2")?;
    let services = [server.service_v4(80), server.service_v6(80)];
    for service in services {
        learn(&daemon, client, service)?;
    }
    // Silent, also to the gateway's own probes: who forges what one client alone is told achieves nothing (V-1).
    server.nft("add table inet silent")?;
    server.nft("add chain inet silent input { type filter hook input priority 0; }")?;
    server.nft("add rule inet silent input tcp dport 80 drop")?;
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
