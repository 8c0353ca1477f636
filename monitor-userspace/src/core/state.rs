//! What the core publishes for `status` and metrics.

use monitor_common::Counter;
use monitor_core::{domain::UnixMs, outage::Tally};

use crate::kernel::{Attached, Unwatched};

/// A copy of the core's numbers, at most a second old.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Watched interfaces.
    pub interfaces: Vec<Attached>,
    /// Interfaces that are to be watched, and are not.
    pub unwatched: Vec<Unwatched>,
    /// Kernel counters, summed over the CPUs.
    pub counters: Vec<(Counter, u64)>,
    /// When something was last counted as lost since the start.
    pub lost: Option<UnixMs>,
    /// Kernel events of another layout.
    pub unreadable_events: u64,
    /// Services that have answered at least once.
    pub services: usize,
    /// What the machine saw and did not act on.
    pub tally: Tally,
    /// Whether any answer was ever seen on this path; if not, silence cannot be judged (design rule 3).
    pub answers_seen: bool,
    /// Why the store does not take changes at the moment.
    pub store_error: Option<String>,
}

impl State {
    /// How many answers passed whose requests did not, if no request did.
    #[must_use]
    pub fn answers_without_requests(&self) -> Option<u64> {
        let counted =
            |wanted| self.counters.iter().find(|(counter, _)| *counter == wanted).map_or(0, |(_, count)| *count);
        (counted(Counter::Attempts) == 0).then(|| counted(Counter::AnswersUnmatched))
    }
}
