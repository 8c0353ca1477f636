//! How often one recipient is told: a machine of three times. It has no clock; the store keeps it.
//!
//! What happens waits until nothing has been told for `pause`, and for `gather` at least: what comes meanwhile goes into
//! the same message. So nobody gets more than one message per `pause`, however a service flaps, and a host that takes
//! twenty services down with it is one message too.

use std::time::Duration;

use crate::domain::UnixMs;

/// One recipient's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long others are waited for.
    pub gather: Duration,
    /// Between two messages.
    pub pause: Duration,
}

impl Timing {
    /// Of each the shorter one.
    #[must_use]
    pub fn shorter(self, other: Self) -> Self {
        Self { gather: self.gather.min(other.gather), pause: self.pause.min(other.pause) }
    }
}

/// One recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// When the latest message was written.
    pub latest: Option<UnixMs>,
    /// When the first of what waits was noted.
    pub since: Option<UnixMs>,
    /// When what waits is told; `None`: nothing waits.
    pub due: Option<UnixMs>,
}

impl Pace {
    /// Something has happened: when it is told at the latest.
    pub fn happened(&mut self, now: UnixMs, timing: Timing) -> UnixMs {
        // A clock that was set back must not silence anybody: what is ahead of it counts as now.
        let latest = self.latest.map(|latest| latest.min(now));
        let gathered = now + timing.gather;
        let due = latest.map_or(gathered, |latest| gathered.max(latest + timing.pause));
        self.since = Some(self.since.map_or(now, |since| since.min(now)));
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
        due
    }

    /// Whether what waits is to be told now.
    #[must_use]
    pub fn is_due(&self, now: UnixMs) -> bool {
        let set_back = self.since.is_some_and(|since| since > now);
        self.due.is_some_and(|due| due <= now || set_back)
    }

    /// Everything that waited is told.
    pub fn told(&mut self, now: UnixMs) {
        *self = Self { latest: Some(now), since: None, due: None };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMING: Timing = Timing { gather: Duration::from_secs(2), pause: Duration::from_secs(300) };

    #[test]
    fn the_first_is_told_soon_and_what_follows_together() {
        let mut pace = Pace::default();
        assert_eq!(pace.happened(UnixMs(10_000), TIMING), UnixMs(12_000));
        assert!(!pace.is_due(UnixMs(11_999)) && pace.is_due(UnixMs(12_000)));
        pace.told(UnixMs(12_000));
        assert!(!pace.is_due(UnixMs(i64::MAX)), "nothing waits");
        assert_eq!(pace.happened(UnixMs(13_000), TIMING), UnixMs(312_000));
        assert_eq!(pace.happened(UnixMs(311_000), TIMING), UnixMs(313_000));
        assert!(pace.is_due(UnixMs(312_000)), "by the first of them");
        pace.told(UnixMs(312_000));
        assert_eq!(pace.happened(UnixMs(10_000_000), TIMING), UnixMs(10_002_000), "after calm, soon again");
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nobody() {
        let mut pace = Pace { latest: Some(UnixMs(1_000_000_000)), ..Pace::default() };
        assert_eq!(pace.happened(UnixMs(10_000), TIMING), UnixMs(310_000));
        let mut pace = Pace::default();
        pace.happened(UnixMs(1_000_000_000), TIMING);
        assert!(pace.is_due(UnixMs(10_000)));
    }

    /// Something happens, or time passes and a message may be written.
    #[derive(Clone, Debug)]
    enum Step {
        Happens { gather: u64, pause: u64 },
        Passes(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u64, 0..400_u64).prop_map(|(gather, pause)| Step::Happens { gather, pause }),
            (1..60_000_i64).prop_map(Step::Passes),
        ]
    }

    proptest! {
        // proves: B-1a
        #[test]
        fn everything_is_told_once_in_time_and_never_sooner_than_the_shortest_pause(
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let (mut pace, mut now) = (Pace::default(), UnixMs(0));
            // What waits, as (when it is told at the latest, its pause).
            let mut waiting: Vec<(UnixMs, Duration)> = Vec::new();
            let (mut happened, mut told, mut latest) = (0, 0, None::<UnixMs>);
            for step in steps {
                match step {
                    Step::Happens { gather, pause: between } => {
                        let timing = Timing { gather: Duration::from_secs(gather), pause: Duration::from_secs(between) };
                        pace.happened(now, timing);
                        let after_pause = latest.map_or(now, |latest| latest + timing.pause);
                        waiting.push(((now + timing.gather).max(after_pause), timing.pause));
                        happened += 1;
                    }
                    Step::Passes(ms) => {
                        // The machine is looked at each second.
                        let until = UnixMs(now.0 + ms);
                        while now < until {
                            now = UnixMs((now.0 + 1000).min(until.0));
                            if !pace.is_due(now) {
                                continue;
                            }
                            prop_assert!(!waiting.is_empty(), "an empty message");
                            let shortest = waiting.iter().map(|(_, pause)| *pause).min().unwrap_or_default();
                            prop_assert!(latest.is_none_or(|latest| now.since(latest) >= shortest), "too soon");
                            told += waiting.len();
                            waiting.clear();
                            latest = Some(now);
                            pace.told(now);
                        }
                        prop_assert!(waiting.iter().all(|(due, _)| *due > now), "late");
                    }
                }
            }
            prop_assert_eq!(told + waiting.len(), happened);
        }
    }
}
