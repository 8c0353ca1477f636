//! Telling people what happened to peers and shared addresses: to the journal, and to the outbox.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc::UnboundedReceiver};

use super::status::Notice;
use crate::{
    config::Config,
    peer::{Command, Peers, exchange::Event},
    store::Store,
};

/// See the module.
pub(in crate::peer) struct Teller {
    _store: Store,
    _letters: Arc<Notify>,
    peers: Peers,
}

impl Teller {
    pub(in crate::peer) fn new(_config: &Config, store: Store, letters: Arc<Notify>, peers: Peers) -> Self {
        Self { _store: store, _letters: letters, peers }
    }

    /// Runs until the thread of the heartbeats has ended.
    pub(in crate::peer) async fn run(self, mut happened: UnboundedReceiver<Event>) {
        while let Some(event) = happened.recv().await {
            match event {
                Event::Mode { group, mode, why, .. } => {
                    tracing::info!(group, mode = mode.word(), why = why.words(), "standby");
                }
                Event::Notice { peer, notice, .. } => {
                    match notice {
                        Notice::Down => tracing::warn!(peer, "the peer is down"),
                        Notice::Recovered => tracing::info!(peer, "the peer is back"),
                    }
                    let _ = self.peers.command(Command::Told(peer, notice));
                }
            }
        }
    }
}
