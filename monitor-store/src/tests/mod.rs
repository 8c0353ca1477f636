//! What every store must do, whatever is behind it: each test begins with a [`Bed`], and runs once on each engine.
#![allow(clippy::unwrap_used, reason = "tests")]

mod on_postgres;
mod on_sqlite;
mod server;

use std::{path::PathBuf, time::Duration};

use monitor_core::{
    domain::{AttemptMask, ClientAddr, MonotonicNs, OutageId, Service, UnixMs},
    mail::{AddressEntry, Content, Letter, Origin, Ready, Recovered},
    outage::{Change, Closing, Failure, Level, Outage, Phase, Recovery, Span},
};
use tempfile::TempDir;

pub(crate) use self::server::Server;
use super::{LocalStore, Location, NotificationPolicy, Outbox, SharedStore, Store};

/// An empty database that is gone when this is dropped.
pub(crate) trait Place: Sized {
    fn fresh() -> Self;

    /// Its name, also for another process.
    fn name(&self) -> String;

    /// The database of this name.
    fn located(name: &str) -> Location;

    /// A database of the version before one outbox with these rows. The next letter's id is 21.
    fn of_version_before_one_outbox(rows: &str) -> Self;
}

/// A database file in a folder of its own.
pub(crate) struct File(TempDir);

impl File {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("state/ringback.db")
    }
}

impl Place for File {
    fn fresh() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn name(&self) -> String {
        self.path().display().to_string()
    }

    fn located(name: &str) -> Location {
        Location::File(name.into())
    }

    fn of_version_before_one_outbox(rows: &str) -> Self {
        let file = Self::fresh();
        std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
        let conn = rusqlite::Connection::open(file.path()).unwrap();
        for sql in [
            include_str!("../sqlite/migrations/0001_first.sql"),
            include_str!("../sqlite/migrations/0002_declined.sql"),
            include_str!("../sqlite/migrations/0003_relay.sql"),
            include_str!("../sqlite/migrations/0004_notice.sql"),
            include_str!("../sqlite/migrations/0005_words.sql"),
            include_str!("../sqlite/migrations/0006_notice_pace.sql"),
            include_str!("../sqlite/migrations/0007_shared.sql"),
            include_str!("../sqlite/migrations/0008_question.sql"),
            "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (8)",
            rows,
            "UPDATE sqlite_sequence SET seq = 20 WHERE name = 'letter'",
        ] {
            conn.execute_batch(sql).unwrap();
        }
        file
    }
}

/// A fresh database behind each type that a caller may get, and where it lives.
pub(crate) struct Bed<P> {
    pub(crate) store: Store,
    pub(crate) local: LocalStore,
    pub(crate) shared: SharedStore,
    pub(crate) outbox: Outbox,
    place: P,
}

impl Bed<File> {
    pub(crate) fn path(&self) -> PathBuf {
        self.place.path()
    }
}

impl<P: Place> Bed<P> {
    pub(crate) fn fresh() -> Self {
        Self::of(P::fresh())
    }

    /// A database of an earlier version with these rows, after this version has opened it.
    pub(crate) fn upgraded(rows: &str) -> Self {
        Self::of(P::of_version_before_one_outbox(rows))
    }

    fn of(place: P) -> Self {
        let store = Store::at(&P::located(&place.name()), NotificationPolicy::default()).unwrap();
        let (local, shared) = (LocalStore::of(store.clone()), SharedStore::of(store.clone()));
        Self { outbox: store.outbox(), store, local, shared, place }
    }

    /// The store alone, of a database that another process made.
    fn of_name(name: &str) -> LocalStore {
        LocalStore::at(&P::located(name), NotificationPolicy::default()).unwrap()
    }

    /// What another process finds it by.
    pub(crate) fn name(&self) -> String {
        self.place.name()
    }

    /// As after a restart of the daemon.
    pub(crate) fn reopened(self) -> Self {
        Self::of(self.closed())
    }

    /// Only what is in the database.
    pub(crate) fn closed(self) -> P {
        self.place
    }

    /// Applies `changes` to a store with these outages open.
    pub(crate) async fn with_outages(ids: &[i64]) -> Self {
        let bed = Self::fresh();
        bed.local.apply(ids.iter().map(|id| Change::Put(outage(*id))).collect()).await.unwrap();
        bed
    }

    /// Every letter that is queued, by id.
    pub(crate) async fn letters(&self) -> Vec<Letter> {
        // A lease of no length leaves the queue as it is.
        let mut letters = self.outbox.take_due(UnixMs(i64::MAX / 2), u32::MAX, Duration::ZERO).await.unwrap();
        letters.sort_by_key(|letter| letter.id);
        letters
    }
}

/// What a letter about a recovery says.
pub(crate) fn recovered(letter: &Letter) -> &Recovered {
    let Content::Recovered(recovered) = &letter.says else { panic!("it tells of no recovery: {letter:?}") };
    recovered
}

/// The words of any other letter.
pub(crate) fn ready(letter: &Letter) -> &Ready {
    let Content::Ready(ready) = &letter.says else { panic!("it has no words of its own: {letter:?}") };
    ready
}

/// The client that a letter about one outage is for.
pub(crate) fn client_of(letter: &Letter) -> ClientAddr {
    recovered(letter).services[0].client
}

pub(crate) const SINCE: UnixMs = UnixMs(1_000_000);
pub(crate) const RECOVERED: UnixMs = UnixMs(2_000_000);

pub(crate) fn service(id: i64) -> Service {
    let (net, host) = (u8::try_from(id / 250 % 250).unwrap(), u8::try_from(id % 250).unwrap());
    Service::new([192, 0, 2 + net, host].into(), 443)
}

pub(crate) fn outage(id: i64) -> Outage {
    Outage {
        id: OutageId(id),
        service: service(id),
        since: SINCE,
        latest: SINCE,
        evidence: Failure::Unanswered,
        level: Level::Service,
        failures: 1,
        span: Span::default(),
        trying_until: UnixMs(0),
        phase: Phase::Open,
    }
}

/// Of every attempt that is listed, where it does not matter which it is.
pub(crate) const MASK: AttemptMask = AttemptMask::of(40_000, 1);

pub(crate) fn client(text: &str) -> ClientAddr {
    ClientAddr::new(text.parse().unwrap())
}

pub(crate) fn wait(outage: i64, who: &str, at: UnixMs) -> Change {
    trying(outage, who, at, UnixMs(0))
}

/// The same of a client that may get through until then.
pub(crate) fn trying(outage: i64, who: &str, at: UnixMs, trying_until: UnixMs) -> Change {
    let (outage, client, evidence) = (OutageId(outage), client(who), Failure::Unanswered);
    Change::Wait { outage, client, at, trying_until, attempts: 1, evidence, mask: MASK }
}

pub(crate) fn closing(outages: &[i64]) -> Closing {
    Closing {
        outages: outages.iter().copied().map(OutageId).collect(),
        recovered: RECOVERED,
        until: MonotonicNs(7),
        evidence: Recovery::Answered,
        known: RECOVERED,
        tell_since: UnixMs(0),
        skip_connected: true,
    }
}

pub(crate) fn address(net: &str, mail: &str) -> AddressEntry {
    AddressEntry {
        client: net.parse().unwrap(),
        mail: mail.to_owned(),
        language: None,
        origin: Origin::Operator,
        registered: SINCE,
    }
}
