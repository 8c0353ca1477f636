//! `[heartbeat]`, `[standby]` and `[[peer]]`: who this host exchanges heartbeats with, and what for.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::CheckKind;
use crate::domain::ClientNet;

/// `[heartbeat]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// This host's name, as its peers call it; absent: its host name.
    pub name: Option<String>,
    /// Where heartbeats are received; `[::]` is every address of both families.
    pub listen: SocketAddr,
    /// File with the secret that all hosts share; needed with `[[peer]]`.
    pub secret_file: Option<PathBuf>,
    /// Where anybody may ask over HTTP how the watched hosts are (O-7); absent: nowhere.
    pub answer_listen: Option<SocketAddr>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { name: None, listen: SocketAddr::from(([0_u16; 8], 7411)), secret_file: None, answer_listen: None }
    }
}

impl Heartbeat {
    /// The name that counts; `host` is this host's own.
    #[must_use]
    pub fn own_name(&self, host: &str) -> String {
        self.name.clone().unwrap_or_else(|| host.to_owned())
    }
}

/// `[standby]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standby {
    /// The interface that has the shared addresses.
    pub interface: String,
    /// The period of heartbeats (H-2).
    #[serde(with = "super::duration", default = "beat")]
    pub beat: Duration,
    /// A host whose heartbeats have been missing for this many periods is gone.
    #[serde(default = "missed")]
    pub missed: u32,
    /// Shared addresses (H-6).
    #[serde(default)]
    pub group: Vec<StandbyGroup>,
}

const fn beat() -> Duration {
    Duration::from_millis(100)
}

const fn missed() -> u32 {
    3
}

impl Standby {
    /// Silence of this length means that a host is gone.
    #[must_use]
    pub fn gone_after(&self) -> Duration {
        self.beat * self.missed
    }
}

/// `[[standby.group]]`: addresses that are always on the same host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandbyGroup {
    /// Its name, the same on all hosts.
    pub name: String,
    /// The addresses; each host has them configured on the interface.
    pub addresses: Vec<IpAddr>,
    /// The host with the smallest takes over; absent: the MAC address as a number.
    #[serde(default)]
    pub priority: Option<u64>,
    /// A host whose application fails leaves the addresses to another.
    #[serde(default)]
    pub application: Option<Application>,
}

/// `[[peer]]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSetting {
    /// The other host's name, as its own configuration has it.
    pub name: String,
    /// Ways to it: `ADDRESS:PORT`, or `link:INTERFACE` for Ethernet frames (H-2).
    pub paths: Vec<PeerPath>,
    /// Whether it shares the addresses of `[standby]`.
    #[serde(default = "yes")]
    pub standby: bool,
    /// Whether the two watch each other (O-1).
    #[serde(default)]
    pub watch: bool,
    /// T2: the period of running signals.
    #[serde(with = "super::duration", default = "running_every")]
    pub running_every: Duration,
    /// T1: the period of judging; longer than T2 (O-3).
    #[serde(with = "super::duration", default = "judge_every")]
    pub judge_every: Duration,
    /// The own application that running signals vouch for; absent: the daemon itself (O-5).
    #[serde(default)]
    pub application: Option<Application>,
    /// Administrators, who are told when the peer is down and when it is back (O-4).
    #[serde(default)]
    pub admin: Vec<String>,
    /// Own clients who are told too: those of the address book that lie in these networks. Default: all.
    #[serde(default = "everybody")]
    pub clients: Vec<ClientNet>,
}

const fn yes() -> bool {
    true
}

const fn running_every() -> Duration {
    Duration::from_secs(1)
}

const fn judge_every() -> Duration {
    Duration::from_secs(3)
}

fn everybody() -> Vec<ClientNet> {
    ["0.0.0.0/0", "::/0"].into_iter().filter_map(|net| net.parse().ok()).collect()
}

/// One way to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerPath {
    /// UDP.
    Udp(SocketAddr),
    /// Ethernet frames on this interface.
    Link(String),
}

impl FromStr for PeerPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("link:") {
            Some("") => Err("`link:` names no interface: write link:eth1".to_owned()),
            Some(interface) => Ok(Self::Link(interface.to_owned())),
            None => text
                .parse()
                .map(Self::Udp)
                .map_err(|_| format!("`{text}` is no path: write 192.0.2.2:7411, [2001:db8::2]:7411 or link:eth1")),
        }
    }
}

impl fmt::Display for PeerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(addr) => write!(f, "{addr}"),
            Self::Link(interface) => write!(f, "link:{interface}"),
        }
    }
}

/// An application, and how it is seen to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Application {
    /// It accepts a connection.
    Tcp(SocketAddr),
    /// It answers a GET with a status below 400: address and path.
    Http(SocketAddr, String),
    /// A command ends with status 0: program and arguments.
    Command(Vec<String>),
    /// A systemd unit is active.
    Unit(String),
}

impl Application {
    /// How it is looked at: as a guard would.
    #[must_use]
    pub fn check(&self) -> CheckKind {
        match self.clone() {
            Self::Tcp(addr) => CheckKind::Tcp(addr),
            Self::Http(addr, path) => CheckKind::Http { addr, path, status: 200..=399 },
            Self::Command(words) => CheckKind::Command(words),
            Self::Unit(unit) => CheckKind::Unit(unit),
        }
    }
}

impl FromStr for Application {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no application: write tcp:127.0.0.1:80, http://127.0.0.1:80/health, unit:nginx.service or \
                 command:PROGRAM ARGUMENTS"
            )
        };
        if let Some(addr) = text.strip_prefix("tcp:") {
            return addr.parse().map(Self::Tcp).map_err(|_| wrong());
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let (addr, path) = rest.split_once('/').unwrap_or((rest, ""));
            let addr = addr.parse().or_else(|_| format!("{addr}:80").parse()).map_err(|_| wrong())?;
            return Ok(Self::Http(addr, format!("/{path}")));
        }
        if let Some(unit) = text.strip_prefix("unit:") {
            // One word that is no option: it is given to systemctl.
            let plain = !unit.is_empty() && !unit.starts_with('-') && !unit.contains(char::is_whitespace);
            return if plain { Ok(Self::Unit(unit.to_owned())) } else { Err(wrong()) };
        }
        let words: Vec<_> =
            text.strip_prefix("command:").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err(wrong()) } else { Ok(Self::Command(words)) }
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "tcp:{addr}"),
            Self::Http(addr, path) => write!(f, "http://{addr}{path}"),
            Self::Command(words) => write!(f, "command:{}", words.join(" ")),
            Self::Unit(unit) => write!(f, "unit:{unit}"),
        }
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}
as_text!(PeerPath Application);
