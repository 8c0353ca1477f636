//! The outage machine (contract; the rules follow).

use super::{Actions, Observation, Outage, OutageId, Rules, UnixMs};

/// What the machine saw and did nothing about, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Unanswered attempts at a service that answered somebody else meanwhile (design rule 2).
    pub isolated: u64,
    /// Failures of services that are neither listed nor learned (design rule 3).
    pub unknown_service: u64,
    /// Unanswered attempts on a path where answers are never seen (design rule 3).
    pub cannot_tell: u64,
    /// Refused attempts, with `refused_is_failure` off (F-6).
    pub refused_ignored: u64,
    /// Failures of clients that are not in the address book, with `remember = "known"` (F-7).
    pub unknown_client: u64,
    /// Evidence of recovery for what is not failed.
    pub not_failed: u64,
    /// Host-level evidence of recovery for an outage whose evidence is of the service only (design rule 5).
    pub wrong_level: u64,
}

/// The outages and what to do about them.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
}

impl Machine {
    /// A machine that goes on from what the store holds. The actions mark every failed service in the kernel again.
    #[must_use]
    pub fn restore(rules: Rules, outages: Vec<Outage>, next_id: OutageId) -> (Self, Actions) {
        let _ = (outages, next_id);
        (Self { rules }, Actions::default())
    }

    /// Takes one fact.
    pub fn observe(&mut self, now: UnixMs, observation: Observation) -> Actions {
        let _ = (now, observation);
        Actions::default()
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: UnixMs) -> Actions {
        let _ = now;
        Actions::default()
    }

    /// When [`Machine::tick`] is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        None
    }

    /// Goes on under other rules (reload).
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The outages that are not over, by id.
    pub fn outages(&self) -> impl Iterator<Item = &Outage> {
        std::iter::empty()
    }

    /// What was seen and not acted on.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::default()
    }
}
