//! The one thread that writes: what all tasks want written goes into one transaction and one synchronisation.
//!
//! In: work from a bounded queue. Out: each caller's answer, after the commit that holds its work. Every piece of work
//! runs in a savepoint, so that its failure undoes nothing else.

use std::{sync::mpsc::sync_channel, thread};

use tokio::sync::{mpsc, oneshot};

use crate::{
    StoreError,
    location::{Location, Opener},
    sql::{self, Connection},
    tables::{BookCache, Session},
};

/// Work that waits for the writer. If the queue is full, callers wait. That slows the event reader down, and the
/// kernel's ring keeps what happens meanwhile.
const QUEUE: usize = 1024;

/// Most pieces of work in one transaction: bounds how long the first waits for the last.
const GROUP: usize = 256;

/// How often work is tried that conflicts with another process's.
const TRIES: usize = 8;

pub(super) struct Writer {
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// Returns when the first connection is open, with the reason why the server is out of reach, or with the reason
    /// why it cannot be used at all.
    pub(super) fn start(open: Opener, location: &Location) -> Result<(Self, Option<StoreError>), StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (began, begun) = sync_channel(1);
        let serve = move || match open() {
            // The thread that started this one waits for this message.
            Ok(conn) => {
                let _ = began.send(Ok(None));
                serve(Some(conn), &open, jobs);
            }
            Err(error @ StoreError::Unreachable(_)) => {
                let _ = began.send(Ok(Some(error)));
                serve(None, &open, jobs);
            }
            Err(error) => {
                let _ = began.send(Err(error));
            }
        };
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(serve).map_err(|error| {
            StoreError::Unusable {
                path: location.to_string(),
                reason: format!("cannot start the writer thread: {error}; raise the limit of threads"),
            }
        })?;
        let writer = Self { queue: Some(queue), thread: Some(thread) };
        let absence = begun.recv().map_err(|_| StoreError::Closed)??;
        Ok((writer, absence))
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
    /// Whether it failed only because of a conflict with another process.
    fn may_succeed_now(&self) -> bool;
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

    fn may_succeed_now(&self) -> bool {
        matches!(&self.result, Err(StoreError::Database(error)) if error.is_conflict())
    }

    fn answer(self: Box<Self>) {
        // If the caller was cancelled, nobody listens; its work is done all the same.
        let _ = self.reply.send(self.result);
    }
}

/// `held` is the connection; if there is none or it is lost, the next work opens another.
fn serve(mut held: Option<Connection>, open: &Opener, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut book = BookCache::default();
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = jobs.blocking_recv() {
        group.push(first);
        while group.len() < GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        let conn = match held.take().filter(|conn| !conn.is_lost()) {
            Some(conn) => conn,
            None => {
                book.forget();
                match open() {
                    Ok(again) => again,
                    Err(error) => {
                        let said = if let StoreError::Unreachable(said) = error { said } else { error.to_string() };
                        for mut job in group.drain(..) {
                            job.fail(StoreError::Unreachable(said.clone()));
                            job.answer();
                        }
                        continue;
                    }
                }
            }
        };
        let conn = held.insert(conn);
        if group.len() == 1 || together(conn, &mut book, &mut group).is_err() {
            for job in &mut group {
                if alone(conn, &mut book, job.as_mut()) == Ran::Badly {
                    book.forget();
                }
            }
        }
        for job in group.drain(..) {
            job.answer();
        }
    }
}

/// Runs the group in one transaction. After an error nothing of it is written: a full disk, for one, ends the
/// whole transaction and not only the savepoint that met it.
fn together(conn: &Connection, book: &mut BookCache, group: &mut [Box<dyn Job>]) -> Result<(), sql::Error> {
    let outcome = commit_group(conn, book, group);
    if let Err(error) = &outcome {
        tracing::debug!(%error, "store_group_rolled_back");
        roll_back(conn);
        book.forget();
    }
    outcome
}

fn commit_group(conn: &Connection, book: &mut BookCache, group: &mut [Box<dyn Job>]) -> Result<(), sql::Error> {
    conn.begin()?;
    for job in group {
        conn.execute_batch("SAVEPOINT job")?;
        match job.run(&mut Session { conn, book: &mut *book }) {
            Ran::Well => conn.execute_batch("RELEASE SAVEPOINT job")?,
            Ran::Badly => {
                // This fails too if the error has ended the whole transaction.
                conn.execute_batch("ROLLBACK TO SAVEPOINT job; RELEASE SAVEPOINT job")?;
                // It may have read the book as it had changed it itself.
                book.forget();
            }
        }
    }
    conn.execute_batch("COMMIT")
}

/// Runs the work alone, again if it conflicts with another process's.
fn alone(conn: &Connection, book: &mut BookCache, job: &mut dyn Job) -> Ran {
    let mut ran = Ran::Badly;
    for _ in 0..TRIES {
        let outcome = conn.begin().and_then(|()| match job.run(&mut Session { conn, book: &mut *book }) {
            Ran::Well => conn.execute_batch("COMMIT").map(|()| Ran::Well),
            Ran::Badly => Ok(Ran::Badly),
        });
        ran = outcome.unwrap_or_else(|error| {
            job.fail(error.into());
            Ran::Badly
        });
        if ran == Ran::Well {
            break;
        }
        roll_back(conn);
        book.forget();
        if !job.may_succeed_now() {
            break;
        }
    }
    ran
}

/// Harmless if the error has already ended the transaction.
fn roll_back(conn: &Connection) {
    if let Err(error) = conn.execute_batch("ROLLBACK") {
        tracing::debug!(%error, "store_rollback");
    }
}
