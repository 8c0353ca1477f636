//! What the store and the kernel are left with, by the machine's actions alone: the model of its property tests.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
};

use monitor_common::step;
use proptest::prelude::*;

use crate::{
    domain::{ClientAddr, ClockOffset, Moment, MonotonicNs, OutageId, Service, UnixMs},
    outage::{
        Actions, AnswersSeen, Change, FailedAttempt, Failure, Level, Mark, Outage, Phase, Recovery, Rules, Span,
        Standing,
    },
};

/// What is outside of the machine, by its actions alone.
pub(super) struct Outside {
    pub(super) outages: BTreeMap<OutageId, Outage>,
    pub(super) waiting: BTreeSet<(OutageId, ClientAddr)>,
    pub(super) failed: HashSet<Service>,
    pub(super) hosts: HashSet<IpAddr>,
    pub(super) ended: BTreeSet<OutageId>,
    /// Ended a short while ago.
    pub(super) late: BTreeMap<OutageId, Outage>,
    /// Of these, another gateway had an outage.
    pub(super) elsewhere: HashSet<Service>,
    /// Suspicions that were none here, and that another gateway may have on its list.
    pub(super) discarded: BTreeSet<OutageId>,
    pub(super) next: i64,
}

/// The two clocks, in milliseconds.
pub(super) struct Clock {
    pub(super) wall: i64,
    pub(super) kernel: i64,
}

impl Clock {
    pub(super) fn pass(&mut self, later: i64) -> Moment {
        self.wall += later;
        self.kernel += later.max(0);
        Moment {
            wall: UnixMs(self.wall),
            offset: ClockOffset::from_nanoseconds((self.wall - self.kernel) * 1_000_000),
            steady: ClockOffset::from_nanoseconds(0),
            known: MonotonicNs(u64::try_from(self.kernel).unwrap() * 1_000_000),
        }
    }
}

impl Outside {
    pub(super) fn new() -> Self {
        Self {
            outages: BTreeMap::new(),
            waiting: BTreeSet::new(),
            failed: HashSet::new(),
            hosts: HashSet::new(),
            ended: BTreeSet::new(),
            late: BTreeMap::new(),
            elsewhere: HashSet::new(),
            discarded: BTreeSet::new(),
            next: 0,
        }
    }

    /// Whether somebody may be on the list of this outage, here or at another gateway.
    fn has_list(&self, id: OutageId) -> bool {
        self.outages.contains_key(&id) || self.late.contains_key(&id) || self.discarded.contains(&id)
    }

    pub(super) fn carry_out(&mut self, actions: &Actions, rules: &Rules) -> Result<(), TestCaseError> {
        for change in &actions.changes {
            self.change(change, rules)?;
        }
        for mark in &actions.marks {
            self.mark(mark)?;
        }
        Ok(())
    }

    fn change(&mut self, change: &Change, rules: &Rules) -> Result<(), TestCaseError> {
        match change {
            Change::Put(outage) => {
                prop_assert!(!self.ended.contains(&outage.id), "an ended outage is changed: {outage:?}");
                self.next = self.next.max(outage.id.0 + 1);
                self.outages.insert(outage.id, *outage);
            }
            Change::Wait { outage, client, .. } => {
                let there = self.outages.contains_key(outage) || self.late.contains_key(outage);
                prop_assert!(there, "a list without an outage");
                self.waiting.insert((*outage, *client));
            }
            Change::Withdraw { outage, instead, .. } => {
                prop_assert!(std::iter::once(outage).chain(instead).all(|id| self.has_list(*id)));
            }
            Change::Connected { outage, .. } => prop_assert!(self.has_list(*outage)),
            Change::Settle { closing, last } => {
                for id in &closing.outages {
                    prop_assert!(self.late.contains_key(id) || self.discarded.contains(id), "told after its end: {id}");
                    if *last {
                        self.discarded.remove(id);
                        self.late.remove(id);
                        self.waiting.retain(|(outage, _)| outage != id);
                    }
                }
            }
            Change::Close(closing) => {
                prop_assert!(!closing.outages.is_empty() && closing.outages.is_sorted());
                for id in &closing.outages {
                    let outage = self.outages.remove(id);
                    let outage = outage.ok_or_else(|| TestCaseError::fail("closed twice, or never there"))?;
                    prop_assert!(outage.phase != Phase::Suspected, "a suspicion is told");
                    let confirmed = outage.failures >= u64::from(rules.min_failures);
                    prop_assert!(confirmed || self.elsewhere.contains(&outage.service));
                    let arp = matches!(closing.evidence, Recovery::Arp | Recovery::NeighbourAdvertisement);
                    prop_assert!(!arp || outage.level == Level::Host, "ARP ends an outage of a service");
                    let span = Span { until: Some(closing.until), ..outage.span };
                    self.late.insert(*id, Outage { span, ..outage });
                    self.ended.insert(*id);
                }
            }
            Change::Discard { outage, .. } => {
                prop_assert!(self.outages.remove(outage).is_some());
                self.end(*outage);
                if rules.ask.is_some() {
                    self.discarded.insert(*outage);
                }
            }
            Change::EndedElsewhere { outage: id, until, .. } => {
                let outage = self.outages.remove(id);
                let outage = outage.ok_or_else(|| TestCaseError::fail("ended elsewhere, and never there"))?;
                prop_assert!(outage.phase != Phase::Suspected);
                let span = Span { until: Some(*until), ..outage.span };
                self.late.insert(*id, Outage { span, ..outage });
                self.ended.insert(*id);
            }
            Change::Purge { .. } => {}
        }
        Ok(())
    }

    fn mark(&mut self, mark: &Mark) -> Result<(), TestCaseError> {
        match mark {
            Mark::Failed(service) => prop_assert!(self.failed.insert(*service), "marked twice"),
            Mark::Recovered(service) | Mark::Ended { service, .. } => drop(self.failed.remove(service)),
            Mark::HostFailed(host) => prop_assert!(self.hosts.insert(*host), "marked twice"),
            Mark::HostRecovered(host) => prop_assert!(self.hosts.remove(host), "not marked"),
        }
        Ok(())
    }

    fn end(&mut self, id: OutageId) {
        self.ended.insert(id);
        self.waiting.retain(|(outage, _)| *outage != id);
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Outage> {
        self.outages.values().filter(|outage| outage.phase == Phase::Open)
    }
}

/// Whether this attempt may put its client on a list.
pub(super) fn may_wait(attempt: &FailedAttempt, rules: &Rules, outside: &Outside) -> bool {
    let FailedAttempt { evidence, seen, service, .. } = *attempt;
    if evidence == Failure::Refused && !rules.refused_is_failure || rules.only_known_clients && !attempt.known {
        return false;
    }
    if outside.late.values().any(|outage| outage.service == service && outage.span.holds(seen)) {
        return true;
    }
    let current = outside.outages.values().find(|outage| outage.service == service);
    let held = current.is_some_and(|outage| outage.span.holds(seen));
    if evidence == Failure::KnownFailed {
        return held;
    }
    let answers = attempt.answers.unwrap_or(AnswersSeen { last: None, count: 0, on_path: false, silence: None });
    let answered_later = |answer: MonotonicNs| match evidence {
        // Its own answer counts too: the client had no patience.
        Failure::GaveUp => step(answer.0) >= step(seen.0),
        _ => step(answer.0) > step(seen.0),
    };
    let isolated = evidence.is_silence() && answers.last.is_some_and(answered_later);
    // Nobody was answered since its SYN: whatever began after that is the same outage.
    let silent_since = answers.last.is_some_and(|answer| step(answer.0) <= step(seen.0));
    let nothing_new = attempt.attempts == 0 && !held;
    let blind = evidence.is_silence() && !answers.on_path;
    match current {
        Some(outage) if held && outage.phase != Phase::Suspected => true,
        Some(outage) if outage.phase == Phase::Open && !evidence.is_silence() && evidence.is_finding() => true,
        Some(outage) if outage.phase == Phase::Open && !evidence.is_silence() && !nothing_new => true,
        Some(outage) => !nothing_new && !isolated && (held || silent_since || outage.span.is_over_before(seen)),
        None => !nothing_new && !isolated && !blind && attempt.standing != Standing::Unknown,
    }
}
