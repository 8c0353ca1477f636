//! The errors of both engines.

use tokio_postgres::error::SqlState;

/// An engine's error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query that must find a row found none.
    #[error("a row is missing")]
    NoRow,
    /// A column holds something that this program never writes.
    #[error("column {0} holds a wrong value")]
    Column(String),
    /// SQLite's.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL's.
    #[error("{}", said(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL did not answer in time.
    #[error("the database server does not answer")]
    Silent,
}

impl Error {
    /// No room for what was to be written.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Postgres(error) => error.code() == Some(&SqlState::DISK_FULL),
            _ => false,
        }
    }

    /// Two transactions conflicted: the same work may succeed now.
    pub(crate) fn is_conflict(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        error.code().is_some_and(|code| {
            [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::UNIQUE_VIOLATION]
                .contains(&code)
        })
    }
}

/// What the server said, without the words around it.
fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => db.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
