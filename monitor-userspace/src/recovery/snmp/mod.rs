//! The SNMP manager: traps and informs of recovered servers (F-10).

mod counters;

pub use counters::Counters;

use std::{io, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Reported;
use crate::{config::RecoverySettings, store::Store};

/// Why traps cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum SnmpError {}

/// Receives traps and informs.
pub struct Receiver {
    counters: Arc<Counters>,
}

impl Receiver {
    /// Listens.
    pub async fn bind(
        _settings: &RecoverySettings,
        _store: Store,
        _reported: mpsc::Sender<Reported>,
    ) -> Result<Self, SnmpError> {
        Ok(Self { counters: Arc::default() })
    }

    /// What became of each datagram.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Receives until `cancel`.
    pub async fn run(self, cancel: CancellationToken) -> io::Result<()> {
        cancel.cancelled().await;
        Ok(())
    }
}
