//! When certificates end, and when that is said: pure. In: their ends and the time. Out: what there is to say.

use std::time::Duration;

use crate::outage::UnixMs;

/// From so long before the end on it is said.
const EARLY: Duration = Duration::from_secs(14 * 24 * 3600);

/// Between two words about the same.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// How long a certificate is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is good for a while.
    Good,
    /// It ends within two weeks.
    EndsSoon,
    /// Its time is over: browsers would refuse it.
    Ended,
}

impl Validity {
    /// Of a certificate whose last valid moment is `ends`.
    #[must_use]
    pub fn of(ends: UnixMs, now: UnixMs) -> Self {
        if now > ends {
            Self::Ended
        } else if ends.since(now) <= EARLY {
            Self::EndsSoon
        } else {
            Self::Good
        }
    }
}

/// What was said of each certificate, in their order.
#[derive(Debug, Default)]
pub(super) struct Reminder(Vec<Option<(Validity, UnixMs)>>);

impl Reminder {
    /// Which certificates something is to be said of: at the first look, when one has ended, and once a day.
    pub(super) fn look(&mut self, ends: &[UnixMs], now: UnixMs) -> Vec<(usize, Validity)> {
        self.0.resize(ends.len(), None);
        let mut due = Vec::new();
        for (index, (said, ends)) in self.0.iter_mut().zip(ends).enumerate() {
            let validity = Validity::of(*ends, now);
            let is_said = said.is_some_and(|(last, at)| last == validity && now.since(at) < AGAIN);
            if validity != Validity::Good && !is_said {
                *said = Some((validity, now));
                due.push((index, validity));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600 * 1000;

    #[test]
    fn an_end_is_said_two_weeks_before_then_daily_and_at_once_when_it_has_come() {
        let ends = [UnixMs(100 * DAY), UnixMs(20 * DAY), UnixMs(4 * DAY)];
        let mut reminder = Reminder::default();
        let mut said = Vec::new();
        // Twice an hour for twenty-two days.
        for half_hour in 0..22 * 48 {
            let now = UnixMs(half_hour * DAY / 48);
            said.extend(reminder.look(&ends, now).into_iter().map(|(index, validity)| (now.0 / DAY, index, validity)));
        }
        let of =
            |index| said.iter().filter(move |line| line.1 == index).map(|line| (line.0, line.2)).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        let soon = (6..=19).map(|day| (day, Validity::EndsSoon));
        assert_eq!(
            of(1),
            soon.chain([(20, Validity::EndsSoon), (20, Validity::Ended), (21, Validity::Ended)]).collect::<Vec<_>>()
        );
        let soon = (0..=4).map(|day| (day, Validity::EndsSoon));
        assert_eq!(of(2), soon.chain((4..22).map(|day| (day, Validity::Ended))).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_moment_still_counts() {
        assert_eq!(Validity::of(UnixMs(5), UnixMs(5)), Validity::EndsSoon);
        assert_eq!(Validity::of(UnixMs(5), UnixMs(6)), Validity::Ended);
    }
}
