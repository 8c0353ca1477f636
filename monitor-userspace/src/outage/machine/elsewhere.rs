//! What other gateways have seen of the same services: their outages are ours too.

use std::collections::HashSet;

use super::{Machine, ledger::Tracked};
use crate::outage::{Actions, Change, Outage, OutageId, Phase, UnixMs};

impl Machine {
    /// An outage that another gateway has opened: this one marks the service too, and lists whoever tries here. Where one
    /// is open or settles already, nothing is new; a suspicion is confirmed.
    pub(super) fn open_elsewhere(&mut self, now: UnixMs, theirs: &Outage, actions: &mut Actions) {
        let mut tracked = match self.ledger.of_service(theirs.service).and_then(|id| self.ledger.take(id)) {
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
        self.opened(now, &mut tracked, actions);
        actions.changes.push(Change::Put(tracked.outage));
        self.put(tracked);
    }
}
