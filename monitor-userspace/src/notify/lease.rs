//! Until when the letters in hand are ours: other gateways may take them afterwards. And whether their times are: a step of
//! the wall clock moves those in the store, and not those in hand.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use monitor_core::domain::ClockOffset;
use monitor_store::clock;

/// Shared by the worker, which renews it, and the delivery workers, which begin no letter without it.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    length: Duration,
    renewed: Arc<Mutex<Renewed>>,
}

#[derive(Clone, Copy, Debug)]
struct Renewed {
    at: Instant,
    /// The clock of then.
    clock: Option<ClockOffset>,
}

impl Lease {
    /// A lease of this length that begins now.
    pub(super) fn new(length: Duration) -> Self {
        let renewed = Renewed { at: Instant::now(), clock: clock::adopted() };
        Self { length, renewed: Arc::new(Mutex::new(renewed)) }
    }

    pub(super) const fn length(&self) -> Duration {
        self.length
    }

    /// The outbox has noted it at a time not before `since`. While it holds, the clock of its letters stays that of the one
    /// before.
    pub(super) fn renew(&self, since: Instant) {
        let holds = self.holds();
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed.at = since;
        if !holds {
            renewed.clock = clock::adopted();
        }
    }

    /// Whether a letter may be begun. The last third is for those that were begun.
    pub(super) fn holds(&self) -> bool {
        let renewed = self.renewed();
        renewed.at.elapsed() < self.length / 3 * 2 && renewed.clock == clock::adopted()
    }

    /// Whether a letter that was begun is still ours.
    pub(super) fn is_ours(&self) -> bool {
        self.renewed().at.elapsed() < self.length
    }

    /// When to renew it.
    pub(super) fn renew_at(&self) -> Instant {
        self.renewed().at + self.length / 4
    }

    fn renewed(&self) -> Renewed {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
