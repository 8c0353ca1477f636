//! What the machine is told: every way in which the outside can speak of a service, as one enum.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    action::Outage,
    evidence::{Failure, Recovery},
};
use crate::domain::{AttemptMask, ClientAddr, MonotonicNs, OutageId, Service, UnixMs};

/// Why a service may have an outage at all (design rule 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its address and port are on the configured watch list.
    Listed,
    /// It has answered at least once before.
    Learned,
    /// Neither: a scan of empty addresses looks like this. Opens nothing.
    Unknown,
}

/// A failed attempt, as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Who tried.
    pub client: ClientAddr,
    /// What was tried.
    pub service: Service,
    /// Which of the client's attempts it is.
    pub mask: AttemptMask,
    /// What made it fail.
    pub evidence: Failure,
    /// When the SYN first passed, by the kernel's clock.
    pub seen: MonotonicNs,
    /// The same by the wall clock.
    pub at: UnixMs,
    /// When it was seen that it failed, by the kernel's clock: of silence, its time-out.
    pub said: MonotonicNs,
    /// Until when the client may still get through by repeating its SYN.
    pub trying_until: UnixMs,
    /// 1: its fate; 0: more evidence on an attempt whose fate was reported before, or, with [`Failure::KnownFailed`], only
    /// that it is made.
    pub attempts: u32,
    /// Why the service may have an outage.
    pub standing: Standing,
    /// Whether the client is in the address book (for `remember = "known"`, F-7).
    pub known: bool,
    /// What the kernel knew of answers when it reported the attempt; `None`: a guard reports it, which sees none.
    pub answers: Option<AnswersSeen>,
}

/// What was known of a service's answers when an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswersSeen {
    /// The latest SYN that the service answered, by the kernel's clock; `None`: none on this path.
    pub last: Option<MonotonicNs>,
    /// How often it had answered, modulo 2^32.
    pub count: u32,
    /// Whether this path has ever shown the answer of any service. Silence on a path where answers are never seen
    /// (asymmetric routing) says "cannot tell" (design rule 3).
    pub on_path: bool,
    /// The silence of the service that holds the whole attempt, from its first SYN to its latest, if that is over: what came
    /// after it proves nothing of the attempt.
    pub silence: Option<Silence>,
}

/// A time in which a service answered nobody, by the kernel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The latest SYN that was answered before it.
    pub from: MonotonicNs,
    /// The first SYN that was answered after it.
    pub to: MonotonicNs,
}

/// An attempt of a client that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsweredAttempt {
    /// Who got through.
    pub client: ClientAddr,
    /// Which of the client's attempts it is.
    pub mask: AttemptMask,
    /// When its SYN first passed.
    pub seen: MonotonicNs,
    /// 1: it was reported as failed before, which is to be taken back.
    pub withdrawn: u32,
}

/// What an authenticated signal or a trap speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Every service of this host.
    Host(IpAddr),
    /// One service.
    Service(Service),
}

/// One fact from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// An attempt failed (F-2 to F-4, F-6).
    Failed(FailedAttempt),
    /// A client asks to be told of the end of this service's outage, whether or not it has tried (F-24, B-2).
    Asked {
        /// Who asks.
        client: ClientAddr,
        /// What it wants to reach.
        service: Service,
        /// When.
        at: UnixMs,
        /// Whether the client is in the address book.
        known: bool,
    },
    /// What the kernel knows of a service's answers now that it is marked failed: the answer to
    /// [`super::Actions::race_checks`] (design rule 7).
    AnswersAfterMark {
        /// Which service.
        service: Service,
        /// How often it has answered, modulo 2^32.
        count: u32,
        /// When it last did, by the kernel's clock.
        last: MonotonicNs,
        /// The same by the wall clock.
        at: UnixMs,
    },
    /// A service answered (F-12).
    Answered {
        /// Who answered.
        service: Service,
        /// What it answered, if that is known.
        attempt: Option<AnsweredAttempt>,
        /// When.
        at: UnixMs,
        /// The same by the kernel's clock.
        when: MonotonicNs,
    },
    /// An attempt that was reported as failed is answered after all: it did not fail.
    Withdrawn {
        /// Who answered.
        service: Service,
        /// Whose attempt it was.
        client: ClientAddr,
        /// How many attempts to take back.
        attempts: u32,
    },
    /// The host sent ARP or a neighbour advertisement (F-11). `evidence` is [`Recovery::Arp`] or
    /// [`Recovery::NeighbourAdvertisement`].
    HostSeen {
        /// The host that spoke.
        host: IpAddr,
        /// How.
        evidence: Recovery,
        /// When.
        at: UnixMs,
    },
    /// A recovery trap or inform speaks for this host (F-10).
    Trap {
        /// The host that the trap speaks for.
        host: IpAddr,
        /// When it arrived, by the kernel's clock.
        at: MonotonicNs,
    },
    /// An authenticated signal says that the target is back (F-13).
    Signal {
        /// What is back.
        target: Target,
        /// When it was received, by the kernel's clock.
        at: MonotonicNs,
    },
    /// The answer to [`super::Actions::probes`] (F-14).
    Probed {
        /// What was probed.
        service: Service,
        /// Whether it accepted a connection.
        connected: bool,
        /// When, by the kernel's clock.
        at: MonotonicNs,
    },
    /// Another gateway has this outage; its `id` is not ours.
    OpenElsewhere(Outage),
    /// An attempt that nobody was seen to answer was answered: another gateway saw that.
    AnsweredElsewhere {
        /// Who answered.
        service: Service,
        /// Whose attempt it was.
        client: ClientAddr,
        /// Which of the client's attempts.
        mask: AttemptMask,
        /// How many attempts to take back.
        attempts: u32,
        /// Up to when, at least, the service was well.
        well: UnixMs,
    },
    /// Our outage, which other gateways saw too, is over: one of them has closed it, and told whoever waits.
    EndedElsewhere {
        /// By our own number.
        outage: OutageId,
        /// When.
        at: UnixMs,
    },
}
