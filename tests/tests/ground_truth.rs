//! Many clients with random behaviour over several outages. Each client's own kernel says how its attempts ended; the
//! mails must go to exactly those that failed in an outage that was over in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const CLIENT_GIVES_UP: Duration = Duration::from_millis(400);
const HOSTS: u8 = 4;
const CLIENTS_PER_HOST: u8 = 50;

/// Numbers that look random and are the same in each run: a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit
    }
}

fn mail_of(client: IpAddr) -> String {
    format!("client-{}@example.test", client.to_string().replace(['.', ':'], "-"))
}

/// How an outage begins.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Refused,
    Silent,
    NoLink,
}

fn attempts(
    clients: &[(&Host, IpAddr)],
    service: SocketAddr,
    random: &mut Random,
    count: usize,
) -> Result<Vec<(IpAddr, Attempt)>> {
    let mut log = Vec::new();
    for _ in 0..count {
        let (host, addr) = clients[random.below(clients.len())];
        log.push((addr, host.connect(Some(addr), service, CLIENT_GIVES_UP)?));
    }
    Ok(log)
}

// proves: F-1 F-3a F-4 F-6 F-7a F-12 F-15a F-15b F-19
#[test]
fn the_mails_go_to_exactly_the_clients_that_failed_in_an_outage_that_ended() -> Result<()> {
    let lab = Lab::builder().clients(HOSTS).addresses_per_client(CLIENTS_PER_HOST).build()?;
    let server = lab.server(1);
    let clients: Vec<(&Host, IpAddr)> = (1..=HOSTS)
        .flat_map(|n| {
            let host = lab.client(n.into());
            lab.client_addresses(n)
                .iter()
                .copied()
                .filter(IpAddr::is_ipv4)
                .map(move |addr| (host, addr))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(clients.len(), usize::from(HOSTS) * usize::from(CLIENTS_PER_HOST));
    // Three of four are in the address book.
    let mut config = DaemonConfig::new().text("watch.syn_timeout", "200ms");
    let known: BTreeSet<IpAddr> =
        clients.iter().enumerate().filter(|(n, _)| n % 4 != 3).map(|(_, (_, addr))| *addr).collect();
    for addr in &known {
        config = config.address(*addr, &mail_of(*addr));
    }
    let daemon = Daemon::start(lab.gateway(), config)?;
    let service = server.service_v4(80);
    let mut nginx = Some(HttpServer::start(server, 80)?);
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;

    let mut random = Random(20_261_121);
    let mut expected: BTreeMap<String, usize> = BTreeMap::new();
    for (round, trouble) in
        [Trouble::Refused, Trouble::Silent, Trouble::NoLink, Trouble::Refused].into_iter().enumerate()
    {
        for (addr, attempt) in attempts(&clients, service, &mut random, 20)? {
            assert_eq!(attempt, Attempt::Connected, "{addr} while all is well");
        }
        match trouble {
            Trouble::Refused => nginx = None,
            Trouble::Silent => server.fall_silent()?,
            Trouble::NoLink => server.link_down()?,
        }
        let log = attempts(&clients, service, &mut random, 60)?;
        let mut failed: BTreeSet<IpAddr> = log.iter().map(|(addr, _)| *addr).collect();
        assert!(log.iter().all(|(_, attempt)| *attempt != Attempt::Connected), "{trouble:?}");
        let count = failed.len();
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == count)?;
        match trouble {
            Trouble::Refused => nginx = Some(HttpServer::start(server, 80)?),
            Trouble::Silent => server.speak_again()?,
            Trouble::NoLink => server.link_up()?,
        }
        // Whoever tries first may fail once more.
        wait_until("a client gets through", LIMIT, || {
            let attempt = lab.client(1).connect(None, service, Duration::from_secs(2));
            let connected = attempt.is_ok_and(|attempt| attempt == Attempt::Connected);
            if !connected {
                failed.insert(lab.client(1).v4());
            }
            connected
        })?;
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0)?;
        for addr in failed.intersection(&known) {
            *expected.entry(mail_of(*addr)).or_default() += 1;
        }
        // Whoever might still have got through by a repeated SYN is told last.
        daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(Vec::is_empty))?;
        daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == 0)?;
        assert_eq!(told(&daemon)?, expected, "after round {round} ({trouble:?})\n{}", daemon.log());
    }
    // One more outage that does not end: nobody in it is told.
    drop(nginx);
    let log = attempts(&clients, service, &mut random, 20)?;
    let failed: BTreeSet<IpAddr> = log.iter().map(|(addr, _)| *addr).collect();
    let count = failed.len();
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == count)?;

    assert_eq!(told(&daemon)?, expected);
    Ok(())
}

/// Mails per recipient.
fn told(daemon: &Daemon<'_>) -> Result<BTreeMap<String, usize>> {
    let mut told = BTreeMap::new();
    for mail in daemon.maildir().mails()? {
        *told.entry(mail.to().unwrap_or_default()).or_default() += 1;
    }
    Ok(told)
}
