//! What every store must do, whatever is behind it: each test begins with a [`Bed`], and runs once on each engine.
#![allow(clippy::unwrap_used, reason = "tests")]

mod on_postgres;
mod on_sqlite;
mod server;

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::{Letter, Location, Store};
pub(in crate::store) use server::Server;

use crate::{
    notify::{AddressEntry, Origin},
    outage::{Change, ClientAddr, Closing, Failure, Level, Outage, OutageId, Phase, Recovery, Service, UnixMs},
};

/// An empty database that is gone when this is dropped.
pub(in crate::store) trait Place: Sized {
    fn fresh() -> Self;

    /// Its name, also for another process.
    fn name(&self) -> String;

    /// The database of this name.
    fn located(name: &str) -> Location;
}

/// A database file in a folder of its own.
pub(in crate::store) struct File(TempDir);

impl File {
    pub(in crate::store) fn path(&self) -> PathBuf {
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
}

/// A fresh store, and where it lives.
pub(in crate::store) struct Bed<P> {
    pub(in crate::store) store: Store,
    place: P,
}

impl Bed<File> {
    pub(in crate::store) fn path(&self) -> PathBuf {
        self.place.path()
    }
}

impl<P: Place> Bed<P> {
    pub(in crate::store) fn fresh() -> Self {
        Self::of(P::fresh())
    }

    fn of(place: P) -> Self {
        Self { store: Store::at(&P::located(&place.name())).unwrap(), place }
    }

    /// The store alone, of a database that another process made.
    fn of_name(name: &str) -> Store {
        Store::at(&P::located(name)).unwrap()
    }

    /// What another process finds it by.
    pub(in crate::store) fn name(&self) -> String {
        self.place.name()
    }

    /// As after a restart of the daemon.
    pub(in crate::store) fn reopened(self) -> Self {
        Self::of(self.closed())
    }

    /// Only what is in the database.
    pub(in crate::store) fn closed(self) -> P {
        self.place
    }

    /// Applies `changes` to a store with these outages open.
    pub(in crate::store) async fn with_outages(ids: &[i64]) -> Self {
        let bed = Self::fresh();
        bed.store.apply(ids.iter().map(|id| Change::Put(outage(*id))).collect()).await.unwrap();
        bed
    }

    /// Every letter that is queued, by id.
    pub(in crate::store) async fn letters(&self) -> Vec<Letter> {
        // A lease of no length leaves the queue as it is.
        let mut letters = self.store.take_due(UnixMs(i64::MAX / 2), u32::MAX, Duration::ZERO).await.unwrap();
        letters.sort_by_key(|letter| letter.id);
        letters
    }
}

pub(in crate::store) const SINCE: UnixMs = UnixMs(1_000_000);
pub(in crate::store) const RECOVERED: UnixMs = UnixMs(2_000_000);

pub(in crate::store) fn service(id: i64) -> Service {
    let (net, host) = (u8::try_from(id / 250 % 250).unwrap(), u8::try_from(id % 250).unwrap());
    Service::new([192, 0, 2 + net, host].into(), 443)
}

pub(in crate::store) fn outage(id: i64) -> Outage {
    Outage {
        id: OutageId(id),
        service: service(id),
        since: SINCE,
        latest: SINCE,
        evidence: Failure::Unanswered,
        level: Level::Service,
        failures: 1,
        phase: Phase::Open,
    }
}

pub(in crate::store) fn client(text: &str) -> ClientAddr {
    ClientAddr::new(text.parse().unwrap())
}

pub(in crate::store) fn wait(outage: i64, who: &str, at: UnixMs) -> Change {
    Change::Wait { outage: OutageId(outage), client: client(who), at, attempts: 1, evidence: Failure::Unanswered }
}

pub(in crate::store) fn closing(outages: &[i64]) -> Closing {
    Closing {
        outages: outages.iter().copied().map(OutageId).collect(),
        recovered: RECOVERED,
        evidence: Recovery::Answered,
        tell_since: UnixMs(0),
        skip_connected: true,
    }
}

pub(in crate::store) fn address(net: &str, mail: &str) -> AddressEntry {
    AddressEntry {
        client: net.parse().unwrap(),
        mail: mail.to_owned(),
        language: None,
        origin: Origin::Operator,
        registered: SINCE,
    }
}
