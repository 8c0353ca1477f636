//! What the store keeps for relays and for operators: lists sent and taken, receipts, refusals, notices.

use monitor_core::{domain::UnixMs, mail::notice::Peer, relay::Receipt};

use crate::{
    Store, StoreError,
    policy::NotificationPolicy,
    records::{ListRecord, RefusedMail, Taken, TakenList},
    tables,
};

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
