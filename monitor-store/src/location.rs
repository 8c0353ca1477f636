//! Where a database is, and how connections to it are made.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    StoreError, postgres,
    sql::Connection,
    sqlite::{self, Lock},
};

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file on this machine: SQLite.
    File(PathBuf),
    /// A server that several gateways share: PostgreSQL.
    Server(Box<postgres::Server>),
}

/// Makes a connection; called on the thread that is to use it.
pub(super) type Opener = Arc<dyn Fn() -> Result<Connection, StoreError> + Send + Sync>;

/// What an open database is made of.
pub(super) struct Openers {
    /// For the writer: the schema is up to date after it.
    pub(super) writable: Opener,
    pub(super) readable: Opener,
    /// Held as long as the database is open.
    pub(super) lock: Option<Lock>,
}

impl Location {
    /// Takes the lock of a file; connects to nothing yet.
    pub(super) fn openers(&self) -> Result<Openers, StoreError> {
        Ok(match self.clone() {
            Self::File(path) => {
                let lock = sqlite::lock(&path)?;
                let other = path.clone();
                Openers {
                    writable: Arc::new(move || sqlite::writable(&path).map(Connection::Sqlite)),
                    readable: Arc::new(move || sqlite::read_only(&other).map(Connection::Sqlite)),
                    lock: Some(lock),
                }
            }
            Self::Server(server) => {
                let open: Opener = Arc::new(move || postgres::open(&server).map(Connection::Postgres));
                Openers { writable: Arc::clone(&open), readable: open, lock: None }
            }
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}
