//! Hosts on one switch that share addresses, or watch each other; a client beside them.
//!
//! ```text
//! client ── switch br0 ── host 1 … N     10.9.0.N, fd00:9::N on eth0; all of them have 10.9.0.50, fd00:9::50 too
//!           switch br1 ── host 1 … N     10.8.0.N on eth1: for heartbeats alone
//! ```

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Daemon, DaemonConfig, FrameListener, Host, Lab, Wiring, knocking::Service, wait_until};

/// More than any change of mode takes.
const LIMIT: Duration = Duration::from_secs(10);

/// The other ends of the second network.
const BACK: [u8; 3] = [10, 8, 0];

/// Its number in the IPv4 header.
const UDP: u8 = 17;

/// A lab of hosts that share addresses.
#[derive(Debug)]
pub struct Cluster {
    lab: Lab,
    hosts: u8,
    _services: Vec<Service>,
}

/// Which ways heartbeats have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// The network of the shared addresses.
    Front,
    /// The same in IPv6.
    FrontV6,
    /// The first and a network of their own.
    Both,
    /// The first and Ethernet frames on the other network.
    FrontAndLink,
}

impl Cluster {
    /// A client and this many hosts; each has the shared addresses and serves its name on them.
    pub fn new(hosts: u8) -> Result<Self> {
        let lab = Lab::builder().servers(hosts).wiring(Wiring::SingleInterface).build()?;
        let switch = lab.switch().context("the lab has a switch")?;
        switch.ip(&["link add br1 type bridge forward_delay 0 mcast_snooping 0", "link set br1 up"])?;
        lab.client(1).ip(&["address add 10.9.0.200/24 dev eth0", "address add fd00:9::200/64 dev eth0 nodad"])?;
        for number in 1..=hosts {
            let host = lab.server(usize::from(number));
            switch.ip(&[
                format!("link add back{number} type veth peer name eth1 netns {}", host.namespace()),
                format!("link set back{number} master br1 up"),
            ])?;
            // The shared addresses come second: nothing that the host begins itself comes from them.
            host.ip(&[
                "link set eth1 up".to_owned(),
                format!("address add 10.8.0.{number}/24 dev eth1"),
                format!("address add 10.9.0.{number}/24 dev eth0"),
                format!("address add fd00:9::{number}/64 dev eth0 nodad"),
            ])?;
            // eth1 must not answer for eth0's addresses, nor eth0 for another host's questions about its own.
            host.sysctl("ipv4/conf/all/arp_ignore", "1")?;
            host.sysctl("ipv4/conf/all/arp_announce", "2")?;
        }
        Ok(Self { lab, hosts, _services: Vec::new() })
    }

    /// Gives every host these addresses, and a service on them that says the host's name.
    pub fn share(mut self, addresses: &[IpAddr]) -> Result<Self> {
        for number in 1..=self.hosts {
            let host = self.host(number);
            for address in addresses {
                host.ip(&[match address {
                    IpAddr::V4(address) => format!("address add {address}/24 dev eth0"),
                    IpAddr::V6(address) => format!("address add {address}/64 dev eth0 nodad"),
                }])?;
            }
        }
        for number in 1..=self.hosts {
            let service = Service::start(self.host(number))?;
            self._services.push(service);
        }
        Ok(self)
    }

    /// The usual shared addresses.
    #[must_use]
    pub const fn shared() -> [IpAddr; 2] {
        [IpAddr::V4(Ipv4Addr::new(10, 9, 0, 50)), IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 0x50))]
    }

    /// The lab around it.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &Host {
        self.lab.client(1)
    }

    /// The host of that number, from 1.
    #[must_use]
    pub fn host(&self, number: u8) -> &Host {
        self.lab.server(usize::from(number))
    }

    /// Every number.
    pub fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.hosts
    }

    /// The configuration of a host: its name, and the others as peers with these lines besides.
    pub fn config(&self, number: u8, ways: Ways, lines: &str) -> Result<DaemonConfig> {
        let secret = self.host(number).folder().join("heartbeat.secret");
        fs::write(&secret, "a secret of the lab's hosts\n")?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        let mut config = DaemonConfig::new()
            .text("heartbeat.name", &format!("host{number}"))
            .text("heartbeat.secret_file", &secret.display().to_string())
            .set("watch.pending", "1024");
        for other in self.numbers().filter(|other| *other != number) {
            let [a, b, c] = BACK;
            let paths = match ways {
                Ways::Front => format!("'10.9.0.{other}:7411'"),
                Ways::FrontV6 => format!("'[fd00:9::{other}]:7411'"),
                Ways::Both => format!("'10.9.0.{other}:7411', '{a}.{b}.{c}.{other}:7411'"),
                Ways::FrontAndLink => format!("'10.9.0.{other}:7411', 'link:eth1'"),
            };
            config = config.table(&format!("[[peer]]\nname = 'host{other}'\npaths = [{paths}]\n{lines}"));
        }
        Ok(config)
    }

    /// The same with shared addresses in one group, of which host 1 has the best priority.
    pub fn standby(&self, number: u8, ways: Ways, beat: &str) -> Result<DaemonConfig> {
        let addresses: Vec<_> = Self::shared().iter().map(|address| format!("'{address}'")).collect();
        let group =
            format!("[[standby.group]]\nname = 'web'\naddresses = [{}]\npriority = {number}", addresses.join(", "));
        let config = self.config(number, ways, "")?.text("standby.interface", "eth0").text("standby.beat", beat);
        Ok(config.table(&group))
    }

    /// A daemon on every host, once the first is active.
    pub fn start(&self, ways: Ways, beat: &str) -> Result<Vec<Daemon<'_>>> {
        let start = |number| Daemon::start(self.host(number), self.standby(number, ways, beat)?);
        let daemons = self.numbers().map(start).collect::<Result<Vec<_>>>()?;
        settled(&daemons, 1)?;
        Ok(daemons)
    }

    /// Takes a host's plug out of a network (`server1`, `back1`) without its noticing: the link stays up.
    pub fn cut(&self, port: &str) -> Result<()> {
        self.lab.switch().context("a switch")?.ip(&[format!("link set {port} nomaster")])
    }

    /// Undoes [`Cluster::cut`].
    pub fn heal(&self, port: &str) -> Result<()> {
        let bridge = if port.starts_with("back") { "br1" } else { "br0" };
        self.lab.switch().context("a switch")?.ip(&[format!("link set {port} master {bridge}")])
    }

    /// Hears the IPv4 packets that come to a host on the first network, for [`Cluster::replay`].
    pub fn recorder(&self, number: u8) -> Result<FrameListener> {
        self.host(number).frame_listener("eth0", 0x0800)
    }

    /// Sends a host what it has had before, as somebody on the switch could.
    pub fn replay(&self, number: u8, frames: &[Vec<u8>]) -> Result<()> {
        let socket = self.lab.switch().context("a switch")?.frame_socket(&format!("server{number}"))?;
        for frame in frames {
            let mut frame = frame.clone();
            // Between namespaces a checksum is never completed; 0 says that there is none (RFC 768).
            if frame.get(23) == Some(&UDP) && frame.len() > 42 {
                frame[40..42].fill(0);
            }
            socket.send(&frame)?;
        }
        Ok(())
    }

    /// The MAC addresses that answer the client's ARP requests for an address.
    pub fn answering(&self, address: Ipv4Addr) -> Result<Vec<[u8; 6]>> {
        let mut arping = self.client().command("arping");
        arping.args(["-b", "-c", "2", "-w", "1", "-I", "eth0", &address.to_string()]);
        let output = arping.output().context("cannot start arping")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut macs: Vec<_> =
            text.lines().filter_map(|line| mac_in(line.split_once('[')?.1.split_once(']')?.0)).collect();
        macs.sort_unstable();
        macs.dedup();
        Ok(macs)
    }

    /// The MAC address that the client has in its cache.
    pub fn cached(&self, address: IpAddr) -> Result<Option<[u8; 6]>> {
        let output = self.client().command("ip").args(["-json", "neighbour", "show", "dev", "eth0"]).output()?;
        let entries: Value = serde_json::from_slice(&output.stdout).context("`ip -json` printed no JSON")?;
        let entry = entries.as_array().into_iter().flatten().find(|entry| entry["dst"] == address.to_string());
        Ok(entry.and_then(|entry| mac_in(entry["lladdr"].as_str()?)))
    }

    /// Forgets what the client has in its cache.
    pub fn flush_cache(&self) -> Result<()> {
        self.client().ip(&["neighbour flush all"])
    }
}

fn mac_in(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

/// Waits until exactly the host of this number is active for the group `web`, and all others are in standby.
pub fn settled(daemons: &[Daemon<'_>], active: usize) -> Result<()> {
    let met = wait_until(&format!("host {active} is active, the others are in standby"), LIMIT, || {
        daemons.iter().zip(1..).all(|(daemon, number)| {
            mode(daemon, "web").is_ok_and(|mode| mode == if number == active { "active" } else { "standby" })
        })
    });
    met.with_context(|| {
        let peers =
            daemons.iter().map(|daemon| format!("{:#}\n{}", daemon.json(&["peers"]).unwrap_or_default(), daemon.log()));
        peers.collect::<Vec<_>>().join("\n")
    })
}

/// The mode of a daemon's group.
pub fn mode(daemon: &Daemon<'_>, group: &str) -> Result<String> {
    let groups = daemon.json(&["standby"])?;
    let line = groups.as_array().into_iter().flatten().find(|line| line["group"] == group);
    Ok(line.and_then(|line| line["mode"].as_str()).unwrap_or("absent").to_owned())
}
