//! Lists: those that a gateway sent, and those that a relay takes or refuses.

use monitor_core::{
    domain::{OutageId, Service, UnixMs},
    relay::{Keyring, List},
};
use serde::{Deserialize, Serialize};

/// A list that a gateway sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRecord {
    /// The outage.
    pub outage: OutageId,
    /// What is back.
    pub service: Service,
    /// The relay's address.
    pub relay: String,
    /// Clients on it.
    pub clients: u64,
    /// When it was written.
    pub issued: UnixMs,
    /// What became of it.
    pub state: ListState,
    /// Since when.
    pub settled: Option<UnixMs>,
    /// People whom the relay mails, by its receipt.
    pub told: Option<u64>,
    /// When the clients are, or were, mailed from here.
    pub fallback: Option<UnixMs>,
}

/// What became of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListState {
    /// Sent, or on its way; no receipt yet.
    Pending,
    /// The relay's receipt is there.
    Delivered,
    /// No receipt came in time, and nobody else tells the clients.
    Expired,
    /// No receipt came in time: the clients are mailed from here.
    Direct,
}

/// A verified list that a relay is to store.
#[derive(Clone, Debug)]
pub struct TakenList {
    /// The list.
    pub list: List,
    /// The name of its mail in the mailbox.
    pub uid: String,
    /// Clients whose latest attempt is before this are not told (F-8).
    pub tell_since: UnixMs,
    /// Where the receipt goes, and what signs it.
    pub receipt: Option<ReceiptOrder>,
}

/// See [`TakenList`].
#[derive(Clone, Debug)]
pub struct ReceiptOrder {
    /// The gateway's address.
    pub to: String,
    /// Its keys.
    pub keyring: Keyring,
}

/// What became of [`Store::take_list`](crate::Store::take_list).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is stored.
    New {
        /// Letters that were written.
        letters: u64,
        /// Clients without an address on record.
        untold: u64,
    },
    /// This very mail was taken before, and only its deletion was left.
    Again,
    /// The same list in another mail.
    Replayed,
}

/// A mail that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedMail {
    /// When.
    pub at: UnixMs,
    /// Why.
    pub reason: String,
    /// Where it is kept; absent: it was left in the mailbox.
    pub file: Option<String>,
}
