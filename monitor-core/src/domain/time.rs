//! The two clocks of the product, kept apart by type.
//!
//! The kernel stamps frames with its monotonic clock; people, mails and the store use wall-clock time. The
//! conversion happens in one place, [`ClockOffset::unix`].

use std::{fmt, ops::Add, time::Duration};

use serde::{Deserialize, Serialize};

/// Wall-clock time in milliseconds since the Unix epoch: what the store keeps and people read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// Time from `earlier` to `self`; zero when `earlier` is later (wall clocks step back).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The time `by` before this one.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }
}

/// A step of the wall clock: an operator, or NTP, has set it.
///
/// What was noted by the clock as it was moves with it, so that what is to come is as far away as before. What was noted in
/// an earlier boot stays: it was written by a clock that had been set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// By how many milliseconds it went ahead; negative: back.
    pub by: i64,
    /// Times from here on were noted by it, and move.
    pub since: UnixMs,
}

impl UnixMs {
    /// This time after the step. 0 stands for no time in many places, and is never moved.
    #[must_use]
    pub fn moved(self, step: &ClockStep) -> Self {
        if self.0 == 0 || self < step.since { self } else { Self(self.0.saturating_add(step.by)) }
    }
}

impl Add<Duration> for UnixMs {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The kernel's `CLOCK_MONOTONIC` in nanoseconds: only ever compared with other kernel times of the same boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MonotonicNs(pub u64);

impl MonotonicNs {
    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for MonotonicNs {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// How far the wall clock is ahead of the kernel's clock. It changes when the wall clock steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    nanoseconds: i64,
}

impl ClockOffset {
    /// Wall clock minus kernel clock.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self { nanoseconds }
    }

    /// Wall clock minus kernel clock, in nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// The same after a step of the wall clock.
    #[must_use]
    pub const fn moved(self, step: &ClockStep) -> Self {
        Self { nanoseconds: self.nanoseconds.saturating_add(step.by.saturating_mul(1_000_000)) }
    }

    /// The wall-clock time of a kernel time.
    #[must_use]
    pub fn unix(self, at: MonotonicNs) -> UnixMs {
        let nanoseconds = i64::try_from(at.0).unwrap_or(i64::MAX).saturating_add(self.nanoseconds);
        UnixMs(nanoseconds.div_euclid(1_000_000))
    }

    /// The kernel time of a wall-clock time, to a millisecond; zero for one before the kernel's clock began.
    #[must_use]
    pub fn kernel(self, at: UnixMs) -> MonotonicNs {
        let nanoseconds = at.0.saturating_mul(1_000_000).saturating_sub(self.nanoseconds);
        MonotonicNs(u64::try_from(nanoseconds).unwrap_or(0))
    }
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock.
    pub wall: UnixMs,
    /// How far that is ahead of the kernel's clock.
    pub offset: ClockOffset,
    /// The same when the kernel's tables were new to the store: by it, times that are kept are compared whatever the wall
    /// clock does meanwhile.
    pub steady: ClockOffset,
    /// Up to when everything that the kernel has reported is known: what happened later may still be unread.
    pub known: MonotonicNs,
}

impl fmt::Display for MonotonicNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}
