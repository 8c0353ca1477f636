//! Connections, statements and rows of either engine.

use std::fmt::Display;

use super::{Error, FromSql, Params, Value, Wrong};
use crate::{postgres, sqlite};

/// A connection. Statements that begin, end or divide a transaction are SQL like any other.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::ServerConnection),
}

/// A prepared statement.
pub(crate) enum Statement<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres(postgres::Prepared<'c>),
}

/// A row of an answer.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

/// The number or name of a column.
pub(crate) trait ColumnIndex: Copy + rusqlite::RowIndex + tokio_postgres::row::RowIndex + Display {}

impl ColumnIndex for usize {}
impl ColumnIndex for &str {}

impl Connection {
    /// Prepares it, or finds it prepared.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>, Error> {
        Ok(match self {
            Self::Sqlite(conn) => Statement::Sqlite(conn.prepare_cached(sql)?),
            Self::Postgres(conn) => Statement::Postgres(conn.prepare(sql)?),
        })
    }

    /// Says how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        self.prepare_cached(sql)?.execute(params)
    }

    pub(crate) fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Several statements without parameters.
    pub(crate) fn execute_batch(&self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute_batch(sql)?),
            Self::Postgres(conn) => conn.execute_batch(sql),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&self) -> Result<(), Error> {
        self.execute_batch(match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(_) => "BEGIN",
        })
    }

    /// Begins a transaction that reads one snapshot.
    pub(crate) fn begin_reading(&self) -> Result<(), Error> {
        self.execute_batch(match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
    }

    /// Behind a query: locks its rows, and passes over those that another process has locked.
    pub(crate) const fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            Self::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        }
    }

    /// Whether the connection is lost.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(conn) => conn.is_lost(),
        }
    }

    #[cfg(test)]
    pub(crate) fn sqlite(&self) -> &rusqlite::Connection {
        match self {
            Self::Sqlite(conn) => conn,
            Self::Postgres(_) => panic!("a test of SQLite"),
        }
    }
}

impl Statement<'_> {
    /// Says how many rows it changed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize, Error> {
        match self {
            Self::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(params.values()))?),
            Self::Postgres(prepared) => prepared.execute(&params.values()),
        }
    }

    /// Runs it for each of `rows`, in order, without waiting for each answer; says how many rows each run changed.
    pub(crate) fn execute_each<P: Params>(&mut self, rows: &[P]) -> Result<Vec<usize>, Error> {
        match self {
            Self::Sqlite(_) => rows.iter().map(|row| self.execute(Borrowed(row))).collect(),
            Self::Postgres(prepared) => prepared.execute_each(rows),
        }
    }

    /// Runs the query for each of `rows`, in order, without waiting for each answer; returns what each run found.
    pub(crate) fn query_each<P: Params, T>(
        &mut self,
        rows: &[P],
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Vec<T>>, Error> {
        match self {
            Self::Sqlite(_) => rows.iter().map(|row| self.query_map(Borrowed(row), &read)?.collect()).collect(),
            Self::Postgres(prepared) => prepared.query_each(rows, |row| read(&Row::Postgres(row))),
        }
    }

    /// The first row.
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self {
            Self::Sqlite(statement) => {
                let mut rows = statement.query(rusqlite::params_from_iter(params.values()))?;
                let row = rows.next()?.ok_or(Error::NoRow)?;
                read(&Row::Sqlite(row))
            }
            Self::Postgres(prepared) => {
                let rows = prepared.query(&params.values())?;
                read(&Row::Postgres(rows.first().ok_or(Error::NoRow)?))
            }
        }
    }

    /// Every row, read into memory.
    pub(crate) fn query_map<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<std::vec::IntoIter<Result<T, Error>>, Error> {
        let mut all = Vec::new();
        self.query_for_each(params, |row| {
            all.push(read(row));
            Ok(())
        })?;
        Ok(all.into_iter())
    }

    /// Every row as it comes.
    pub(crate) fn query_for_each(
        &mut self,
        params: impl Params,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Sqlite(statement) => {
                let mut rows = statement.query(rusqlite::params_from_iter(params.values()))?;
                while let Some(row) = rows.next()? {
                    take(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Self::Postgres(prepared) => prepared.stream(&params.values(), |row| take(&Row::Postgres(row))),
        }
    }

    /// Whether there is a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool, Error> {
        match self.query_row(params, |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(Error::NoRow) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Parameters that are needed again.
struct Borrowed<'p, P>(&'p P);

impl<P: Params> Params for Borrowed<'_, P> {
    fn values(&self) -> Vec<Value<'_>> {
        self.0.values()
    }
}

impl Row<'_> {
    /// The column by number or name.
    pub(crate) fn get<I: ColumnIndex, T: FromSql>(&self, column: I) -> Result<T, Error> {
        let wrong = |_: Wrong| Error::Column(column.to_string());
        match self {
            Self::Sqlite(row) => {
                let value = sqlite::value(row.get_ref(column)?).map_err(wrong)?;
                T::column_result(&value).map_err(wrong)
            }
            Self::Postgres(row) => {
                let postgres::Raw(value) = row.try_get(column)?;
                T::column_result(&value).map_err(wrong)
            }
        }
    }
}
