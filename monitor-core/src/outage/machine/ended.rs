//! Outages that have ended a short while ago. Attempts that began before the end may still be reported, or get through by
//! repeating their SYN: who waits for that stays on the list until it is known.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use super::{Machine, failure::wait, index::Tracked};
use crate::{
    domain::{ClockOffset, ClockStep, Moment, MonotonicNs, OutageId, Service, UnixMs},
    outage::{Actions, Change, Closing, Ended, FailedAttempt, Recovery},
};

/// For how long attempts from before an outage's end may be reported: a client repeats its SYN for 127 s (Linux), and its
/// time-out and the reports take some seconds.
const LATE: Duration = Duration::from_secs(140);

/// See the module. Each operation costs O(log n).
#[derive(Debug, Default)]
pub(super) struct EndedOutages {
    by_id: BTreeMap<OutageId, Late>,
    /// Ascending by their ends.
    by_service: HashMap<Service, Vec<OutageId>>,
    by_due: BTreeSet<(MonotonicNs, OutageId)>,
}

#[derive(Debug)]
struct Late {
    ended: Ended,
    /// Whether somebody may still be on the list.
    is_waited_for: bool,
    /// Whether it was none, as far as this gateway knows: who is reported late does not join it.
    is_discarded: bool,
    due: MonotonicNs,
}

impl Late {
    fn until(&self) -> MonotonicNs {
        self.ended.outage.span.until.unwrap_or_default()
    }

    fn is_last(&self, now: &Moment) -> bool {
        self.until() + LATE <= now.known
    }
}

impl EndedOutages {
    pub(super) fn add(&mut self, ended: Ended, steady: ClockOffset) {
        self.insert(ended, false, steady);
    }

    /// A suspicion that was discarded, and that another gateway may know to be an outage.
    pub(super) fn add_discarded(&mut self, mut ended: Ended, steady: ClockOffset) {
        ended.outage.trying_until = UnixMs::default();
        self.insert(ended, true, steady);
    }

    fn insert(&mut self, ended: Ended, is_discarded: bool, steady: ClockOffset) {
        let (id, service) = (ended.outage.id, ended.outage.service);
        let of_service = self.by_service.entry(service).or_default();
        of_service.push(id);
        let is_waited_for = ended.outage.trying_until != UnixMs::default();
        self.by_id.insert(id, Late { ended, is_waited_for, is_discarded, due: MonotonicNs::default() });
        let by_id = &self.by_id;
        of_service.sort_by_key(|id| by_id.get(id).map(Late::until));
        self.set_due(id, steady);
    }

    /// Of this service, ascending by their ends.
    pub(super) fn of_service(&self, service: Service) -> impl Iterator<Item = &Ended> {
        self.late_of_service(service).filter(|late| !late.is_discarded).map(|late| &late.ended)
    }

    /// The same, and suspicions that were discarded: another gateway may have their clients on its list.
    pub(super) fn or_discarded_of_service(&self, service: Service) -> impl Iterator<Item = &Ended> {
        self.late_of_service(service).map(|late| &late.ended)
    }

    fn late_of_service(&self, service: Service) -> impl Iterator<Item = &Late> {
        let ids = self.by_service.get(&service).into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// Somebody waits on its list, and may get through until then.
    fn wait_for(&mut self, id: OutageId, trying_until: UnixMs, steady: ClockOffset) {
        if let Some(late) = self.by_id.get_mut(&id) {
            late.is_waited_for = true;
            let outage = &mut late.ended.outage;
            outage.trying_until = outage.trying_until.max(trying_until);
            self.set_due(id, steady);
        }
    }

    fn set_due(&mut self, id: OutageId, steady: ClockOffset) {
        let Some(late) = self.by_id.get_mut(&id) else { return };
        self.by_due.remove(&(late.due, id));
        let last = late.until() + LATE;
        late.due = if late.is_waited_for { last.min(steady.kernel(late.ended.outage.trying_until)) } else { last };
        self.by_due.insert((late.due, id));
    }

    /// They are due by the kernel's clock, which does not step.
    pub(super) fn clock_stepped(&mut self, step: &ClockStep) {
        for late in self.by_id.values_mut() {
            late.ended.outage.clock_stepped(step);
            late.ended.recovered = late.ended.recovered.moved(step);
        }
    }

    /// Those whose lists are to be looked at, and whether that is the last time.
    fn due(&self, now: &Moment) -> Vec<(Ended, bool)> {
        let due = self.by_due.range(..=(now.known, OutageId(i64::MAX)));
        due.filter_map(|(_, id)| self.by_id.get(id)).map(|late| (late.ended, late.is_last(now))).collect()
    }

    fn was_settled(&mut self, id: OutageId, last: bool, steady: ClockOffset) {
        if !last {
            if let Some(late) = self.by_id.get_mut(&id) {
                late.is_waited_for = false;
            }
            return self.set_due(id, steady);
        }
        let Some(late) = self.by_id.remove(&id) else { return };
        self.by_due.remove(&(late.due, id));
        let service = late.ended.outage.service;
        if let Some(ids) = self.by_service.get_mut(&service) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_service.remove(&service);
            }
        }
    }
}

/// What one host's recovery ended together is told together.
type Together = (IpAddr, Recovery, UnixMs, MonotonicNs, bool);

impl Machine {
    /// An attempt that began before its outage's end is reported after it.
    pub(super) fn joins_ended(&mut self, now: &Moment, id: OutageId, attempt: &FailedAttempt, actions: &mut Actions) {
        if self.rules.only_known_clients && !attempt.known {
            self.tally.unknown_client += 1;
            return;
        }
        self.tally.late += u64::from(attempt.attempts);
        self.ended.wait_for(id, attempt.trying_until, now.steady);
        actions.changes.push(wait(id, attempt));
    }

    /// The outage is over. Its list is not, before nobody on it can get through any more.
    pub(super) fn keep_ended(&mut self, tracked: &Tracked, at: (UnixMs, MonotonicNs), why: Recovery, now: &Moment) {
        let mut outage = tracked.outage;
        outage.span.until = Some(at.1);
        if outage.trying_until <= now.steady.unix(now.known) {
            outage.trying_until = UnixMs::default();
        }
        self.ended.add(Ended { outage, recovered: at.0, evidence: why }, now.steady);
    }

    /// Tells those on the lists of ended outages who cannot get through any more.
    pub(super) fn settle_ended(&mut self, now: &Moment, actions: &mut Actions) {
        let mut together: BTreeMap<Together, Vec<OutageId>> = BTreeMap::new();
        for (ended, last) in self.ended.due(now) {
            let Ended { outage, recovered, evidence } = ended;
            let until = outage.span.until.unwrap_or_default();
            together.entry((outage.service.addr(), evidence, recovered, until, last)).or_default().push(outage.id);
            self.ended.was_settled(outage.id, last, now.steady);
        }
        for ((_, evidence, recovered, until, last), mut outages) in together {
            outages.sort_unstable();
            let closing = Closing {
                outages,
                recovered,
                until,
                evidence,
                known: now.steady.unix(now.known),
                tell_since: recovered.before(self.rules.max_age),
                skip_connected: self.rules.skip_connected,
            };
            actions.changes.push(Change::Settle { closing, last });
        }
    }
}
