//! How a try went -> what becomes of the letter. Pure: the clock comes in as an argument.
//!
//! Only a permanent SMTP answer to this very letter ends it early. Everything else is tried again, with pauses that
//! double, until the letter's lifetime is over. Where the mail server may have taken the letter, the pauses are much
//! longer: each try may be one more copy.

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
    /// A 4xx, a refusal that speaks of us, or a lost connection before the message's end: not taken.
    Deferred(String),
    /// No session came about, so this says nothing of the letter: no connection, no TLS, no login, or a refusal that every
    /// letter would get.
    NoSession(String),
    /// The whole message was sent, and no code came back: nobody knows whether the mail server took it.
    Unknown(String),
}

/// Pauses after an end that nobody knows are longer by this power of two: with the default settings 8 minutes, not 30 s.
const UNKNOWN_STEPS: u32 = 4;
/// And they grow up to this part of the lifetime: about ten copies in all at a server that takes everything and never
/// says so.
const UNKNOWN_SHARE: u32 = 8;

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
        self.pause_up_to(self.max, id, tries)
    }

    /// The pause where the mail server may have taken the letter.
    fn pause_unknown(self, letter: &Letter) -> Duration {
        let longest = self.max.max(letter.expires.since(letter.at) / UNKNOWN_SHARE);
        self.pause_up_to(longest, letter.id, letter.tries.saturating_add(UNKNOWN_STEPS))
    }

    fn pause_up_to(self, longest: Duration, id: LetterId, tries: u32) -> Duration {
        let full = self.first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(longest);
        let mut hasher = DefaultHasher::new();
        (id, tries).hash(&mut hasher);
        let spread = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        full - full / 4000 * spread
    }
}

/// The outcome of a try that ended at `now`.
pub fn outcome(letter: &Letter, attempt: Attempt, now: UnixMs, backoff: Backoff) -> Outcome {
    let (pause, reason) = match attempt {
        Attempt::Accepted => return Outcome::Delivered { at: now },
        Attempt::Refused(reason) => return Outcome::Dead { at: now, reason },
        Attempt::Deferred(reason) | Attempt::NoSession(reason) => (backoff.pause(letter.id, letter.tries), reason),
        Attempt::Unknown(reason) => {
            let reason = format!("{reason}; it may have been taken, so the next try waits longer");
            (backoff.pause_unknown(letter), reason)
        }
    };
    let at = now + pause;
    if at < letter.expires {
        Outcome::Retry { at, reason }
    } else {
        let tries = letter.tries.saturating_add(1);
        Outcome::Dead { at: now, reason: format!("lifetime is over after {tries} tries; last: {reason}") }
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

    // proves: R-2
    #[test]
    fn a_letter_that_may_have_been_taken_waits_longer_each_time_and_gets_few_copies() {
        let settings = config::Notify::default();
        let backoff = Backoff::new(&settings);
        let mut letter = Letter { at: NOW, expires: NOW + settings.lifetime, ..letter(1) };
        let (mut now, mut pauses) = (NOW, Vec::new());
        while let Outcome::Retry { at, reason } = outcome(&letter, Attempt::Unknown("cut".into()), now, backoff) {
            assert!(reason.contains("may have been taken"), "{reason}");
            pauses.push(at.since(now));
            (now, letter.tries) = (at, letter.tries + 1);
        }
        assert!(pauses[0] >= settings.retry * 12, "{pauses:?}");
        assert!(pauses.windows(2).take(5).all(|pair| pair[1] > pair[0]), "{pauses:?}");
        assert!((8..=16).contains(&pauses.len()), "{pauses:?}");
        // However often it was put off before: it is tried again.
        letter = Letter { tries: 90, ..letter };
        assert!(matches!(outcome(&letter, Attempt::Unknown("cut".into()), NOW, backoff), Outcome::Retry { .. }));
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
