//! What the machine goes on from after a restart.

use super::Outage;
use crate::domain::OutageId;

/// What the machine goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Outages that are not over.
    pub outages: Vec<Outage>,
    /// The first id that was never used.
    pub next_outage: OutageId,
}
