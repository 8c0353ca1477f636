//! What operators are told of.

use std::{fmt, net::IpAddr};

use crate::{
    domain::{OutageId, Service, UnixMs},
    outage::{Failure, Recovery},
};

/// An outage, as far as operators care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The outage.
    pub outage: OutageId,
    /// What has failed.
    pub service: Service,
    /// The server's name, if it is known.
    pub name: Option<String>,
    /// What it began with.
    pub evidence: Failure,
    /// Its begin.
    pub since: UnixMs,
    /// Clients that wait, or that waited.
    pub clients: u64,
}

/// A watched peer that is down or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its addresses, by which `notice.servers` may choose.
    pub addresses: Vec<IpAddr>,
    /// Since when it is, or was, down: names the event.
    pub since: UnixMs,
    /// When it came back; `None`: it is down.
    pub back: Option<UnixMs>,
}

/// One thing that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The outage is confirmed.
    Opened(Subject),
    /// The service is back.
    Ended {
        /// Which outage.
        subject: Subject,
        /// When.
        at: UnixMs,
        /// What said so; `None`: nothing did, everybody who waited has aged out.
        evidence: Option<Recovery>,
    },
    /// A peer is down.
    PeerDown {
        /// Its name.
        peer: String,
        /// Since when.
        since: UnixMs,
    },
    /// A peer is back.
    PeerBack {
        /// Its name.
        peer: String,
        /// When.
        at: UnixMs,
    },
}

impl Event {
    /// The word that the store and JSON use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Ended { evidence: Some(_), .. } => "ended",
            Self::Ended { evidence: None, .. } => "discarded",
            Self::PeerDown { .. } => "peer-down",
            Self::PeerBack { .. } => "peer-back",
        }
    }

    /// Whether it says that something has failed.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Opened(_) | Self::PeerDown { .. })
    }
}

/// One line: what it is.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(subject) => write!(f, "{} is down: {}", subject.service, subject.evidence),
            Self::Ended { subject, evidence: Some(_), .. } => write!(f, "{} is back", subject.service),
            Self::Ended { subject, evidence: None, .. } => write!(f, "{}: outage given up", subject.service),
            Self::PeerDown { peer, .. } => write!(f, "peer {peer} is down"),
            Self::PeerBack { peer, .. } => write!(f, "peer {peer} is back"),
        }
    }
}
