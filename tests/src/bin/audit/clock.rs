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

/// How to turn wall-clock times of a run into monotonic ones, though something adjusts the wall clock meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// Two monotonic moments, and by how much the wall clock was ahead then.
    known: [(Ns, Ns); 2],
}

impl Clocks {
    /// From a moment at the begin of the run until now.
    pub(crate) fn since(begin: (Ns, Ns)) -> Self {
        Self { known: [begin, (now(), wall_ahead())] }
    }

    /// The monotonic time of a wall-clock time.
    pub(crate) fn monotonic(&self, wall: Ns) -> Ns {
        let [(begin, ahead), (end, ahead_then)] = self.known.map(|(at, ahead)| (at as f64, ahead as f64));
        let passed = (wall as f64 - ahead - begin) / (end - begin).max(1.0);
        let adjusted = ((ahead_then - ahead) * passed) as i64;
        wall.saturating_sub(self.known[0].1).saturating_add_signed(-adjusted)
    }
}

/// A duration in nanoseconds.
pub(crate) fn ns(duration: Duration) -> Ns {
    u64::try_from(duration.as_nanos()).unwrap_or(Ns::MAX)
}

fn read(clock: ClockId) -> Ns {
    // Both clocks exist on every kernel that the lab runs on.
    clock_gettime(clock).map_or(0, |time| ns(time.into()))
}
