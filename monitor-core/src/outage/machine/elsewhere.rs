//! What other gateways have seen of the same services: their outages are ours too.

use std::collections::HashSet;

use super::{Machine, index::Tracked, recovery::ROUNDING};
use crate::{
    domain::{AttemptMask, ClientAddr, Moment, OutageId, Service, UnixMs},
    outage::{Actions, Change, Outage, Phase, Recovery, Span},
};

impl Machine {
    /// An outage that another gateway has opened: this one marks the service too, and lists whoever tries here. Where one
    /// is open or settles already, nothing is new; a suspicion is confirmed.
    pub(super) fn open_elsewhere(&mut self, now: &Moment, theirs: &Outage, actions: &mut Actions) {
        let mut tracked = match self.index.of_service(theirs.service).and_then(|id| self.index.take(id)) {
            Some(tracked) if tracked.outage.phase != Phase::Suspected => return self.put(tracked),
            Some(tracked) => tracked,
            None => {
                let id = self.next_id;
                self.next_id = OutageId(id.0 + 1);
                // Its failures are counted where they were seen, and by that gateway's clock.
                let span = Span { from: now.offset.kernel(theirs.since), until: None, latest: None };
                Tracked::new(Outage { id, failures: 0, span, trying_until: UnixMs::default(), ..*theirs })
            }
        };
        tracked.outage.phase = Phase::Open;
        tracked.outage.latest = tracked.outage.latest.max(theirs.latest);
        tracked.outage.level = tracked.outage.level.max(theirs.level);
        tracked.suspects = HashSet::new();
        tracked.confirming = None;
        if tracked.asking.take().is_none() {
            // What has answered here since is no word against what the other gateway has seen.
            tracked.outage.span.latest = None;
        }
        tracked.outage.span.until = None;
        self.opened(now, &mut tracked, actions);
        actions.changes.push(Change::Put(tracked.outage));
        self.put(tracked);
    }

    /// Nobody has seen an answer of what is suspected, or nobody could say so in time.
    pub(super) fn nobody_objected(&mut self, id: OutageId, now: &Moment, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        match tracked.outage.phase {
            Phase::Suspected => self.open_if_confirmed(now, &mut tracked, actions),
            Phase::Settling { .. } => self.reopen_unless_asking(now, &mut tracked, actions),
            Phase::Open => {}
        }
        tracked.asking = None;
        let was_over = tracked.outage.span.until.filter(|_| tracked.outage.phase == Phase::Open);
        if tracked.outage.phase == Phase::Open {
            actions.changes.push(Change::Put(tracked.outage));
        }
        self.put(tracked);
        if let Some(until) = was_over {
            self.recovered(now, vec![id], Recovery::Answered, (now.offset.unix(until), until), actions);
        }
    }

    /// Our outage, which other gateways saw too, is over: one of them has closed it, and tells whoever waits; and so it does
    /// with those whose failure is reported here later.
    pub(super) fn ended_elsewhere(&mut self, now: &Moment, id: OutageId, at: UnixMs, actions: &mut Actions) {
        let Some(tracked) = self.index.get(id) else { return };
        if tracked.outage.phase == Phase::Suspected {
            return self.discard(now, id, at, actions);
        }
        let Some(mut tracked) = self.index.take(id) else { return };
        let until = now.offset.kernel(at);
        tracked.outage.span.until = Some(until);
        actions.changes.push(Change::EndedElsewhere { outage: id, at, until });
        self.unmark_ended(&tracked, actions);
        self.keep_ended(&tracked, (at, until), Recovery::Signal, now);
    }

    /// Another gateway has seen the answer of an attempt that was silent here: it did not fail, and neither did anybody who
    /// tried before `well` (design rule 2). Who tried later may have: an outage goes on for them, a suspicion is asked about
    /// again.
    pub(super) fn answered_elsewhere(
        &mut self,
        now: &Moment,
        service: Service,
        (client, mask, attempts): (ClientAddr, AttemptMask, u32),
        well: UnixMs,
        actions: &mut Actions,
    ) {
        let Some(mut tracked) = self.index.of_service(service).and_then(|id| self.index.take(id)) else { return };
        let Outage { id, phase, latest, .. } = tracked.outage;
        self.tally.answered_elsewhere += u64::from(attempts);
        let was_well = latest <= well;
        if phase == Phase::Suspected && was_well {
            self.put(tracked);
            return self.discard(now, id, now.wall, actions);
        }
        if phase == Phase::Suspected {
            tracked.outage.failures = tracked.outage.failures.saturating_sub(u64::from(attempts)).max(1);
            tracked.suspects.remove(&client);
            actions.changes.push(Change::Put(tracked.outage));
        }
        if tracked.asking.is_some() {
            tracked.asking = self.rules.ask.filter(|_| !was_well).map(|ask| now.wall + ask);
        }
        self.put(tracked);
        actions.changes.push(Change::Withdraw { outage: id, instead: Vec::new(), client, attempts, mask });
        if phase == Phase::Open && was_well {
            self.recovered(now, vec![id], Recovery::Answered, (well, now.offset.kernel(well) + ROUNDING), actions);
        }
    }
}
