//! What the group of shared addresses tells the rest of the daemon.

use std::net::IpAddr;

use monitor_core::{
    domain::UnixMs,
    heartbeat::wire::Mode,
    standby::machine::{NoHandOver, Why},
};
use serde::{Deserialize, Serialize};

/// Why an address was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// There is no such group.
    #[error("there is no group `{0}` in [standby]")]
    Unknown(String),
    /// The machine says no.
    #[error("group `{0}`: {1}")]
    Refused(String, NoHandOver),
}

/// This host has another mode for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModeChange {
    /// Which group.
    pub(crate) group: String,
    /// Its mode now.
    pub(crate) mode: Mode,
    /// Why.
    pub(crate) why: Why,
    /// Its mode before.
    pub(crate) before: Mode,
    /// When.
    pub(crate) at: UnixMs,
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
    /// Why this host cannot serve: its interface is not there, the gate is not on it, or its application fails.
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
