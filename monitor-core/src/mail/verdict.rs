//! How a try went -> what becomes of the letter. Pure: the clock comes in as an argument.
//!
//! Only a permanent SMTP answer to this very letter ends it early. Everything else is tried again, with pauses that
//! double, until the letter's lifetime is over.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::{
    config,
    domain::UnixMs,
    mail::{Letter, LetterId, Outcome},
};

/// How a try to deliver a letter went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Accepted: a 2xx after the final dot, or a file in the Maildir.
    Accepted,
    /// A 5xx to sender, recipient or message; or a letter that cannot be written as a message.
    Refused(String),
    /// A 4xx, a lost connection or a time-out: also where nobody knows whether the mail server took it.
    Deferred(String),
    /// No session came about, so this says nothing of the letter: no connection, no TLS, no login.
    NoSession(String),
}

/// When a letter is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first try.
    first: Duration,
    /// At most.
    max: Duration,
}

impl Backoff {
    /// The pauses of these settings.
    #[must_use]
    pub fn new(settings: &config::Notify) -> Self {
        Self { first: settings.retry, max: settings.retry_max.max(settings.retry) }
    }

    /// The shortest pause: what a delivery worker waits before it asks for a session again.
    pub const fn first(self) -> Duration {
        self.first
    }

    /// The pause after `tries` earlier tries and one more. Up to a quarter is taken off, differently for each letter,
    /// so that letters that failed together do not all come back together.
    fn pause(self, id: LetterId, tries: u32) -> Duration {
        let full = self.first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(self.max);
        let mut hasher = DefaultHasher::new();
        (id, tries).hash(&mut hasher);
        let spread = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        full - full / 4000 * spread
    }
}

/// The outcome of a try that ended at `now`.
pub fn outcome(letter: &Letter, attempt: Attempt, now: UnixMs, backoff: Backoff) -> Outcome {
    match attempt {
        Attempt::Accepted => Outcome::Delivered { at: now },
        Attempt::Refused(reason) => Outcome::Dead { at: now, reason },
        Attempt::Deferred(reason) | Attempt::NoSession(reason) => {
            let at = now + backoff.pause(letter.id, letter.tries);
            if at < letter.expires {
                Outcome::Retry { at, reason }
            } else {
                let tries = letter.tries.saturating_add(1);
                Outcome::Dead { at: now, reason: format!("lifetime is over after {tries} tries; last: {reason}") }
            }
        }
    }
}

/// The outcome of a letter that is too old to be tried at all: stale news help nobody.
pub fn expired(letter: &Letter, now: UnixMs) -> Option<Outcome> {
    (now >= letter.expires).then(|| Outcome::Dead {
        at: now,
        reason: format!("lifetime was over before it could be tried again ({} tries)", letter.tries),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::sample::letter;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn backoff(first: u64, max: u64) -> Backoff {
        Backoff { first: Duration::from_millis(first), max: Duration::from_millis(max) }
    }

    #[test]
    fn only_a_refusal_ends_a_letter_early() {
        let letter = Letter { expires: UnixMs(i64::MAX), ..letter(1) };
        let ends = |attempt| outcome(&letter, attempt, NOW, backoff(1000, 8000));
        assert_eq!(ends(Attempt::Accepted), Outcome::Delivered { at: NOW });
        assert_eq!(ends(Attempt::Refused("550".into())), Outcome::Dead { at: NOW, reason: "550".into() });
        assert!(matches!(ends(Attempt::Deferred("450".into())), Outcome::Retry { reason, .. } if reason == "450"));
        assert!(matches!(ends(Attempt::NoSession("down".into())), Outcome::Retry { reason, .. } if reason == "down"));
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_the_longest_and_lose_a_quarter_at_most(
            id in any::<i64>(), tries in 0_u32..100, first in 1_u64..100_000, more in 0_u64..10_000_000,
        ) {
            let backoff = backoff(first, first + more);
            let pause = backoff.pause(LetterId(id), tries);
            let full = u64::try_from((u128::from(first) << tries.min(60)).min(u128::from(first + more))).unwrap_or(u64::MAX);
            prop_assert!(pause <= Duration::from_millis(full));
            prop_assert!(pause >= Duration::from_millis(full) * 3 / 4);
            prop_assert_eq!(pause, backoff.pause(LetterId(id), tries));
        }

        #[test]
        fn no_letter_is_put_off_past_its_lifetime(
            tries in 0_u32..40, left in -1_000_000_i64..10_000_000, first in 1_u64..100_000,
        ) {
            let letter = Letter { tries, expires: UnixMs(NOW.0 + left), ..letter(1) };
            match outcome(&letter, Attempt::Deferred("450".into()), NOW, backoff(first, first * 8)) {
                Outcome::Retry { at, .. } => prop_assert!(at > NOW || first < 2, "{at:?}"),
                Outcome::Dead { reason, .. } => prop_assert!(reason.contains("lifetime") && reason.contains("450")),
                other @ Outcome::Delivered { .. } => prop_assert!(false, "{other:?}"),
            }
            if let Outcome::Retry { at, .. } = outcome(&letter, Attempt::Deferred(String::new()), NOW, backoff(first, first * 8)) {
                prop_assert!(at < letter.expires);
            }
            prop_assert_eq!(expired(&letter, NOW).is_some(), left <= 0);
        }
    }
}
