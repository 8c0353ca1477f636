//! The outages, found by id, by service, by host, and by the time at which they are to be looked at.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use super::{confirming::Confirming, probing::Probing};
use crate::{
    domain::{ClientAddr, MonotonicNs, OutageId, Service, UnixMs},
    outage::{LatestAttempt, Level, Mark, Outage, Phase},
};

/// An outage and what is only needed while it lasts.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) outage: Outage,
    /// Different clients of a suspicion, or of one that it had not recovered: as many as the rules ask for.
    pub(super) suspects: HashSet<ClientAddr>,
    /// Attempts of clients without an address on record that were listed since the start of this process.
    pub(super) unknown: u64,
    /// Until when other gateways are asked whether they saw an answer.
    pub(super) asking: Option<UnixMs>,
    /// It waits for a probe that confirms it.
    pub(super) confirming: Option<Confirming>,
    /// It is from before a restart: what was asked then is not known any more.
    pub(super) is_restored: bool,
    /// When its mark was asked for, by the kernel's clock: later SYNs are reported as they pass.
    pub(super) marked: MonotonicNs,
    /// When to probe, if at all.
    pub(super) probing: Option<Probing>,
    due: UnixMs,
}

impl Tracked {
    pub(super) fn new(outage: Outage) -> Self {
        Self {
            outage,
            suspects: HashSet::new(),
            unknown: 0,
            asking: None,
            confirming: None,
            is_restored: false,
            marked: MonotonicNs(u64::MAX),
            probing: None,
            due: UnixMs::default(),
        }
    }
}

/// See the module. Each operation costs O(log n) of the open outages.
#[derive(Debug, Default)]
pub(super) struct OutageIndex {
    by_id: BTreeMap<OutageId, Tracked>,
    by_service: HashMap<Service, OutageId>,
    by_host: HashMap<IpAddr, BTreeSet<OutageId>>,
    by_due: BTreeSet<(UnixMs, OutageId)>,
    /// Open outages with host-level evidence, per host: the kernel's mark of a host goes with the last one.
    marked_hosts: HashMap<IpAddr, usize>,
}

impl OutageIndex {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn get(&self, id: OutageId) -> Option<&Tracked> {
        self.by_id.get(&id)
    }

    pub(super) fn of_service(&self, service: Service) -> Option<OutageId> {
        self.by_service.get(&service).copied()
    }

    /// Ascending.
    pub(super) fn of_host(&self, host: IpAddr) -> Vec<OutageId> {
        self.by_host.get(&host.to_canonical()).into_iter().flatten().copied().collect()
    }

    pub(super) fn outages(&self) -> impl Iterator<Item = &Outage> {
        self.by_id.values().map(|tracked| &tracked.outage)
    }

    /// For the race rule (design rule 7).
    pub(super) fn note_latest(&mut self, id: OutageId, attempt: Option<LatestAttempt>) {
        if let Some(tracked) = self.by_id.get_mut(&id) {
            let latest = &mut tracked.outage.span.latest;
            // Reports of different CPUs, and of different evidence, do not come in the order of their SYNs.
            let older = latest.zip(attempt).is_some_and(|(latest, attempt)| attempt.seen < latest.seen);
            if !older {
                *latest = attempt;
            }
        }
    }

    pub(super) fn put(&mut self, mut tracked: Tracked, due: UnixMs) {
        let Outage { id, service, .. } = tracked.outage;
        tracked.due = due;
        self.by_due.insert((due, id));
        self.by_service.insert(service, id);
        self.by_host.entry(service.addr()).or_default().insert(id);
        self.by_id.insert(id, tracked);
    }

    pub(super) fn take(&mut self, id: OutageId) -> Option<Tracked> {
        let tracked = self.by_id.remove(&id)?;
        let service = tracked.outage.service;
        self.by_due.remove(&(tracked.due, id));
        self.by_service.remove(&service);
        if let Some(ids) = self.by_host.get_mut(&service.addr()) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_host.remove(&service.addr());
            }
        }
        Some(tracked)
    }

    pub(super) fn take_all(&mut self) -> Vec<Tracked> {
        let ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    pub(super) fn next_due(&self) -> Option<UnixMs> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Outages whose time has come, ascending by id.
    pub(super) fn due(&self, now: UnixMs) -> BTreeSet<OutageId> {
        self.by_due.range(..=(now, OutageId(i64::MAX))).map(|(_, id)| *id).collect()
    }

    /// The kernel's marks of an outage that opens.
    pub(super) fn mark(&mut self, outage: &Outage, marks: &mut Vec<Mark>) {
        marks.push(Mark::Failed(outage.service));
        if outage.level == Level::Host {
            self.mark_host(outage, marks);
        }
    }

    /// The kernel's mark of the host of an open outage that now has host-level evidence.
    pub(super) fn mark_host(&mut self, outage: &Outage, marks: &mut Vec<Mark>) {
        let host = outage.service.addr();
        let marked = self.marked_hosts.entry(host).or_default();
        *marked += 1;
        if *marked == 1 {
            marks.push(Mark::HostFailed(host));
        }
    }

    /// Takes back what [`OutageIndex::mark_host`] did for this outage, which is open until now.
    pub(super) fn unmark_host(&mut self, outage: &Outage, marks: &mut Vec<Mark>) {
        debug_assert_eq!(outage.phase, Phase::Open);
        let host = outage.service.addr();
        if outage.level != Level::Host {
            return;
        }
        if let Some(marked) = self.marked_hosts.get_mut(&host) {
            *marked -= 1;
            if *marked == 0 {
                self.marked_hosts.remove(&host);
                marks.push(Mark::HostRecovered(host));
            }
        }
    }
}
