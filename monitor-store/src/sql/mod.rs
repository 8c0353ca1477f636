//! The small part of SQL that the store needs, the same on both engines: statements, parameters, rows, transactions.
//!
//! In: portable SQL with parameters `?1`, `?2` …, and the domain's values. Out: rows. Modelled on rusqlite, which
//! stands behind it on SQLite; on PostgreSQL it is `tokio-postgres`. The engines are below it, and only this module knows
//! the differences between the two.

mod connection;
mod rows;

pub(super) use self::connection::{Connection, Row};
pub(super) use super::engine::{Error, FromSql, Params, ToSql, Value, Wrong};

/// What a query that may find nothing found.
pub(super) trait OptionalExtension<T> {
    /// `None` where there was no row.
    fn optional(self) -> Result<Option<T>, Error>;
}

impl<T> OptionalExtension<T> for Result<T, Error> {
    fn optional(self) -> Result<Option<T>, Error> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
