//! A failed attempt: whether it counts (design rules 1 to 3), and what it opens or adds to (rules 4 and 8).

use std::collections::HashSet;

use monitor_common::step;

use super::{Machine, index::Tracked, probing::Probing, recovery::ROUNDING};
use crate::{
    domain::{Moment, MonotonicNs, OutageId, UnixMs},
    outage::{
        Actions, Change, FailedAttempt, Failure, LatestAttempt, Level, Mark, Outage, Phase, Recovery, Span, Standing,
    },
};

impl Machine {
    pub(super) fn failed(&mut self, now: &Moment, attempt: &FailedAttempt, actions: &mut Actions) {
        if attempt.evidence == Failure::Refused && !self.rules.refused_is_failure {
            self.tally.refused_ignored += 1;
            return;
        }
        if attempt.evidence == Failure::KnownFailed {
            return self.hinted(now, attempt, actions);
        }
        if let Some(ended) = self.ended_of(attempt) {
            return self.joins_ended(now, ended, attempt, actions);
        }
        let known = self.index.of_service(attempt.service);
        let known = known.and_then(|id| self.unless_it_was_over(now, id, attempt, actions));
        if let Some(id) = known {
            // Also where nobody counted answers: then an earlier count says nothing about this attempt.
            self.index.note_latest(id, LatestAttempt::of(attempt));
        }
        let attempt = &self.with_first_word(attempt, known);
        if self.is_overtaken(attempt, known) {
            return self.open_and_close(now, attempt, actions);
        }
        if !self.counts(attempt, known) {
            return;
        }
        let mut tracked = match known.and_then(|id| self.index.take(id)) {
            Some(tracked) => tracked,
            None => self.suspect(attempt),
        };
        self.add_failure(now, attempt, &mut tracked, actions);
        actions.changes.push(Change::Put(tracked.outage));
        // It counts for the outage: the service fails whoever asks. Only the list is for known clients (F-7).
        let counted = attempt.seen > tracked.marked;
        if self.may_wait(&mut tracked, attempt.known, counted) {
            actions.changes.push(wait(tracked.outage.id, attempt));
        }
        let (id, was_over) = (tracked.outage.id, tracked.outage.span.until);
        let is_open = tracked.outage.phase == Phase::Open;
        self.put(tracked);
        if let Some(until) = was_over.filter(|_| is_open) {
            // It was over before anybody was told that it had begun.
            self.recovered(now, vec![id], Recovery::Answered, (now.offset.unix(until), until), actions);
            self.goes_on(id, actions);
        }
    }

    /// An outage that was opened with an end, and failed after it, has none: what is tried now belongs to it too.
    fn goes_on(&mut self, id: OutageId, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        if tracked.outage.phase == Phase::Open {
            tracked.outage.span.until = None;
            actions.changes.push(Change::Put(tracked.outage));
        }
        self.put(tracked);
    }

    /// A second word on an attempt that no outage has counted: the first was silence, and taken for the client's own trouble.
    /// Then this is the one that counts, if an outage is open in which it was said.
    fn with_first_word(&self, attempt: &FailedAttempt, known: Option<OutageId>) -> FailedAttempt {
        let outage = known.and_then(|id| self.index.get(id)).map(|tracked| tracked.outage);
        let beside = outage.is_some_and(|outage| outage.phase == Phase::Open && !outage.span.holds(attempt.seen));
        let first = FailedAttempt { attempts: 1, ..*attempt };
        if beside && attempt.attempts == 0 && is_said(&first) { first } else { *attempt }
    }

    /// Whether the attempt belongs to a silence from before the service's present outage.
    fn is_overtaken(&self, attempt: &FailedAttempt, known: Option<OutageId>) -> bool {
        let present = known.and_then(|id| self.index.get(id)).map(|tracked| tracked.outage.span);
        let silence = attempt.answers.and_then(|answers| answers.silence);
        let at_once = self.rules.min_failures <= 1 && self.rules.min_clients <= 1 && self.rules.ask.is_none();
        at_once
            && attempt.evidence.is_silence()
            && attempt.attempts > 0
            && silence.zip(present).is_some_and(|(_, span)| step(attempt.seen.0) < step(span.from.0))
    }

    /// An outage that was over before anybody was told that it had begun, beside the service's present one.
    fn open_and_close(&mut self, now: &Moment, attempt: &FailedAttempt, actions: &mut Actions) {
        let mut tracked = self.suspect(attempt);
        let Some(until) = tracked.outage.span.until else { return };
        let outage = &mut tracked.outage;
        (outage.phase, outage.failures, outage.trying_until) = (Phase::Open, 1, attempt.trying_until);
        actions.changes.push(Change::Put(*outage));
        if self.may_wait(&mut tracked, attempt.known, false) {
            actions.changes.push(wait(tracked.outage.id, attempt));
        }
        self.close_beside(now, tracked, (now.offset.unix(until), until), actions);
    }

    /// What the attempt says of the outage.
    fn add_failure(&mut self, now: &Moment, attempt: &FailedAttempt, tracked: &mut Tracked, actions: &mut Actions) {
        let outage = &mut tracked.outage;
        outage.since = outage.since.min(attempt.at);
        if attempt.attempts > 0 {
            // It may have begun before the latest SYN that was answered, before another gateway's first, or be reported behind
            // a later one: its answer is to find it.
            outage.span.from = outage.span.from.min(attempt.seen);
        }
        outage.latest = outage.latest.max(attempt.at);
        outage.trying_until = outage.trying_until.max(attempt.trying_until);
        outage.failures += u64::from(attempt.attempts);
        let raised = outage.level < attempt.evidence.level();
        outage.level = outage.level.max(attempt.evidence.level());
        match outage.phase {
            Phase::Suspected => {
                if tracked.suspects.len() < self.rules.min_clients as usize {
                    tracked.suspects.insert(attempt.client);
                }
                self.ask(now, attempt, tracked);
                self.confirm(now, attempt, tracked);
                self.open_if_confirmed(now, tracked, actions);
            }
            Phase::Open if raised => self.index.mark_host(&tracked.outage, &mut actions.marks),
            Phase::Open => {}
            // An attempt from before the recovery only joins the list; one made after it says that it was none.
            Phase::Settling { .. } => {
                if outage.span.is_over_before(attempt.seen) {
                    self.ask(now, attempt, tracked);
                    self.confirm(now, attempt, tracked);
                    self.reopen_unless_asking(now, tracked, actions);
                }
            }
        }
    }

    /// A SYN to a service that is marked, or one more SYN of an attempt that was reported (F-4). Its client is on the list
    /// from now on; only the attempt's fate counts. It may have counted in any outage that holds it, and each of them waits
    /// for what becomes of it.
    fn hinted(&mut self, now: &Moment, attempt: &FailedAttempt, actions: &mut Actions) {
        let ended = self.ended.of_service(attempt.service).filter(|ended| ended.outage.span.holds(attempt.seen));
        let ended: Vec<_> = ended.map(|ended| ended.outage.id).collect();
        let mut attempt = *attempt;
        for id in &ended {
            self.joins_ended(now, *id, &attempt, actions);
            attempt.attempts = 0;
        }
        let Some(mut tracked) = self.index.of_service(attempt.service).and_then(|id| self.index.take(id)) else {
            if ended.is_empty() {
                self.tally.stale += 1;
                actions.marks.push(Mark::Recovered(attempt.service));
            }
            return;
        };
        if tracked.outage.span.holds(attempt.seen) && self.may_wait(&mut tracked, attempt.known, false) {
            let outage = &mut tracked.outage;
            outage.latest = outage.latest.max(attempt.at);
            outage.trying_until = outage.trying_until.max(attempt.trying_until);
            // The kernel has no room to say its fate later.
            outage.failures += u64::from(attempt.attempts);
            actions.changes.push(Change::Put(*outage));
            actions.changes.push(wait(outage.id, &attempt));
        }
        self.put(tracked);
    }

    /// The outage that ended a short while ago and holds the attempt, or what somebody has said of it.
    fn ended_of(&self, attempt: &FailedAttempt) -> Option<OutageId> {
        let find = |at: MonotonicNs| {
            let ended = self.ended.of_service(attempt.service).find(|ended| ended.outage.span.holds(at));
            ended.map(|ended| ended.outage.id)
        };
        find(attempt.seen).or_else(|| find(attempt.said).filter(|_| is_said(attempt)))
    }

    /// The service's outage, unless it is a suspicion whose time was over before this attempt was made: that one is discarded.
    fn unless_it_was_over(
        &mut self,
        now: &Moment,
        id: OutageId,
        attempt: &FailedAttempt,
        actions: &mut Actions,
    ) -> Option<OutageId> {
        let outage = self.index.get(id)?.outage;
        // Somebody was answered since: what was suspected was its clients' own trouble.
        let answered = attempt.answers.filter(|answers| answers.silence.is_none()).and_then(|answers| answers.last);
        let was_well =
            answered.zip(outage.span.latest).is_some_and(|(answer, latest)| step(answer.0) > step(latest.seen.0));
        let over = outage.span.is_over_before(attempt.seen) || (self.rules.confirm_refusals && was_well);
        if outage.phase == Phase::Suspected && over {
            self.tally.isolated += if was_well { outage.failures } else { 0 };
            self.discard(now, id, now.wall, actions);
            return None;
        }
        Some(id)
    }

    /// Whether one more client may be listed; `counted`: the same attempt was counted before.
    pub(super) fn may_wait(&mut self, tracked: &mut Tracked, known: bool, counted: bool) -> bool {
        if self.rules.only_known_clients && !known {
            self.tally.unknown_client += 1;
            return false;
        }
        if !known && !counted {
            if tracked.unknown >= self.rules.max_unknown {
                // Forged clients must not fill the disk; whom we can write to is always kept.
                self.tally.too_many_unknown += 1;
                return false;
            }
            tracked.unknown += 1;
        }
        true
    }

    /// Whether the attempt is a failure of its service at all.
    fn counts(&mut self, attempt: &FailedAttempt, known: Option<OutageId>) -> bool {
        let outage = known.and_then(|id| self.index.get(id)).map(|tracked| tracked.outage);
        let held = outage.is_some_and(|outage| outage.span.holds(attempt.seen));
        let is_open = outage.is_some_and(|outage| outage.phase == Phase::Open);
        if held && outage.is_some_and(|outage| outage.phase != Phase::Suspected) || is_open && is_said(attempt) {
            return true;
        }
        // A second word on an attempt whose outage is over.
        if attempt.attempts == 0 && !held {
            self.tally.stale += 1;
            return false;
        }
        // Rule 2: the service answered a later SYN of somebody, or this one, of a client that had no patience: this is the
        // client's own trouble.
        let answered = attempt.answers.filter(|answers| answers.silence.is_none()).and_then(|answers| answers.last);
        let own = u64::from(attempt.evidence == Failure::GaveUp);
        let answered_later = answered.is_some_and(|answer| step(answer.0) + own > step(attempt.seen.0));
        // A report may have waited: what was answered behind the refusal is no word against it.
        let is_filters = self.rules.confirm_refusals
            && attempt.evidence.may_be_a_filters()
            && answered.is_some_and(|answer| answer <= attempt.said);
        if (attempt.evidence.is_silence() || is_filters) && answered_later {
            self.tally.isolated += 1;
            return false;
        }
        if outage.is_some() {
            // From before the outage began: the service answered somebody in between.
            let is_of_it = answered.is_some_and(|answer| step(answer.0) <= step(attempt.seen.0));
            let from_before =
                !held && !is_of_it && outage.is_some_and(|outage| !outage.span.is_over_before(attempt.seen));
            self.tally.isolated += u64::from(from_before);
            return !from_before;
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
        Tracked::new(Outage {
            id,
            service: attempt.service,
            since: attempt.at,
            latest: attempt.at,
            evidence: attempt.evidence,
            level: Level::Service,
            failures: 0,
            span: span(attempt),
            trying_until: UnixMs::default(),
            phase: Phase::Suspected,
        })
    }

    /// Silence here is none if the answer passed another gateway: those are asked first. Anything else needs no asking.
    fn ask(&self, now: &Moment, attempt: &FailedAttempt, tracked: &mut Tracked) {
        tracked.asking = match (self.rules.ask, tracked.asking) {
            _ if !attempt.evidence.is_silence() => None,
            (Some(_), Some(until)) if until > now.wall => Some(until),
            (Some(ask), _) => Some(now.wall + ask),
            (None, _) => None,
        };
    }

    /// Rule 8: enough failures of enough different clients, and nobody left to be asked.
    pub(super) fn open_if_confirmed(&mut self, now: &Moment, tracked: &mut Tracked, actions: &mut Actions) {
        // A suspicion that is restored rests on one client at least.
        let clients = tracked.suspects.len().max(1);
        if tracked.asking.is_none_or(|until| until <= now.wall)
            && tracked.confirming.is_none()
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
    pub(super) fn reopen_unless_asking(&mut self, now: &Moment, tracked: &mut Tracked, actions: &mut Actions) {
        if tracked.asking.is_none_or(|until| until <= now.wall) && tracked.confirming.is_none() {
            tracked.outage.phase = Phase::Open;
            tracked.outage.span.until = None;
            tracked.asking = None;
            tracked.suspects = HashSet::new();
            self.opened(now, tracked, actions);
        }
    }

    pub(super) fn opened(&mut self, now: &Moment, tracked: &mut Tracked, actions: &mut Actions) {
        self.index.mark(&tracked.outage, &mut actions.marks);
        actions.race_checks.push(tracked.outage.service);
        tracked.probing = Probing::first(&self.rules, now.wall);
        tracked.marked = now.offset.kernel(now.wall) + ROUNDING;
    }
}

/// Whether somebody has said that it failed: that is evidence of the moment, whenever its SYN was first seen.
const fn is_said(attempt: &FailedAttempt) -> bool {
    attempt.attempts > 0 && !attempt.evidence.is_silence() && attempt.evidence.is_finding()
}

/// The attempt's client waits.
pub(super) fn wait(outage: OutageId, attempt: &FailedAttempt) -> Change {
    Change::Wait {
        outage,
        client: attempt.client,
        at: attempt.at,
        trying_until: attempt.trying_until,
        attempts: attempt.attempts,
        evidence: attempt.evidence,
        mask: attempt.mask,
    }
}

/// The span of an outage that this attempt is the first of.
fn span(attempt: &FailedAttempt) -> Span {
    let silence = attempt.answers.and_then(|answers| answers.silence).filter(|_| attempt.evidence.is_silence());
    let answered = silence.map(|silence| silence.from).or_else(|| attempt.answers.and_then(|answers| answers.last));
    // Where nobody counts answers, and where one came since, only what came later belongs to it.
    let from = match (answered, attempt.answers) {
        (Some(answered), _) => answered.min(attempt.seen),
        (None, Some(_)) => MonotonicNs::default(),
        (None, None) => attempt.seen,
    };
    Span { from, until: silence.map(|silence| silence.to), latest: LatestAttempt::of(attempt) }
}
