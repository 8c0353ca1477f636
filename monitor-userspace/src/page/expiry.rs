//! When certificates are good, and when it is said that they are not: pure. In: their lifetimes and the time. Out: what there is
//! to say.

use std::time::Duration;

use jiff::tz::TimeZone;
use monitor_core::domain::{UnixMs, wall_clock::utc_and_local};

/// From so long before the end on it is said.
const EARLY: Duration = Duration::from_secs(14 * 24 * 3600);

/// Between two words about the same.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// When a certificate is good (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first moment.
    pub begins: UnixMs,
    /// The last moment.
    pub ends: UnixMs,
}

/// How good a certificate is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Its time has not come: the clock may be wrong, as at the start of a host that has none of its own.
    NotYet,
    /// It is good for a while.
    Good,
    /// It ends within two weeks.
    EndsSoon,
    /// Its time is over: browsers would refuse it.
    Ended,
}

impl Lifetime {
    /// How good it is now.
    #[must_use]
    pub fn validity(self, now: UnixMs) -> Validity {
        if now < self.begins {
            Validity::NotYet
        } else if now > self.ends {
            Validity::Ended
        } else if self.ends.since(now) <= EARLY {
            Validity::EndsSoon
        } else {
            Validity::Good
        }
    }

    /// What is said of it, behind the certificate's name.
    #[must_use]
    pub(super) fn words(self, validity: Validity, zone: &TimeZone) -> String {
        match validity {
            Validity::NotYet => {
                format!("is not valid before {}: is the clock right?", utc_and_local(self.begins, zone))
            }
            Validity::Ended => format!("has expired at {}: renew it", utc_and_local(self.ends, zone)),
            Validity::EndsSoon | Validity::Good => format!("expires at {}: renew it", utc_and_local(self.ends, zone)),
        }
    }
}

impl Validity {
    /// Whether a browser would take it.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Good | Self::EndsSoon)
    }
}

/// What was said of each certificate, in their order.
#[derive(Debug, Default)]
pub(super) struct Reminder(Vec<Option<(Validity, UnixMs)>>);

impl Reminder {
    /// Which certificates something is to be said of: at the first look, when one has ended, and once a day.
    pub(super) fn look(&mut self, lifetimes: &[Lifetime], now: UnixMs) -> Vec<(usize, Validity)> {
        self.0.resize(lifetimes.len(), None);
        let mut due = Vec::new();
        for (index, (said, lifetime)) in self.0.iter_mut().zip(lifetimes).enumerate() {
            let validity = lifetime.validity(now);
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

    const fn until(ends: i64) -> Lifetime {
        Lifetime { begins: UnixMs(0), ends: UnixMs(ends) }
    }

    #[test]
    fn an_end_is_said_two_weeks_before_then_daily_and_at_once_when_it_has_come() {
        let ends = [until(100 * DAY), until(20 * DAY), until(4 * DAY)];
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
        assert_eq!(until(5).validity(UnixMs(5)), Validity::EndsSoon);
        assert_eq!(until(5).validity(UnixMs(6)), Validity::Ended);
    }

    #[test]
    fn one_whose_time_has_not_come_is_said_to_be_so_until_it_has() {
        let lifetime = Lifetime { begins: UnixMs(2 * DAY), ends: UnixMs(100 * DAY) };
        let mut reminder = Reminder::default();
        let said: Vec<_> =
            (0..4 * 48).flat_map(|half_hour| reminder.look(&[lifetime], UnixMs(half_hour * DAY / 48))).collect();
        assert_eq!(said, [(0, Validity::NotYet), (0, Validity::NotYet)], "daily");
        assert!(
            lifetime.validity(UnixMs(2 * DAY)).is_good() && !Validity::NotYet.is_good() && !Validity::Ended.is_good()
        );
    }
}
