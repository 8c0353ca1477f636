//! The database that gateways share, for whoever reads.

use monitor_core::domain::UnixMs;
use monitor_store::{GatewayRecord, LocalStore};
use tokio::sync::watch;

/// What `status` shows.
#[derive(Clone, Debug, Default)]
pub struct ReplicationState {
    /// Since when, and why, the database is out of reach.
    pub cut_off: Option<(UnixMs, String)>,
    /// Everybody who shares it, as it was known when it was last in reach.
    pub gateways: Vec<GatewayRecord>,
}

/// The gateway's side of the shared database, for whoever reads.
#[derive(Clone, Debug)]
pub struct SharedView {
    /// Its own file.
    pub local: LocalStore,
    /// Whether the other one is in reach.
    pub state: watch::Receiver<ReplicationState>,
}
