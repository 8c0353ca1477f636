//! The one thread that writes: what all tasks want written goes into one transaction and one synchronisation.
//!
//! In: work from a bounded queue. Out: each caller's answer, after the commit that holds its work. Every piece of work
//! runs in a savepoint, so that one that fails takes nobody else's with it.

use std::{io, thread};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{super::StoreError, address::BookCache};

/// Work that waits for the writer. Full: callers wait in turn, which slows the event reader down and lets the kernel's
/// ring keep what happens meanwhile.
const QUEUE: usize = 1024;

/// Most pieces of work in one transaction: bounds how long the first waits for the last.
const GROUP: usize = 256;

/// What work on the writer may use.
pub(in crate::store) struct Session<'a> {
    /// Inside a transaction.
    pub(in crate::store) conn: &'a Connection,
    /// The address book, read at most once as long as it does not change.
    pub(in crate::store) book: &'a mut BookCache,
}

pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(conn: Connection) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || serve(conn, jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut Session<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let call = Call { work, result: Err(StoreError::Closed), reply };
        queue.send(Box::new(call)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without senders the thread ends after the work that is queued.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

/// One caller's work, its result and the way back.
trait Job: Send {
    fn run(&mut self, session: &mut Session<'_>) -> Ran;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    Well,
    Badly,
}

struct Call<T, F> {
    work: F,
    result: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: Fn(&mut Session<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, session: &mut Session<'_>) -> Ran {
        self.result = (self.work)(session);
        if self.result.is_ok() { Ran::Well } else { Ran::Badly }
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Err(error);
    }

    fn answer(self: Box<Self>) {
        // Nobody listens when the caller was cancelled; its work is done all the same.
        let _ = self.reply.send(self.result);
    }
}

fn serve(mut conn: Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut book = BookCache::default();
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = jobs.blocking_recv() {
        group.push(first);
        while group.len() < GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        if group.len() == 1 || together(&mut conn, &mut book, &mut group).is_err() {
            for job in &mut group {
                if alone(&mut conn, &mut book, job.as_mut()) == Ran::Badly {
                    book.forget();
                }
            }
        }
        for job in group.drain(..) {
            job.answer();
        }
    }
}

/// Nothing of the group is in the database.
struct RolledBack;

impl From<rusqlite::Error> for RolledBack {
    fn from(error: rusqlite::Error) -> Self {
        tracing::debug!(%error, "store_group_rolled_back");
        Self
    }
}

/// Runs the group in one transaction. After an error nothing of it is written: a full disk, for one, ends the
/// whole transaction and not only the savepoint that met it.
fn together(conn: &mut Connection, book: &mut BookCache, group: &mut [Box<dyn Job>]) -> Result<(), RolledBack> {
    let outcome = commit_group(conn, book, group);
    if outcome.is_err() {
        book.forget();
    }
    outcome
}

fn commit_group(conn: &mut Connection, book: &mut BookCache, group: &mut [Box<dyn Job>]) -> Result<(), RolledBack> {
    let mut tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        let savepoint = tx.savepoint()?;
        match job.run(&mut Session { conn: &savepoint, book: &mut *book }) {
            Ran::Well => savepoint.commit()?,
            Ran::Badly => {
                // Fails in its turn when the error has ended the whole transaction.
                savepoint.finish()?;
                // What it read of the book may be what it had written itself.
                book.forget();
            }
        }
    }
    Ok(tx.commit()?)
}

fn alone(conn: &mut Connection, book: &mut BookCache, job: &mut dyn Job) -> Ran {
    let outcome = conn.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|tx| {
        match job.run(&mut Session { conn: &tx, book }) {
            Ran::Well => tx.commit().map(|()| Ran::Well),
            Ran::Badly => Ok(Ran::Badly),
        }
    });
    outcome.unwrap_or_else(|error| {
        job.fail(error.into());
        Ran::Badly
    })
}
