//! The worker that delivers what closing transactions wrote.
//!
//! In: due letters of the store. Out: mails, and outcomes recorded in the store, many at a time. A letter is leased
//! while it is on its way; whatever happens to this process, it is due again when the lease ends.

use std::{num::NonZeroU32, path::Path, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use lettre::{Address, address::Envelope, message::Mailbox};
use tokio::{
    sync::{Mutex, Notify as Wake, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    NotifyError,
    maildir::Maildir,
    message::Writer,
    retry::{Backoff, Trouble},
    server_name::Names,
    smtp::{Connection, Relay},
    templates::Templates,
};
use crate::{
    config::Notify,
    outage::{Service, UnixMs},
    store::{Letter, LetterId, Outcome, Store, StoreError},
};

/// Letters taken at a time.
const TAKE: u32 = 1024;

/// A letter on its way is not given out again before this: longer than the slowest try.
const LEASE: Duration = Duration::from_secs(180);

/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Mails over one connection before a new one is made: mail servers end long ones.
const MAILS_PER_CONNECTION: u32 = 500;

/// Where mails go.
#[derive(Clone)]
enum Destination {
    Relay(Box<Relay>),
    Maildir(Maildir),
}

/// How mails are written and where they go: the checked form of `[notify]`.
#[derive(Clone)]
pub struct Delivery {
    writer: Writer,
    destination: Destination,
    envelope_from: Option<Address>,
    backoff: Backoff,
}

impl Delivery {
    /// Takes the settings, reads secrets and templates, makes the Maildir.
    pub fn new(settings: &Notify, state_dir: &Path) -> Result<Self, NotifyError> {
        let from: Mailbox = settings.from.parse().map_err(|_| NotifyError::From(settings.from.clone()))?;
        let envelope_from = settings
            .envelope_from
            .as_ref()
            .map(|address| address.parse().map_err(|_| NotifyError::From(address.clone())))
            .transpose()?;
        let destination = match &settings.smtp {
            Some(url) => Destination::Relay(Box::new(Relay::new(settings, url)?)),
            None => {
                let folder = state_dir.join("Maildir");
                let maildir = Maildir::open(&folder).map_err(|source| NotifyError::Maildir { path: folder, source })?;
                Destination::Maildir(maildir)
            }
        };
        Ok(Self {
            writer: Writer::new(settings, from, Templates::load(settings.template_dir.as_deref())?),
            destination,
            envelope_from,
            backoff: Backoff { first: settings.retry, longest: settings.retry_max },
        })
    }

    /// Sends a mail that only shows that mail goes out. Says where it went.
    pub async fn send_test(&self, to: &str) -> Result<String, NotifyError> {
        let address: Address = to.parse().map_err(|_| NotifyError::Recipient(to.to_owned()))?;
        let failed = |trouble: Trouble| NotifyError::Delivery(trouble.reason().to_owned());
        let mail = self.writer.write_test(address.clone()).map_err(|error| NotifyError::Delivery(error.to_string()))?;
        match &self.destination {
            Destination::Relay(relay) => {
                let mut connection = relay.connect().await.map_err(failed)?;
                let envelope = self.envelope(address).map_err(failed)?;
                connection.send(&envelope, &mail.formatted()).await.map_err(failed)?;
                connection.quit().await;
                Ok(format!("the mail server took the mail to {to}"))
            }
            Destination::Maildir(maildir) => {
                let name = format!("test.{}", UnixMs::now().0);
                let path = maildir.folder().to_path_buf();
                maildir
                    .deliver(&name, &mail.formatted())
                    .map_err(|source| NotifyError::Maildir { path: path.clone(), source })?;
                Ok(format!("no mail server is configured: the mail is in {}", path.join("new").display()))
            }
        }
    }

    /// The null sender, unless the operator wants bounces.
    fn envelope(&self, to: Address) -> Result<Envelope, Trouble> {
        Envelope::new(self.envelope_from.clone(), vec![to]).map_err(|error| Trouble::permanent(error.to_string()))
    }

    /// Delivers one letter over the lane's connection, made at need.
    async fn deliver(&self, letter: &Letter, lane: &mut Lane) -> Result<(), Trouble> {
        let mail = self.writer.write(letter).map_err(|error| Trouble::permanent(error.to_string()))?.formatted();
        match &self.destination {
            Destination::Maildir(maildir) => {
                let name = format!("{}.{}", letter.outage, letter.client.to_string().replace(':', "-"));
                let maildir = maildir.clone();
                tokio::task::spawn_blocking(move || maildir.deliver(&name, &mail))
                    .await
                    .map_err(|error| Trouble::network(error.to_string()))?
                    .map_err(|error| Trouble::network(error.to_string()))
            }
            Destination::Relay(relay) => {
                let to = letter.to.parse().map_err(|_| Trouble::permanent("not a mail address".to_owned()))?;
                let envelope = self.envelope(to)?;
                let mut connection = match lane.connection.take() {
                    Some(connection) => connection,
                    None => relay.connect().await.map_err(|trouble| {
                        // What the server says to everybody is nothing about this mail.
                        Trouble::network(trouble.reason().to_owned())
                    })?,
                };
                connection.send(&envelope, &mail).await?;
                lane.sent += 1;
                if lane.sent % MAILS_PER_CONNECTION == 0 {
                    connection.quit().await;
                } else {
                    lane.connection = Some(connection);
                }
                Ok(())
            }
        }
    }
}

/// One of the parallel connections.
#[derive(Default)]
struct Lane {
    connection: Option<Connection>,
    sent: u32,
}

/// See the module.
pub struct Outbox {
    delivery: Arc<Delivery>,
    store: Store,
    names: Names,
    wake: Arc<Wake>,
    lanes: u16,
    rate: Option<Arc<DefaultKeyedRateLimiter<Service>>>,
}

type Letters = Arc<Mutex<mpsc::Receiver<Letter>>>;

impl Outbox {
    /// A worker; `wake` tells it that letters were written.
    #[must_use]
    pub fn new(settings: &Notify, delivery: Delivery, store: Store, names: Names, wake: Arc<Wake>) -> Self {
        let rate = NonZeroU32::new(settings.rate).map(|rate| Arc::new(RateLimiter::keyed(Quota::per_second(rate))));
        Self { delivery: Arc::new(delivery), store, names, wake, lanes: settings.connections.max(1), rate }
    }

    /// Delivers until `cancel`, then finishes what is on its way.
    pub async fn run(self, cancel: CancellationToken) {
        while let Err(error) = self.store.release_leases().await {
            tracing::error!(%error, "the outbox cannot be read");
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(STORE_PAUSE) => {}
            }
        }
        // One letter waits while each lane is busy: more would only grow old under their lease.
        let (letters, queue) = mpsc::channel(usize::from(self.lanes));
        let (outcomes, results) = mpsc::channel(TAKE as usize);
        let queue: Letters = Arc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        for _ in 0..self.lanes {
            tasks.spawn(lane(Arc::clone(&self.delivery), Arc::clone(&queue), outcomes.clone(), self.rate.clone()));
        }
        drop(outcomes);
        let recorder = tokio::spawn(record(self.store.clone(), results, Arc::clone(&self.wake)));
        self.hand_out(letters, &cancel).await;
        while tasks.join_next().await.is_some() {}
        // The recorder ends when the last lane has dropped its sender.
        let _ = recorder.await;
    }

    /// Takes due letters and gives them to the lanes.
    async fn hand_out(&self, letters: mpsc::Sender<Letter>, cancel: &CancellationToken) {
        loop {
            let due = match self.store.take_due(UnixMs::now(), TAKE, LEASE).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read");
                    tokio::select! {
                        () = cancel.cancelled() => return,
                        () = sleep(STORE_PAUSE) => continue,
                    }
                }
            };
            let more = due.len() == TAKE as usize;
            for letter in due {
                let letter = self.named(letter).await;
                tokio::select! {
                    () = cancel.cancelled() => return,
                    sent = letters.send(letter) => if sent.is_err() { return },
                }
            }
            if more {
                continue;
            }
            let next = self.store.next_due().await.ok().flatten();
            let pause = next.map_or(LEASE, |next| next.since(UnixMs::now())).max(Duration::from_millis(5)).min(LEASE);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.wake.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// The letter with the names of its servers, looked up where they are not known yet (F-16).
    async fn named(&self, mut letter: Letter) -> Letter {
        for service in &mut letter.services {
            if service.server_name.is_none() {
                service.server_name = self.names.lookup(service.service.addr()).await;
                if let Some(name) = &service.server_name
                    && let Err(error) = self.store.set_server_name(service.outage, name.clone()).await
                {
                    tracing::warn!(%error, "the server's name is not kept");
                }
            }
        }
        letter
    }
}

/// Delivers letters one after the other.
async fn lane(
    delivery: Arc<Delivery>,
    queue: Letters,
    outcomes: mpsc::Sender<(LetterId, Outcome)>,
    rate: Option<Arc<DefaultKeyedRateLimiter<Service>>>,
) {
    let mut lane = Lane::default();
    loop {
        let letter = queue.lock().await.recv().await;
        let Some(letter) = letter else { break };
        if let (Some(rate), Some(service)) = (&rate, letter.services.first()) {
            rate.until_key_ready(&service.service).await;
        }
        let result = delivery.deliver(&letter, &mut lane).await;
        match &result {
            Ok(()) => tracing::debug!(to = letter.to, outage = %letter.outage, "delivered"),
            Err(trouble) => {
                tracing::warn!(
                    letter = letter.id.0,
                    reason = trouble.reason(),
                    permanent = trouble.is_permanent(),
                    "not delivered"
                );
            }
        }
        let outcome = delivery.backoff.outcome(&letter, result, UnixMs::now());
        if outcomes.send((letter.id, outcome)).await.is_err() {
            break;
        }
    }
    if let Some(connection) = lane.connection {
        connection.quit().await;
    }
}

/// Records outcomes, as many as there are at a time, until it works: a delivered letter that is not recorded is
/// delivered again. Wakes the worker for letters that are due again before their lease would end.
async fn record(store: Store, mut results: mpsc::Receiver<(LetterId, Outcome)>, wake: Arc<Wake>) {
    let mut batch = Vec::new();
    while results.recv_many(&mut batch, TAKE as usize).await > 0 {
        while let Err(error) = store.record(batch.clone()).await {
            tracing::error!(%error, "outcomes cannot be recorded");
            if matches!(error, StoreError::Closed) {
                return;
            }
            sleep(STORE_PAUSE).await;
        }
        if batch.iter().any(|(_, outcome)| matches!(outcome, Outcome::Retry { .. })) {
            wake.notify_one();
        }
        batch.clear();
    }
}
