//! The outbox: letters to be delivered, leased to the process that delivers them, retried, delivered or dead.

use std::time::Duration;

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{Letter, LetterId, Outcome},
};

use crate::{DeadLetter, OutboxCounts, StoreError, database::Database, tables};

/// In whose name letters are taken where nobody else takes any.
const ONLY_ONE: i64 = 1;

/// How long letters stay with a process that is alone: it knows what it has. This only frees letters whose worker was
/// lost without its process.
const ALONE: Duration = Duration::from_secs(3 * 3600);

/// See the module.
#[derive(Clone, Debug)]
pub struct Outbox {
    database: Database,
    /// In whose name letters are taken.
    holder: i64,
    lease: Duration,
}

impl Outbox {
    /// For the only process that delivers.
    pub(crate) fn alone(database: Database) -> Self {
        Self { database, holder: ONLY_ONE, lease: ALONE }
    }

    /// For one of several that deliver.
    pub(crate) fn of_holder(database: Database, holder: i64, lease: Duration) -> Self {
        Self { database, holder, lease }
    }

    /// How long letters stay with the process that took them, unless it renews that.
    #[must_use]
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Up to `limit` letters that are due at `now`, oldest first; each is not given out again before `now + lease`.
    pub async fn take_due(&self, now: UnixMs, limit: u32, lease: Duration) -> Result<Vec<Letter>, StoreError> {
        let holder = self.holder;
        self.database.write(move |session| tables::outbox::take_due(session.conn, now, limit, lease, holder)).await
    }

    /// Keeps what became of these letters. An outcome for a letter that is not in the queue any more is ignored.
    pub async fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> Result<(), StoreError> {
        let holder = self.holder;
        self.database.write(move |session| tables::outbox::record(session.conn, &outcomes, holder)).await
    }

    /// Ends the leases of an earlier process of this gateway: called once at start.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        let holder = self.holder;
        self.database.write(move |session| tables::outbox::release_leases(session.conn, holder)).await
    }

    /// Letters that were given out here are given to nobody else before `until`.
    pub async fn renew_leases(&self, until: UnixMs) -> Result<(), StoreError> {
        let holder = self.holder;
        self.database.write(move |session| tables::outbox::renew_leases(session.conn, until, holder)).await
    }

    /// When the next letter is due.
    pub async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        self.database.read(tables::outbox::next_due).await
    }

    /// The outbox in numbers; costs the same however many letters there are.
    pub async fn counts(&self) -> Result<OutboxCounts, StoreError> {
        self.database.read(tables::outbox::counts).await
    }

    /// Letters that were given up, latest first.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.database.read(move |conn| tables::outbox::dead_letters(conn, limit)).await
    }

    /// Keeps a server's name that was looked up for a letter (F-16): the next letter has it.
    pub async fn set_server_name(&self, outage: OutageId, name: String) -> Result<(), StoreError> {
        self.database.write(move |session| tables::outages::set_server_name(session.conn, outage, &name)).await
    }
}
