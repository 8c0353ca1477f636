//! A gateway among several: what it has committed goes to the shared database, what the others have seen comes back.
//!
//! In: the spool of its own file, the shared database. Out: batches in order, each once; observations for the core. While
//! the database is out of reach the spool grows, and nothing else is different.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use monitor_core::{
    config::Config,
    domain::UnixMs,
    mail::AddressEntry,
    outage::{Observation, Question},
};
use monitor_store::{Following, Gateway, LocalStore, Outbox, SharedStore, Spooled, Store, StoreError};
use tokio::{
    sync::{Notify as Wake, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{HISTORY, stores::Stores};
use crate::{
    clock::Now as _,
    control::{ReplicationState, SharedView},
    core::SUSPICIONS,
    port::CoreHandle,
};

/// Between two looks at what the others have seen.
const LOOK: Duration = Duration::from_secs(1);

/// Between two lists of learned services for the others.
const TEACH: Duration = Duration::from_secs(60);

/// A look that takes longer says that the database is out of reach.
const SILENCE: Duration = Duration::from_secs(5);

/// Batches that are read from the spool at once.
const BATCHES: u32 = 16;

/// How long a stop waits for the last batches; what is left is shared at the next start.
const FINISH: Duration = Duration::from_secs(5);

/// Questions for other gateways that wait; more are not asked.
pub(super) const QUESTIONS: usize = 256;

/// What a daemon does in its database at its start; in a shared one as soon as that can be reached.
pub(super) struct SettleIn {
    /// Those of the configuration.
    pub(super) addresses: Vec<AddressEntry>,
    /// How long what is over is kept.
    pub(super) history: Duration,
}

impl SettleIn {
    pub(super) fn of(config: &Config) -> Self {
        Self { addresses: AddressEntry::of_config(&config.address, UnixMs::now()), history: HISTORY }
    }

    /// `local`: the gateway's own file, where the database is shared.
    pub(super) async fn settle_in(&self, store: &Store, local: Option<&Store>) -> Result<()> {
        if let Some(local) = local {
            let learned = store.learned_services().await.context("reading the services that others have learned")?;
            local.learn(learned).await.context("keeping the services that others have learned")?;
        }
        let before = UnixMs::now().before(self.history);
        store.replace_config_addresses(self.addresses.clone()).await.context("writing the address book")?;
        store.prune(before).await.context("forgetting old outages")?;
        store.forget_services(before).await.context("forgetting old services")?;
        Ok(())
    }
}

/// See the module.
pub(super) struct Replicator {
    local: LocalStore,
    shared: SharedStore,
    /// The shared database's.
    outbox: Outbox,
    gateway: Gateway,
    /// What is still to be done there, where the start was without it.
    arrival: Option<SettleIn>,
    core: CoreHandle,
    /// Wakes the outbox.
    letters: Arc<Wake>,
    state: watch::Sender<ReplicationState>,
}

/// This host's name, for people.
pub(super) fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// Why the database cannot be used, without saying that it is out of reach.
pub(super) fn reason(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(StoreError::Unreachable(said)) => said.clone(),
        _ => format!("{error:#}"),
    }
}

impl Replicator {
    /// `None`: the gateway is alone. The second value is for readers. `letters` wakes the outbox.
    pub(super) fn start(
        stores: &mut Stores,
        core: &CoreHandle,
        letters: &Arc<Wake>,
    ) -> (Option<Self>, Option<SharedView>) {
        let Some((shared, gateway)) = stores.shared.clone() else { return (None, None) };
        let local = stores.local.clone();
        let (state, view) =
            watch::channel(ReplicationState { cut_off: stores.cut_off.take(), ..ReplicationState::default() });
        let replicator = Self {
            local: local.clone(),
            shared,
            outbox: stores.outbox.clone(),
            gateway,
            arrival: stores.arrival.take(),
            core: core.clone(),
            letters: Arc::clone(letters),
            state,
        };
        (Some(replicator), Some(SharedView { local, state: view }))
    }

    /// Runs until `cancel`, which comes when the core has committed its last batch. `asked` is for other gateways.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Question>, cancel: CancellationToken) -> Result<()> {
        let mut book = None;
        let mut taught = None;
        let mut questions = Vec::new();
        let mut arrival = self.arrival.take();
        loop {
            while let Ok(question) = asked.try_recv() {
                questions.push(question);
            }
            questions.truncate(QUESTIONS);
            let turn = async {
                self.arrive(&mut arrival).await?;
                self.push().await?;
                self.ask(&mut questions).await?;
                self.pull(&mut book).await?;
                Ok(self.teach(&mut taught).await?)
            };
            let outcome = tokio::select! {
                () = cancel.cancelled() => break,
                outcome = turn => outcome,
            };
            self.tell(outcome);
            tokio::select! {
                () = cancel.cancelled() => break,
                () = self.local.spooled(), if self.state.borrow().cut_off.is_none() => {}
                Some(question) = asked.recv(), if questions.is_empty() => questions.push(question),
                () = sleep(LOOK) => {}
            }
        }
        match timeout(FINISH, self.push()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "not all is shared; the rest is at the next start"),
            Err(_) => tracing::warn!("not all is shared; the rest is at the next start"),
        }
        Ok(())
    }

    /// What the start left to do.
    async fn arrive(&self, arrival: &mut Option<SettleIn>) -> Result<()> {
        let Some(late) = arrival else { return Ok(()) };
        late.settle_in(self.shared.store(), Some(self.local.store())).await?;
        *arrival = None;
        // The core has stopped: so do we.
        let _ = self.core.addresses_changed().await;
        Ok(())
    }

    /// Hands on what the spool holds.
    async fn push(&self) -> Result<(), StoreError> {
        loop {
            let batches = self.local.to_share(BATCHES).await?;
            let Some(Spooled { number: last, .. }) = batches.last() else { return Ok(()) };
            let last = *last;
            for spooled in batches {
                let applied = self.shared.share(self.gateway.clone(), spooled, UnixMs::now()).await?;
                if applied.letters > 0 {
                    tracing::info!(letters = applied.letters, untold = applied.untold, "people are told");
                    self.letters.notify_one();
                }
            }
            self.local.was_shared(last).await?;
        }
    }

    /// Asks the others what is to be asked.
    async fn ask(&self, questions: &mut Vec<Question>) -> Result<(), StoreError> {
        if !questions.is_empty() {
            self.shared.ask(self.gateway.clone(), questions.clone(), UnixMs::now()).await?;
            questions.clear();
        }
        Ok(())
    }

    /// Says of what the others ask what was seen here.
    async fn answer(&self, asked: Vec<(i64, Question)>) -> Result<(), StoreError> {
        if asked.is_empty() {
            return Ok(());
        }
        let (numbers, asked): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        // The core has stopped: so do we.
        let Ok(well) = self.core.ask(asked).await else { return Ok(()) };
        let known: Vec<_> = numbers.into_iter().zip(well).filter_map(|(number, well)| Some((number, well?))).collect();
        if known.is_empty() { Ok(()) } else { self.shared.answer(known).await }
    }

    /// Tells the core what the others have seen.
    async fn pull(&self, known_book: &mut Option<i64>) -> Result<(), StoreError> {
        let look = async {
            let following = self.shared.follow(self.gateway.clone(), UnixMs::now()).await?;
            Ok::<_, StoreError>((following, self.outbox.next_due().await?, self.shared.gateways().await?))
        };
        let silent = |_| StoreError::Unreachable("it does not answer".to_owned());
        let (following, due, gateways) = timeout(SILENCE, look).await.map_err(silent)??;
        let Following { opened, ended, book, asked, answered } = following;
        self.answer(asked).await?;
        for (question, well) in answered {
            let (Question { service, client, attempts, .. }, mask) = (question, question.mask());
            tracing::info!(%service, "silent here, answered at another gateway");
            self.report(Observation::AnsweredElsewhere { service, client, mask, attempts, well }).await;
        }
        for outage in opened {
            self.report(Observation::OpenElsewhere(outage)).await;
        }
        for end in ended {
            tracing::info!(outage = %end.outage, "another gateway has ended the outage");
            self.report(Observation::EndedElsewhere { outage: end.outage, at: end.ended }).await;
        }
        if known_book.replace(book).is_some_and(|known| known != book) {
            // The core has stopped: so do we.
            let _ = self.core.addresses_changed().await;
        }
        // Letters that another gateway has written, or whose holder is gone.
        if due.is_some_and(|due| due <= UnixMs::now()) {
            self.letters.notify_one();
        }
        self.state.send_modify(|state| state.gateways = gateways);
        Ok(())
    }

    /// Lets others know which services have answered here: where this one fails, they take over. Forgets suspicions that
    /// came to nothing.
    async fn teach(&self, taught: &mut Option<Instant>) -> Result<(), StoreError> {
        if taught.is_none_or(|taught| taught.elapsed() >= TEACH) {
            let (local, shared) = (self.local.store(), self.shared.store());
            shared.forget_suspicions(UnixMs::now().before(SUSPICIONS)).await?;
            shared.learn(local.learned_services().await?).await?;
            *taught = Some(Instant::now());
        }
        Ok(())
    }

    /// Nobody waits for the commit: what is not taken is said again.
    async fn report(&self, observation: Observation) {
        self.core.tell(observation).await;
    }

    fn tell(&self, outcome: Result<()>) {
        let cut_off = self.state.borrow().cut_off.is_some();
        match outcome {
            Ok(()) if cut_off => {
                tracing::info!("the shared database is in reach again; what was kept is in it");
                self.state.send_modify(|state| state.cut_off = None);
                self.letters.notify_one();
            }
            Ok(()) => {}
            Err(error) if cut_off => {
                let said = reason(&error);
                tracing::debug!("the shared database is still out of reach: {said}");
                self.state.send_if_modified(|state| match &mut state.cut_off {
                    Some((_, reason)) if *reason != said => {
                        *reason = said;
                        true
                    }
                    _ => false,
                });
            }
            Err(error) => {
                let said = reason(&error);
                tracing::error!(
                    "the shared database is out of reach; what happens is kept here until it is back: {said}"
                );
                self.state.send_modify(|state| state.cut_off = Some((UnixMs::now(), said)));
            }
        }
    }
}
