//! What `ringback peers --json` prints and the API answers. Fields are added, never renamed or removed.

use monitor_core::{
    domain::UnixMs,
    heartbeat::{status::State, wire::Mode},
};
use serde::{Deserialize, Serialize};

use crate::standby::GroupLine;

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
