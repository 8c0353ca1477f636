//! A mail to be delivered, and what became of a try.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{ClientAddr, Language, OutageId, Service, UnixMs},
    outage::{Failure, Recovery},
};

/// Names one letter in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LetterId(pub i64);

/// A mail to be delivered: one recipient, one recovery, one or more services of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Its row.
    pub id: LetterId,
    /// The first outage that it speaks of: with the client the stable part of its Message-ID.
    pub outage: OutageId,
    /// The client for whose attempts the recipient is told.
    pub client: ClientAddr,
    /// The recipient's mail address.
    pub to: String,
    /// The language; `None`: the configured one.
    pub language: Option<Language>,
    /// What is back; at least one, each outage once: a person's several machines in one waiting list are one entry.
    pub services: Vec<LetterService>,
    /// Time of the recovery.
    pub recovered: UnixMs,
    /// What said so.
    pub evidence: Recovery,
    /// Tries so far.
    pub tries: u32,
    /// After this it is a dead letter.
    pub expires: UnixMs,
    /// Its words, if it tells of something else than recovered services; then it speaks of no services, and `evidence` says
    /// nothing.
    pub ready: Option<Ready>,
}

/// A letter's words, where they are not those of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The stable part of its Message-ID, fit for a file name: a second letter of one key is not written.
    pub key: String,
    /// One line.
    pub subject: String,
    /// The body.
    pub text: String,
    /// What goes with it.
    pub attachment: Option<Attachment>,
    /// Whether the recipient is told how to end these mails: people of the address book are.
    pub unsubscribe: bool,
}

/// Bytes that arrive as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Such a letter to one recipient, about nothing that the store has a row of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyLetter {
    /// The recipient.
    pub to: String,
    /// When it happened.
    pub at: UnixMs,
    /// What to say.
    pub ready: Ready,
}

/// One service in a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterService {
    /// Which outage.
    pub outage: OutageId,
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
