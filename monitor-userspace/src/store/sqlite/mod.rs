//! The interface on embedded SQLite: WAL, `synchronous=FULL`, one writing thread, readers apart.

pub(super) mod address;
pub(super) mod changes;
pub(super) mod closing;
mod columns;
pub(super) mod lists;
mod lock;
mod migrations;
pub(super) mod notices;
mod open;
pub(super) mod outages;
pub(super) mod outbox;
pub(super) mod page;
pub(super) mod prune;
mod readers;
pub(super) mod ready;
pub(super) mod services;
pub(super) mod snmp;
pub(super) mod station;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::Connection;

pub(super) use self::writer::Session;
use self::{lock::Lock, readers::Readers, writer::Writer};
use super::{StoreError, Telling};
use crate::{config::Notify, notice::Notices, relay::Relays};

/// An open database. The last clone that is dropped closes it.
#[derive(Clone)]
pub(super) struct Database {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the lock goes when nothing of ours writes any more.
struct Inner {
    writer: Writer,
    readers: Readers,
    letter_lifetime_ms: AtomicU64,
    relays: RwLock<Arc<Relays>>,
    notices: RwLock<Arc<Notices>>,
    path: PathBuf,
    _lock: Lock,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        open::make_folder(path)?;
        let lock = Lock::take(path)?;
        let conn = open::writable(path)?;
        let database = Self {
            inner: Arc::new(Inner {
                writer: Writer::start(conn).map_err(|error| {
                    open::unusable(path, format!("cannot start the writer thread: {error}; raise the limit of threads"))
                })?,
                readers: Readers::new(path),
                letter_lifetime_ms: AtomicU64::new(0),
                relays: RwLock::default(),
                notices: RwLock::default(),
                path: path.to_owned(),
                _lock: lock,
            }),
        };
        database.set_letter_lifetime(Notify::default().lifetime);
        Ok(database)
    }

    /// Runs `work` on the writer, in a transaction that it may share with other tasks' work; durable when it returns.
    ///
    /// `work` runs again, alone, if somebody else's spoils the shared transaction.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.inner.writer.run(work).await
    }

    /// Runs `query` off the async threads, on what is committed.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.readers.run(query)).await.map_err(|_| StoreError::Closed)?
    }

    /// What a transaction that writes letters goes by.
    pub(super) fn telling(&self) -> Telling {
        Telling {
            lifetime: Duration::from_millis(self.inner.letter_lifetime_ms.load(Ordering::Relaxed)),
            relays: Arc::clone(&self.inner.relays.read().unwrap_or_else(PoisonError::into_inner)),
            notices: Arc::clone(&self.inner.notices.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(super) fn set_notices(&self, notices: Notices) {
        *self.inner.notices.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(notices);
    }

    pub(super) fn set_relays(&self, relays: Relays) {
        *self.inner.relays.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(relays);
    }

    pub(super) fn set_letter_lifetime(&self, lifetime: Duration) {
        let ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.inner.letter_lifetime_ms.store(ms, Ordering::Relaxed);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("path", &self.inner.path).finish_non_exhaustive()
    }
}
