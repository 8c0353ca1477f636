//! The two clocks that the rules are told: the wall's, for people and the store, and the kernel's own.

use monitor_core::{
    domain::{ClockOffset, MonotonicNs, UnixMs},
    port::Clock,
};
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

/// The clocks of this host.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> UnixMs {
        UnixMs::now()
    }

    fn offset(&self) -> ClockOffset {
        ClockOffset::from_nanoseconds(nanoseconds(ClockId::CLOCK_REALTIME) - nanoseconds(ClockId::CLOCK_MONOTONIC))
    }
}

/// A clock that cannot be read does not exist on Linux; 0 is then as good as any time.
fn nanoseconds(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::{Clock as _, MonotonicNs, Now as _, SystemClock, UnixMs};

    #[test]
    fn the_kernels_now_is_the_walls_now() {
        let converted = SystemClock.offset().unix(MonotonicNs::now());
        assert!((converted.0 - UnixMs::now().0).abs() < 1000);
    }
}
