//! The one conversion between the kernel's clock and the wall clock.

use nix::time::{ClockId, clock_gettime};

use crate::outage::{MonotonicNs, UnixMs};

impl MonotonicNs {
    /// Now, by the clock that the programs read.
    #[must_use]
    pub fn now() -> Self {
        Self(u64::try_from(nanoseconds(ClockId::CLOCK_MONOTONIC)).unwrap_or(0))
    }
}

impl UnixMs {
    /// Now, by the wall clock.
    #[must_use]
    pub fn now() -> Self {
        Self(nanoseconds(ClockId::CLOCK_REALTIME) / 1_000_000)
    }
}

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

/// A clock that cannot be read does not exist on Linux; 0 is then as good as any time.
fn nanoseconds(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::{Clock, MonotonicNs, UnixMs};

    #[test]
    fn the_kernels_now_is_the_walls_now() {
        let converted = Clock::now().unix(MonotonicNs::now());
        assert!((converted.0 - UnixMs::now().0).abs() < 1000);
    }
}
