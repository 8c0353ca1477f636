//! Looks into the mailbox: at its start, periodically, and when it is woken. Each mail goes to a [`Reader`], and is deleted
//! when that has said so: never before what it says is stored.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use monitor_core::relay::{Blame, MailEntry, MailboxMemory, Refusal};
use monitor_store::StoreError;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    counters::{Count, Counters},
    pop3::{Pop3, Pop3Session, SessionError},
};

/// After it was woken it looks again after these pauses, until something came: the trap of a server that is back is quicker
/// than the gateway's mail.
const AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];
/// The longest time for one session; after half of it no further mail is begun.
const VISIT: Duration = Duration::from_secs(1200);
/// Sessions that end at a mail, one after the other, before the usual pause: then it is rather the network than the mails.
const BROKEN: u32 = 3;

/// A mail out of the mailbox.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its name in the mailbox.
    pub uid: String,
    /// What it holds, or why it is left in the mailbox. The latter is said once of each mail.
    pub content: Result<Vec<u8>, Refusal>,
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored: delete it.
    Delete,
    /// Nobody can do anything with it here: it stays.
    Leave,
}

/// Who understands the mails.
pub trait Reader: Send {
    /// What the mail says is stored when this returns.
    fn read(&mut self, mail: Fetched) -> impl Future<Output = Result<Verdict, StoreError>> + Send;
}

/// The mailbox, and how the latest visit went.
#[derive(Clone, Debug)]
pub struct MailboxPoller {
    mailbox: Pop3,
    error: Arc<Mutex<Option<String>>>,
    counters: Arc<Counters>,
}

impl MailboxPoller {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(mailbox: Pop3) -> Self {
        Self { mailbox, error: Arc::default(), counters: Arc::default() }
    }

    /// Why the latest visit failed.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What became of visits and mails.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    fn set_error(&self, error: Option<String>) {
        self.counters.count(if error.is_none() { Count::Visit } else { Count::VisitFailed });
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

/// Visits until `cancel`; a mail that was begun is finished first.
pub async fn watch<R: Reader>(
    poller: MailboxPoller,
    poll: Duration,
    wake: Arc<Notify>,
    mut reader: R,
    cancel: CancellationToken,
) {
    let mut memory = MailboxMemory::default();
    let start = Instant::now();
    let (mut again, mut broken) = ([].iter(), 0);
    while !cancel.is_cancelled() {
        let mut visit = Visit { mailbox: &poller.mailbox, reader: &mut reader, memory: &mut memory, start };
        let ended = timeout(VISIT, visit.run(&cancel)).await.unwrap_or(Err(VisitError::Endless));
        let more = match ended {
            Ok(visited) => {
                if visited.read > 0 {
                    again = [].iter();
                }
                broken = if visited.is_broken { broken + 1 } else { 0 };
                let trouble = memory.trouble().map(ToOwned::to_owned);
                if poller.error().is_some() && trouble.is_none() {
                    tracing::info!(mailbox = ?poller.mailbox, "the mailbox can be read again");
                }
                poller.set_error(trouble);
                visited.more && broken < BROKEN
            }
            Err(error) => {
                tracing::warn!(mailbox = ?poller.mailbox, %error, "the mailbox cannot be read; trying again");
                poller.set_error(Some(error.to_string()));
                false
            }
        };
        if more {
            continue;
        }
        broken = 0;
        tokio::select! {
            () = cancel.cancelled() => return,
            () = wake.notified() => again = AGAIN.iter(),
            () = tokio::time::sleep(again.next().map_or(poll, |pause| poll.min(*pause))) => {}
        }
    }
}

/// Why a visit ended early.
#[derive(Debug, thiserror::Error)]
enum VisitError {
    #[error(transparent)]
    Pop3Session(#[from] SessionError),
    #[error("the store does not take what was fetched: {0}")]
    Store(#[from] StoreError),
    #[error("no end after {} s", VISIT.as_secs())]
    Endless,
}

/// What a session came to.
struct Visited {
    read: usize,
    /// Whether there are more mails to fetch at once.
    more: bool,
    /// Whether it ended at a mail.
    is_broken: bool,
}

/// One session.
struct Visit<'a, R> {
    mailbox: &'a Pop3,
    reader: &'a mut R,
    memory: &'a mut MailboxMemory,
    /// When the poller started.
    start: Instant,
}

/// What became of one mail.
enum Met {
    Read,
    /// The session goes on.
    Unread,
    /// The session is over.
    Broken,
}

impl<R: Reader> Visit<'_, R> {
    async fn run(&mut self, cancel: &CancellationToken) -> Result<Visited, VisitError> {
        let began = Instant::now();
        let mut session = Pop3Session::open(self.mailbox).await?;
        let plan = self.memory.plan(session.entries().await?, self.start.elapsed());
        let (mut read, count) = (0, plan.next.len());
        for (index, entry) in plan.next.iter().enumerate() {
            if cancel.is_cancelled() || began.elapsed() > VISIT / 2 {
                session.quit().await?;
                return Ok(Visited { read, more: true, is_broken: false });
            }
            match self.meet(&mut session, entry).await? {
                Met::Read => read += 1,
                Met::Unread => {}
                Met::Broken => return Ok(Visited { read, more: plan.more || index + 1 < count, is_broken: true }),
            }
        }
        match session.quit().await {
            // It has kept some: they come again.
            Err(error) if error.is_refusal() => {}
            ended => ended?,
        }
        Ok(Visited { read, more: plan.more, is_broken: false })
    }

    async fn meet(&mut self, session: &mut Pop3Session, entry: &MailEntry) -> Result<Met, VisitError> {
        let most = self.mailbox.largest;
        if entry.size.is_some_and(|size| size > most) {
            return self.leave(entry, most).await.map(|()| Met::Unread);
        }
        match session.fetch(entry, most).await {
            Ok(Some(bytes)) => self.read(session, entry, bytes).await,
            Ok(None) => self.leave(entry, most).await.map(|()| Met::Unread),
            Err(SessionError::Endless) => self.leave(entry, most).await.map(|()| Met::Broken),
            Err(error) => {
                let (blame, met) =
                    if error.is_refusal() { (Blame::Mail, Met::Unread) } else { (Blame::Session, Met::Broken) };
                let reason = error.to_string();
                if self.memory.failed(entry, blame, &reason, self.start.elapsed()) {
                    self.name(entry, Refusal::Unfetched(entry.name.clone(), reason)).await?;
                } else {
                    tracing::debug!(mail = entry.name, reason, "a mail cannot be fetched");
                }
                Ok(met)
            }
        }
    }

    /// Has it read, and deletes it then.
    async fn read(&mut self, session: &mut Pop3Session, entry: &MailEntry, bytes: Vec<u8>) -> Result<Met, VisitError> {
        let digest = digest(&bytes);
        if !self.memory.was_read(entry, &digest) {
            let uid = if entry.is_lasting { entry.name.clone() } else { format!("sha256 {}", hex(&digest)) };
            // The name may be another mail's next time; the bytes are not.
            let verdict = match self.reader.read(Fetched { uid, content: Ok(bytes) }).await {
                Ok(verdict) => verdict,
                Err(error) => {
                    // Behind the others: it may be one mail that the store cannot take.
                    self.memory.failed(entry, Blame::Own, &error.to_string(), self.start.elapsed());
                    return Err(error.into());
                }
            };
            if verdict == Verdict::Leave {
                self.memory.left(entry);
                return Ok(Met::Read);
            }
        }
        let vain = self.memory.deleted(entry, digest, self.start.elapsed());
        let deleted = session.delete(entry).await;
        if vain == 1 {
            tracing::warn!(mail = entry.name, "the mail is read, but the mailbox does not delete it; trying again");
        }
        match deleted {
            Err(error) if error.is_refusal() => Ok(Met::Read),
            deleted => Ok(deleted.map(|()| Met::Read)?),
        }
    }

    /// More bytes than are fetched: nobody can do anything with it here.
    async fn leave(&mut self, entry: &MailEntry, most: u64) -> Result<(), VisitError> {
        self.memory.left(entry);
        self.name(entry, Refusal::Larger(entry.name.clone(), most)).await
    }

    async fn name(&mut self, entry: &MailEntry, why: Refusal) -> Result<(), VisitError> {
        self.reader.read(Fetched { uid: entry.name.clone(), content: Err(why) }).await?;
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "mailbox_poller_tests.rs"]
mod tests;
