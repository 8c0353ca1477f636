//! Durable state: one interface, embedded SQLite behind it.
//!
//! One writer thread takes what all tasks want written, commits it as one transaction with full synchronisation, and
//! only then answers. Reads go through connections of their own.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    config::{ClientNet, Language},
    notify::AddressEntry,
    outage::{Change, ClientAddr, Failure, Outage, OutageId, Recovery, Service, UnixMs},
};

/// What is wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is not a readable database.
    #[error("cannot use the database {path}: {reason}")]
    Unusable {
        /// Which file.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A later Ringback wrote it.
    #[error(
        "the database {path} has schema version {found}, this ringback knows up to {known}: install the newer ringback again, or restore a backup"
    )]
    Newer {
        /// Which file.
        path: String,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The writer is gone.
    #[error("the store is closed")]
    Closed,
    /// The database said no.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
}

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
    /// What is back; at least one.
    pub services: Vec<LetterService>,
    /// Time of the recovery.
    pub recovered: UnixMs,
    /// What said so.
    pub evidence: Recovery,
    /// Tries so far.
    pub tries: u32,
    /// After this it is a dead letter.
    pub expires: UnixMs,
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
        /// When.
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
    /// Given up.
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
    /// The service that is back.
    pub service: Service,
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

/// The handle that every task clones.
#[derive(Clone, Debug)]
pub struct Store {}

#[expect(unused_variables, clippy::todo, clippy::unused_async, missing_docs, reason = "contract")]
impl Store {
    /// Opens or creates the database at `path`, brings its schema up to date and starts the writer.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        todo!()
    }
    pub async fn restore(&self) -> Result<Restored, StoreError> {
        todo!()
    }
    /// Durable when it returns; all or nothing.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        todo!()
    }
    /// How long an outbox row lives before it is a dead letter.
    pub fn set_letter_lifetime(&self, lifetime: std::time::Duration) {
        todo!()
    }
    pub async fn set_server_name(&self, outage: OutageId, name: String) -> Result<(), StoreError> {
        todo!()
    }
    // Learned services (design rule 3).
    pub async fn learn(&self, services: Vec<(Service, UnixMs)>) -> Result<(), StoreError> {
        todo!()
    }
    pub async fn forget_services(&self, answered_before: UnixMs) -> Result<u64, StoreError> {
        todo!()
    }
    pub async fn learned_services(&self) -> Result<Vec<(Service, UnixMs)>, StoreError> {
        todo!()
    }
    // Address book.
    pub async fn addresses(&self) -> Result<Vec<AddressEntry>, StoreError> {
        todo!()
    }
    /// Inserts or replaces these entries, all or none.
    pub async fn put_addresses(&self, entries: Vec<AddressEntry>) -> Result<(), StoreError> {
        todo!()
    }
    /// Replaces every entry of origin `Config` by these; an operator's entry for the same network stays and counts.
    pub async fn replace_config_addresses(&self, entries: Vec<AddressEntry>) -> Result<(), StoreError> {
        todo!()
    }
    /// Whether there was one.
    pub async fn remove_address(&self, client: ClientNet) -> Result<bool, StoreError> {
        todo!()
    }
    // Outbox.
    /// Up to `limit` letters that are due at `now`, oldest first; each is not given out again before `now + lease`.
    pub async fn take_due(
        &self,
        now: UnixMs,
        limit: u32,
        lease: std::time::Duration,
    ) -> Result<Vec<Letter>, StoreError> {
        todo!()
    }
    pub async fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> Result<(), StoreError> {
        todo!()
    }
    /// Leases of an earlier process end: called once at start.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        todo!()
    }
    /// When the next letter is due.
    pub async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        todo!()
    }
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        todo!()
    }
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        todo!()
    }
    // For people.
    /// Outages, latest first; `ended` also those that are over.
    pub async fn outages(&self, ended: bool, limit: u32) -> Result<Vec<OutageRecord>, StoreError> {
        todo!()
    }
    pub async fn waiting(&self, outage: Option<OutageId>, limit: u32) -> Result<Vec<WaitingClient>, StoreError> {
        todo!()
    }
    // SNMP (RFC 3414).
    /// Our engine with `boots` raised by one; the id is made at first use.
    pub async fn start_engine(&self) -> Result<LocalEngine, StoreError> {
        todo!()
    }
    pub async fn remote_engines(&self) -> Result<Vec<RemoteEngine>, StoreError> {
        todo!()
    }
    pub async fn put_remote_engine(&self, engine: RemoteEngine) -> Result<(), StoreError> {
        todo!()
    }
    /// Deletes ended outages, delivered and dead letters older than `before`.
    pub async fn prune(&self, before: UnixMs) -> Result<(), StoreError> {
        todo!()
    }
}
