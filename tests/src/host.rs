//! One host of the lab: a network namespace with its addresses.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{FrameListener, FrameSocket, Process, XdpPass, namespace::Namespace, peers};

/// The interface of a client or server.
pub const INTERFACE: &str = "eth0";

/// A client, server or gateway.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    role: String,
    folder: PathBuf,
    pub(crate) interfaces: Vec<String>,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    /// Default routes (`default via …`): the kernel forgets them when the link goes down.
    pub(crate) routes: Vec<String>,
}

impl Host {
    pub(crate) fn new(lab: &str, role: String, folder: &Path) -> Result<Self> {
        let folder = folder.join(&role);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let host = Self {
            namespace: Namespace::create(format!("{lab}-{role}"))?,
            role,
            folder,
            interfaces: Vec::new(),
            v4: Ipv4Addr::UNSPECIFIED,
            v6: Ipv6Addr::UNSPECIFIED,
            routes: Vec::new(),
        };
        // No duplicate address detection: addresses are usable at once. Errors must not be rate-limited: tests count them.
        for (key, value) in [
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/dad_transmits", "0"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/all/keep_addr_on_down", "1"),
            ("ipv6/conf/default/keep_addr_on_down", "1"),
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv4/icmp_msgs_per_sec", "100000"),
            ("ipv4/icmp_msgs_burst", "10000"),
            ("ipv6/icmp/ratelimit", "0"),
        ] {
            host.sysctl(key, value)?;
        }
        host.ip(&["link set lo up"])?;
        Ok(host)
    }

    /// Its part in the lab: `client1`, `gateway`, `server2` …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.role
    }

    /// The name of its network namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// A folder for its files; goes with the lab.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its interfaces but `lo`.
    #[must_use]
    pub fn interfaces(&self) -> &[String] {
        &self.interfaces
    }

    /// Its first IPv4 address; of the gateway: the one towards the first client.
    #[must_use]
    pub const fn v4(&self) -> IpAddr {
        IpAddr::V4(self.v4)
    }

    /// Its first IPv6 address; of the gateway: the one towards the first client.
    #[must_use]
    pub const fn v6(&self) -> IpAddr {
        IpAddr::V6(self.v6)
    }

    /// The service on `port` of its IPv4 address.
    #[must_use]
    pub const fn service_v4(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.v4(), port)
    }

    /// The service on `port` of its IPv6 address.
    #[must_use]
    pub const fn service_v6(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.v6(), port)
    }

    /// A program that will run on this host, found in `bin` of its folder, on `PATH` or among the unpacked peers. Start it
    /// while the host exists.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", [self.folder.join("bin").as_os_str(), &*peers::PATH].join(OsStr::new(":")));
        self.namespace.take_in(&mut command);
        command
    }

    /// Starts a program made by [`Host::command`] beside the test; its output goes to `NAME.log` in the host's folder.
    pub fn spawn(&self, name: &str, command: &mut Command) -> Result<Process> {
        Process::start(name, command, &self.folder.join(format!("{name}.log")))
    }

    /// Runs `work` on a thread that is on this host: sockets opened there belong to it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace.enter(work)
    }

    /// Runs `ip` commands (`link set eth0 mtu 1400`) in order; stops at the first that fails.
    pub fn ip(&self, commands: &[impl AsRef<str>]) -> Result<()> {
        let mut ip = self.command("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut ip = ip.spawn().context("cannot start `ip`")?;
        let lines: String = commands.iter().flat_map(|command| [command.as_ref(), "\n"]).collect();
        ip.stdin.take().context("no pipe to `ip`")?.write_all(lines.as_bytes()).context("cannot write to `ip`")?;
        let output = ip.wait_with_output()?;
        if !output.status.success() {
            bail!("{}: `ip` failed: {}\n{lines}", self.role, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Applies one rule of its packet filter (`add table inet bar`).
    pub fn nft(&self, rule: &str) -> Result<()> {
        let output = self.command("nft").arg(rule).output()?;
        ensure!(output.status.success(), "nft {rule}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Sets `/proc/sys/net/KEY` of this host.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        let written = self.enter(|| fs::write(&path, value))?;
        written.with_context(|| format!("{}: cannot write {value} to {path}", self.role))
    }

    /// Puts an XDP program that passes everything on an interface, for as long as the result lives.
    pub fn xdp_pass(&self, interface: &str) -> Result<XdpPass> {
        self.enter(|| XdpPass::attach(interface))?
            .with_context(|| format!("{}: cannot attach an XDP program to {interface}", self.role))
    }

    /// The cable is out: the gateway's ARP requests and neighbour solicitations get no answer.
    pub fn link_down(&self) -> Result<()> {
        self.ip(&[format!("link set {INTERFACE} down")])
    }

    /// The cable is in again.
    pub fn link_up(&self) -> Result<()> {
        let mut commands = vec![format!("link set {INTERFACE} up")];
        commands.extend(self.routes.iter().map(|route| format!("route replace {route}")));
        self.ip(&commands)
    }

    /// The host still answers ARP and neighbour solicitations, but nothing it sends to clients leaves it: SYNs stay
    /// unanswered.
    pub fn fall_silent(&self) -> Result<()> {
        self.ip(&["route add blackhole 10.1.0.0/16", "route add blackhole fd00:1::/32"])
    }

    /// Undoes [`Host::fall_silent`].
    pub fn speak_again(&self) -> Result<()> {
        self.ip(&["route del blackhole 10.1.0.0/16", "route del blackhole fd00:1::/32"])
    }

    /// A socket that sends whole Ethernet frames out of one of the interfaces.
    pub fn frame_socket(&self, interface: &str) -> Result<FrameSocket> {
        self.enter(|| FrameSocket::open(interface))?
            .with_context(|| format!("{}: no frame socket on {interface}", self.role))
    }

    /// Hears frames of this Ethernet type that arrive on one of the interfaces.
    pub fn frame_listener(&self, interface: &str, ethertype: u16) -> Result<FrameListener> {
        self.enter(|| FrameListener::open(interface, ethertype))?
            .with_context(|| format!("{}: nothing is heard on {interface}", self.role))
    }

    /// The MAC address of one of its interfaces.
    pub fn mac(&self, interface: &str) -> Result<[u8; 6]> {
        let output = self.command("ip").args(["-json", "link", "show", "dev", interface]).output()?;
        let links: serde_json::Value = serde_json::from_slice(&output.stdout).context("`ip -json` printed no JSON")?;
        let text = links[0]["address"].as_str().with_context(|| format!("{} has no {interface}", self.role))?;
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<Vec<_>, _>>()?;
        bytes.try_into().map_err(|_| anyhow::anyhow!("{text} is not a MAC address"))
    }
}
