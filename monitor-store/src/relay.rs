//! What the store keeps for relays and for operators: lists sent and taken, receipts, refusals, notices.

use std::{sync::Arc, time::Duration};

use monitor_core::{
    config,
    domain::{OutageId, Service, UnixMs},
    mail::notice::{Notices, Peer},
    relay::{Keyring, List, Receipt, Relays},
};
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError, tables};

/// Who is told, and by whom, when something happens. It is replaced as a whole.
#[derive(Clone, Debug)]
pub struct NotificationPolicy {
    /// How long a letter is tried before it is a dead one.
    pub(super) lifetime: Duration,
    /// Whether no letter is written here, because another database tells the clients.
    pub(super) silent: bool,
    pub(super) relays: Arc<Relays>,
    pub(super) notices: Arc<Notices>,
}

impl NotificationPolicy {
    /// Letters live for `lifetime`; relays tell the clients of their servers, and operators get notices.
    #[must_use]
    pub fn new(lifetime: Duration, relays: Relays, notices: Notices) -> Self {
        Self { lifetime, silent: false, relays: Arc::new(relays), notices: Arc::new(notices) }
    }

    /// The same for other operators.
    #[must_use]
    pub fn with_notices(&self, notices: Notices) -> Self {
        Self { notices: Arc::new(notices), ..self.clone() }
    }
}

impl Default for NotificationPolicy {
    fn default() -> Self {
        Self::new(config::Notify::default().lifetime, Relays::default(), Notices::default())
    }
}

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

/// What became of [`Store::take_list`].
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

impl Store {
    /// From now on letters are written by this policy.
    pub fn replace_policy(&self, policy: NotificationPolicy) {
        self.database.replace_policy(policy);
    }

    /// Notes for operators that a peer is down or back. Noting the same event again changes nothing.
    pub async fn note_peer(&self, peer: Peer, now: UnixMs) -> Result<(), StoreError> {
        let telling = self.database.policy();
        self.database.write(move |session| tables::notices::peer(session.conn, &peer, now, &telling)).await
    }

    /// How many of the lists that are kept are in each state.
    pub async fn list_states(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.database.read(tables::lists::states).await
    }

    /// How many events are still to be told to operators, over all recipients.
    pub async fn notices_waiting(&self) -> Result<u64, StoreError> {
        self.database.read(tables::notices::waiting).await
    }

    /// Writes messages to the operators that are due; says how many.
    pub async fn tell_operators(&self, now: UnixMs) -> Result<u64, StoreError> {
        if self.database.read(move |conn| tables::notices::due(conn, now)).await?.is_empty() {
            return Ok(0);
        }
        let telling = self.database.policy();
        self.database.write(move |session| tables::notices::tell(session.conn, now, &telling)).await
    }

    /// Stores a list at a relay: outage, waiting clients, letters, receipt and nonce, all or nothing. Durable when it
    /// returns; a list that comes again changes nothing.
    pub async fn take_list(&self, taken: TakenList, now: UnixMs) -> Result<Taken, StoreError> {
        let telling = self.database.policy();
        self.database.write(move |session| tables::station::take(session, &taken, now, &telling)).await
    }

    /// Keeps a mail's refusal for `status`.
    pub async fn refuse(&self, refused: RefusedMail) -> Result<(), StoreError> {
        self.database.write(move |session| tables::station::refuse(session.conn, &refused)).await
    }

    /// Refused mails, latest first.
    pub async fn refused(&self, limit: u32) -> Result<Vec<RefusedMail>, StoreError> {
        self.database.read(move |conn| tables::station::refused(conn, limit)).await
    }

    /// Records that a relay has taken a list of ours; says whether there is such a list.
    pub async fn receive(&self, receipt: Receipt, now: UnixMs) -> Result<bool, StoreError> {
        self.database.write(move |session| tables::lists::receive(session.conn, &receipt, now)).await
    }

    /// Settles lists whose time is over without a receipt; says how many letters were written.
    pub async fn settle_overdue(&self, now: UnixMs) -> Result<u64, StoreError> {
        let telling = self.database.policy();
        self.database.write(move |session| tables::lists::settle_overdue(session, now, &telling)).await
    }

    /// Lists that were sent, latest first.
    pub async fn lists(&self, limit: u32) -> Result<Vec<ListRecord>, StoreError> {
        self.database.read(move |conn| tables::lists::lists(conn, limit)).await
    }
}
