//! What `ringback guard --json` prints, one object per guard. Fields are added, never renamed or removed.

use monitor_core::{
    config::{GuardFail, GuardMode},
    domain::UnixMs,
};
use serde::{Deserialize, Serialize};

use crate::health::CheckLine;

/// One guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardLine {
    /// The guarded port.
    pub port: u16,
    /// When it checks.
    pub mode: GuardMode,
    /// What happens without a decision.
    pub fail: GuardFail,
    /// What is known of the server.
    pub health: HealthWord,
    /// Since when it is sick, or when it was last found healthy.
    pub since: Option<UnixMs>,
    /// Why it is sick.
    pub reason: Option<String>,
    /// The latest result of each check, in the order of the configuration.
    pub checks: Vec<CheckLine>,
    /// Whether checks run now.
    pub checking: bool,
    /// How often the checks have run.
    pub runs: u64,
    /// Open connections that were checked healthy, or came while one was open.
    pub open: u64,
    /// Requests that wait now.
    pub held: u64,
    /// The most that ever waited at the same time.
    pub held_most: u64,
    /// Requests, and established connections, that a healthy check let through.
    pub admitted: u64,
    /// Requests that were refused, and connections that were ended.
    pub refused: u64,
    /// Requests that passed unchecked.
    pub unchecked: u64,
    /// Requests that were dropped because nobody had decided.
    pub closed: u64,
    /// Requests that were dropped because too many waited.
    pub overflow: u64,
}

/// What is known of a guard's server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthWord {
    /// Nothing yet.
    #[default]
    Unknown,
    /// The last check was passed.
    Healthy,
    /// It was not.
    Sick,
}
