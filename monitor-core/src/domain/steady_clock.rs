//! The clock that everything is dated by: the wall clock as it was last adopted, and from then on the boot's own clock.
//!
//! A wall clock steps: a host without a clock of its own boots in the past, and NTP sets it; an operator mistypes. Ages and
//! pauses must not see that. So the time of day is taken from the clock of the boot (`CLOCK_BOOTTIME`, which does not step,
//! and goes on while the host sleeps), and a step is adopted as one change: all times that were noted in this boot move with
//! it. Pure: the caller reads the clocks and keeps this in the store.

use std::time::Duration;

use super::{ClockOffset, ClockStep, MonotonicNs, UnixMs};

/// A smaller change is no step. Clocks that are steered drift by less between two looks.
const SMALLEST_STEP: Duration = Duration::from_secs(1);

/// The clocks of this host at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Which boot it is (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// How far the wall clock is ahead of the boot's clock.
    pub ahead: ClockOffset,
    /// The boot's clock.
    pub at: MonotonicNs,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SteadyClock {
    /// The boot in which it was adopted.
    pub boot: String,
    /// How far this clock is ahead of the boot's.
    pub ahead: ClockOffset,
    /// How far the wall clock was when that was looked at.
    pub measured: ClockOffset,
    /// Times from here on were noted in this boot.
    pub began: UnixMs,
    /// The wall clock was behind what was noted before: nobody has set it yet.
    pub is_behind: bool,
}

impl SteadyClock {
    /// The clock to go on with after a start, and the step of the wall clock since the process before, in the same boot.
    /// `kept`: that process's clock, and the latest time that it noted.
    #[must_use]
    pub fn begin(kept: Option<(Self, UnixMs)>, reading: &ClockReading) -> (Self, Option<ClockStep>) {
        let ClockReading { boot, ahead, at } = reading.clone();
        let wall = ahead.unix(at);
        match kept {
            Some((kept, _)) if kept.boot == boot => match kept.follow(reading) {
                Some((clock, step)) => (clock, Some(step)),
                None => (kept, None),
            },
            // Time does not go back: what is to come would be years away, and what is old would be yet to come.
            Some((_, known)) if wall < known => {
                let missing = ClockStep { by: known.0.saturating_sub(wall.0), since: UnixMs::default() };
                (Self { boot, ahead: ahead.moved(&missing), measured: ahead, began: known, is_behind: true }, None)
            }
            _ => (Self { boot, ahead, measured: ahead, began: wall, is_behind: false }, None),
        }
    }

    /// This clock and the step, if the wall clock has stepped.
    #[must_use]
    pub fn follow(&self, reading: &ClockReading) -> Option<(Self, ClockStep)> {
        let change = reading.ahead.nanoseconds().abs_diff(self.measured.nanoseconds());
        let is_right = if self.is_behind {
            // Somebody has set it, or what was noted before was ahead of the truth, and the truth has come up with it.
            reading.ahead.unix(reading.at) >= self.began
        } else {
            u128::from(change) >= SMALLEST_STEP.as_nanos()
        };
        if !is_right {
            return None;
        }
        let by = reading.ahead.nanoseconds().saturating_sub(self.ahead.nanoseconds()) / 1_000_000;
        let step = ClockStep { by, since: self.began };
        let ahead = reading.ahead;
        let clock =
            Self { boot: self.boot.clone(), ahead, measured: ahead, began: self.began.moved(&step), is_behind: false };
        Some((clock, step))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const DAY: i64 = 86_400 * SECOND;
    /// 2026-11-28T00:00:00Z, when the boot's clock began.
    const BOOT: i64 = 1_795_824_000 * SECOND;

    fn reading(boot: &str, ahead: i64, seconds: u64) -> ClockReading {
        let at = MonotonicNs(seconds * 1_000_000_000);
        ClockReading { boot: boot.to_owned(), ahead: ClockOffset::from_nanoseconds(ahead), at }
    }

    fn fresh(ahead: i64) -> SteadyClock {
        SteadyClock::begin(None, &reading("a", ahead, 10)).0
    }

    #[test]
    fn a_step_moves_what_was_noted_in_this_boot_by_as_much() {
        for by in [3 * DAY, -7200 * SECOND, SECOND, -SECOND] {
            let clock = fresh(BOOT);
            let (next, step) = clock.follow(&reading("a", BOOT + by, 70)).unwrap();
            assert_eq!(step, ClockStep { by: by / 1_000_000, since: UnixMs(BOOT / 1_000_000 + 10_000) });
            assert_eq!(next.ahead.nanoseconds(), BOOT + by);
            // The same after a restart of the process in between.
            assert_eq!(
                SteadyClock::begin(Some((clock, UnixMs(0))), &reading("a", BOOT + by, 70)),
                (next.clone(), Some(step))
            );
            assert_eq!(next.follow(&reading("a", BOOT + by, 80)), None);
            // And back.
            let (again, back) = next.follow(&reading("a", BOOT, 90)).unwrap();
            assert_eq!((back.by, again.ahead.nanoseconds(), again.began), (-step.by, BOOT, step.since));
        }
    }

    #[test]
    fn small_changes_add_up_to_a_step() {
        let clock = fresh(BOOT);
        assert_eq!(clock.follow(&reading("a", BOOT + SECOND / 2, 20)), None);
        assert!(clock.follow(&reading("a", BOOT + SECOND, 30)).is_some());
    }

    #[test]
    fn a_boot_without_a_clock_goes_on_where_the_one_before_ended_until_somebody_sets_it() {
        let known = UnixMs((BOOT + DAY) / 1_000_000);
        let (clock, step) = SteadyClock::begin(Some((fresh(BOOT), known)), &reading("b", 0, 5));
        assert_eq!((step, clock.is_behind, clock.began), (None, true, known));
        assert_eq!(clock.ahead.unix(MonotonicNs(5_000_000_000)), known);
        // Set, and still wrong.
        assert_eq!(clock.follow(&reading("b", DAY, 30)), None);
        // NTP: eight hours have passed in truth.
        let truth = BOOT + DAY + 8 * 3600 * SECOND;
        let (set, step) = clock.follow(&reading("b", truth, 60)).unwrap();
        assert_eq!((set.ahead.nanoseconds(), set.is_behind, step.since), (truth, false, known));
        let noted = clock.ahead.unix(MonotonicNs(50_000_000_000)).moved(&step);
        assert_eq!(noted, UnixMs(truth / 1_000_000 + 50_000));
        // Nobody sets it, as it is right: what the boot before has noted was a minute ahead.
        let late = UnixMs(BOOT / 1_000_000 + 60_000);
        let (clock, _) = SteadyClock::begin(Some((fresh(BOOT), late)), &reading("b", BOOT, 5));
        assert_eq!((clock.began, clock.follow(&reading("b", BOOT, 59))), (late, None));
        let (right, back) = clock.follow(&reading("b", BOOT, 60)).unwrap();
        assert_eq!((right.ahead.nanoseconds(), right.is_behind, back.by), (BOOT, false, -55_000));
        // What the boot before has noted stays.
        assert_eq!(UnixMs(known.0 - 1).moved(&step), UnixMs(known.0 - 1));
    }

    #[test]
    fn a_boot_with_a_clock_begins_anew() {
        let (clock, step) = SteadyClock::begin(Some((fresh(BOOT), UnixMs(5))), &reading("b", BOOT + DAY, 5));
        assert_eq!((clock.ahead.nanoseconds(), clock.is_behind, step), (BOOT + DAY, false, None));
    }
}
