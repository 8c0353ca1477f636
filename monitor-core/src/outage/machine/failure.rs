//! A failed attempt: whether it counts (design rules 1 to 3), and what it opens or adds to (rules 4 and 8).

use std::collections::HashSet;

use super::{Machine, index::Tracked, probing::Probing, race::LatestAttempt};
use crate::{
    domain::{OutageId, UnixMs},
    outage::{Actions, Change, FailedAttempt, Failure, Level, Mark, Outage, Phase, Standing},
};

impl Machine {
    pub(super) fn failed(&mut self, now: UnixMs, attempt: &FailedAttempt, actions: &mut Actions) {
        let known = self.index.of_service(attempt.service);
        if let Some(id) = known {
            // Also where nobody counted answers: then an earlier count says nothing about this attempt.
            self.index.note_latest(id, LatestAttempt::of(attempt));
        }
        if !self.counts(attempt, known, actions) {
            return;
        }
        let mut tracked = match known.and_then(|id| self.index.take(id)) {
            Some(tracked) => tracked,
            None => self.suspect(attempt),
        };
        let outage = &mut tracked.outage;
        outage.latest = outage.latest.max(attempt.at);
        outage.failures += u64::from(attempt.attempts);
        let raised = outage.level < attempt.evidence.level();
        outage.level = outage.level.max(attempt.evidence.level());
        match outage.phase {
            Phase::Suspected => {
                if tracked.suspects.len() < self.rules.min_clients as usize {
                    tracked.suspects.insert(attempt.client);
                }
                self.ask(now, attempt, &mut tracked);
                self.open_if_confirmed(now, &mut tracked, actions);
            }
            Phase::Open if raised => self.index.mark_host(&tracked.outage, &mut actions.marks),
            Phase::Open => {}
            // An attempt from before the recovery only joins the list; one made after it says that it was none. A SYN
            // that was reported by a mark which is gone by now has yet to be answered or not.
            Phase::Settling { recovered, .. } => {
                if attempt.at >= recovered && attempt.evidence != Failure::KnownFailed {
                    self.ask(now, attempt, &mut tracked);
                    self.reopen_unless_asking(now, &mut tracked, actions);
                }
            }
        }
        actions.changes.push(Change::Put(tracked.outage));
        // It counts for the outage: the service fails whoever asks. Only the list is for known clients (F-7).
        if self.may_wait(&mut tracked, attempt.known) {
            actions.changes.push(Change::Wait {
                outage: tracked.outage.id,
                client: attempt.client,
                at: attempt.at,
                attempts: attempt.attempts,
                evidence: attempt.evidence,
            });
        }
        self.put(tracked);
    }

    /// Whether one more client may be listed.
    pub(super) fn may_wait(&mut self, tracked: &mut Tracked, known: bool) -> bool {
        if self.rules.only_known_clients && !known {
            self.tally.unknown_client += 1;
            return false;
        }
        if !known && tracked.unknown >= self.rules.max_unknown {
            // Forged clients must not fill the disk; whom we can write to is always kept.
            self.tally.too_many_unknown += 1;
            return false;
        }
        tracked.unknown += u64::from(!known);
        true
    }

    /// Whether the attempt is a failure of its service at all.
    fn counts(&mut self, attempt: &FailedAttempt, known: Option<OutageId>, actions: &mut Actions) -> bool {
        // Rule 2: the service answered somebody after this SYN; this is the client's own trouble.
        let answered = attempt.answers.and_then(|answers| answers.last);
        if attempt.evidence.is_silence() && answered.is_some_and(|answer| answer >= attempt.seen) {
            self.tally.isolated += 1;
            return false;
        }
        if attempt.evidence == Failure::Refused && !self.rules.refused_is_failure {
            self.tally.refused_ignored += 1;
            return false;
        }
        if known.is_some() {
            return true;
        }
        // Reported under a mark that should be gone, or a second word on an attempt whose outage is over.
        if attempt.evidence == Failure::KnownFailed || attempt.attempts == 0 {
            self.tally.stale += 1;
            if attempt.evidence == Failure::KnownFailed {
                actions.marks.push(Mark::Recovered(attempt.service));
            }
            return false;
        }
        // Rule 3.
        if attempt.standing == Standing::Unknown {
            self.tally.unknown_service += 1;
            return false;
        }
        if attempt.evidence.is_silence() && !attempt.answers.is_some_and(|answers| answers.on_path) {
            self.tally.cannot_tell += 1;
            return false;
        }
        true
    }

    fn suspect(&mut self, attempt: &FailedAttempt) -> Tracked {
        let id = self.next_id;
        self.next_id = OutageId(id.0 + 1);
        let mut tracked = Tracked::new(Outage {
            id,
            service: attempt.service,
            since: attempt.at,
            latest: attempt.at,
            evidence: attempt.evidence,
            level: Level::Service,
            failures: 0,
            phase: Phase::Suspected,
        });
        tracked.latest = LatestAttempt::of(attempt);
        tracked
    }

    /// Silence here is none if the answer passed another gateway: those are asked first. Anything else needs no asking.
    fn ask(&self, now: UnixMs, attempt: &FailedAttempt, tracked: &mut Tracked) {
        tracked.asking = match (self.rules.ask, tracked.asking) {
            _ if !attempt.evidence.is_silence() => None,
            (Some(_), Some(until)) if until > now => Some(until),
            (Some(ask), _) => Some(now + ask),
            (None, _) => None,
        };
    }

    /// Rule 8: enough failures of enough different clients, and nobody left to be asked.
    pub(super) fn open_if_confirmed(&mut self, now: UnixMs, tracked: &mut Tracked, actions: &mut Actions) {
        // A suspicion that is restored rests on one client at least.
        let clients = tracked.suspects.len().max(1);
        if tracked.asking.is_none_or(|until| until <= now)
            && tracked.outage.failures >= u64::from(self.rules.min_failures)
            && clients >= self.rules.min_clients as usize
        {
            tracked.outage.phase = Phase::Open;
            tracked.suspects = HashSet::new();
            tracked.asking = None;
            self.opened(now, tracked, actions);
        }
    }

    /// It had not recovered.
    pub(super) fn reopen_unless_asking(&mut self, now: UnixMs, tracked: &mut Tracked, actions: &mut Actions) {
        if tracked.asking.is_none_or(|until| until <= now) {
            tracked.outage.phase = Phase::Open;
            tracked.asking = None;
            self.opened(now, tracked, actions);
        }
    }

    pub(super) fn opened(&mut self, now: UnixMs, tracked: &mut Tracked, actions: &mut Actions) {
        self.index.mark(&tracked.outage, &mut actions.marks);
        actions.race_checks.push(tracked.outage.service);
        tracked.probing = Probing::first(&self.rules, now);
    }
}
