//! What the machine goes on from after a restart.

use super::{Outage, Recovery};
use crate::domain::{OutageId, UnixMs};

/// What the machine goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Outages that are not over.
    pub outages: Vec<Outage>,
    /// Outages that are over and whose last clients are not all told.
    pub ended: Vec<Ended>,
    /// The first id that was never used.
    pub next_outage: OutageId,
}

/// An outage that has ended a short while ago: attempts that began before its end may still be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As it was; its span has an end.
    pub outage: Outage,
    /// When it ended: the time that mails name.
    pub recovered: UnixMs,
    /// What said so.
    pub evidence: Recovery,
}
