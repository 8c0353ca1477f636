//! What made us say "failed" or "recovered".

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why an attempt counts as failed (design rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// No SYN/ACK with acknowledgement number = sequence number + 1 within the time-out (F-3).
    Unanswered,
    /// RST in answer to the SYN (F-6).
    Refused,
    /// ICMP host unreachable, ICMPv6 address unreachable: ARP or ND got no answer (F-2).
    HostUnreachable,
    /// ICMP network unreachable, ICMPv6 no route (F-2).
    NetUnreachable,
    /// ICMP port or protocol unreachable (F-2).
    PortUnreachable,
    /// ICMP administratively prohibited (F-2).
    Prohibited,
    /// A SYN to a service that was already known failed (F-4).
    KnownFailed,
    /// Data of an established connection that was not acknowledged (F-5).
    Stalled,
    /// The client had given up when its answer came, and said so by an RST.
    GaveUp,
    /// Refused at a guarded port of this host: the application behind it did not pass its checks (D-1).
    Sick,
    /// Nothing failed: the client asked to be told (F-24, B-2). Only waiting lists and letters have this.
    Asked,
}

/// Whether evidence speaks of one service or of its whole host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One `address:port`.
    Service,
    /// The host: an ARP reply or neighbour advertisement of it is evidence of recovery.
    Host,
}

impl Failure {
    /// Every kind that an attempt can have, for tables and tests.
    pub const ALL: [Self; 10] = [
        Self::Unanswered,
        Self::Refused,
        Self::HostUnreachable,
        Self::NetUnreachable,
        Self::PortUnreachable,
        Self::Prohibited,
        Self::KnownFailed,
        Self::Stalled,
        Self::GaveUp,
        Self::Sick,
    ];

    /// Whether nothing came in time: then it counts who else was answered meanwhile (design rule 2), and whether this path
    /// shows answers (design rule 3).
    #[must_use]
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::Unanswered | Self::Stalled | Self::GaveUp)
    }

    /// Whether a filter on the way says the same to a client that it bars, and to nobody else (design rule 9).
    #[must_use]
    pub const fn may_be_a_filters(self) -> bool {
        matches!(self, Self::Refused | Self::PortUnreachable | Self::Prohibited)
    }

    /// Whether this speaks of one service or of its whole host.
    #[must_use]
    pub const fn level(self) -> Level {
        match self {
            Self::HostUnreachable | Self::NetUnreachable => Level::Host,
            Self::Unanswered
            | Self::Refused
            | Self::PortUnreachable
            | Self::Prohibited
            | Self::KnownFailed
            | Self::Stalled
            | Self::GaveUp
            | Self::Sick
            | Self::Asked => Level::Service,
        }
    }

    /// Whether this says something of the service by itself: a SYN to a service that was known to be failed does not, and
    /// neither does a client that asks.
    #[must_use]
    pub const fn is_finding(self) -> bool {
        !matches!(self, Self::KnownFailed | Self::Asked)
    }

    /// Whether the attempt is over, so that its client cannot get through by it any more: an RST ends it (RFC 9293 section
    /// 3.10.7.3), and so do a guard and the client itself. After ICMP it may go on (RFC 5461 section 2).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Refused | Self::Sick | Self::GaveUp | Self::Stalled)
    }

    /// Whether a line of a waiting list says more with this than with `other`.
    #[must_use]
    pub fn tells_more_than(self, other: Self) -> bool {
        let weight = |failure| match failure {
            Self::Asked => 0,
            Self::KnownFailed => 1,
            _ => 2,
        };
        weight(self) > weight(other)
    }

    /// The word that the store, JSON and messages use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
            Self::HostUnreachable => "host-unreachable",
            Self::NetUnreachable => "net-unreachable",
            Self::PortUnreachable => "port-unreachable",
            Self::Prohibited => "prohibited",
            Self::KnownFailed => "known-failed",
            Self::Stalled => "stalled",
            Self::GaveUp => "gave-up",
            Self::Sick => "sick",
            Self::Asked => "asked",
        }
    }

    /// The evidence that [`Failure::word`] names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Asked]).find(|failure| failure.word() == word)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why an outage counts as over (design rule 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// A SYN/ACK of the service that matches an attempt, or the client's own ACK of the handshake (F-12).
    Answered,
    /// An ARP packet that the host sent (F-11).
    Arp,
    /// A neighbour advertisement of the host (F-11).
    NeighbourAdvertisement,
    /// An SNMP trap or inform of the host (F-10).
    Trap,
    /// An authenticated signal (F-13).
    Signal,
    /// A probe that connected (F-14).
    Probe,
}

impl Recovery {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 6] =
        [Self::Answered, Self::Arp, Self::NeighbourAdvertisement, Self::Trap, Self::Signal, Self::Probe];

    /// The word that the store, JSON and messages use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Arp => "arp",
            Self::NeighbourAdvertisement => "neighbour-advertisement",
            Self::Trap => "trap",
            Self::Signal => "signal",
            Self::Probe => "probe",
        }
    }

    /// The evidence that [`Recovery::word`] names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recovery| recovery.word() == word)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
