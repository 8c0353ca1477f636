//! What the store takes and gives, in the words of the domain.

use serde::{Deserialize, Serialize};

use crate::{
    config::Language,
    outage::{ClientAddr, Failure, Outage, OutageId, Recovery, Service, UnixMs},
};

/// What the machine goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Outages that are not over.
    pub outages: Vec<Outage>,
    /// The first id that was never used.
    pub next_outage: OutageId,
}

/// What a batch of changes led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Letters that were put into the outbox.
    pub letters: u64,
    /// Waiting clients that left the list without a mail: no address on record, too old, or through by themselves.
    pub untold: u64,
}

/// An outage in a list for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageRecord {
    /// The outage.
    #[serde(flatten)]
    pub outage: Outage,
    /// The server's name, once it was looked up (F-16).
    pub server_name: Option<String>,
    /// Clients that wait, or that waited when it ended.
    pub clients: u64,
    /// When it ended; `None`: it goes on.
    pub ended: Option<UnixMs>,
    /// What ended it; `None` for one that was discarded.
    pub recovery: Option<Recovery>,
    /// Letters that were written at its end.
    pub letters: u64,
}

/// A line of a waiting list (F-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingClient {
    /// Whose list.
    pub outage: OutageId,
    /// What it waits for.
    pub service: Service,
    /// Who waits.
    pub client: ClientAddr,
    /// First failed attempt.
    pub first: UnixMs,
    /// Latest failed attempt.
    pub latest: UnixMs,
    /// Failed attempts.
    pub attempts: u64,
    /// The most telling evidence.
    pub evidence: Failure,
    /// When the client got through by itself.
    pub connected: Option<UnixMs>,
}

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

/// The outbox in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxCounts {
    /// To be delivered.
    pub queued: u64,
    /// Of these: tried before, and to be tried again.
    pub retrying: u64,
    /// Delivered since the database was made.
    pub delivered: u64,
    /// Given up, and not pruned yet.
    pub dead: u64,
    /// When the oldest queued one was written.
    pub oldest_queued: Option<UnixMs>,
    /// The latest reason for a retry or a dead letter.
    pub last_error: Option<String>,
}

/// A letter that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its row.
    pub id: LetterId,
    /// The recipient.
    pub to: String,
    /// The service that is back; absent: it spoke of something else.
    pub service: Option<Service>,
    /// Its subject, if it had words of its own.
    pub subject: Option<String>,
    /// When it was given up.
    pub at: UnixMs,
    /// Why.
    pub reason: String,
}

/// Our own SNMP engine (RFC 3411), kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEngine {
    /// 5 to 32 bytes.
    pub id: Vec<u8>,
    /// snmpEngineBoots of this start.
    pub boots: u32,
}

/// What is known of a sending SNMP engine (RFC 3414 section 2.3), and the replay window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEngine {
    /// Its id.
    pub id: Vec<u8>,
    /// Latest snmpEngineBoots that authenticated.
    pub boots: u32,
    /// Latest snmpEngineTime that authenticated.
    pub time: u32,
    /// When that message arrived here.
    pub received: UnixMs,
    /// Message ids accepted within the current time window, as (time, message id).
    pub seen: Vec<(u32, i32)>,
}
