//! An open database of either engine: one thread that writes, separate readers, and the policy of its transactions.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use monitor_core::{config, mail::notice::Notices, relay::Relays};

use crate::{
    StoreError, Telling, postgres,
    readers::Readers,
    sql::Connection,
    sqlite::{self, Lock},
    writer::{Session, Writer},
};

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file on this machine: SQLite.
    File(PathBuf),
    /// A server that several gateways share: PostgreSQL.
    Server(Box<postgres::Server>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

/// Makes a connection; called on the thread that is to use it.
pub(super) type Opener = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// An open database. The last clone that is dropped closes it.
#[derive(Clone)]
pub(super) struct Database {
    inner: Arc<Inner>,
}

/// Fields are dropped in this order: the lock goes last, when nothing writes any more.
struct Inner {
    writer: Writer,
    readers: Readers,
    letter_lifetime_ms: AtomicU64,
    relays: RwLock<Arc<Relays>>,
    notices: RwLock<Arc<Notices>>,
    location: Location,
    _lock: Option<Lock>,
}

impl Database {
    /// Opens it. The second value says why the server is out of reach, if it is.
    pub(super) fn open(location: &Location) -> Result<(Self, Option<StoreError>), StoreError> {
        let (lock, writable, readable): (_, Opener, Opener) = match location.clone() {
            Location::File(path) => {
                let lock = sqlite::lock(&path)?;
                let other = path.clone();
                (Some(lock), Arc::new(move || sqlite::open(&path)), Arc::new(move || sqlite::open_to_read(&other)))
            }
            Location::Server(server) => {
                let open: Opener = Arc::new(move || postgres::open(&server));
                (None, Arc::clone(&open), open)
            }
        };
        let (writer, absence) = Writer::start(writable, location)?;
        let database = Self {
            inner: Arc::new(Inner {
                writer,
                readers: Readers::new(readable),
                letter_lifetime_ms: AtomicU64::new(0),
                relays: RwLock::default(),
                notices: RwLock::default(),
                location: location.clone(),
                _lock: lock,
            }),
        };
        database.set_letter_lifetime(config::Notify::default().lifetime);
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

    /// The policy of a transaction that writes letters.
    pub(super) fn telling(&self) -> Telling {
        Telling {
            lifetime: Duration::from_millis(self.inner.letter_lifetime_ms.load(Ordering::Relaxed)),
            silent: false,
            relays: Arc::clone(&self.inner.relays.read().unwrap_or_else(PoisonError::into_inner)),
            notices: Arc::clone(&self.inner.notices.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(super) fn is_on_server(&self) -> bool {
        matches!(self.inner.location, Location::Server(_))
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
        f.debug_struct("Database").field("location", &self.inner.location).finish_non_exhaustive()
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}
