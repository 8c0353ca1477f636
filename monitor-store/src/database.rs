//! An open database of either engine: one thread that writes, separate readers, and the policy of its transactions.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    StoreError,
    location::{Location, Openers},
    policy::NotificationPolicy,
    readers::Readers,
    sql::Connection,
    sqlite::Lock,
    tables::Session,
    writer::Writer,
};

/// An open database. The last clone that is dropped closes it.
#[derive(Clone)]
pub(super) struct Database {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the lock goes last, when nothing writes any more.
struct Inner {
    writer: Writer,
    readers: Readers,
    /// Replaced as a whole.
    policy: RwLock<NotificationPolicy>,
    location: Location,
    _lock: Option<Lock>,
}

impl Database {
    /// Opens it. The second value says why the server is out of reach, if it is.
    pub(super) fn open(
        location: &Location,
        policy: NotificationPolicy,
    ) -> Result<(Self, Option<StoreError>), StoreError> {
        let Openers { writable, readable, lock } = location.openers()?;
        let (writer, absence) = Writer::start(writable, location)?;
        let database = Self {
            inner: Arc::new(Inner {
                writer,
                readers: Readers::new(readable),
                policy: RwLock::new(policy),
                location: location.clone(),
                _lock: lock,
            }),
        };
        Ok((database, absence))
    }

    /// Runs `work` on the writer, in a transaction that it may share with other tasks' work; durable when it returns.
    ///
    /// If another task's work spoils the shared transaction, `work` runs again, alone.
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
    pub(super) fn policy(&self) -> NotificationPolicy {
        self.inner.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Transactions that begin from now on go by this.
    pub(super) fn replace_policy(&self, policy: NotificationPolicy) {
        *self.inner.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    pub(super) fn is_on_server(&self) -> bool {
        matches!(self.inner.location, Location::Server(_))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("location", &self.inner.location).finish_non_exhaustive()
    }
}
