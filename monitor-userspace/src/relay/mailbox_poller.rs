//! Looks into the mailbox: at its start, periodically, and when it is woken. Each mail goes to a [`Reader`], and is deleted
//! when that has said so: never before what it says is stored.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use monitor_store::StoreError;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    counters::{Count, Counters},
    pop3::{Pop3, Pop3Session, SessionError},
};

/// Mails per session: deletions count from its end, and a flood must not keep it from coming.
const MAILS: usize = 50;
/// After it was woken it looks again after these pauses, until something came: the trap of a server that is back is quicker
/// than the gateway's mail.
const AGAIN: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];
/// The longest time for one session.
const VISIT: Duration = Duration::from_secs(1200);

/// A mail out of the mailbox.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its name in the mailbox.
    pub uid: String,
    /// What it holds; `None`: more bytes than are fetched.
    pub bytes: Option<Vec<u8>>,
    /// How many bytes the server says it has.
    pub size: u64,
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
    let mut left = HashSet::new();
    let mut again = [].iter();
    while !cancel.is_cancelled() {
        let visit = visit(&poller.mailbox, &mut reader, &mut left, &cancel);
        let more = match timeout(VISIT, visit).await {
            Ok(Ok(visited)) => {
                if visited.read > 0 {
                    again = [].iter();
                }
                if poller.error().is_some() {
                    tracing::info!(mailbox = ?poller.mailbox, "the mailbox can be read again");
                }
                poller.set_error(None);
                visited.more
            }
            Ok(Err(error)) => {
                tracing::warn!(mailbox = ?poller.mailbox, %error, "the mailbox cannot be read; trying again");
                poller.set_error(Some(error.to_string()));
                false
            }
            Err(_) => {
                tracing::warn!(mailbox = ?poller.mailbox, "a session took too long; trying again");
                poller.set_error(Some(format!("no end after {} s", VISIT.as_secs())));
                false
            }
        };
        if more {
            continue;
        }
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
}

/// What a session came to.
struct Visited {
    read: usize,
    /// Whether there are more mails to fetch.
    more: bool,
}

/// One session.
async fn visit<R: Reader>(
    mailbox: &Pop3,
    reader: &mut R,
    left: &mut HashSet<String>,
    cancel: &CancellationToken,
) -> Result<Visited, VisitError> {
    let mut session = Pop3Session::open(mailbox).await?;
    let entries = session.entries().await?;
    // What others have deleted meanwhile need not be remembered.
    left.retain(|uid| entries.iter().any(|entry| entry.uid == *uid));
    let new: Vec<_> = entries.into_iter().filter(|entry| !left.contains(&entry.uid)).collect();
    let mut read = 0;
    for entry in new.iter().take(MAILS) {
        if cancel.is_cancelled() {
            break;
        }
        let bytes =
            if entry.size > mailbox.largest { None } else { Some(session.fetch(entry, mailbox.largest).await?) };
        let mail = Fetched { uid: entry.uid.clone(), bytes, size: entry.size };
        read += 1;
        match reader.read(mail).await? {
            Verdict::Delete => session.delete(entry).await?,
            Verdict::Leave => {
                left.insert(entry.uid.clone());
            }
        }
    }
    session.quit().await?;
    Ok(Visited { read, more: new.len() > MAILS })
}

#[cfg(test)]
#[path = "mailbox_poller_tests.rs"]
mod tests;
