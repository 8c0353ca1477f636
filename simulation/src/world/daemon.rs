//! The daemon of one gateway: a copy of the order of steps of the core's loop (`monitor-userspace/src/core`: `start`, `run`,
//! `commit`), divided where a packet may pass or the process may be killed.
//!
//! The machine, the intake and the store are the product's. Each step takes a moment; a kill ends it between two.

use std::time::Duration;

use anyhow::Result;
use monitor_common::{Addr, Counter, Event, MarkRequest, ServiceFlags, ServiceKey};
use monitor_core::{
    domain::{ClockOffset, ClockStep, Moment, MonotonicNs, Service, UnixMs},
    mail::AddressBook,
    outage::{Actions, Background, Change, Intake, Machine, Mark, Meaning, Observation, Question, Rules},
};
use monitor_store::{Batch, LocalStore, ReadUpTo};

use super::{SYN_TIMEOUT, clock::Clocks};
use crate::{
    datapath::DataPath,
    disk::Disk,
    plan::Plan,
    time::{MS, SECOND},
};

/// The ring buffer is the same as long as the gateway lives.
const RING: u64 = 7;

/// How long a report may be under way from where it happened to the ring buffer, as the core says.
const ON_ITS_WAY: u64 = 20 * MS;

/// How much longer than a time-out reports may wait for room, as the core says.
const HELD_LONGER: u64 = SECOND;

/// What the daemon does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It has read the store, and not yet the ring buffer.
    Starting,
    /// It waits for something to happen.
    Idle,
    Commit,
    Release,
    Mark(usize),
    Check,
}

/// What one turn has gathered.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) actions: Actions,
    pub(crate) learned: Vec<(Service, UnixMs)>,
    pub(crate) questions: Vec<Question>,
    pub(crate) up_to: u64,
}

/// See the module.
pub(crate) struct Daemon {
    pub(crate) machine: Machine,
    intake: Intake,
    book: AddressBook,
    known: MonotonicNs,
    /// Until when reports may wait in the kernel for room: what is not read is not known before.
    waiting_until: MonotonicNs,
    /// How often the ring buffer was full.
    ring_full: u64,
    offset: ClockOffset,
    steady: ClockOffset,
    /// How many events were read since the ring buffer was made.
    read: u64,
    pub(crate) stage: Stage,
    pub(crate) turn: Turn,
    restored: Actions,
    restored_services: Vec<Service>,
    /// When the next second begins.
    pub(crate) second: u64,
    batch: usize,
}

/// The operator's choices of this history.
pub(crate) fn rules(plan: &Plan) -> Rules {
    let scenario = &plan.scenario;
    Rules {
        min_failures: scenario.min_failures,
        min_clients: scenario.min_clients,
        settle: Duration::from_nanos(scenario.settle),
        skip_connected: scenario.skip_connected,
        probe_interval: (scenario.probes > 0).then(|| Duration::from_nanos(scenario.probes)),
        ask: (plan.gateways > 1).then(|| Duration::from_secs(3)),
        ..Rules::default()
    }
}

impl Daemon {
    /// Reads the store: the first half of the start.
    pub(crate) fn start(
        plan: &Plan,
        disk: &Disk,
        store: &LocalStore,
        path: &mut DataPath,
        clocks: Clocks,
    ) -> Result<Self> {
        let Clocks { now, offset } = clocks;
        let mut read = path.released();
        let mut steady = offset;
        if let Some(up_to) = disk.wait(store.read_up_to())? {
            steady = up_to.steady.unwrap_or(offset);
            let written = path.released() + path.waiting_events() as u64;
            if up_to.ring == RING && (read..=written).contains(&up_to.position) {
                read = up_to.position;
            }
        }
        let restored = disk.wait(store.restore())?;
        let restored_services = restored.outages.iter().map(|outage| outage.service).collect();
        let moment = Moment { wall: clocks.wall(), offset, steady, known: MonotonicNs::default() };
        let (machine, actions) = Machine::restore(rules(plan), restored, &moment);
        for (service, _) in disk.wait(store.store().learned_services())? {
            let key = ServiceKey::new(Addr::from(service.addr()), service.port());
            if path.service(key.addr, key.port).is_none() {
                path.mark(&MarkRequest { key, set: ServiceFlags::ANSWERED, ..MarkRequest::default() });
            }
        }
        let mut daemon = Self {
            machine,
            intake: Intake::default(),
            book: AddressBook::new(disk.wait(store.store().addresses())?),
            known: MonotonicNs::default(),
            waiting_until: MonotonicNs::default(),
            ring_full: 0,
            offset,
            steady,
            read,
            stage: Stage::Starting,
            turn: Turn::default(),
            restored: actions,
            restored_services,
            second: now,
            batch: plan.scenario.batch,
        };
        daemon.hold_knowledge(clocks);
        daemon.look_for_answers(path);
        Ok(daemon)
    }

    /// The wall clock was set, and the store's times have moved.
    pub(crate) fn clock_stepped(&mut self, step: &ClockStep) {
        self.machine.clock_stepped(step);
        self.steady = self.steady.moved(step);
    }

    /// The second half: what was reported while no daemon lived.
    pub(crate) fn catch_up(&mut self, path: &DataPath, clocks: Clocks) {
        while !self.take_rest(path, clocks) {}
        let mut first = std::mem::take(&mut self.restored);
        let stale = path.services().filter_map(|(key, state)| {
            let service = Service::new(key.addr.into(), key.port);
            (state.failed_ns != 0 && !self.restored_services.contains(&service)).then_some(Mark::Recovered(service))
        });
        first.marks.splice(0..0, stale);
        first.append(std::mem::take(&mut self.turn.actions));
        self.turn.actions = first;
        self.turn.up_to = self.read;
        self.stage = Stage::Commit;
    }

    /// What is there is taken, and the machine asked what is due.
    pub(crate) fn begin_turn(&mut self, path: &DataPath, requests: Vec<Observation>, clocks: Clocks) {
        self.turn = Turn::default();
        if clocks.now >= self.second {
            self.second = clocks.now + SECOND;
            self.offset = clocks.offset;
            self.look_for_answers(path);
            self.look_for_waiting_reports(path, clocks);
        } else {
            for event in self.unread(path) {
                self.take(&event, clocks);
            }
        }
        for request in requests {
            self.observe(request, clocks);
        }
        self.take_rest(path, clocks);
        let now = self.moment(clocks);
        let due = self.machine.tick(&now);
        self.turn.actions.append(due);
        self.turn.up_to = self.read;
        self.stage = Stage::Commit;
    }

    fn unread(&mut self, path: &DataPath) -> Vec<Event> {
        let skip = self.read - path.released();
        let events: Vec<Event> = path.events(skip as usize).take(self.batch).copied().collect();
        self.read += events.len() as u64;
        events
    }

    /// Whether there are events that it has not read.
    pub(crate) fn has_unread(&self, path: &DataPath) -> bool {
        self.read < path.released() + path.waiting_events() as u64
    }

    fn take_rest(&mut self, path: &DataPath, clocks: Clocks) -> bool {
        // Through the wall clock, as the core does it.
        let now = clocks.offset.kernel(clocks.wall());
        let events = self.unread(path);
        for event in &events {
            self.take(event, clocks);
        }
        let is_all = events.len() < self.batch;
        if !events.is_empty() {
            self.look_for_waiting_reports(path, clocks);
        }
        if is_all && now >= self.waiting_until {
            self.known = self.known.max(MonotonicNs(now.0.saturating_sub(ON_ITS_WAY)));
        }
        is_all
    }

    fn moment(&self, clocks: Clocks) -> Moment {
        Moment { wall: clocks.wall(), offset: self.offset, steady: self.steady, known: self.known }
    }

    fn take(&mut self, event: &Event, clocks: Clocks) {
        let known = Background {
            offset: self.offset,
            steady: self.steady,
            in_book: &|client| self.book.lookup(client).is_some(),
            is_guarded: &|_| false,
        };
        let meaning = self.intake.take(event, &known);
        if MonotonicNs(event.at_ns) >= self.waiting_until {
            self.known = self.known.max(MonotonicNs(event.at_ns));
        }
        if let Some(observation) = meaning.observation() {
            self.observe(observation, clocks);
        }
        match meaning {
            Meaning::Learned { service, at } => self.turn.learned.push((service, at)),
            Meaning::Failed { question, .. } => {
                let asks = question.filter(|question| self.machine.asks_about(question.service));
                self.turn.questions.extend(asks);
            }
            Meaning::Answered { .. } | Meaning::HostSeen { .. } => {}
        }
    }

    fn observe(&mut self, observation: Observation, clocks: Clocks) {
        let now = self.moment(clocks);
        let actions = self.machine.observe(&now, observation);
        self.turn.actions.append(actions);
    }

    fn look_for_answers(&mut self, path: &DataPath) {
        if path.counted(Counter::Answers) > 0 {
            self.intake.note_answers();
        }
    }

    fn look_for_waiting_reports(&mut self, path: &DataPath, clocks: Clocks) {
        let full = path.counted(Counter::RingFull);
        if full != self.ring_full {
            self.ring_full = full;
            self.hold_knowledge(clocks);
        }
    }

    fn hold_knowledge(&mut self, clocks: Clocks) {
        let now = clocks.offset.kernel(clocks.wall());
        self.waiting_until = now + Duration::from_nanos(SYN_TIMEOUT + HELD_LONGER);
    }

    /// One transaction. Returns how many letters it wrote.
    pub(crate) fn commit(&mut self, disk: &Disk, store: &LocalStore) -> Result<u64> {
        let learned = std::mem::take(&mut self.turn.learned);
        if !learned.is_empty() {
            disk.wait(store.store().learn(learned))?;
        }
        self.stage = Stage::Release;
        let changes: Vec<Change> = self.turn.actions.changes.clone();
        if changes.is_empty() {
            return Ok(0);
        }
        let read = Some(ReadUpTo { ring: RING, position: self.turn.up_to, steady: Some(self.steady) });
        let applied = disk.wait(store.apply_batch(Batch { changes, seen: Vec::new(), read }))?;
        Ok(applied.letters)
    }

    /// Lets go of what was read.
    pub(crate) fn release(&mut self, path: &mut DataPath) {
        path.release((self.read - path.released()) as usize);
        self.stage = Stage::Mark(0);
    }

    /// Sets the next mark. Returns it.
    pub(crate) fn mark(&mut self, index: usize, path: &mut DataPath, now: u64) -> Option<Mark> {
        let Some(mark) = self.turn.actions.marks.get(index).copied() else {
            self.stage = Stage::Check;
            return None;
        };
        self.stage = Stage::Mark(index + 1);
        let (service, request) = match mark {
            Mark::Failed(service) => (service, MarkRequest { failed_ns: now, ..MarkRequest::default() }),
            Mark::Recovered(service) => (service, MarkRequest::default()),
            Mark::Ended { service, until, report_until } => {
                let (ended_ns, report_until_ns) = (until.0, report_until.0);
                (service, MarkRequest { ended_ns, report_until_ns, ..MarkRequest::default() })
            }
            Mark::HostFailed(_) | Mark::HostRecovered(_) => return Some(mark),
        };
        let key = ServiceKey::new(Addr::from(service.addr()), service.port());
        let set = if path.lists(key.addr, key.port) { ServiceFlags::LISTED } else { 0 };
        path.mark(&MarkRequest { key, set, ..request });
        Some(mark)
    }

    /// What the kernel knows after the marks (design rule 7). Returns the services to be probed.
    pub(crate) fn check(&mut self, path: &DataPath, clocks: Clocks) -> Vec<Service> {
        let Actions { race_checks, probes, .. } = std::mem::take(&mut self.turn).actions;
        for service in race_checks {
            if let Some(state) = path.service(Addr::from(service.addr()), service.port())
                && let Some(observation) = Intake::answers_after_mark(service, state, self.offset)
            {
                self.observe(observation, clocks);
            }
        }
        self.turn.up_to = self.read;
        self.stage = if self.turn.actions == Actions::default() { Stage::Idle } else { Stage::Commit };
        probes
    }

    /// When the next turn begins if nothing is reported before.
    pub(crate) fn next_turn(&self, clocks: Clocks) -> u64 {
        let wall = clocks.wall();
        let due = self.machine.next_deadline().map(|at| clocks.now + at.since(wall).as_nanos() as u64);
        due.map_or(self.second, |due| due.min(self.second))
    }
}
