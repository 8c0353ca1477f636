//! What can be wrong with the store, and what to do about it.

use crate::engine;

/// What is wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not a readable database.
    #[error("cannot use the database {path}: {reason}")]
    Unusable {
        /// Which file.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A later Ringback wrote it.
    #[error(
        "the database {path} has schema version {found}, this ringback knows up to {known}: install the newer ringback again, or restore a backup"
    )]
    Newer {
        /// Which file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The writer is gone.
    #[error("the store is closed")]
    Closed,
    /// No space: nothing of the transaction was written.
    #[error("the disk that holds the database is full, nothing was written: make room on it, then it goes on")]
    Full,
    /// A list needs a nonce that nobody can guess, and an SNMP engine an id that no other one has.
    #[error("the system has no random numbers")]
    Random,
    /// The spool holds something that this program never writes.
    #[error("what is kept for the shared database cannot be read: {0}")]
    Spool(String),
    /// The database server is gone; the work may succeed when it is back.
    #[error("the database is out of reach: {0}")]
    Unreachable(String),
    /// The database refused; nothing of the transaction was written.
    #[error("database: {0}")]
    Database(#[source] engine::Error),
}

impl From<engine::Error> for StoreError {
    fn from(error: engine::Error) -> Self {
        if error.is_full() { Self::Full } else { Self::Database(error) }
    }
}
