//! One client's refusal may be a filter's word to that client alone: the gateway asks for itself (design rule 9, V-1).
//!
//! A suspicion that rests on such refusals of one client waits for a probe of the service. The probe is accepted: the refusal
//! was the client's own trouble, and nobody is told. It is not, or a second client is refused while nobody is answered: the
//! service has failed.

use std::time::Duration;

use super::{Machine, index::Tracked};
use crate::{
    domain::{ClockStep, Moment, MonotonicNs, OutageId, UnixMs},
    outage::{Actions, Change, FailedAttempt, Phase},
};

/// How many different clients need no confirmation by a probe.
const ENOUGH: usize = 2;

/// Between two probes of one service: whoever knocks at it in vain has it probed no more often than that.
const PAUSE: Duration = Duration::from_secs(1);

/// A probe whose answer has not come by then is made again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A refusal that was seen longer ago says nothing of now: no daemon ran, or the store took nothing.
const FRESH: Duration = Duration::from_millis(500);

/// A probe that was accepted longer after a refusal says nothing of then.
const REFUTES: Duration = Duration::from_secs(2);

/// A suspicion that waits for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirming {
    /// When the next probe is due.
    pub(super) probe_at: UnixMs,
}

impl Confirming {
    pub(super) fn moved(self, step: &ClockStep) -> Self {
        Self { probe_at: self.probe_at.moved(step) }
    }
}

impl Machine {
    /// Whether the suspicion goes on to wait for a probe, now that this attempt has failed too.
    pub(super) fn confirm(&self, now: &Moment, attempt: &FailedAttempt, tracked: &mut Tracked) {
        if tracked.suspects.len() < ENOUGH {
            tracked.suspects.insert(attempt.client);
        }
        let needed = self.rules.confirm_refusals
            && attempt.evidence.may_be_a_filters()
            && tracked.suspects.len() < ENOUGH
            && !tracked.is_restored
            && now.offset.kernel(now.wall).since(attempt.said) < FRESH;
        let probed = self.probed_well.get(&attempt.service).map_or(UnixMs::default(), |at| *at + PAUSE);
        tracked.confirming = needed.then(|| tracked.confirming.unwrap_or(Confirming { probe_at: probed }));
    }

    /// Asks for the probe that a suspicion waits for, if its time has come.
    pub(super) fn probe_suspicion(&mut self, id: OutageId, now: UnixMs, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        if let Some(confirming) = &mut tracked.confirming
            && confirming.probe_at <= now
        {
            actions.probes.push(tracked.outage.service);
            confirming.probe_at = now + PATIENCE;
        }
        self.put(tracked);
    }

    /// Whether a probe that was accepted at that time speaks of the latest refusal: one that was held up may have found what
    /// had come back since.
    pub(super) fn refutes(&self, id: OutageId, at: MonotonicNs) -> bool {
        let latest = self.index.get(id).and_then(|tracked| tracked.outage.span.latest);
        latest.is_none_or(|latest| at.since(latest.seen) < REFUTES)
    }

    /// The service does not accept the gateway either, or did not when that counted.
    pub(super) fn is_confirmed(&mut self, now: &Moment, id: OutageId, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        if tracked.confirming.take().is_some() {
            match tracked.outage.phase {
                Phase::Suspected => self.open_if_confirmed(now, &mut tracked, actions),
                Phase::Settling { .. } => self.reopen_unless_asking(now, &mut tracked, actions),
                Phase::Open => {}
            }
            actions.changes.push(Change::Put(tracked.outage));
        }
        self.put(tracked);
    }

    /// The service accepts the gateway: what the suspicion rests on is its client's own trouble.
    pub(super) fn is_refuted(&mut self, now: &Moment, id: OutageId) {
        let Some(mut tracked) = self.index.take(id) else { return };
        if tracked.confirming.is_some() {
            self.probed_well.insert(tracked.outage.service, now.wall);
            self.tally.isolated += tracked.outage.failures;
            // If a later refusal keeps the suspicion, that one is asked about again.
            let again = Confirming { probe_at: now.wall + PAUSE };
            tracked.confirming = (tracked.outage.phase == Phase::Suspected).then_some(again);
            tracked.suspects.clear();
        }
        self.put(tracked);
    }

    /// Forgets probes that hold none back any more.
    pub(super) fn forget_probes(&mut self, now: UnixMs) {
        self.probed_well.retain(|_, at| *at + PAUSE > now);
    }
}
