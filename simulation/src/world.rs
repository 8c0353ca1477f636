//! The world: what happens when, in one queue, by a clock that stands between two happenings.

mod client;
mod clock;
mod daemon;
mod gateway;
mod mailer;
mod network;
mod server;
mod sharing;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
};

use anyhow::Result;
use monitor_common::{Counter, SlotWord};
use monitor_core::{
    domain::ClockOffset,
    mail::{Letter, LetterId},
};

pub(crate) use self::{
    client::End,
    gateway::{Interval, SYN_TIMEOUT},
};
use self::{
    clock::Clocks,
    gateway::Gateway,
    mailer::Accepted,
    network::{Packet, Way},
    server::Served,
    sharing::Shared,
};
use crate::{
    book::{self, Passed},
    disk::Disk,
    journal::Journal,
    plan::Plan,
    time::{BEGIN, MS, SECOND},
};

/// The wall clock at the kernel's zero, in nanoseconds.
const BOOT: i64 = 1_700_000_000_000_000_000;

/// Between two looks of the kernel's timer.
const TIMER: u64 = 10 * MS;

/// How long the history goes on after its last fault: until nobody's attempt goes on and every list is settled.
const REST: u64 = 330 * SECOND;

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Begins(usize),
    SynDue { flow: usize, number: usize },
    ClientEnds { flow: usize, end: End },
    Arrives { flow: usize, packet: Packet, way: Way },
    Passes { flow: usize, packet: Packet, clock: u64 },
    NoHost { flow: usize },
    AnswerDue { flow: usize, number: usize, since: u64 },
    Timer,
    Daemon { gateway: usize, token: u64 },
    Start { gateway: usize },
    Kill(usize),
    ClockStep(usize),
    Word(usize),
    Shares { gateway: usize },
    Probe { gateway: usize, service: u16 },
    Mail { gateway: usize, token: u64 },
    Tried { gateway: usize, life: u64, letter: LetterId },
    End,
}

struct Entry {
    at: u64,
    number: u64,
    what: Happening,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// What is to happen, in order of time; of the same time, in the order in which it was said.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    said: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, what: Happening) {
        self.said += 1;
        self.heap.push(Entry { at, number: self.said, what });
    }
}

/// One attempt as it goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    pub(crate) seen: monitor_common::Attempt,
    pub(crate) began: bool,
    pub(crate) end: Option<(u64, End)>,
    pub(crate) served: Served,
    pub(crate) packets: u64,
    pub(crate) passed: Passed,
}

impl Flow {
    /// Whether its ports are in use.
    pub(crate) fn is_busy(&self) -> bool {
        self.began && self.end.is_none_or(|(_, end)| end == End::Connected)
    }
}

/// See the module.
pub(crate) struct World<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) disk: &'p Disk,
    pub(crate) now: u64,
    pub(crate) offset: i64,
    pub(crate) queue: Queue,
    pub(crate) flows: Vec<Flow>,
    pub(crate) ports: BTreeMap<(u16, u16, u16), usize>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) shared: Option<Shared>,
    /// Letters that the mail server has taken.
    pub(crate) accepted: Vec<Accepted>,
    /// Letters that were read from an outbox, whatever became of them.
    pub(crate) written: Vec<Letter>,
    /// When somebody said that a service is back, and which.
    pub(crate) said_back: Vec<(u64, u16)>,
    pub(crate) journal: Journal,
}

impl<'p> World<'p> {
    pub(crate) fn new(plan: &'p Plan, disk: &'p Disk, journal: Journal) -> Result<Self> {
        let mut queue = Queue::default();
        for (flow, attempt) in plan.attempts.iter().enumerate() {
            queue.push(attempt.at, Happening::Begins(flow));
        }
        plan.kills.iter().enumerate().for_each(|(kill, it)| queue.push(it.at, Happening::Kill(kill)));
        plan.clock_steps.iter().enumerate().for_each(|(step, (at, _))| queue.push(*at, Happening::ClockStep(step)));
        plan.words.iter().enumerate().for_each(|(word, it)| queue.push(it.at, Happening::Word(word)));
        queue.push(BEGIN, Happening::Timer);
        queue.push(plan.end + REST, Happening::End);
        let gateways = (0..usize::from(plan.gateways)).map(|_| Gateway::new(plan, disk)).collect::<Result<Vec<_>>>()?;
        (0..gateways.len()).for_each(|gateway| queue.push(BEGIN, Happening::Start { gateway }));
        if plan.gateways > 1 {
            (0..gateways.len()).for_each(|gateway| queue.push(BEGIN, Happening::Shares { gateway }));
        }
        Ok(Self {
            plan,
            disk,
            now: BEGIN,
            offset: BOOT,
            queue,
            flows: vec![Flow::default(); plan.attempts.len()],
            ports: BTreeMap::new(),
            gateways,
            shared: Shared::open(plan, disk)?,
            accepted: Vec::new(),
            written: Vec::new(),
            said_back: Vec::new(),
            journal,
        })
    }

    /// Plays it to its end.
    pub(crate) fn play(&mut self) -> Result<()> {
        while let Some(Entry { at, what, .. }) = self.queue.heap.pop() {
            self.now = self.now.max(at);
            if matches!(what, Happening::End) {
                break;
            }
            self.happens(what)?;
        }
        self.deliver_rest();
        Ok(())
    }

    fn happens(&mut self, what: Happening) -> Result<()> {
        match what {
            Happening::Begins(flow) => self.begins(flow),
            Happening::SynDue { flow, number } => self.client_sends_syn(flow, number),
            Happening::ClientEnds { flow, end } => self.client_ends(flow, end),
            Happening::Arrives { flow, packet, way } => self.arrives(flow, packet, way),
            Happening::Passes { flow, packet, clock } => self.passes(flow, packet, clock),
            Happening::NoHost { flow } => self.no_host(flow),
            Happening::AnswerDue { flow, number, since } => self.answer_due(flow, number, since),
            Happening::Timer => self.timer(),
            Happening::Daemon { gateway, token } => self.daemon_goes_on(gateway, token)?,
            Happening::Start { gateway } => self.daemon_starts(gateway)?,
            Happening::Kill(kill) => self.arms(kill),
            Happening::ClockStep(step) => {
                let by = self.plan.clock_steps[step].1;
                self.offset += by * 1_000_000;
                self.note(|| format!("the wall clock steps by {by} ms"));
            }
            Happening::Word(word) => self.word(word),
            Happening::Shares { gateway } => self.shares(gateway)?,
            Happening::Probe { gateway, service } => self.probe_ends(gateway, service),
            Happening::Mail { gateway, token } => self.mail_goes_on(gateway, token),
            Happening::Tried { gateway, life, letter } => self.letter_was_tried(gateway, life, letter),
            Happening::End => {}
        }
        Ok(())
    }

    fn timer(&mut self) {
        for gateway in 0..self.gateways.len() {
            let path = &mut self.gateways[gateway].path;
            if path.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                let before = path.counted(Counter::Isolated);
                path.look(self.now);
                let isolated = path.counted(Counter::Isolated) - before;
                if isolated > 0 {
                    self.note(|| format!("gateway {gateway}: {isolated} isolated"));
                }
                self.look_at_ring(gateway);
            }
        }
        self.queue.push(self.now + TIMER, Happening::Timer);
    }

    pub(crate) fn clocks(&self) -> Clocks {
        Clocks { now: self.now, offset: ClockOffset::from_nanoseconds(self.offset) }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.journal.note(self.now, line);
    }

    /// Which gateway this attempt passes, in both directions.
    pub(crate) fn gateway_of(&self, flow: usize) -> usize {
        self.plan.attempts[flow].id as usize % self.gateways.len()
    }

    /// Notes whose fate the kernel will never know.
    pub(crate) fn was_forgotten(&mut self, gateway: usize) {
        let path = &mut self.gateways[gateway].path;
        let (forgotten, reused) = (path.take_forgotten(), path.take_reused());
        for (words, is_counted) in [(forgotten, true), (reused, false)] {
            for word in words {
                let path = &self.gateways[gateway].path;
                let same = |flow: &&mut Flow| flow.began && SlotWord(word).same_attempt(path.word_of(&flow.seen));
                for flow in self.flows.iter_mut().filter(same) {
                    flow.passed.is_forgotten |= is_counted;
                    flow.passed.is_reused |= !is_counted;
                }
            }
        }
    }

    /// The rest of the letters, by a clock that goes on as fast as it can.
    fn deliver_rest(&mut self) {
        let mut tries = 0;
        while tries < 2000 && !self.gateways.iter().all(|gateway| gateway.has_delivered(self.disk)) {
            tries += 1;
            let Some(Entry { at, what, .. }) = self.queue.heap.pop() else { break };
            if matches!(what, Happening::Mail { .. } | Happening::Tried { .. }) {
                self.now = self.now.max(at);
                let _ = self.happens(what);
            }
        }
    }

    /// Number of a service.
    pub(crate) fn service_number(service: monitor_core::domain::Service) -> u16 {
        book::service_number(service)
    }
}
