//! What the thread of the heartbeats is asked, and what it tells the rest of the daemon.

use monitor_core::{domain::UnixMs, heartbeat::status::PeerNotice};
use tokio::sync::oneshot;

use super::report::PeersReport;
use crate::standby::{HandOverError, ModeChange};

/// What others ask of the thread.
#[derive(Debug)]
pub(super) enum Command {
    Report(oneshot::Sender<PeersReport>),
    /// The group, or all.
    HandOver(Option<String>, oneshot::Sender<Result<Vec<String>, HandOverError>>),
    /// The letters of this notice are in the outbox.
    Told(String, PeerNotice),
    Stop,
}

/// What has happened, for the journal and for mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// This host has another mode for a group of shared addresses.
    Mode(ModeChange),
    /// People are to be told of a watched peer. `since`: begin of the outage, which names the letters.
    Notice { peer: String, notice: PeerNotice, at: UnixMs, since: UnixMs },
}
