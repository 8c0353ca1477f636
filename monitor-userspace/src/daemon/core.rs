//! The one task that owns the outage machine and the kernel.
//!
//! In: kernel events, observations of recovery, commands. Each turn takes what is there, asks the machine, commits its
//! changes as one transaction, and only then tells the kernel, sends probes, and answers those who wait for the commit.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use monitor_common::{Counter, Event, ServiceFlags, ServiceState, map};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::state::State;
use crate::{
    config::Config,
    guard,
    kernel::{Events, Kernel, KernelError, Report},
    notify::AddressBook,
    outage::{
        Actions, Change, Failure, Machine, Mark, MonotonicNs, Observation, OutageId, Phase, Question, Service, UnixMs,
    },
    recovery::Reported,
    store::{Applied, RemoteEngine, Store, StoreError},
};

/// Events taken in one turn; one transaction holds at most what they lead to.
const BATCH: usize = 4096;

/// Events that are read while a transaction runs; as many as the kernel keeps notes, by which they are found again after a
/// kill -9. The rest stays in the ring buffer.
const BACKLOG: usize = 65_536;

/// Pause before a transaction that failed is tried again. Events wait in the ring buffer meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// Between two looks through the kernel's table of services.
const SWEEP_SECONDS: u64 = 60;

/// Between two notes in the store of when learned services last answered; a multiple of [`SWEEP_SECONDS`].
const KEEP_SECONDS: u64 = 3600;

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
pub(super) struct Wiring {
    pub(super) reported: mpsc::Receiver<Reported>,
    pub(super) commands: mpsc::Receiver<Command>,
    /// Services to probe.
    pub(super) probes: mpsc::Sender<Service>,
    /// Outages whose server's name is to be looked up.
    pub(super) opened: mpsc::Sender<(OutageId, Service)>,
    /// What other gateways are to be asked.
    pub(super) questions: mpsc::Sender<Question>,
    /// Wakes the outbox.
    pub(super) letters: Arc<tokio::sync::Notify>,
    pub(super) state: watch::Sender<State>,
    /// Where the address book is.
    pub(super) book: Store,
}

/// See the module.
pub(super) struct Core {
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

/// The address book; one that is shared is copied to `own`, and read there while it is out of reach.
async fn read_book(book: &Store, own: &Store, shared: bool) -> Result<AddressBook, StoreError> {
    match book.addresses().await {
        Ok(entries) => {
            if shared {
                own.copy_addresses(&entries).await?;
            }
            Ok(AddressBook::new(entries))
        }
        Err(error) if shared => {
            tracing::warn!("the address book is this gateway's own copy");
            tracing::debug!(%error, "the address book");
            Ok(AddressBook::new(own.addresses().await?))
        }
        Err(error) => Err(error),
    }
}

impl Core {
    /// Goes on from the store and from what the kernel noted meanwhile.
    pub(super) async fn start(
        config: &Config,
        kernel: Kernel,
        events: Events,
        store: Store,
        wiring: Wiring,
    ) -> Result<Self> {
        let restored = store.restore().await.context("reading the outages")?;
        let restored_services: Vec<_> = restored.outages.iter().map(|outage| outage.service).collect();
        let (machine, actions) = Machine::restore(config.rules(), restored.outages, restored.next_outage);
        let shared = config.is_shared();
        let book = read_book(&wiring.book, &store, shared).await.context("reading the address book")?;
        let mut core = Self {
            machine,
            kernel,
            events,
            backlog: Vec::new(),
            store,
            book,
            wiring,
            answers_seen: false,
            newest: 0,
            services: 0,
            seconds: 0,
            kept_until: UnixMs::now(),
            store_error: None,
            stopping: CancellationToken::new(),
            guarded: config.guard.iter().map(|guard| guard.port).collect(),
            doubted: HashMap::new(),
            shared,
        };
        let learned = core.store.learned_services().await.context("reading the learned services")?;
        // The latest; the rest would leave no room for new ones.
        let learned = learned.into_iter().map(|(service, _)| service).take(map::SERVICES_ENTRIES / 4 * 3);
        core.kernel.remember_services(learned)?;
        core.look_for_answers()?;
        core.sweep_services()?;
        core.catch_up(actions, &restored_services).await?;
        Ok(core)
    }

    /// What an earlier daemon had read but not committed when it was killed: clients that the kernel noted as reported
    /// after the last commit, and answers of failed services.
    async fn catch_up(&mut self, restored: Actions, services: &[Service]) -> Result<()> {
        let mut turn = Turn::default();
        let mut read = HashSet::new();
        for event in self.events.take(usize::MAX) {
            read.insert((event.client, event.server, event.server_port));
            self.take(&event, &mut turn);
        }
        for event in self.kernel.uncommitted()? {
            if !read.contains(&(event.client, event.server, event.server_port)) {
                self.take(&event, &mut turn);
            }
        }
        for service in services {
            if let Some(at) = self.kernel.answered_while_failed(*service)? {
                let at = self.kernel.clock().unix(at);
                self.observe(Observation::Answered { service: *service, client: None, at }, &mut turn);
            }
        }
        let mut stale = self.kernel.marks_beyond(services)?;
        stale.extend(restored.marks);
        // In front: a failed service that answered meanwhile is marked recovered again by the turn's own marks.
        turn.actions.marks.splice(0..0, stale);
        turn.actions.changes.splice(0..0, restored.changes);
        turn.actions.probes.splice(0..0, restored.probes);
        self.finish(turn).await
    }

    /// Runs until `cancel`; then takes what is still in the ring buffer, commits it and returns.
    pub(super) async fn run(mut self, cancel: CancellationToken) -> Result<()> {
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

    /// Commits, then acts.
    async fn finish(&mut self, mut turn: Turn) -> Result<()> {
        loop {
            let Turn { actions, learned, committed, seen, failed, questions } = turn;
            if !learned.is_empty() {
                self.retry(|store| {
                    let learned = learned.clone();
                    async move { store.learn(learned).await }
                })
                .await?;
            }
            if !actions.changes.is_empty() || !seen.is_empty() {
                self.announce(&actions);
                let changes = actions.changes;
                let applied: Applied = self
                    .retry(|store| {
                        let (changes, seen) = (changes.clone(), seen.clone());
                        async move { store.apply_seen(changes, seen).await }
                    })
                    .await?;
                if applied.letters > 0 {
                    tracing::info!(letters = applied.letters, untold = applied.untold, "people are told");
                    self.wiring.letters.notify_one();
                }
            }
            for waiter in committed {
                // Whoever waited may have given up; the observation is committed all the same.
                let _ = waiter.send(());
            }
            self.kernel.commit(self.newest)?;
            for question in questions {
                // Full: so much is silent that the first few answers will do.
                let _ = self.wiring.questions.try_send(question);
            }
            turn = self.act(&actions.marks, &actions.probes, &failed)?;
            if turn.actions == Actions::default() {
                return Ok(());
            }
        }
    }

    /// Marks and probes. Answers that slipped in between make another turn (design rule 7).
    fn act(
        &mut self,
        marks: &[Mark],
        probes: &[Service],
        failed: &HashMap<Service, (MonotonicNs, u32)>,
    ) -> Result<Turn> {
        let mut again = Turn::default();
        for mark in marks {
            if let Err(error) = self.kernel.mark(*mark) {
                // The outage is in the store; without the mark, further SYNs are found failed by their time-out.
                tracing::error!(?mark, %error, "the kernel does not take the mark");
                continue;
            }
            if let Mark::Failed(service) = mark
                && let Some((seen, answers)) = failed.get(service).or(self.doubted.get(service))
                && let Some(answer) = self.kernel.answer_since(*service, *seen, *answers)?
            {
                let at = self.kernel.clock().unix(answer);
                self.observe(Observation::Answered { service: *service, client: None, at }, &mut again);
            }
        }
        for service in probes.iter().filter(|service| !self.is_guarded(**service)) {
            // Full: the machine asks again at the next interval.
            let _ = self.wiring.probes.try_send(*service);
        }
        Ok(again)
    }

    /// A guard's checks say whether its service is well; a connection that is accepted does not.
    fn is_guarded(&self, service: Service) -> bool {
        self.guarded.contains(&service.port()) && guard::is_local(service.addr())
    }

    /// Does it until it works: nothing that was observed is given up, and the ring buffer holds what comes meanwhile.
    ///
    /// # Errors
    /// The daemon is to stop and the store takes no changes. The next start finds in the kernel what is not committed.
    async fn retry<T, F, E>(&mut self, mut action: impl FnMut(Store) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, E>>,
        E: std::fmt::Display,
    {
        loop {
            let work = action(self.store.clone());
            match self.reading_on(work).await {
                Ok(done) => {
                    if self.store_error.take().is_some() {
                        tracing::info!("the store takes changes again");
                    }
                    return Ok(done);
                }
                Err(error) if self.stopping.is_cancelled() => {
                    bail!("the store does not take changes ({error}); what is not in it is noted in the kernel");
                }
                Err(error) => {
                    tracing::error!(%error, "the store does not take changes; trying again");
                    self.store_error = Some(error.to_string());
                    self.publish();
                    let _ = timeout(RETRY, self.stopping.cancelled()).await;
                }
            }
        }
    }

    /// Keeps the ring buffer from filling while `work` takes its time: a recovery that a million clients wait for takes
    /// seconds.
    async fn reading_on<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let room = BACKLOG.saturating_sub(self.backlog.len()).min(BATCH);
            tokio::select! {
                biased;
                done = &mut work => return done,
                Ok(events) = self.events.batch(room), if room > 0 => self.backlog.extend(events),
            }
        }
    }

    /// Says in the log what opens and closes, and has the names of new outages' servers looked up.
    fn announce(&self, actions: &Actions) {
        let mut opened: HashSet<Service> = actions
            .marks
            .iter()
            .filter_map(|mark| if let Mark::Failed(service) = mark { Some(*service) } else { None })
            .collect();
        for change in &actions.changes {
            match change {
                Change::Put(outage) if outage.phase == Phase::Open && opened.remove(&outage.service) => {
                    tracing::info!(outage = %outage.id, service = %outage.service, evidence = %outage.evidence, "outage");
                    // Full: the name is looked up when the first letter is written.
                    let _ = self.wiring.opened.try_send((outage.id, outage.service));
                }
                Change::Close(closing) => {
                    tracing::info!(outages = ?closing.outages, evidence = %closing.evidence, "recovered");
                }
                Change::Discard { outage, .. } => tracing::info!(%outage, "outage discarded"),
                _ => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::AddressesChanged => match read_book(&self.wiring.book, &self.store, self.shared).await {
                Ok(book) => self.book = book,
                Err(error) => tracing::error!(%error, "the address book cannot be read again"),
            },
            Command::Asked(questions, answer) => {
                let heard = questions.iter().map(|question| self.hear(question)).collect();
                let _ = answer.send(heard);
            }
            Command::Reload(config, answer) => {
                let result = self.reload(&config).await;
                let _ = answer.send(result);
            }
        }
    }

    /// Up to when the service is known to have been well.
    fn hear(&self, question: &Question) -> Option<UnixMs> {
        self.kernel.hear(question).unwrap_or_else(|error| {
            tracing::error!(%error, "another gateway's question cannot be answered");
            None
        })
    }

    async fn reload(&mut self, config: &Config) -> Result<()> {
        let interfaces = super::interfaces(config)?;
        self.kernel.reload(&config.watch, &interfaces).await?;
        self.machine.set_rules(config.rules());
        self.book = read_book(&self.wiring.book, &self.store, self.shared).await?;
        self.publish();
        Ok(())
    }

    fn every_second(&mut self, turn: &mut Turn) {
        self.seconds += 1;
        self.kernel.adjust_clock();
        self.kernel.flush_log();
        self.doubted.retain(|service, _| self.machine.asks_about(*service));
        if self.seconds.is_multiple_of(SWEEP_SECONDS) {
            match self.sweep_services() {
                Ok(answers) => turn.learned.extend(answers),
                Err(error) => tracing::error!(%error, "services cannot be looked through"),
            }
            if let Err(error) = self.kernel.rest() {
                tracing::error!(%error, "the stand-in page's program stays where nobody needs it");
            }
        }
        if !self.answers_seen
            && let Err(error) = self.look_for_answers()
        {
            tracing::error!(%error, "counters cannot be read");
        }
        self.publish();
    }

    /// Counts the services, makes room for new ones, and once an hour returns the latest answers for the store.
    fn sweep_services(&mut self) -> Result<Vec<(Service, UnixMs)>> {
        let services = self.kernel.services()?;
        let surplus = Kernel::surplus(&services);
        for service in &surplus {
            self.kernel.forget(*service)?;
        }
        if !surplus.is_empty() {
            tracing::warn!(
                forgotten = surplus.len(),
                "the table of services was nearly full; those that answered longest ago are forgotten"
            );
        }
        let answered = |state: &ServiceState| state.flags & ServiceFlags::ANSWERED != 0;
        self.services = services.iter().filter(|(_, _, state)| answered(state)).count() - surplus.len();
        if !self.seconds.is_multiple_of(KEEP_SECONDS) {
            return Ok(Vec::new());
        }
        let since = std::mem::replace(&mut self.kept_until, UnixMs::now());
        let answered = services.into_iter().filter_map(|(service, answered, _)| Some((service, answered?)));
        Ok(answered.filter(|(_, answered)| *answered >= since).collect())
    }

    fn look_for_answers(&mut self) -> Result<()> {
        let counters = self.kernel.counters()?;
        self.answers_seen |= counters.iter().any(|(counter, count)| *counter == Counter::Answers && *count > 0);
        Ok(())
    }

    /// Publishes what `status` and the metrics show.
    fn publish(&self) {
        let counters = self.kernel.counters().unwrap_or_default();
        self.wiring.state.send_modify(|state| {
            state.interfaces = self.kernel.attached().to_vec();
            state.counters = counters;
            state.services = self.services;
            state.unreadable_events = self.events.unreadable;
            state.tally = self.machine.tally();
            state.answers_seen = self.answers_seen;
            state.store_error.clone_from(&self.store_error);
        });
    }
}
