//! What `ringback peers --json` prints and the API answers. Fields are added, never renamed or removed.

use std::net::IpAddr;

use monitor_core::{
    domain::UnixMs,
    heartbeat::{status::State, wire::Mode},
};
use serde::{Deserialize, Serialize};

/// `ringback peers`: who is heard, who is up, who has which addresses (O-7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeersReport {
    /// This host's name.
    pub name: String,
    /// The other hosts.
    pub peers: Vec<PeerLine>,
    /// Groups of shared addresses.
    pub groups: Vec<GroupLine>,
}

/// One other host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLine {
    /// Its name.
    pub name: String,
    /// When it was last heard.
    pub heard: Option<UnixMs>,
    /// Whether that is not too long ago.
    pub reachable: bool,
    /// The ways to it.
    pub paths: Vec<PathLine>,
    /// Its status file; absent where it is not watched.
    pub watch: Option<WatchLine>,
    /// What it last said of the shared addresses.
    pub groups: Vec<GroupMode>,
}

/// One way to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathLine {
    /// As it is configured.
    pub path: String,
    /// Whether heartbeats come this way.
    pub works: bool,
    /// When the last one came.
    pub heard: Option<UnixMs>,
}

/// The status file of a watched host, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchLine {
    /// Its state.
    pub state: State,
    /// Since when.
    pub since: UnixMs,
    /// Whether its recovery is awaited.
    pub awaiting_recovery: bool,
    /// Why this host sends it no running signals: its own application fails. Absent while it works.
    #[serde(default)]
    pub own_trouble: Option<String>,
}

/// A mode that another host has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMode {
    /// For which group.
    pub group: String,
    /// Which.
    pub mode: Mode,
}

/// A group of shared addresses, as this host stands to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLine {
    /// Its name.
    pub group: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// This host's mode.
    pub mode: Mode,
    /// Since when.
    pub since: UnixMs,
    /// Why.
    pub why: Option<String>,
    /// The active host, as far as it is heard.
    pub active: Option<String>,
    /// Questions and claims that the closed gate has stopped.
    pub stopped: u64,
    /// Why this host cannot serve: its application fails. Absent while it works.
    #[serde(default)]
    pub own_trouble: Option<String>,
    /// How often this host's mode has changed since its start.
    #[serde(default)]
    pub changes: u64,
    /// How often another has claimed an address while this host was active; each is answered by an announcement.
    #[serde(default)]
    pub conflicts: u64,
    /// The MAC address that was last heard to claim an address, also in order while this host was in standby.
    #[serde(default)]
    pub claimed_by: Option<String>,
}
