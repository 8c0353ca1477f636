//! Who is who: addresses of clients and services, and what passed the gateways of each attempt.

use std::net::{IpAddr, Ipv4Addr};

use monitor_common::{Addr, Arrival, Event};
use monitor_core::{
    domain::{ClientAddr, ClientNet, Service, UnixMs},
    mail::{AddressEntry, Origin},
};

use crate::{journal::Since, plan::Attempt, random::Random};

/// Services of one host.
const PER_HOST: u16 = 2;

/// The client of this number.
pub(crate) fn client(number: u16) -> ClientAddr {
    let [high, low] = number.to_be_bytes();
    ClientAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, high, low)))
}

/// The number of a client.
pub(crate) fn client_number(client: ClientAddr) -> u16 {
    match client.ip() {
        IpAddr::V4(v4) => u16::from_be_bytes([v4.octets()[2], v4.octets()[3]]),
        IpAddr::V6(_) => u16::MAX,
    }
}

/// The service of this number.
pub(crate) fn service(number: u16) -> Service {
    let host = Ipv4Addr::new(10, 2, 0, 1 + (number / PER_HOST) as u8);
    Service::new(IpAddr::V4(host), 80 + number % PER_HOST)
}

/// The number of a service.
pub(crate) fn service_number(service: Service) -> u16 {
    let host = match service.addr() {
        IpAddr::V4(v4) => u16::from(v4.octets()[3]),
        IpAddr::V6(_) => u16::MAX,
    };
    (host - 1) * PER_HOST + service.port() - 80
}

/// The entries of the address book: each client is a person.
pub(crate) fn addresses(clients: u16) -> Vec<AddressEntry> {
    let entry = |number| AddressEntry {
        client: ClientNet::host(client(number).ip()),
        mail: format!("c{number}@example.org"),
        language: None,
        origin: Origin::Operator,
        registered: UnixMs(1),
    };
    (0..=clients).map(entry).collect()
}

/// The attempt as the programs see it in each of its packets.
pub(crate) fn seen(seed: u64, attempt: &Attempt, port: u16) -> monitor_common::Attempt {
    let service = service(attempt.service);
    monitor_common::Attempt {
        client: Addr::from(client(attempt.client).ip()),
        server: Addr::from(service.addr()),
        client_port: port,
        server_port: service.port(),
        seq: Random::of(seed, &[u64::from(attempt.id), 77]).next() as u32,
        seen_ns: 0,
        arrival: Arrival::of_syn(1),
        detail: 0,
        hash: 0,
    }
}

/// An event, for people.
pub(crate) fn event(event: &Event) -> String {
    let client = client_number(ClientAddr::new(IpAddr::from(event.client)));
    let service = service_number(Service::new(IpAddr::from(event.server), event.server_port));
    let Event { kind, evidence, seen_ns, latest_ns, attempts, .. } = event;
    format!(
        "{kind:?} {evidence:?} c{client} -> s{service}, first SYN {}, latest {}, attempts {attempts}",
        Since(*seen_ns),
        Since(*latest_ns),
    )
}

/// What passed the gateways of one attempt: all that they could know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    /// Its SYNs.
    pub(crate) syns: Vec<u64>,
    /// SYN/ACKs.
    pub(crate) answers: Vec<u64>,
    /// RSTs of the server.
    pub(crate) refusals: Vec<u64>,
    /// ICMP messages.
    pub(crate) unreachables: Vec<u64>,
    /// RSTs of the client.
    pub(crate) client_resets: Vec<u64>,
    /// The kernel forgot it, and counted that.
    pub(crate) is_forgotten: bool,
    /// Its slot was taken when the kernel took it for done.
    pub(crate) is_reused: bool,
}
