//! The one conversion between the kernel's clock and the wall clock.

use monitor_core::domain::{MonotonicNs, UnixMs};
use nix::time::ClockId;

use crate::clock::nanoseconds;

/// How far the two clocks are apart. Read again when the wall clock steps.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall clock - monotonic clock, in nanoseconds.
    offset: i64,
}

impl Clock {
    /// The two clocks as they stand now.
    #[must_use]
    pub fn now() -> Self {
        Self { offset: nanoseconds(ClockId::CLOCK_REALTIME) - nanoseconds(ClockId::CLOCK_MONOTONIC) }
    }

    /// The wall-clock time of a kernel time.
    #[must_use]
    pub fn unix(self, at: MonotonicNs) -> UnixMs {
        let nanoseconds = i64::try_from(at.0).unwrap_or(i64::MAX).saturating_add(self.offset);
        UnixMs(nanoseconds / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, MonotonicNs, UnixMs};
    use crate::clock::Now as _;

    #[test]
    fn the_kernels_now_is_the_walls_now() {
        let converted = Clock::now().unix(MonotonicNs::now());
        assert!((converted.0 - UnixMs::now().0).abs() < 1000);
    }
}
