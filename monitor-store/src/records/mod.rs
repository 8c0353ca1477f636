//! What goes into the store and comes out of it, as plain data. Here: outages, waiting lists, the outbox in numbers.

mod gateways;
mod lists;

use monitor_core::{
    domain::{ClientAddr, ClockOffset, OutageId, Service, UnixMs},
    mail::LetterId,
    outage::{Change, Failure, Outage, Recovery},
    snmp::RemoteEngine,
};
use serde::{Deserialize, Serialize};

pub use self::{
    gateways::{Elsewhere, Following, Gateway, GatewayRecord, Spooled},
    lists::{ListRecord, ListState, ReceiptOrder, RefusedMail, Taken, TakenList},
};

/// What is committed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The machine's changes, in order.
    pub changes: Vec<Change>,
    /// What was seen of the SNMP engines that they came from.
    pub seen: Vec<RemoteEngine>,
    /// Up to where the kernel's reports are taken with it; `None`: as before.
    pub read: Option<ReadUpTo>,
}

/// How far the kernel's reports are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadUpTo {
    /// Which ring buffer: positions of another one say nothing.
    pub ring: u64,
    /// How many bytes of it, from its beginning.
    pub position: u64,
    /// How far the wall clock is ahead of the kernel's, for times of that clock which are kept by the wall clock: the same as
    /// long as the ring buffer. `None`: an earlier version did not keep it.
    pub steady: Option<ClockOffset>,
}

/// What a batch of changes led to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Letters that were put into the outbox.
    pub letters: u64,
    /// Waiting clients that left the list without a mail: they have no address on record, their attempts are too old,
    /// or they got through by themselves.
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
    /// The service that is back; absent from letters with words of their own.
    pub service: Option<Service>,
    /// The subject of a letter with words of its own.
    pub subject: Option<String>,
    /// When it was given up.
    pub at: UnixMs,
    /// Why.
    pub reason: String,
}
