//! What can be wrong with the store, and what to do about it.

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
    /// A list needs a nonce that nobody can guess.
    #[error("the system has no random numbers for a list to a relay")]
    Random,
    /// The database said no; nothing of the transaction was written.
    #[error("database: {0}")]
    Database(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ => Self::Database(error),
        }
    }
}
