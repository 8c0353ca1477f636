//! What the shells may say to the core, and what it answers.
//!
//! In: [`Request`]s, in one queue, taken in the order in which they came. Out: of each one [`Answer`], once everything that
//! follows from it is committed to the store and told to the kernel. How both travel is the shell's business.

use std::net::IpAddr;

use crate::{
    config::Watch,
    domain::{ClientAddr, ClockOffset, ClockReading, MonotonicNs, Service, UnixMs},
    outage::{GuardFinding, Observation, Question, Rules},
    snmp::RemoteEngine,
};

/// The clocks that the core reads.
pub trait Clock: Clone + Send + 'static {
    /// The wall clock, without the steps that were not adopted.
    fn wall(&self) -> UnixMs;

    /// How far it is ahead of the kernel's clock now. To be read again now and then: the host may have slept.
    fn offset(&self) -> ClockOffset;

    /// The host's clocks, if steps of the wall clock are adopted; else the core goes by the wall clock as it is.
    fn reading(&self) -> Option<ClockReading>;

    /// From now on the wall clock is the boot's clock and this.
    fn adopt(&self, ahead: ClockOffset);
}

/// What a shell says.
#[derive(Clone, Debug)]
pub enum Request {
    /// A fact: evidence of a recovery, or what another gateway has seen. Answered by [`Answer::Committed`].
    Observed(Observation),
    /// A recovery trap or inform speaks for this host (F-10). Answered by [`Answer::Committed`].
    Trap {
        /// The host that the trap speaks for.
        host: IpAddr,
        /// When it arrived, by the kernel's clock.
        at: MonotonicNs,
        /// What must be committed with it, so that the SNMPv3 message it came by has no effect a second time.
        seen: Option<RemoteEngine>,
    },
    /// A guard has ended a connection. Answered by [`Answer::Committed`].
    Guarded(GuardFinding),
    /// A client wants to be told of the end of a service's outage (F-24, B-2). Answered by [`Answer::Subscribed`].
    Subscribe(Subscription),
    /// The address book in the store has changed. Answered by [`Answer::Committed`].
    AddressesChanged,
    /// Another gateway asks: of each attempt, up to when the service is known to have been well. Answered by
    /// [`Answer::Known`].
    Asked(Vec<Question>),
    /// Go on with this policy. Answered by [`Answer::Reloaded`].
    Reload(Box<Policy>),
}

/// Who wants to be told of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Who asks.
    pub client: ClientAddr,
    /// What it wants to reach.
    pub service: Service,
    /// When it asked.
    pub at: UnixMs,
    /// It has just said where it is told: the core's copy of the address book may not have that yet.
    pub on_record: bool,
}

/// What of the configuration concerns the core; a reload replaces it as a whole.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The outage rules.
    pub rules: Rules,
    /// What the programs watch, and where.
    pub watch: Watch,
}

/// What the core answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is taken, and what follows from it is committed.
    Committed,
    /// Whether the client was listed: not if the service has no outage, or if the list takes only clients that are on record
    /// (`watch.remember`, `outage.max_unknown`).
    Subscribed(bool),
    /// Of each question, up to when the service was well.
    Known(Vec<Option<UnixMs>>),
    /// The policy is in force; or the reason why the old one stays.
    Reloaded(Result<(), String>),
}
