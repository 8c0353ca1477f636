//! A mail to be delivered, and what became of a try.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{ClientAddr, Language, OutageId, Service, UnixMs},
    outage::Failure,
};

/// Names one letter in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LetterId(pub i64);

/// A mail to be delivered to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its row.
    pub id: LetterId,
    /// The stable part of its Message-ID, fit for a file name. The outbox never holds two letters with the same key.
    pub key: String,
    /// The recipient: a mail address, or `webhook:NAME`.
    pub to: String,
    /// When what it tells of happened: the `Date:` of the mail, at every try.
    pub at: UnixMs,
    /// Tries so far.
    pub tries: u32,
    /// After this it is a dead letter.
    pub expires: UnixMs,
    /// What it tells.
    pub says: Content,
}

/// What a letter tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Services are back; a template words it when it is delivered.
    Recovered(Recovered),
    /// Anything else, in words that were chosen when the letter was written.
    Ready(Ready),
}

/// One recovery, as one person's letter tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The recipient's language; `None`: the configured one.
    pub language: Option<Language>,
    /// What is back; at least one, each outage once: a person's several machines in one waiting list are one entry.
    pub services: Vec<LetterService>,
}

/// The words of a letter that needs no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// One line.
    pub subject: String,
    /// The body.
    pub text: String,
    /// A file that goes with it.
    pub attachment: Option<Attachment>,
    /// Whether the mail says how to end these mails. People of the address book are told, operators and relays are not.
    pub unsubscribe: bool,
}

/// Bytes that arrive as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A letter with words of its own that is to be put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyLetter {
    /// See [`Letter::key`].
    pub key: String,
    /// The recipient.
    pub to: String,
    /// When it happened.
    pub at: UnixMs,
    /// What to say.
    pub ready: Ready,
}

impl Letter {
    /// The services that it reports as recovered; none for a letter with words of its own.
    #[must_use]
    pub fn services(&self) -> &[LetterService] {
        match &self.says {
            Content::Recovered(recovered) => &recovered.services,
            Content::Ready(_) => &[],
        }
    }

    /// The same, to fill in their servers' names.
    pub fn services_mut(&mut self) -> &mut [LetterService] {
        match &mut self.says {
            Content::Recovered(recovered) => &mut recovered.services,
            Content::Ready(_) => &mut [],
        }
    }
}

/// One service in a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterService {
    /// Which outage.
    pub outage: OutageId,
    /// The recipient's machine that waited for it; of several, one.
    pub client: ClientAddr,
    /// Which service.
    pub service: Service,
    /// The server's name, if it was looked up before.
    pub server_name: Option<String>,
    /// Begin of the outage.
    pub since: UnixMs,
    /// First failed attempt of the client.
    pub first: UnixMs,
    /// Latest failed attempt of the client.
    pub latest: UnixMs,
    /// Failed attempts of the client.
    pub attempts: u64,
    /// The most telling evidence.
    pub failure: Failure,
}

/// What became of a try to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mail server took it.
    Delivered {
        /// When.
        at: UnixMs,
    },
    /// Not now: try again.
    Retry {
        /// When to try again.
        at: UnixMs,
        /// What the mail server or the network said.
        reason: String,
    },
    /// Never: a permanent answer, or the lifetime is over.
    Dead {
        /// When.
        at: UnixMs,
        /// What the mail server said.
        reason: String,
    },
}
