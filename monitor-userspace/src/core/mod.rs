//! The one task that owns the outage machine and the kernel.
//!
//! In: kernel events, and [`monitor_core::port::Request`]s in one queue. Each turn takes what is there, asks the machine,
//! commits its changes as one transaction, and only then tells the kernel, sends probes, and answers those who wait for the
//! commit.
//!
//! `start` goes on from the store and the kernel, `requests` takes what is said, `commit` ends each turn, `upkeep` counts and
//! publishes. Kernel, clock and store are given: tests give a kernel and a clock of their own.

mod commit;
mod requests;
mod start;
mod state;
#[cfg(test)]
mod tests;
mod upkeep;

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Result;
use monitor_common::Event;
use monitor_core::{
    domain::{ClockOffset, Moment, MonotonicNs, OutageId, Service, SteadyClock, UnixMs},
    mail::AddressBook,
    outage::{Actions, Background, Intake, Machine, Meaning, Observation, Question, Rules},
    port::{Answer, Clock},
    snmp::RemoteEngine,
};
use monitor_store::{LocalStore, Store};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

pub use self::state::State;
pub(crate) use self::upkeep::SUSPICIONS;
use crate::{
    kernel::{EventSource, KernelPort},
    port::Requests,
};

/// Events taken in one turn; one transaction holds at most what they lead to.
const BATCH: usize = 4096;

/// How long a report may be under way from where it happened to the ring buffer.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// What the core looks at and acts on.
pub(crate) struct Ports<K, E, C> {
    pub(crate) kernel: K,
    pub(crate) events: E,
    pub(crate) clock: C,
}

/// What the core goes by from its start.
pub(crate) struct Settings {
    pub(crate) rules: Rules,
    /// Guarded ports of this host: their guards alone say whether they are well.
    pub(crate) guarded: HashSet<u16>,
    /// Whether the address book is that of several gateways.
    pub(crate) shared: bool,
    /// How long an attempt waits for its answer.
    pub(crate) time_out: Duration,
}

/// What the core needs from its surroundings.
pub(crate) struct Wiring {
    pub(crate) requests: Requests,
    /// Services to probe.
    pub(crate) probes: mpsc::Sender<Service>,
    /// Outages whose server's name is to be looked up.
    pub(crate) opened: mpsc::Sender<(OutageId, Service)>,
    /// What other gateways are to be asked.
    pub(crate) questions: mpsc::Sender<Question>,
    /// Wakes the outbox.
    pub(crate) letters: Arc<tokio::sync::Notify>,
    pub(crate) state: watch::Sender<State>,
    /// Where the address book is.
    pub(crate) book: Store,
}

/// See the module.
pub(crate) struct Core<K, E, C> {
    machine: Machine,
    kernel: K,
    events: E,
    clock: C,
    /// Read again each second.
    offset: ClockOffset,
    /// As it was when the kernel's tables were new to the store.
    steady: ClockOffset,
    /// Up to when everything that was reported is known.
    known: MonotonicNs,
    /// The clock that times are noted by; `None`: the wall clock as it is.
    adopted: Option<SteadyClock>,
    /// Until when reports may wait in the kernel for room in the ring buffer: what is not read is not known before.
    waiting_until: MonotonicNs,
    /// How often the ring buffer was full.
    ring_full: u64,
    /// How long an attempt waits for its answer, and a report for its turn.
    time_out: Duration,
    /// Which ring buffer the events are from.
    ring: u64,
    store: LocalStore,
    book: AddressBook,
    wiring: Wiring,
    intake: Intake,
    /// How many services are known: counted each minute, and what was learned since.
    services: usize,
    /// Seconds since the start.
    seconds: u64,
    /// Since when answers of learned services are not in the store yet.
    kept_until: UnixMs,
    store_error: Option<String>,
    /// The daemon is to stop: a store that takes no changes is not waited for.
    stopping: CancellationToken,
    /// See [`Settings::guarded`].
    guarded: HashSet<u16>,
    /// See [`Settings::shared`].
    shared: bool,
}

/// What one turn has gathered.
#[derive(Default)]
struct Turn {
    actions: Actions,
    learned: Vec<(Service, UnixMs)>,
    /// For those who wait for the commit.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    seen: Vec<RemoteEngine>,
    /// For other gateways.
    questions: Vec<Question>,
}

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    /// Runs until `cancel`; then takes what is still in the ring buffer, commits it and returns.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        self.stopping = cancel.clone();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let mut turn = Turn::default();
            let until_deadline = self
                .machine
                .next_deadline()
                .map_or(Duration::from_secs(3600), |deadline| deadline.since(self.clock.wall()));
            tokio::select! {
                () = cancel.cancelled() => break,
                events = self.events.batch(BATCH) => {
                    for event in events? {
                        self.take(&event, &mut turn);
                    }
                }
                Some(message) = self.wiring.requests.recv() => {
                    self.take_requests(message, &mut turn).await;
                }
                () = sleep(until_deadline) => {}
                _ = second.tick() => self.every_second(&mut turn).await,
            }
            self.take_rest(&mut turn);
            turn.actions.append(self.machine.tick(&self.now()));
            self.finish(turn).await?;
        }
        let mut turn = Turn::default();
        while !self.take_rest(&mut turn) {}
        self.finish(turn).await
    }

    /// Takes what else is there; returns whether that was all, and so everything up to now is known.
    fn take_rest(&mut self, turn: &mut Turn) -> bool {
        let now = self.clock.offset().kernel(self.clock.wall());
        let events = self.events.take(BATCH);
        for event in &events {
            self.take(event, turn);
        }
        let is_all = events.len() < BATCH;
        if !events.is_empty() {
            self.look_for_waiting_reports();
        }
        if is_all && now >= self.waiting_until {
            let settled = now.0.saturating_sub(u64::try_from(ON_ITS_WAY.as_nanos()).unwrap_or(u64::MAX));
            self.known = self.known.max(MonotonicNs(settled));
        }
        is_all
    }

    fn now(&self) -> Moment {
        Moment { wall: self.clock.wall(), offset: self.offset, steady: self.steady, known: self.known }
    }

    fn take(&mut self, event: &Event, turn: &mut Turn) {
        let known = Background {
            offset: self.offset,
            steady: self.steady,
            in_book: &|client| self.book.lookup(client).is_some(),
            is_guarded: &|service| is_guarded(&self.guarded, &self.kernel, service),
        };
        let meaning = self.intake.take(event, &known);
        if MonotonicNs(event.at_ns) >= self.waiting_until {
            self.known = self.known.max(MonotonicNs(event.at_ns));
        }
        if let Some(observation) = meaning.observation() {
            self.observe(observation, turn);
        }
        match meaning {
            Meaning::Learned { service, at } => {
                self.services += 1;
                turn.learned.push((service, at));
            }
            Meaning::Failed { question, .. } => {
                turn.questions.extend(question.filter(|question| self.machine.asks_about(question.service)));
            }
            Meaning::Answered { .. } | Meaning::HostSeen { .. } => {}
        }
    }

    fn observe(&mut self, observation: Observation, turn: &mut Turn) {
        tracing::debug!(?observation, "observed");
        let now = self.now();
        turn.actions.append(self.machine.observe(&now, observation));
    }
}

/// A guard's checks say whether its service is well; a connection that is accepted does not.
fn is_guarded(guarded: &HashSet<u16>, kernel: &impl KernelPort, service: Service) -> bool {
    guarded.contains(&service.port()) && kernel.is_local(service.addr())
}
