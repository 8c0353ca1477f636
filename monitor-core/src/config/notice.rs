//! Settings of notices to operators (B-1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{domain::ClientNet, mail::notice::Kind};

/// `[[notice]]`: who is told when an outage opens and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeSetting {
    /// Mail addresses, and webhooks as `webhook:NAME`.
    pub to: Vec<String>,
    /// Of which servers and peers: addresses or networks; empty: all.
    #[serde(default)]
    pub servers: Vec<ClientNet>,
    /// Of outages that began with this evidence, or of peers; empty: of everything.
    #[serde(default)]
    pub evidence: Vec<Kind>,
    /// What happens within this time is told in one message.
    #[serde(default = "gather", with = "super::duration")]
    pub gather: Duration,
    /// The shortest time between two messages to one recipient; what happens meanwhile is told in one.
    #[serde(default = "pause", with = "super::duration")]
    pub pause: Duration,
}

const fn gather() -> Duration {
    Duration::from_secs(2)
}

const fn pause() -> Duration {
    Duration::from_secs(300)
}
