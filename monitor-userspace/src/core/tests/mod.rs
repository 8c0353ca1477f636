//! The core over the real store in a folder of its own, with a kernel and a clock that are played: no root, no eBPF.
#![expect(clippy::unwrap_used, reason = "tests")]

mod clock;
mod order;
mod requests;
mod restart;
mod world;

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use monitor_core::{
    domain::{ClientAddr, Service, UnixMs},
    mail::{AddressEntry, Origin},
    outage::{Question, Rules},
};
use monitor_store::{LocalStore, OutageRecord, Store};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::world::World;
use super::{Core, Ports, Settings, State, Wiring};
use crate::port::{self, CoreHandle};

/// Nothing here takes as long.
const LIMIT: Duration = Duration::from_secs(20);

fn client(number: u8) -> ClientAddr {
    ClientAddr::new([10, 0, 1, number].into())
}

fn web() -> Service {
    "10.0.2.7:80".parse().unwrap()
}

fn mail() -> Service {
    "10.0.2.8:25".parse().unwrap()
}

/// The host, which cores come and go on. `web` and `mail` have answered.
struct Bed {
    world: World,
    folder: TempDir,
    settings: fn() -> Settings,
}

/// A core that runs.
struct Running {
    core: CoreHandle,
    local: LocalStore,
    store: Store,
    state: watch::Receiver<State>,
    probes: mpsc::Receiver<Service>,
    questions: mpsc::Receiver<Question>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

fn settings() -> Settings {
    Settings { rules: Rules::default(), guarded: HashSet::new(), shared: false, time_out: Duration::from_secs(1) }
}

impl Bed {
    fn new() -> Self {
        Self::with(settings)
    }

    fn with(settings: fn() -> Settings) -> Self {
        let world = World::default();
        world.later(1000);
        for service in [web(), mail()] {
            world.answers(service, client(9));
        }
        Self { world, folder: tempfile::tempdir().unwrap(), settings }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("ringback.db")
    }

    /// A daemon's core, from its start to where it runs.
    async fn start(&self) -> Running {
        self.world.is_read_anew();
        let local = LocalStore::open(&self.database()).unwrap();
        let store = local.store().clone();
        let (core, requests) = port::queue();
        let (probe, probes) = mpsc::channel(16);
        let (opened, _) = mpsc::channel(16);
        let (question, questions) = mpsc::channel(16);
        let (published, state) = watch::channel(State::default());
        let wiring = Wiring {
            requests,
            probes: probe,
            opened,
            questions: question,
            letters: Arc::default(),
            state: published,
            book: store.clone(),
        };
        let ports = Ports { kernel: self.world.clone(), events: self.world.clone(), clock: self.world.clone() };
        let started = Core::start((self.settings)(), ports, local.clone(), wiring).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(started.run(stop.clone()));
        Running { core, local, store, state, probes, questions, stop, task }
    }

    /// From now on the store takes no changes of outages, as on a full disk.
    fn refuse(&self) {
        for event in ["INSERT", "UPDATE"] {
            let trigger = format!(
                "CREATE TRIGGER refuse_{event} BEFORE {event} ON outage BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
            );
            self.connection().execute_batch(&trigger).unwrap();
        }
    }

    fn accept(&self) {
        self.connection().execute_batch("DROP TRIGGER refuse_INSERT; DROP TRIGGER refuse_UPDATE").unwrap();
    }

    /// Another program's, such as an operator's `sqlite3`.
    fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }
}

impl Running {
    async fn outages(&self) -> Vec<OutageRecord> {
        self.store.outages(true, 100).await.unwrap()
    }

    /// Services whose outage goes on.
    async fn open(&self) -> Vec<Service> {
        self.store.outages(false, 100).await.unwrap().iter().map(|record| record.outage.service).collect()
    }

    /// Clients on waiting lists, by outage and address.
    async fn waiting(&self) -> Vec<ClientAddr> {
        self.store.waiting(None, 100).await.unwrap().iter().map(|waiting| waiting.client).collect()
    }

    async fn knows(&self, who: ClientAddr, mail: &str) {
        let entry = AddressEntry {
            client: who.to_string().parse().unwrap(),
            mail: mail.to_owned(),
            language: None,
            origin: Origin::Operator,
            registered: UnixMs(0),
        };
        self.store.put_addresses(vec![entry]).await.unwrap();
        self.core.addresses_changed().await.unwrap();
    }

    /// Who has a letter in the outbox.
    async fn told(&self) -> Vec<String> {
        let letters = self.store.outbox().take_due(UnixMs(i64::MAX / 2), 100, Duration::ZERO).await.unwrap();
        letters.into_iter().map(|letter| letter.to).collect()
    }

    /// In order.
    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        timeout(LIMIT, self.task).await.unwrap().unwrap()
    }

    /// kill -9.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// It is killed where the world says.
    async fn dies(self) -> JoinError {
        timeout(LIMIT, self.task).await.unwrap().unwrap_err()
    }
}

/// Waits until `holds`.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(LIMIT, waiting).await.is_ok(), "never happened: {what}");
}
