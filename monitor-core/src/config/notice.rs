//! Settings of notices to operators (B-1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{domain::ClientNet, outage::Failure};

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
    pub evidence: Vec<NoticeKind>,
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

/// `notice.evidence`: which kinds somebody wants to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// A SYN without an answer.
    Unanswered,
    /// ICMP: host, network or port unreachable.
    Unreachable,
    /// Of these only the host.
    HostUnreachable,
    /// Only the network.
    NetUnreachable,
    /// Only the port.
    PortUnreachable,
    /// ICMP: forbidden by a firewall.
    Prohibited,
    /// RST.
    Refused,
    /// Data of an established connection without an acknowledgement.
    Stalled,
    /// A guard's check failed.
    Sick,
    /// A peer is not heard any more.
    PeerDown,
}

impl NoticeKind {
    /// Whether an outage that began like this is of this kind.
    #[must_use]
    pub const fn covers(self, evidence: Failure) -> bool {
        matches!(
            (self, evidence),
            (Self::Unanswered, Failure::Unanswered | Failure::GaveUp)
                | (Self::Unreachable | Self::HostUnreachable, Failure::HostUnreachable)
                | (Self::Unreachable | Self::NetUnreachable, Failure::NetUnreachable)
                | (Self::Unreachable | Self::PortUnreachable, Failure::PortUnreachable)
                | (Self::Prohibited, Failure::Prohibited)
                | (Self::Refused, Failure::Refused)
                | (Self::Stalled, Failure::Stalled)
                | (Self::Sick, Failure::Sick)
        )
    }
}
