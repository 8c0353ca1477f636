//! Evidence of recovery: what it ends (design rule 5), when clients are told (rules 6 and 8).

use std::{collections::BTreeMap, net::IpAddr};

use super::{Machine, probing::Probing};
use crate::{
    domain::{ClientAddr, OutageId, Service, UnixMs},
    outage::{Actions, Change, Closing, Level, Phase, Recovery, Target},
};

impl Machine {
    /// F-12.
    pub(super) fn answered(&mut self, service: Service, client: Option<ClientAddr>, at: UnixMs, actions: &mut Actions) {
        let Some(id) = self.index.of_service(service) else {
            self.tally.not_failed += 1;
            return;
        };
        if let Some(client) = client {
            actions.changes.push(Change::Connected { outage: id, client, at });
        }
        self.recovered(vec![id], Recovery::Answered, at, actions);
    }

    /// F-4 notes a SYN to a failed service at once; the one that is answered then did not fail.
    pub(super) fn withdrawn(&mut self, service: Service, client: ClientAddr, attempts: u32, actions: &mut Actions) {
        if let Some(outage) = self.index.of_service(service) {
            actions.changes.push(Change::Withdraw { outage, client, attempts });
        }
    }

    /// F-11: says that the host is there, and nothing of a service that failed on a host that was there.
    pub(super) fn host_seen(&mut self, host: IpAddr, evidence: Recovery, at: UnixMs, actions: &mut Actions) {
        let (of_host, of_service): (Vec<_>, Vec<_>) = self
            .index
            .of_host(host)
            .into_iter()
            .partition(|id| self.index.get(*id).is_some_and(|tracked| tracked.outage.level == Level::Host));
        self.tally.wrong_level += of_service.len() as u64;
        self.recovered(of_host, evidence, at, actions);
    }

    /// F-10.
    pub(super) fn trap(&mut self, now: UnixMs, host: IpAddr, at: UnixMs, actions: &mut Actions) {
        let ids = self.index.of_host(host);
        if !self.rules.confirm_traps {
            self.recovered(ids, Recovery::Trap, at, actions);
            return;
        }
        for id in ids {
            let Some(mut tracked) = self.index.take(id) else { continue };
            if tracked.outage.phase == Phase::Open {
                tracked.probing = Some(Probing::confirm(&self.rules, now));
            }
            self.put(tracked);
            self.probe_if_due(id, now, actions);
        }
    }

    /// F-13.
    pub(super) fn signal(&mut self, target: Target, at: UnixMs, actions: &mut Actions) {
        let ids = match target {
            Target::Host(host) => self.index.of_host(host),
            Target::Service(service) => self.index.of_service(service).into_iter().collect(),
        };
        self.recovered(ids, Recovery::Signal, at, actions);
    }

    /// F-14.
    pub(super) fn probed(&mut self, service: Service, connected: bool, at: UnixMs, actions: &mut Actions) {
        if !connected {
            return;
        }
        let ids = self.index.of_service(service).into_iter().collect();
        self.recovered(ids, Recovery::Probe, at, actions);
    }

    /// These outages are over, or settle. They close together: a person who waits in several is told once.
    pub(super) fn recovered(&mut self, ids: Vec<OutageId>, evidence: Recovery, at: UnixMs, actions: &mut Actions) {
        let mut over = Vec::new();
        for id in &ids {
            match self.index.get(*id).map(|tracked| tracked.outage.phase) {
                // Never confirmed: nothing was wrong.
                Some(Phase::Suspected) => self.discard(*id, at, actions),
                Some(Phase::Open) if self.rules.settle.is_zero() => over.push(*id),
                Some(Phase::Open) => self.settle(*id, evidence, at, actions),
                Some(Phase::Settling { .. }) | None => {}
            }
        }
        if ids.is_empty() {
            self.tally.not_failed += 1;
        }
        self.close(over, evidence, at, actions);
    }

    /// Rule 8: not told before it has stayed up for a while.
    fn settle(&mut self, id: OutageId, evidence: Recovery, at: UnixMs, actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        self.unmark(&tracked.outage, actions);
        tracked.outage.phase = Phase::Settling { until: at + self.rules.settle, evidence, recovered: at };
        tracked.probing = None;
        actions.changes.push(Change::Put(tracked.outage));
        self.put(tracked);
    }

    /// Closes what has settled: what one host's recovery began together ends together.
    pub(super) fn close_settled(&mut self, ids: Vec<OutageId>, actions: &mut Actions) {
        let mut together: BTreeMap<(IpAddr, Recovery, UnixMs), Vec<OutageId>> = BTreeMap::new();
        for id in ids {
            if let Some(tracked) = self.index.get(id)
                && let Phase::Settling { evidence, recovered, .. } = tracked.outage.phase
            {
                together.entry((tracked.outage.service.addr(), evidence, recovered)).or_default().push(id);
            }
        }
        for ((_, evidence, recovered), ids) in together {
            self.close(ids, evidence, recovered, actions);
        }
    }

    /// Rule 6: one change, and so one transaction, closes the outages, empties their lists and writes the letters. The
    /// marks follow it.
    fn close(&mut self, ids: Vec<OutageId>, evidence: Recovery, recovered: UnixMs, actions: &mut Actions) {
        let outages: Vec<_> = ids.into_iter().filter_map(|id| self.index.take(id)).collect();
        if outages.is_empty() {
            return;
        }
        actions.changes.push(Change::Close(Closing {
            outages: outages.iter().map(|tracked| tracked.outage.id).collect(),
            recovered,
            evidence,
            tell_since: recovered.before(self.rules.max_age),
            skip_connected: self.rules.skip_connected,
        }));
        for tracked in &outages {
            self.unmark(&tracked.outage, actions);
        }
    }
}
