//! The engine for several gateways: PostgreSQL, or any server that speaks its protocol and its SQL.
//!
//! In: statements from one thread at a time. Out: their answers, or an error if the server does not answer in time.
//! Each connection has a runtime of its own, so that the store's threads may wait for it as they wait for a file.

mod location;
mod migrations;
mod open;
#[cfg(test)]
mod tests;
mod tls;
mod value;

use std::{cell::RefCell, collections::HashMap, future::poll_fn, pin::Pin, task::Poll, time::Duration};

use futures_util::TryStreamExt as _;
use tokio::{runtime::Runtime, time::timeout};

#[cfg(test)]
pub(crate) use self::location::no_authorities;
pub use self::location::{Server, UrlError};
pub(super) use self::{open::open, value::Raw};
use super::engine::{Error, Params, Value};

/// How long one statement, or one group of them, may take. A recovery of a million clients is thousands of groups.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one migration may take: it may copy every letter that is kept.
const MIGRATION: Duration = Duration::from_secs(3600);

/// Statements on their way before the first answer is waited for.
const PIPELINE: usize = 512;

/// A connection and what drives it.
pub(crate) struct ServerConnection {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: tokio_postgres::Client,
    /// By their text.
    prepared: RefCell<HashMap<String, tokio_postgres::Statement>>,
}

impl Drop for ServerConnection {
    fn drop(&mut self) {
        // A runtime that ends in its own time may be dropped anywhere, also on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ServerConnection {
    fn new(runtime: Runtime, client: tokio_postgres::Client) -> Self {
        Self { runtime: Some(runtime), client, prepared: RefCell::default() }
    }

    /// Runs it here; gives up when the server is silent.
    fn run<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
        self.run_for(PATIENCE, work)
    }

    fn run_for<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let Some(runtime) = &self.runtime else { return Err(Error::Silent) };
        Ok(runtime.block_on(async { timeout(patience, work).await }).map_err(|_| Error::Silent)??)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn execute_batch(&self, sql: &str) -> Result<(), Error> {
        self.run(self.client.batch_execute(sql))
    }

    /// [`ServerConnection::execute_batch`] that may take as long as a migration does.
    pub(super) fn migrate(&self, sql: &str) -> Result<(), Error> {
        self.run_for(MIGRATION, self.client.batch_execute(sql))
    }

    /// `?1` is `$1` here. No text in a statement has a question mark.
    pub(super) fn prepare(&self, sql: &str) -> Result<Prepared<'_>, Error> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(Prepared { conn: self, statement: statement.clone() });
        }
        let statement = self.run(self.client.prepare(&sql.replace('?', "$")))?;
        self.prepared.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(Prepared { conn: self, statement })
    }
}

/// A prepared statement.
pub(crate) struct Prepared<'c> {
    conn: &'c ServerConnection,
    statement: tokio_postgres::Statement,
}

impl Prepared<'_> {
    pub(super) fn execute(&self, values: &[Value<'_>]) -> Result<usize, Error> {
        let changed = self.conn.run(self.conn.client.execute_raw(&self.statement, values))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    pub(super) fn query(&self, values: &[Value<'_>]) -> Result<Vec<tokio_postgres::Row>, Error> {
        self.conn.run(async {
            let rows = self.conn.client.query_raw(&self.statement, values).await?;
            rows.try_collect().await
        })
    }

    /// Rows as they come. The time-out is for each, however many there are.
    pub(super) fn stream(
        &self,
        values: &[Value<'_>],
        mut take: impl FnMut(&tokio_postgres::Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let rows = self.conn.run(self.conn.client.query_raw(&self.statement, values))?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = self.conn.run(rows.try_next())? {
            take(&row)?;
        }
        Ok(())
    }

    pub(super) fn execute_each<P: Params>(&self, rows: &[P]) -> Result<Vec<usize>, Error> {
        let changed =
            self.pipelined(rows, |values| async move { self.conn.client.execute_raw(&self.statement, &values).await })?;
        Ok(changed.into_iter().map(|changed| usize::try_from(changed).unwrap_or(usize::MAX)).collect())
    }

    pub(super) fn query_each<P: Params, T>(
        &self,
        rows: &[P],
        read: impl Fn(&tokio_postgres::Row) -> Result<T, Error>,
    ) -> Result<Vec<Vec<T>>, Error> {
        let found = self.pipelined(rows, |values| async move {
            let rows = self.conn.client.query_raw(&self.statement, &values).await?;
            rows.try_collect::<Vec<_>>().await
        })?;
        found.iter().map(|rows| rows.iter().map(&read).collect()).collect()
    }

    /// Sends up to [`PIPELINE`] statements at once, then waits for their answers: they share one round trip.
    fn pipelined<'r, P: Params, T, F>(&self, rows: &'r [P], send: impl Fn(Vec<Value<'r>>) -> F) -> Result<Vec<T>, Error>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let mut answers = Vec::with_capacity(rows.len());
        for rows in rows.chunks(PIPELINE) {
            self.conn.run(async {
                let mut sent = Vec::with_capacity(rows.len());
                for row in rows {
                    let mut answer = Sent::Waiting(Box::pin(send(row.values())));
                    // The first poll sends; in this order, whatever order the answers are waited for in.
                    answer.poll_once().await;
                    sent.push(answer);
                }
                for answer in sent {
                    answers.push(match answer {
                        Sent::Waiting(answer) => answer.await?,
                        Sent::Answered(answer) => answer?,
                    });
                }
                Ok(())
            })?;
        }
        Ok(answers)
    }
}

/// A statement on its way.
enum Sent<T, F> {
    Waiting(Pin<Box<F>>),
    Answered(Result<T, tokio_postgres::Error>),
}

impl<T, F: Future<Output = Result<T, tokio_postgres::Error>>> Sent<T, F> {
    async fn poll_once(&mut self) {
        if let Self::Waiting(future) = self
            && let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
        {
            *self = Self::Answered(answer);
        }
    }
}
