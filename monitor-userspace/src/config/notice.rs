//! Settings of notices to operators (B-1).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::outage::Failure;

/// `[[notice]]`: who is told when an outage opens and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeSetting {
    /// Mail addresses.
    pub to: Vec<String>,
    /// Of which servers; empty: all.
    #[serde(default)]
    pub servers: Vec<IpNet>,
    /// Of outages that began with this evidence: `unanswered`, `refused`, `host-unreachable`, `net-unreachable`,
    /// `port-unreachable`, `prohibited`; empty: any.
    #[serde(default)]
    pub evidence: Vec<Failure>,
}
