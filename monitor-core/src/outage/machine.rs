//! The face of the machine: takes facts and time, and passes them to the rule that they concern.

mod asked;
mod confirming;
mod elsewhere;
mod ended;
mod failure;
mod index;
mod probing;
mod race;
mod recovery;
mod tally;

#[cfg(test)]
mod asking_tests;
#[cfg(test)]
mod bed;
#[cfg(test)]
mod confirming_tests;
#[cfg(test)]
mod fate_tests;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, time::Duration};

pub use self::tally::Tally;
use self::{
    ended::EndedOutages,
    index::{OutageIndex, Tracked},
};
use super::{Actions, Change, Ended, Mark, Observation, Outage, Phase, Recovery, Restored, Rules};
use crate::domain::{ClockStep, Moment, OutageId, Service, UnixMs};

/// Bounds of the pause between two purges: ageing (F-8) is exact to a 24th of the age within these.
const PURGE_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// The outages and what to do about them.
///
/// ```text
///                    failure, fewer than the minimum
///   (no outage) ───────────────────────────────────────► Suspected ──┐
///        │                                                 │   │     │ time is up, or evidence
///        │ failure, minimum reached        minimum reached │   │     │ of recovery: discarded,
///        ▼                                                 ▼   ▼     │ nobody is told
///      Open ◄──────────────────────────────────────────────┘  (end) ◄┘
///        │ ▲
///        │ └── a failure of an attempt made after the recovery ──┐
///        │ evidence of recovery                                  │
///        ├──────────────────────────────────────────────► Settling
///        │ no settle time                                        │ quiet until its end
///        ▼                                                       ▼
///      closed, clients are told ◄────────────────────────────────┘
///
///   Open, and no failure for the maximum age: discarded, nobody is left to tell (F-8)
/// ```
///
/// Where other gateways share the traffic, silence is a suspicion for [`Rules::ask`] at first, while they are asked: one of
/// them may have seen the answer. A suspicion that nobody objects to, and that is confirmed, opens.
///
/// While an outage is open its service is marked in the kernel; while it is suspected or settles it is not, so that
/// each attempt is judged by its own answer or time-out.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    index: OutageIndex,
    ended: EndedOutages,
    next_id: OutageId,
    next_purge: Option<UnixMs>,
    /// Services that have just accepted a probe which was to confirm a suspicion, and when.
    probed_well: HashMap<Service, UnixMs>,
    tally: Tally,
}

impl Machine {
    /// A machine that goes on from what the store holds. The actions mark every failed service in the kernel again.
    ///
    /// How many different clients a suspicion rests on is counted anew; probes begin at once.
    #[must_use]
    pub fn restore(rules: Rules, restored: Restored, now: &Moment) -> (Self, Actions) {
        let mut machine = Self {
            rules,
            index: OutageIndex::default(),
            ended: EndedOutages::default(),
            next_id: restored.next_outage,
            next_purge: None,
            probed_well: HashMap::new(),
            tally: Tally::default(),
        };
        let mut actions = Actions::default();
        for ended in restored.ended {
            machine.ended.add(ended, now.steady);
        }
        for outage in restored.outages {
            machine.next_id = machine.next_id.max(OutageId(outage.id.0 + 1));
            let mut tracked = Tracked::new(outage);
            tracked.is_restored = true;
            if outage.phase == Phase::Open {
                machine.index.mark(&outage, &mut actions.marks);
                tracked.marked = now.offset.kernel(now.wall) + recovery::ROUNDING;
                actions.race_checks.push(outage.service);
                tracked.probing = probing::Probing::first(&machine.rules, UnixMs::default());
            }
            let was_asked = machine.rules.ask.is_some() && outage.evidence.is_silence()
                || machine.rules.confirm_refusals && outage.evidence.may_be_a_filters();
            if outage.phase == Phase::Suspected && was_asked {
                // Whatever was asked, nobody hears the answer. What a probe says now is nothing of then.
                tracked.asking = Some(UnixMs::default());
            }
            machine.put(tracked);
        }
        (machine, actions)
    }

    /// Takes one fact.
    pub fn observe(&mut self, now: &Moment, observation: Observation) -> Actions {
        let mut actions = Actions::default();
        match observation {
            Observation::Failed(attempt) => self.failed(now, &attempt, &mut actions),
            Observation::Asked { client, service, at, known } => self.asked(client, service, at, known, &mut actions),
            Observation::AnswersAfterMark { service, count, last, at } => {
                self.answers_after_mark(now, service, (count, last), at, &mut actions);
            }
            Observation::Answered { service, attempt, at, when } => {
                self.answered(now, service, attempt, (at, when), &mut actions);
            }
            Observation::Withdrawn { service, client, attempts } => {
                self.withdrawn(service, client, attempts, &mut actions);
            }
            Observation::HostSeen { host, evidence, at } => {
                self.host_seen(now, host, evidence, at, &mut actions);
            }
            Observation::Trap { host, at } => self.trap(now, host, at, &mut actions),
            Observation::Signal { target, at } => self.signal(now, target, at, &mut actions),
            Observation::Probed { service, connected, at } => {
                self.probed(now, service, connected, at, &mut actions);
            }
            Observation::OpenElsewhere(outage) => self.open_elsewhere(now, &outage, &mut actions),
            Observation::AnsweredElsewhere { service, client, mask, attempts, well } => {
                self.answered_elsewhere(now, service, (client, mask, attempts), well, &mut actions);
            }
            Observation::EndedElsewhere { outage, at } => {
                self.ended_elsewhere(now, outage, at, &mut actions);
            }
        }
        actions
    }

    /// Does what is due at `now`. To be called each second at least: the lists of ended outages go by the kernel's clock.
    pub fn tick(&mut self, now: &Moment) -> Actions {
        let mut actions = Actions::default();
        self.purge(now.wall, &mut actions);
        self.forget_probes(now.wall);
        let mut settled = Vec::new();
        for id in self.index.due(now.wall) {
            let Some(tracked) = self.index.get(id) else { continue };
            let (Outage { phase, since, latest, .. }, asking) = (tracked.outage, tracked.asking);
            match phase {
                Phase::Suspected if asking.is_none() && since + self.rules.suspect_for <= now.wall => {
                    self.discard(now, id, now.wall, &mut actions);
                }
                Phase::Suspected | Phase::Settling { .. }
                    if tracked.confirming.is_some_and(|it| it.probe_at <= now.wall) =>
                {
                    self.probe_suspicion(id, now.wall, &mut actions);
                }
                Phase::Suspected | Phase::Settling { .. } if asking.is_some_and(|until| until <= now.wall) => {
                    self.nobody_objected(id, now, &mut actions);
                }
                Phase::Open if latest + self.rules.max_age <= now.wall => {
                    self.discard(now, id, now.wall, &mut actions);
                }
                Phase::Open => self.probe_if_due(id, now.wall, &mut actions),
                Phase::Settling { until, .. } if asking.is_none() && until <= now.wall => settled.push(id),
                Phase::Suspected | Phase::Settling { .. } => {}
            }
        }
        self.close_settled(now, settled, &mut actions);
        self.settle_ended(now, &mut actions);
        actions
    }

    /// When [`Machine::tick`] is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<UnixMs> {
        [self.index.next_due(), self.next_purge].into_iter().flatten().min()
    }

    /// Goes on under other rules (reload).
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.next_purge = None;
        for mut tracked in self.index.take_all() {
            if tracked.outage.phase == Phase::Open {
                tracked.probing = probing::Probing::first(&self.rules, UnixMs::default());
            }
            self.put(tracked);
        }
    }

    /// The wall clock has stepped, and the store's times with it: everything is due as long from now as before.
    pub fn clock_stepped(&mut self, step: &ClockStep) {
        self.next_purge = self.next_purge.map(|at| at.moved(step));
        for mut tracked in self.index.take_all() {
            tracked.outage.clock_stepped(step);
            tracked.asking = tracked.asking.map(|until| until.moved(step));
            tracked.probing = tracked.probing.map(|probing| probing.moved(step));
            tracked.confirming = tracked.confirming.map(|confirming| confirming.moved(step));
            self.put(tracked);
        }
        self.ended.clock_stepped(step);
        self.probed_well.clear();
    }

    /// The outages that are not over, by id.
    pub fn outages(&self) -> impl Iterator<Item = &Outage> {
        self.index.outages()
    }

    /// Whether other gateways are to be asked about an attempt at this service.
    #[must_use]
    pub fn asks_about(&self, service: Service) -> bool {
        self.index.of_service(service).and_then(|id| self.index.get(id)).is_some_and(|tracked| tracked.asking.is_some())
    }

    /// What was seen and not acted on.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Keeps the outage, with the time at which it is to be looked at next.
    fn put(&mut self, tracked: Tracked) {
        let due = match tracked.outage.phase {
            Phase::Suspected => tracked.asking.unwrap_or(tracked.outage.since + self.rules.suspect_for),
            Phase::Settling { until, .. } => tracked.asking.unwrap_or(until),
            Phase::Open => {
                let aged = tracked.outage.latest + self.rules.max_age;
                tracked.probing.as_ref().map_or(aged, |probing| aged.min(probing.next))
            }
        };
        let due = match tracked.confirming {
            Some(confirming) if tracked.outage.phase != Phase::Open => due.min(confirming.probe_at),
            _ => due,
        };
        self.index.put(tracked, due);
    }

    /// Ends the outage; nobody is told.
    fn discard(&mut self, now: &Moment, id: OutageId, at: UnixMs, actions: &mut Actions) {
        let Some(tracked) = self.index.take(id) else { return };
        actions.changes.push(Change::Discard { outage: id, at });
        self.unmark(&tracked.outage, actions);
        if self.rules.ask.is_some() {
            // Another gateway may have the same outage: who gets through here after all is taken off its list.
            let mut outage = tracked.outage;
            outage.span.until = Some(now.offset.kernel(now.wall));
            self.ended.add_discarded(Ended { outage, recovered: at, evidence: Recovery::Signal }, now.steady);
        }
    }

    /// Takes the kernel's marks of an open outage back.
    fn unmark(&mut self, outage: &Outage, actions: &mut Actions) {
        if outage.phase == Phase::Open {
            actions.marks.push(Mark::Recovered(outage.service));
            self.index.unmark_host(outage, &mut actions.marks);
        }
    }

    /// Aged entries leave the waiting lists also without a recovery (F-8).
    fn purge(&mut self, now: UnixMs, actions: &mut Actions) {
        if self.index.is_empty() {
            self.next_purge = None;
            return;
        }
        let pause = (self.rules.max_age / 24).clamp(PURGE_PAUSE.0, PURGE_PAUSE.1);
        match self.next_purge {
            Some(next) if next > now + pause || next <= now => {
                // Also when the wall clock has stepped back.
                actions.changes.push(Change::Purge { older_than: now.before(self.rules.max_age) });
                self.next_purge = Some(now + pause);
            }
            Some(_) => {}
            None => self.next_purge = Some(now + pause),
        }
    }
}
