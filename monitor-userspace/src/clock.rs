//! The two clocks that the rules are told: the wall's, for people and the store, and the kernel's own.

use monitor_core::domain::{MonotonicNs, UnixMs};
use nix::time::{ClockId, clock_gettime};

/// Reads a clock.
pub trait Now {
    /// Now.
    #[must_use]
    fn now() -> Self;
}

impl Now for UnixMs {
    fn now() -> Self {
        Self(nanoseconds(ClockId::CLOCK_REALTIME) / 1_000_000)
    }
}

/// By the clock that the programs in the kernel read.
impl Now for MonotonicNs {
    fn now() -> Self {
        Self(u64::try_from(nanoseconds(ClockId::CLOCK_MONOTONIC)).unwrap_or(0))
    }
}

/// A clock that cannot be read does not exist on Linux; 0 is then as good as any time.
pub(crate) fn nanoseconds(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
