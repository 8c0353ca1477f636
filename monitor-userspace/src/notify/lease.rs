//! Until when the letters in hand are ours: other gateways may take them afterwards.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Shared by the worker, which renews it, and the delivery workers, which begin no letter without it.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    length: Duration,
    renewed: Arc<Mutex<Instant>>,
}

impl Lease {
    /// A lease of this length that begins now.
    pub(super) fn new(length: Duration) -> Self {
        Self { length, renewed: Arc::new(Mutex::new(Instant::now())) }
    }

    pub(super) const fn length(&self) -> Duration {
        self.length
    }

    /// The outbox has noted it at a time not before `since`.
    pub(super) fn renew(&self, since: Instant) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Whether a letter may be begun. The last third is for those that were begun.
    pub(super) fn holds(&self) -> bool {
        self.renewed().elapsed() < self.length / 3 * 2
    }

    /// Whether a letter that was begun is still ours.
    pub(super) fn is_ours(&self) -> bool {
        self.renewed().elapsed() < self.length
    }

    /// When to renew it.
    pub(super) fn renew_at(&self) -> Instant {
        self.renewed() + self.length / 4
    }

    fn renewed(&self) -> Instant {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
