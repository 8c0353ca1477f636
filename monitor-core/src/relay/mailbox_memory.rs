//! Which mails of a mailbox are fetched at a visit, so that a bad one never stops the others (R-3; pure).
//!
//! In: what is in the mailbox, and what became of each mail. Out: what to fetch next. New mails come first. A mail that
//! cannot be fetched, or not be deleted, is tried again after them, after pauses that grow. Times are those since the
//! poller's start. Memory: one entry for each mail that is known and still there.

use std::{collections::HashMap, time::Duration};

use super::mail_listing::MailEntry;

/// Mails for each session: deletions count from its end, and a flood must not keep it from coming.
const MAILS: usize = 50;

/// A mail that ends the session may be innocent, as the network may have done it. This often it is not.
const CONVICTED: u32 = 3;

/// Pauses before further tries; the last one stays.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(420),
    Duration::from_secs(900),
];

/// What is known of the mails that were seen before.
#[derive(Debug, Default)]
pub struct MailboxMemory {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    /// A server that gives a name a second time betrays itself by the size.
    size: Option<u64>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It stays there for good.
    Left,
    /// Its tries, when it is due, why it failed, and whether somebody was told.
    Unfetched { tries: u32, due: Duration, reason: String, is_named: bool },
    /// It was read; only its deletion is left.
    Read { digest: [u8; 32], tries: u32, due: Duration },
}

/// Whose fault it was that a mail was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The server refused this mail, and goes on.
    Mail,
    /// The session ended at it: perhaps the mail's fault.
    Session,
    /// Our own: the mail is as good as before.
    Own,
}

/// What to do in one session.
#[derive(Debug, PartialEq, Eq)]
pub struct MailPlan {
    /// The mails to fetch, in order.
    pub next: Vec<MailEntry>,
    /// Whether another session should follow at once.
    pub more: bool,
}

impl MailboxMemory {
    /// What to fetch of these. What is there no longer is forgotten.
    pub fn plan(&mut self, entries: Vec<MailEntry>, now: Duration) -> MailPlan {
        let there: HashMap<&str, Option<u64>> = entries.iter().map(|entry| (entry.name.as_str(), entry.size)).collect();
        self.known.retain(|name, known| there.get(name.as_str()) == Some(&known.size));
        let (mut fresh, mut deletions, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            match self.known.get(&entry.name).map(|known| &known.state) {
                None => fresh.push(entry),
                Some(State::Read { due, .. }) if *due <= now => deletions.push(entry),
                Some(State::Unfetched { due, .. }) if *due <= now => again.push(entry),
                Some(_) => {}
            }
        }
        let later = deletions.len() + again.len();
        // What may end the session comes in one of its own, after the deletions of the others count.
        let (mut next, waiting) =
            if fresh.is_empty() { (deletions.into_iter().chain(again).collect(), 0) } else { (fresh, later) };
        let more = next.len() > MAILS || waiting > 0;
        next.truncate(MAILS);
        MailPlan { next, more }
    }

    /// It was not read. Whether it is to be named now: once, when it is sure.
    pub fn failed(&mut self, entry: &MailEntry, blame: Blame, reason: &str, now: Duration) -> bool {
        let (tries, was_named) = match self.known.get(&entry.name).map(|known| &known.state) {
            Some(State::Unfetched { tries, is_named, .. }) => (*tries, *is_named),
            _ => (0, false),
        };
        let (tries, due) = match blame {
            Blame::Own => (tries, now),
            Blame::Mail | Blame::Session => (tries + 1, now + pause(tries)),
        };
        let is_named = was_named || blame == Blame::Mail || (blame == Blame::Session && tries >= CONVICTED);
        self.remember(entry, State::Unfetched { tries, due, reason: reason.to_owned(), is_named });
        is_named && !was_named
    }

    /// It was read, and should be gone at the next visit. How often it has been deleted in vain before.
    pub fn deleted(&mut self, entry: &MailEntry, digest: [u8; 32], now: Duration) -> u32 {
        let vain = match self.known.get(&entry.name).map(|known| &known.state) {
            Some(State::Read { tries, .. }) => *tries + 1,
            _ => 0,
        };
        let due = if vain == 0 { now } else { now + pause(vain - 1) };
        self.remember(entry, State::Read { digest, tries: vain, due });
        vain
    }

    /// It stays there, and is not fetched again.
    pub fn left(&mut self, entry: &MailEntry) {
        self.remember(entry, State::Left);
    }

    /// Whether just these bytes were read before, and only the deletion is left.
    #[must_use]
    pub fn was_read(&self, entry: &MailEntry, digest: &[u8; 32]) -> bool {
        matches!(self.known.get(&entry.name), Some(Known { state: State::Read { digest: known, .. }, .. }) if known == digest)
    }

    /// What ended a session and is not yet laid on a mail: the mailbox cannot be read in full.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.known.values().find_map(|known| match &known.state {
            State::Unfetched { tries: 1.., reason, is_named: false, .. } => Some(reason.as_str()),
            _ => None,
        })
    }

    fn remember(&mut self, entry: &MailEntry, state: State) {
        self.known.insert(entry.name.clone(), Known { size: entry.size, state });
    }
}

/// Before the next try after so many in vain.
fn pause(vain: u32) -> Duration {
    PAUSES[usize::try_from(vain).unwrap_or(usize::MAX).min(PAUSES.len() - 1)]
}

#[cfg(test)]
#[path = "mailbox_memory_tests.rs"]
mod tests;
