//! Evidence of recovery: what it ends (design rule 5), when clients are told (rules 6 and 8).

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use super::{Machine, index::Tracked, probing::Probing};
use crate::{
    domain::{AttemptMask, ClientAddr, Moment, MonotonicNs, OutageId, Service, UnixMs},
    outage::{Actions, AnsweredAttempt, Change, Closing, Level, Mark, Outage, Phase, Recovery, Target},
};

/// For how long after a recovery clients that got through by themselves are noted, where they are left out: as long as
/// most of those take that were trying when it came.
const GETTING_THROUGH: Duration = Duration::from_secs(10);

/// Evidence that is older than the latest failure by this much was not late: the wall clock has stepped.
const LATE: Duration = Duration::from_secs(60);

/// Wall-clock times are known to a millisecond.
pub(super) const ROUNDING: Duration = Duration::from_millis(1);

/// Whether evidence of recovery is from before the latest failure, and was only taken after it: it ends nothing.
fn is_older(at: MonotonicNs, failed: MonotonicNs) -> bool {
    at < failed && failed < at + LATE
}

impl Machine {
    /// F-12.
    pub(super) fn answered(
        &mut self,
        now: &Moment,
        service: Service,
        attempt: Option<AnsweredAttempt>,
        at: (UnixMs, MonotonicNs),
        actions: &mut Actions,
    ) {
        let current = self.index.of_service(service).and_then(|id| self.index.get(id)).map(|tracked| tracked.outage);
        if let Some(attempt) = attempt {
            self.got_through(service, attempt, at, actions);
        }
        // An answer from before the outage, which comes late from another CPU, ends nothing.
        match current.filter(|outage| outage.span.from <= at.1) {
            Some(outage) => self.recovered(now, vec![outage.id], Recovery::Answered, at, actions),
            None => self.tally.not_failed += 1,
        }
    }

    /// A client's attempt did not fail after all; and the client got through by itself (design rule 8).
    fn got_through(
        &self,
        service: Service,
        attempt: AnsweredAttempt,
        (at, when): (UnixMs, MonotonicNs),
        actions: &mut Actions,
    ) {
        let AnsweredAttempt { client, mask, seen, withdrawn: attempts } = attempt;
        let current = self.index.of_service(service).and_then(|id| self.index.get(id)).map(|tracked| tracked.outage);
        let outages: Vec<_> =
            self.ended.or_discarded_of_service(service).map(|ended| ended.outage).chain(current).collect();
        // Whichever of them has counted it: most likely the first that holds it.
        let mut lists: Vec<_> = outages.iter().filter(|outage| outage.span.meets(seen, when)).collect();
        lists.sort_by_key(|outage| !outage.span.holds(seen));
        let mut lists = lists.into_iter().map(|outage| outage.id);
        if let Some(outage) = lists.next() {
            actions.changes.push(Change::Withdraw { outage, instead: lists.collect(), client, attempts, mask });
        }
        let connected = |outage: Outage| Change::Connected { outage: outage.id, client, at };
        actions.changes.extend(outages.into_iter().map(connected));
    }

    /// F-4 notes a SYN to a failed service at once; the one that is answered then did not fail.
    pub(super) fn withdrawn(&mut self, service: Service, client: ClientAddr, attempts: u32, actions: &mut Actions) {
        if let Some(outage) = self.index.of_service(service) {
            actions.changes.push(Change::Withdraw {
                outage,
                instead: Vec::new(),
                client,
                attempts,
                mask: AttemptMask::ANY,
            });
        }
    }

    /// F-11: says that the host is there, and nothing of a service that failed on a host that was there.
    pub(super) fn host_seen(
        &mut self,
        now: &Moment,
        host: IpAddr,
        evidence: Recovery,
        at: UnixMs,
        actions: &mut Actions,
    ) {
        let (of_host, of_service): (Vec<_>, Vec<_>) = self
            .index
            .of_host(host)
            .into_iter()
            .partition(|id| self.index.get(*id).is_some_and(|tracked| tracked.outage.level == Level::Host));
        self.tally.wrong_level += of_service.len() as u64;
        self.recovered(now, of_host, evidence, (at, now.offset.kernel(at)), actions);
    }

    /// F-10.
    pub(super) fn trap(&mut self, now: &Moment, host: IpAddr, at: MonotonicNs, actions: &mut Actions) {
        let ids = self.index.of_host(host);
        if !self.rules.confirm_traps {
            self.recovered(now, ids, Recovery::Trap, (now.offset.unix(at), at), actions);
            return;
        }
        for id in ids {
            let Some(mut tracked) = self.index.take(id) else { continue };
            if tracked.outage.phase == Phase::Open {
                tracked.probing = Some(Probing::confirm(&self.rules, now.wall));
            }
            self.put(tracked);
            self.probe_if_due(id, now.wall, actions);
        }
    }

    /// F-13.
    pub(super) fn signal(&mut self, now: &Moment, target: Target, at: MonotonicNs, actions: &mut Actions) {
        let ids = match target {
            Target::Host(host) => self.index.of_host(host),
            Target::Service(service) => self.index.of_service(service).into_iter().collect(),
        };
        self.recovered(now, ids, Recovery::Signal, (now.offset.unix(at), at), actions);
    }

    /// F-14.
    pub(super) fn probed(
        &mut self,
        now: &Moment,
        service: Service,
        connected: bool,
        at: MonotonicNs,
        actions: &mut Actions,
    ) {
        let ids: Vec<_> = self.index.of_service(service).into_iter().collect();
        for id in &ids {
            if connected && self.refutes(*id, at) {
                self.is_refuted(now, *id);
            } else {
                self.is_confirmed(now, *id, actions);
            }
        }
        if !connected {
            return;
        }
        self.recovered(now, ids, Recovery::Probe, (now.offset.unix(at), at), actions);
    }

    /// These outages are over, or settle. They close together: a person who waits in several is told once.
    pub(super) fn recovered(
        &mut self,
        now: &Moment,
        ids: Vec<OutageId>,
        evidence: Recovery,
        at: (UnixMs, MonotonicNs),
        actions: &mut Actions,
    ) {
        let at = if evidence == Recovery::Signal { self.not_before_failures(now, &ids, at) } else { at };
        // The kernel dates answers exactly, and everything else comes by the wall clock.
        let rounding = if evidence == Recovery::Answered { Duration::ZERO } else { ROUNDING };
        let (mut over, mut concerned) = (Vec::new(), false);
        for id in ids {
            let Some(Outage { phase, span, .. }) = self.index.get(id).map(|tracked| tracked.outage) else { continue };
            if span.latest.is_some_and(|latest| is_older(at.1 + rounding, latest.seen)) {
                continue;
            }
            concerned = true;
            match phase {
                // Never confirmed: nothing was wrong.
                Phase::Suspected => self.discard(now, id, at.0, actions),
                Phase::Open if self.rules.settle.is_zero() => over.push(id),
                Phase::Open => self.settle(id, evidence, at, actions),
                Phase::Settling { .. } => {}
            }
        }
        self.tally.not_failed += u64::from(!concerned);
        self.close(now, over, evidence, at, actions);
    }

    /// An operator's word counts when it is taken: what failed a moment before that is behind it.
    fn not_before_failures(&self, now: &Moment, ids: &[OutageId], at: (UnixMs, MonotonicNs)) -> (UnixMs, MonotonicNs) {
        let latest =
            ids.iter().filter_map(|id| self.index.get(*id)?.outage.span.latest).map(|latest| latest.seen).max();
        latest.filter(|seen| is_older(at.1, *seen)).map_or(at, |seen| (now.offset.unix(seen), seen))
    }

    /// Rule 8: not told before it has stayed up for a while.
    fn settle(&mut self, id: OutageId, evidence: Recovery, at: (UnixMs, MonotonicNs), actions: &mut Actions) {
        let Some(mut tracked) = self.index.take(id) else { return };
        tracked.outage.span.until = Some(at.1);
        self.unmark_ended(&tracked, actions);
        tracked.outage.phase = Phase::Settling { until: at.0 + self.rules.settle, evidence, recovered: at.0 };
        tracked.probing = None;
        actions.changes.push(Change::Put(tracked.outage));
        self.put(tracked);
    }

    /// Closes what has settled: what one host's recovery began together ends together.
    pub(super) fn close_settled(&mut self, now: &Moment, ids: Vec<OutageId>, actions: &mut Actions) {
        let mut together: BTreeMap<(IpAddr, Recovery, UnixMs, MonotonicNs), Vec<OutageId>> = BTreeMap::new();
        for id in ids {
            if let Some(tracked) = self.index.get(id)
                && let Phase::Settling { evidence, recovered, .. } = tracked.outage.phase
            {
                let until = tracked.outage.span.until.unwrap_or_default();
                together.entry((tracked.outage.service.addr(), evidence, recovered, until)).or_default().push(id);
            }
        }
        for ((_, evidence, recovered, until), ids) in together {
            self.close(now, ids, evidence, (recovered, until), actions);
        }
    }

    /// Rule 6: one change, and so one transaction, closes the outages, empties their lists and writes the letters. The
    /// marks follow it.
    fn close(
        &mut self,
        now: &Moment,
        ids: Vec<OutageId>,
        evidence: Recovery,
        (recovered, until): (UnixMs, MonotonicNs),
        actions: &mut Actions,
    ) {
        let mut outages: Vec<_> = ids.into_iter().filter_map(|id| self.index.take(id)).collect();
        if outages.is_empty() {
            return;
        }
        let ids = outages.iter().map(|tracked| tracked.outage.id).collect();
        actions.changes.push(self.closing(now, ids, evidence, (recovered, until)));
        for tracked in &mut outages {
            tracked.outage.span.until = Some(until);
            self.unmark_ended(tracked, actions);
            self.keep_ended(tracked, (recovered, until), evidence, now);
        }
    }

    fn closing(
        &self,
        now: &Moment,
        outages: Vec<OutageId>,
        evidence: Recovery,
        (recovered, until): (UnixMs, MonotonicNs),
    ) -> Change {
        Change::Close(Closing {
            outages,
            recovered,
            until,
            evidence,
            known: now.steady.unix(now.known),
            tell_since: recovered.before(self.rules.max_age),
            skip_connected: self.rules.skip_connected,
        })
    }

    /// Closes an outage that is over and never was the service's present one: the kernel has no mark of it.
    pub(super) fn close_beside(
        &mut self,
        now: &Moment,
        tracked: Tracked,
        at: (UnixMs, MonotonicNs),
        actions: &mut Actions,
    ) {
        actions.changes.push(self.closing(now, vec![tracked.outage.id], Recovery::Answered, at));
        self.keep_ended(&tracked, at, Recovery::Answered, now);
    }

    /// Takes the kernel's marks of an open outage back; attempts that began before its end are still to be reported.
    pub(super) fn unmark_ended(&mut self, tracked: &Tracked, actions: &mut Actions) {
        let outage = &tracked.outage;
        if outage.phase == Phase::Open {
            let until = outage.span.until.unwrap_or_default();
            let report_until = match self.rules.skip_connected {
                true => until + self.rules.settle + GETTING_THROUGH,
                false => MonotonicNs::default(),
            };
            actions.marks.push(Mark::Ended { service: outage.service, until, report_until });
            self.index.unmark_host(outage, &mut actions.marks);
        }
    }
}
