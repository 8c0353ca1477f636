//! The one task that owns the outage machine and the kernel.
//!
//! In: kernel events, observations of recovery, commands. Each turn takes what is there, asks the machine, commits its
//! changes as one transaction, and only then tells the kernel, sends probes, and answers those who wait for the commit.
//!
//! `start` goes on from the store and the kernel, `commit` ends each turn, `commands` obeys, `upkeep` counts and publishes.

mod commands;
mod commit;
mod start;
mod upkeep;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use monitor_common::Event;
use monitor_core::{
    config::Config,
    domain::{MonotonicNs, OutageId, Service, UnixMs},
    mail::AddressBook,
    outage::{Actions, Failure, Machine, Observation, Question},
    snmp::RemoteEngine,
};
use monitor_store::Store;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::state::State;
use crate::{
    clock::Now as _,
    guard,
    kernel::{Events, Kernel, KernelError, Report},
    recovery::Reported,
};

/// Events taken in one turn; one transaction holds at most what they lead to.
const BATCH: usize = 4096;

/// What others ask the core to do.
#[derive(Debug)]
pub enum Command {
    /// The address book in the store has changed.
    AddressesChanged,
    /// Another gateway asks: of each attempt, up to when the service is known to have been well.
    Asked(Vec<Question>, oneshot::Sender<Vec<Option<UnixMs>>>),
    /// Go on with this configuration; answered when it is in force, or with the reason why the old one stays.
    Reload(Box<Config>, oneshot::Sender<Result<()>>),
}

/// What the core needs from its surroundings.
pub(in crate::daemon) struct Wiring {
    pub(in crate::daemon) reported: mpsc::Receiver<Reported>,
    pub(in crate::daemon) commands: mpsc::Receiver<Command>,
    /// Services to probe.
    pub(in crate::daemon) probes: mpsc::Sender<Service>,
    /// Outages whose server's name is to be looked up.
    pub(in crate::daemon) opened: mpsc::Sender<(OutageId, Service)>,
    /// What other gateways are to be asked.
    pub(in crate::daemon) questions: mpsc::Sender<Question>,
    /// Wakes the outbox.
    pub(in crate::daemon) letters: Arc<tokio::sync::Notify>,
    pub(in crate::daemon) state: watch::Sender<State>,
    /// Where the address book is.
    pub(in crate::daemon) book: Store,
}

/// See the module.
pub(in crate::daemon) struct Core {
    machine: Machine,
    kernel: Kernel,
    events: Events,
    /// Read while a transaction ran, and not looked at yet.
    backlog: Vec<Event>,
    store: Store,
    book: AddressBook,
    wiring: Wiring,
    /// Whether this path has ever shown an answer (design rule 3); once true, it stays.
    answers_seen: bool,
    /// Newest kernel time among the events that were taken.
    newest: u64,
    /// How many services are known: counted each minute, and what was learned since.
    services: usize,
    /// Seconds since the start.
    seconds: u64,
    /// Since when answers of learned services are not in the store yet.
    kept_until: UnixMs,
    store_error: Option<String>,
    /// The daemon is to stop: a store that takes no changes is not waited for.
    stopping: CancellationToken,
    /// Guarded ports of this host: their guards alone say whether they are well.
    guarded: HashSet<u16>,
    /// Of services that other gateways are asked about, what [`Turn::failed`] says.
    doubted: HashMap<Service, (MonotonicNs, u32)>,
    /// Whether the address book is that of several gateways.
    shared: bool,
}

/// What one turn has gathered.
#[derive(Default)]
struct Turn {
    actions: Actions,
    learned: Vec<(Service, UnixMs)>,
    committed: Vec<oneshot::Sender<()>>,
    seen: Vec<RemoteEngine>,
    /// When the SYN of the attempt that failed was seen, and how often its service had answered: for the race rule (design
    /// rule 7).
    failed: HashMap<Service, (MonotonicNs, u32)>,
    /// For other gateways.
    questions: Vec<Question>,
}

impl Turn {
    fn add(&mut self, mut actions: Actions) {
        self.actions.changes.append(&mut actions.changes);
        self.actions.marks.append(&mut actions.marks);
        self.actions.probes.append(&mut actions.probes);
    }
}

/// What was read before, else what comes.
async fn next_events(backlog: &mut Vec<Event>, events: &mut Events) -> Result<Vec<Event>, KernelError> {
    if backlog.is_empty() { events.batch(BATCH).await } else { Ok(std::mem::take(backlog)) }
}

impl Core {
    /// Runs until `cancel`; then takes what is still in the ring buffer, commits it and returns.
    pub(in crate::daemon) async fn run(mut self, cancel: CancellationToken) -> Result<()> {
        self.stopping = cancel.clone();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let mut turn = Turn::default();
            let until_deadline = self
                .machine
                .next_deadline()
                .map_or(Duration::from_secs(3600), |deadline| deadline.since(UnixMs::now()));
            tokio::select! {
                () = cancel.cancelled() => break,
                events = next_events(&mut self.backlog, &mut self.events) => {
                    for event in events? {
                        self.take(&event, &mut turn);
                    }
                }
                Some(reported) = self.wiring.reported.recv() => {
                    self.take_reported(reported, &mut turn);
                    while let Ok(more) = self.wiring.reported.try_recv() {
                        self.take_reported(more, &mut turn);
                    }
                }
                Some(command) = self.wiring.commands.recv() => self.obey(command).await,
                () = sleep(until_deadline) => {}
                _ = second.tick() => self.every_second(&mut turn),
            }
            turn.add(self.machine.tick(UnixMs::now()));
            self.finish(turn).await?;
        }
        let mut turn = Turn::default();
        for event in std::mem::take(&mut self.backlog) {
            self.take(&event, &mut turn);
        }
        loop {
            let events = self.events.take(BATCH);
            if events.is_empty() {
                break;
            }
            for event in events {
                self.take(&event, &mut turn);
            }
        }
        self.finish(turn).await
    }

    fn take(&mut self, event: &Event, turn: &mut Turn) {
        self.newest = self.newest.max(event.at_ns);
        if event.last_answer_ns != 0 {
            self.answers_seen = true;
        }
        let clock = self.kernel.clock();
        let book = &self.book;
        match Report::new(event, clock, self.answers_seen, |client| book.lookup(client).is_some()) {
            Report::Learned { service, at } => {
                self.answers_seen = true;
                self.services += 1;
                turn.learned.push((service, at));
            }
            Report::Observed { mut observation, .. } => {
                if let Observation::Failed(attempt) = &mut observation
                    && attempt.evidence == Failure::Refused
                    && self.is_guarded(attempt.service)
                {
                    // The kernel sends the RST that a guard's checks lead to, and sees only that.
                    attempt.evidence = Failure::Sick;
                }
                if let Observation::Answered { service, client: Some(client), .. } = observation
                    && event.attempts > 0
                {
                    self.observe(Observation::Withdrawn { service, client, attempts: event.attempts }, turn);
                }
                if let Observation::Failed(attempt) = &observation {
                    turn.failed.insert(attempt.service, (attempt.seen, event.answers));
                }
                self.observe(observation, turn);
                if let Observation::Failed(attempt) = &observation
                    && attempt.evidence == Failure::Unanswered
                    && self.machine.asks_about(attempt.service)
                {
                    self.doubted.insert(attempt.service, (attempt.seen, event.answers));
                    turn.questions.push(Question {
                        service: attempt.service,
                        client: attempt.client,
                        client_port: event.client_port,
                        seq: event.seq,
                        since: attempt.at,
                        attempts: attempt.attempts,
                    });
                }
            }
        }
    }

    fn take_reported(&mut self, mut reported: Reported, turn: &mut Turn) {
        if let Observation::Failed(attempt) = &mut reported.observation {
            // Who reports it may know more: what was just typed into the page may not be in this copy of the book yet.
            attempt.known |= self.book.lookup(attempt.client).is_some();
        }
        self.observe(reported.observation, turn);
        turn.seen.extend(reported.seen);
        turn.committed.push(reported.committed);
    }

    fn observe(&mut self, observation: Observation, turn: &mut Turn) {
        tracing::debug!(?observation, "observed");
        turn.add(self.machine.observe(UnixMs::now(), observation));
    }

    /// A guard's checks say whether its service is well; a connection that is accepted does not.
    fn is_guarded(&self, service: Service) -> bool {
        self.guarded.contains(&service.port()) && guard::is_local(service.addr())
    }
}
