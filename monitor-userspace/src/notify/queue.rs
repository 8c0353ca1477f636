//! What the delivery of letters needs of the store, and nothing more.

use std::{future::Future, time::Duration};

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{Letter, LetterId, Outcome},
};
use monitor_store::{Outbox, StoreError};

/// The letters that wait to be delivered. The store's [`Outbox`] is the real one; tests have one in memory.
pub trait LetterQueue: Clone + Send + Sync + 'static {
    /// Frees what an earlier process took and did not finish; see [`Outbox::release_leases`].
    fn release_leases(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How long letters are kept for the process that took them.
    fn lease(&self) -> Duration;

    /// Keeps what was taken from others until then; see [`Outbox::renew_leases`].
    fn renew_leases(&self, until: UnixMs) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Letters that are due; see [`Outbox::take_due`].
    fn take_due(
        &self,
        now: UnixMs,
        limit: u32,
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// When the next letter is due; see [`Outbox::next_due`].
    fn next_due(&self) -> impl Future<Output = Result<Option<UnixMs>, StoreError>> + Send;

    /// Keeps what became of letters; see [`Outbox::record`].
    fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps the name of an outage's server; see [`Outbox::set_server_name`].
    fn set_server_name(&self, outage: OutageId, name: String) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl LetterQueue for Outbox {
    async fn release_leases(&self) -> Result<(), StoreError> {
        Self::release_leases(self).await
    }

    fn lease(&self) -> Duration {
        Self::lease(self)
    }

    async fn renew_leases(&self, until: UnixMs) -> Result<(), StoreError> {
        Self::renew_leases(self, until).await
    }

    async fn take_due(&self, now: UnixMs, limit: u32, lease: Duration) -> Result<Vec<Letter>, StoreError> {
        Self::take_due(self, now, limit, lease).await
    }

    async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        Self::next_due(self).await
    }

    async fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> Result<(), StoreError> {
        Self::record(self, outcomes).await
    }

    async fn set_server_name(&self, outage: OutageId, name: String) -> Result<(), StoreError> {
        Self::set_server_name(self, outage, name).await
    }
}
