//! Addresses to listen on: taken by others, twice in the configuration, or not this host's.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use monitor_core::config::{Config, Mistake, Mistakes};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

/// Held until every address was tried, so that two settings of one address are found as well.
#[expect(dead_code, reason = "held, not used")]
enum Held {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

pub(super) fn look(config: &Config, mistakes: &mut Mistakes) {
    let mut held = Vec::new();
    for (key, protocol, addr) in listened(config) {
        let bound = match protocol {
            Protocol::Tcp => TcpListener::bind(addr).map(Held::Tcp),
            Protocol::Udp => UdpSocket::bind(addr).map(Held::Udp),
        };
        held.extend(mistakes.take(bound.map_err(|error| mistake(key, protocol, addr, &error))));
    }
}

/// What the configuration listens on.
fn listened(config: &Config) -> Vec<(&'static str, Protocol, SocketAddr)> {
    let is_gateway = !super::is_relay(config);
    let recovery = &config.recovery;
    let all = [
        ("recovery.trap_listen", Protocol::Udp, recovery.trap_listen),
        ("recovery.signal_listen", Protocol::Tcp, recovery.signal_listen.filter(|_| is_gateway)),
        ("control.metrics_listen", Protocol::Tcp, config.control.metrics_listen),
        (
            "standin.own_listen",
            Protocol::Tcp,
            config.standin.own_listen.filter(|_| is_gateway && config.standin.enabled),
        ),
        ("heartbeat.answer_listen", Protocol::Tcp, config.heartbeat.answer_listen.filter(|_| is_gateway)),
        (
            "heartbeat.listen",
            Protocol::Udp,
            Some(config.heartbeat.listen).filter(|_| is_gateway && !config.peer.is_empty()),
        ),
    ];
    all.into_iter().filter_map(|(key, protocol, addr)| Some((key, protocol, addr?))).collect()
}

fn mistake(key: &'static str, protocol: Protocol, addr: SocketAddr, error: &io::Error) -> Mistake {
    let word = if protocol == Protocol::Tcp { "TCP" } else { "UDP" };
    let (ip, port) = (addr.ip(), addr.port());
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let remedy = "stop what listens there, or write another";
            Mistake::new(key, format!("{word} port {port} on {ip} is taken"), remedy)
        }
        io::ErrorKind::PermissionDenied => {
            let remedy = "write one above 1023, run as root, or grant CAP_NET_BIND_SERVICE";
            Mistake::new(key, format!("{word} port {port} on {ip} is not for this user"), remedy)
        }
        _ => Mistake::new(key, format!("cannot listen on {addr}: {error}"), "write an address of this host"),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::net::TcpListener;

    use monitor_core::config::{Mistakes, parse};

    use super::look;

    #[test]
    fn a_port_that_is_taken_or_named_twice_is_a_mistake() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "[control]\nmetrics_listen = '{}'\n[recovery]\nsignal_listen = '{free}'\nsignal_secret_file = 'x'\n\
             [standin]\nenabled = true\nown_listen = '{free}'\nown_url = 'http://gw'\n",
            taken.local_addr().unwrap()
        );
        let mut mistakes = Mistakes::default();
        look(&parse("f", &text).unwrap(), &mut mistakes);
        let keys: Vec<_> = mistakes.into_vec().iter().map(|mistake| mistake.key.to_string()).collect();
        assert_eq!(keys, ["control.metrics_listen", "standin.own_listen"]);
    }
}
