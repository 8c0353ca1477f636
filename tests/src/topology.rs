//! Which hosts there are, and how they are wired.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};

use crate::{
    host::{Host, INTERFACE},
    namespace::next_lab_name,
    path::{Forwarder, GATEWAY_END, HOST_END, Path},
};

/// How the gateway is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wiring {
    /// One interface towards each client and server, `client1` …, `server1` ….
    #[default]
    InterfacePerHost,
    /// One interface, `eth0`, on a switch with every client and server: packets leave where they came in.
    SingleInterface,
}

/// What kind of host; its networks are 10.KIND.N.0/24 and fd00:KIND:N::/64.
#[derive(Clone, Copy)]
enum Kind {
    Client = 1,
    Server = 2,
}

/// A description of a lab.
#[derive(Clone, Copy, Debug)]
pub struct LabBuilder {
    clients: u8,
    addresses: u8,
    servers: u8,
    wiring: Wiring,
    client_path: Option<Path>,
    server_path: Option<Path>,
}

impl LabBuilder {
    /// This many clients; default 1.
    #[must_use]
    pub const fn clients(mut self, clients: u8) -> Self {
        self.clients = clients;
        self
    }

    /// This many addresses (IPv4 and IPv6) per client host, at most 250; default 1. See [`Lab::client_addresses`].
    #[must_use]
    pub const fn addresses_per_client(mut self, addresses: u8) -> Self {
        self.addresses = addresses;
        self
    }

    /// This many servers; default 1.
    #[must_use]
    pub const fn servers(mut self, servers: u8) -> Self {
        self.servers = servers;
        self
    }

    /// How the gateway is connected.
    #[must_use]
    pub const fn wiring(mut self, wiring: Wiring) -> Self {
        self.wiring = wiring;
        self
    }

    /// Puts a path like this between the gateway and each server. See [`Lab::server_path`].
    #[must_use]
    pub const fn path(mut self, path: Path) -> Self {
        self.server_path = Some(path);
        self
    }

    /// Puts a path like this between the gateway and each client. See [`Lab::client_path`].
    #[must_use]
    pub const fn client_path(mut self, path: Path) -> Self {
        self.client_path = Some(path);
        self
    }

    /// Builds it. Needs root.
    pub fn build(self) -> Result<Lab> {
        ensure!((1..=250).contains(&self.addresses), "a client has 1 to 250 addresses");
        let name = next_lab_name()?;
        let folder = Folder::create(std::env::temp_dir().join(&name))?;
        let mut gateway = Host::new(&name, "gateway".to_owned(), &folder.0)?;
        for (key, value) in [
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/send_redirects", "0"),
            ("ipv4/conf/default/send_redirects", "0"),
        ] {
            gateway.sysctl(key, value)?;
        }
        let switch = match self.wiring {
            Wiring::InterfacePerHost => None,
            Wiring::SingleInterface => Some(build_switch(&name, &folder.0, &mut gateway)?),
        };
        let wire = |kind, number, gateway: &mut Host| {
            let role = match kind {
                Kind::Client => format!("client{number}"),
                Kind::Server => format!("server{number}"),
            };
            let path = match kind {
                Kind::Client => self.client_path,
                Kind::Server => self.server_path,
            };
            let path =
                path.map(|path| Ok::<_, anyhow::Error>((between(&name, &role, &folder.0)?, path))).transpose()?;
            let mut host = Host::new(&name, role, &folder.0)?;
            connect(&mut host, kind, number, gateway, switch.as_ref(), path.as_ref().map(|(between, _)| between))?;
            let path = path.map(|(between, path)| Forwarder::start(between, path)).transpose()?;
            Ok::<_, anyhow::Error>((host, path))
        };
        let clients: Vec<_> =
            (1..=self.clients).map(|number| wire(Kind::Client, number, &mut gateway)).collect::<Result<_>>()?;
        let servers: Vec<_> =
            (1..=self.servers).map(|number| wire(Kind::Server, number, &mut gateway)).collect::<Result<_>>()?;
        let (clients, client_paths) = clients.into_iter().unzip();
        let (servers, server_paths) = servers.into_iter().unzip();
        let addresses = self.addresses;
        let lab = Lab { client_paths, server_paths, clients, servers, gateway, switch, addresses, name, folder };
        lab.add_client_addresses()?;
        Ok(lab)
    }
}

/// Clients, a gateway and servers; taken down on drop.
#[derive(Debug)]
pub struct Lab {
    // Before the hosts: a path that has ended drops no frame of a host that goes.
    client_paths: Vec<Option<Forwarder>>,
    server_paths: Vec<Option<Forwarder>>,
    clients: Vec<Host>,
    servers: Vec<Host>,
    gateway: Host,
    switch: Option<Host>,
    addresses: u8,
    name: String,
    folder: Folder,
}

impl Lab {
    /// Describes a lab of one client, the gateway and one server, to be changed and built.
    #[must_use]
    pub const fn builder() -> LabBuilder {
        LabBuilder {
            clients: 1,
            addresses: 1,
            servers: 1,
            wiring: Wiring::InterfacePerHost,
            client_path: None,
            server_path: None,
        }
    }

    /// Builds a lab of one client, the gateway and one server.
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// Its name, of which those of the namespaces begin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder that goes with the lab.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder.0
    }

    /// The host that forwards.
    #[must_use]
    pub const fn gateway(&self) -> &Host {
        &self.gateway
    }

    /// The switch that all hosts are on, with [`Wiring::SingleInterface`]: its ports have the hosts' names.
    #[must_use]
    pub const fn switch(&self) -> Option<&Host> {
        self.switch.as_ref()
    }

    /// The client of that number, from 1 as in its name.
    #[must_use]
    pub fn client(&self, number: usize) -> &Host {
        &self.clients[number - 1]
    }

    /// The server of that number, from 1 as in its name.
    #[must_use]
    pub fn server(&self, number: usize) -> &Host {
        &self.servers[number - 1]
    }

    /// All clients.
    #[must_use]
    pub fn clients(&self) -> &[Host] {
        &self.clients
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> &[Host] {
        &self.servers
    }

    /// The path to the client of that number.
    ///
    /// # Panics
    ///
    /// The lab was built without [`LabBuilder::client_path`]: the test is wrong.
    #[must_use]
    pub fn client_path(&self, number: usize) -> &Forwarder {
        let path = self.client_paths[number - 1].as_ref();
        path.unwrap_or_else(|| panic!("no path to client{number}: see LabBuilder::client_path"))
    }

    /// The path to the server of that number.
    ///
    /// # Panics
    ///
    /// The lab was built without [`LabBuilder::path`]: the test is wrong.
    #[must_use]
    pub fn server_path(&self, number: usize) -> &Forwarder {
        let path = self.server_paths[number - 1].as_ref();
        path.unwrap_or_else(|| panic!("no path to server{number}: see LabBuilder::path"))
    }

    /// Every IPv4 address of a client host, then every IPv6 address: sources for [`Host::connect`].
    #[must_use]
    pub fn client_addresses(&self, number: u8) -> Vec<IpAddr> {
        let v4 = (0..self.addresses).map(|more| IpAddr::V4(v4(Kind::Client, number, 2 + more)));
        let v6 = (0..self.addresses).map(|more| IpAddr::V6(v6(Kind::Client, number, 2 + more)));
        v4.chain(v6).collect()
    }

    fn add_client_addresses(&self) -> Result<()> {
        for (number, client) in (1..).zip(&self.clients) {
            let more =
                self.client_addresses(number).into_iter().filter(|addr| *addr != client.v4() && *addr != client.v6());
            let commands: Vec<_> = more.map(|addr| add_address(addr, INTERFACE)).collect();
            client.ip(&commands)?;
        }
        Ok(())
    }
}

/// A switch with the gateway on it.
fn build_switch(lab: &str, folder: &std::path::Path, gateway: &mut Host) -> Result<Host> {
    let switch = Host::new(lab, "switch".to_owned(), folder)?;
    switch.ip(&["link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up"])?;
    plug(&switch, "gateway", gateway, INTERFACE)?;
    gateway.interfaces.push(INTERFACE.to_owned());
    find_dead_neighbours_fast(gateway, INTERFACE)?;
    Ok(switch)
}

/// The namespace of a path to a host. Its kernel says nothing by itself.
fn between(lab: &str, role: &str, folder: &std::path::Path) -> Result<Host> {
    let between = Host::new(lab, format!("{role}-path"), folder)?;
    for of in ["all", "default"] {
        between.sysctl(&format!("ipv6/conf/{of}/disable_ipv6"), "1")?;
    }
    Ok(between)
}

/// A cable from a port of the switch to the host's interface.
fn plug(switch: &Host, port: &str, host: &Host, interface: &str) -> Result<()> {
    switch.ip(&[
        format!("link add {port} type veth peer name {interface} netns {}", host.namespace()),
        format!("link set {port} master br0 up"),
    ])?;
    host.ip(&[format!("link set {interface} up")])
}

/// Wires a client or server, and gives it and the gateway's side addresses and routes.
fn connect(
    host: &mut Host,
    kind: Kind,
    number: u8,
    gateway: &mut Host,
    switch: Option<&Host>,
    path: Option<&Host>,
) -> Result<()> {
    // What the cable of the gateway or the switch ends at.
    let (end, interface) = match path {
        Some(path) => {
            let to_host = format!("link add {HOST_END} type veth peer name {INTERFACE} netns {}", host.namespace());
            path.ip(&[to_host])?;
            (path, GATEWAY_END)
        }
        None => (&*host, INTERFACE),
    };
    let towards_host = match switch {
        Some(switch) => {
            plug(switch, host.name(), end, interface)?;
            INTERFACE.to_owned()
        }
        None => {
            let name = host.name().to_owned();
            gateway.ip(&[
                format!("link add {name} type veth peer name {interface} netns {}", end.namespace()),
                format!("link set {name} up"),
            ])?;
            find_dead_neighbours_fast(gateway, &name)?;
            gateway.interfaces.push(name.clone());
            name
        }
    };
    gateway.ip(&[
        add_address(v4(kind, number, 1).into(), &towards_host),
        add_address(v6(kind, number, 1).into(), &towards_host),
    ])?;
    if gateway.v4.is_unspecified() {
        (gateway.v4, gateway.v6) = (v4(kind, number, 1), v6(kind, number, 1));
    }
    (host.v4, host.v6) = (v4(kind, number, 2), v6(kind, number, 2));
    host.interfaces.push(INTERFACE.to_owned());
    host.routes = vec![
        format!("default via {} dev {INTERFACE}", v4(kind, number, 1)),
        format!("default via {} dev {INTERFACE}", v6(kind, number, 1)),
    ];
    host.ip(&[add_address(host.v4(), INTERFACE), add_address(host.v6(), INTERFACE)])?;
    host.link_up()
}

/// A host that does not answer is found unreachable after 0.3 s in place of 3 s, and one that has just been there after
/// 2 s in place of up to a minute.
fn find_dead_neighbours_fast(host: &Host, interface: &str) -> Result<()> {
    for family in ["ipv4", "ipv6"] {
        for (key, value) in
            [("retrans_time_ms", "100"), ("delay_first_probe_time", "1"), ("base_reachable_time_ms", "500")]
        {
            host.sysctl(&format!("{family}/neigh/{interface}/{key}"), value)?;
        }
    }
    Ok(())
}

fn add_address(addr: IpAddr, interface: &str) -> String {
    match addr {
        IpAddr::V4(addr) => format!("address add {addr}/24 dev {interface}"),
        IpAddr::V6(addr) => format!("address add {addr}/64 dev {interface} nodad"),
    }
}

const fn v4(kind: Kind, network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, kind as u8, network, host)
}

const fn v6(kind: Kind, network: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, kind as u16, network as u16, 0, 0, 0, 0, host as u16)
}

/// A folder that is removed on drop.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("lab: cannot remove {}: {error}", self.0.display());
        }
    }
}
