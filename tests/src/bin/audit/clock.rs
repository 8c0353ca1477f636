//! The kernel's monotonic clock, in which everything is recorded, and its distance from the wall clock.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) type Ns = u64;

/// One millisecond.
pub(crate) const MS: Ns = 1_000_000;

/// One second.
pub(crate) const SECOND: Ns = 1_000_000_000;

/// Now.
pub(crate) fn now() -> Ns {
    read(ClockId::CLOCK_MONOTONIC)
}

/// What is to be taken from a wall clock's nanoseconds to get monotonic ones.
pub(crate) fn wall_ahead() -> Ns {
    let before = now();
    let wall = read(ClockId::CLOCK_REALTIME);
    wall.saturating_sub(before.midpoint(now()))
}

/// A duration in nanoseconds.
pub(crate) fn ns(duration: Duration) -> Ns {
    u64::try_from(duration.as_nanos()).unwrap_or(Ns::MAX)
}

fn read(clock: ClockId) -> Ns {
    // Both clocks exist on every kernel that the lab runs on.
    clock_gettime(clock).map_or(0, |time| ns(time.into()))
}
