//! What every store must do, whatever is behind it: each test begins with a [`Bed`], which a second backend replaces.
#![allow(clippy::unwrap_used, reason = "tests")]

mod addresses;
mod closing;
mod crash;
mod model;
mod notices;
mod outbox;
mod relay;
mod retention;
mod snmp;
mod waiting;

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::{Letter, Store};
use crate::{
    notify::{AddressEntry, Origin},
    outage::{Change, ClientAddr, Closing, Failure, Level, Outage, OutageId, Phase, Recovery, Service, UnixMs},
};

/// A fresh store, and where it lives.
pub(in crate::store) struct Bed {
    folder: TempDir,
    pub(in crate::store) store: Store,
}

impl Bed {
    pub(in crate::store) fn fresh() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state/ringback.db")).unwrap();
        Self { folder, store }
    }

    pub(in crate::store) fn path(&self) -> PathBuf {
        self.folder.path().join("state/ringback.db")
    }

    /// As after a restart of the daemon.
    pub(in crate::store) fn reopened(self) -> Self {
        let path = self.path();
        let folder = self.closed();
        Self { store: Store::open(&path).unwrap(), folder }
    }

    /// Only what is on disk, as long as the folder is held.
    pub(in crate::store) fn closed(self) -> TempDir {
        self.folder
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
    let host = u8::try_from(id % 250).unwrap();
    Service::new([192, 0, 2, host].into(), 443)
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
