//! What other gateways have seen of the same services: their outages are ours too.

use std::collections::HashSet;

use super::{Machine, index::Tracked};
use crate::{
    domain::{ClientAddr, OutageId, Service, UnixMs},
    outage::{Actions, Change, Outage, Phase, Recovery},
};

impl Machine {
    /// An outage that another gateway has opened: this one marks the service too, and lists whoever tries here. Where one
    /// is open or settles already, nothing is new; a suspicion is confirmed.
    pub(super) fn open_elsewhere(&mut self, now: UnixMs, theirs: &Outage, actions: &mut Actions) {
        let mut tracked = match self.index.of_service(theirs.service).and_then(|id| self.index.take(id)) {
            Some(tracked) if tracked.outage.phase != Phase::Suspected => return self.put(tracked),
            Some(tracked) => tracked,
            None => {
                let id = self.next_id;
                self.next_id = OutageId(id.0 + 1);
                // Its failures are counted where they were seen.
                Tracked::new(Outage { id, failures: 0, ..*theirs })
            }
        };
        tracked.outage.phase = Phase::Open;
        tracked.outage.latest = tracked.outage.latest.max(theirs.latest);
        tracked.outage.level = tracked.outage.level.max(theirs.level);
        tracked.suspects = HashSet::new();
        if tracked.asking.take().is_none() {
            // What has answered here since is no word against what the other gateway has seen.
            tracked.latest = None;
        }
        self.opened(now, &mut tracked, actions);
        actions.changes.push(Change::Put(tracked.outage));
        self.put(tracked);
    }

    /// Nobody has seen an answer of what is suspected, or nobody could say so in time.
    pub(super) fn nobody_objected(&mut self, id: OutageId, now: UnixMs, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        match tracked.outage.phase {
            Phase::Suspected => self.open_if_confirmed(now, &mut tracked, actions),
            Phase::Settling { .. } => self.reopen_unless_asking(now, &mut tracked, actions),
            Phase::Open => {}
        }
        tracked.asking = None;
        if tracked.outage.phase == Phase::Open {
            actions.changes.push(Change::Put(tracked.outage));
        }
        self.put(tracked);
    }

    /// Another gateway has seen the answer of an attempt that was silent here: it did not fail, and neither did anybody who
    /// tried before `well` (design rule 2). Who tried later may have: an outage goes on for them, a suspicion is asked about
    /// again.
    pub(super) fn answered_elsewhere(
        &mut self,
        now: UnixMs,
        service: Service,
        (client, attempts): (ClientAddr, u32),
        well: UnixMs,
        actions: &mut Actions,
    ) {
        let Some(mut tracked) = self.index.of_service(service).and_then(|id| self.index.take(id)) else { return };
        let Outage { id, phase, latest, .. } = tracked.outage;
        self.tally.answered_elsewhere += u64::from(attempts);
        let was_well = latest <= well;
        if phase == Phase::Suspected && was_well {
            self.put(tracked);
            return self.discard(id, now, actions);
        }
        if phase == Phase::Suspected {
            tracked.outage.failures = tracked.outage.failures.saturating_sub(u64::from(attempts)).max(1);
            tracked.suspects.remove(&client);
            actions.changes.push(Change::Put(tracked.outage));
        }
        if tracked.asking.is_some() {
            tracked.asking = self.rules.ask.filter(|_| !was_well).map(|ask| now + ask);
        }
        self.put(tracked);
        actions.changes.push(Change::Withdraw { outage: id, client, attempts });
        if phase == Phase::Open && was_well {
            self.recovered(vec![id], Recovery::Answered, well, actions);
        }
    }
}
