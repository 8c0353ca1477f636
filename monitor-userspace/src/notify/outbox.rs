//! What the delivery worker needs of the store, and nothing more.

use std::{future::Future, time::Duration};

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{Letter, LetterId, Outcome},
};
use monitor_store::{Store, StoreError};

/// How long letters stay with who took them where nobody else could: what that worker has it knows. This only frees
/// letters whose worker was lost without its process.
pub(super) const ALONE: Duration = Duration::from_secs(3 * 3600);

/// The letters that wait to be delivered. [`Store`] is the real one; tests have one in memory.
pub trait Outbox: Clone + Send + Sync + 'static {
    /// Frees what an earlier process took and did not finish; see [`Store::release_leases`].
    fn release_leases(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How long letters are kept for who took them.
    fn lease(&self) -> Duration {
        ALONE
    }

    /// Keeps what was taken from others until then; see [`Store::renew_leases`].
    fn renew_leases(&self, _until: UnixMs) -> impl Future<Output = Result<(), StoreError>> + Send {
        async { Ok(()) }
    }

    /// Letters that are due; see [`Store::take_due`].
    fn take_due(
        &self,
        now: UnixMs,
        limit: u32,
        lease: Duration,
    ) -> impl Future<Output = Result<Vec<Letter>, StoreError>> + Send;

    /// When the next letter is due; see [`Store::next_due`].
    fn next_due(&self) -> impl Future<Output = Result<Option<UnixMs>, StoreError>> + Send;

    /// Keeps what became of letters; see [`Store::record`].
    fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps the name of an outage's server; see [`Store::set_server_name`].
    fn set_server_name(&self, outage: OutageId, name: String) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Outbox for Store {
    async fn release_leases(&self) -> Result<(), StoreError> {
        Self::release_leases(self).await
    }

    fn lease(&self) -> Duration {
        self.shared_lease().unwrap_or(ALONE)
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
