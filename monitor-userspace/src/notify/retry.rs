//! What follows from a try to deliver (pure): delivered, tried again later, or given up.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use crate::{
    outage::UnixMs,
    store::{Letter, Outcome},
};

/// Why a mail was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    permanent: bool,
    reason: String,
}

impl Trouble {
    /// The network or the server's manners.
    pub(super) fn network(reason: String) -> Self {
        Self { permanent: false, reason }
    }

    /// The letter itself can never be sent.
    pub(super) fn permanent(reason: String) -> Self {
        Self { permanent: true, reason }
    }

    pub(super) fn too_slow(who: &str, limit: Duration) -> Self {
        Self::network(format!("{who} did not answer within {}", humantime::format_duration(limit)))
    }

    /// Whether trying again is of no use.
    pub(super) const fn is_permanent(&self) -> bool {
        self.permanent
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Only a 5xx answer is permanent: a drop, a time-out or a broken answer says nothing of the mail.
impl From<lettre::transport::smtp::Error> for Trouble {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        let permanent = error.is_permanent();
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            let text = error.to_string();
            if !reason.contains(&text) {
                reason = format!("{reason}: {text}");
            }
            source = error.source();
        }
        Self { permanent, reason }
    }
}

/// Pauses between tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Backoff {
    /// What becomes of the letter after a try that ended at `now`.
    pub(super) fn outcome(self, letter: &Letter, result: Result<(), Trouble>, now: UnixMs) -> Outcome {
        match result {
            Ok(()) => Outcome::Delivered { at: now },
            Err(trouble) if trouble.permanent => Outcome::Dead { at: now, reason: trouble.reason },
            Err(trouble) => {
                let next = now + self.pause(letter);
                if next >= letter.expires {
                    let reason = format!("given up after {} tries: {}", letter.tries + 1, trouble.reason);
                    Outcome::Dead { at: now, reason }
                } else {
                    Outcome::Retry { at: next, reason: trouble.reason }
                }
            }
        }
    }

    /// Doubles with each try up to the longest; up to a fifth shorter, so that letters of one recovery spread.
    fn pause(self, letter: &Letter) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(letter.tries));
        let mut hasher = DefaultHasher::new();
        (letter.id.0, letter.tries).hash(&mut hasher);
        let shorter = f64::from((hasher.finish() >> 48) as u16) / f64::from(u16::MAX) / 5.0;
        doubled.min(self.longest).mul_f64(1.0 - shorter)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use proptest::prelude::*;

    use super::{Backoff, Trouble};
    use crate::{
        outage::{ClientAddr, OutageId, Recovery, UnixMs},
        store::{Letter, LetterId, Outcome},
    };

    fn letter(id: i64, tries: u32) -> Letter {
        Letter {
            id: LetterId(id),
            outage: OutageId(1),
            client: ClientAddr::new(IpAddr::from([10, 0, 1, 1])),
            to: "a@example.net".to_owned(),
            language: None,
            services: Vec::new(),
            recovered: UnixMs(0),
            evidence: Recovery::Answered,
            tries,
            expires: UnixMs(100_000_000),
        }
    }

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(1800) };

    #[test]
    fn a_permanent_answer_is_final_and_all_else_is_tried_until_the_letter_expires() {
        let now = UnixMs(1_000);
        let gone = Trouble::permanent("550 no such user".to_owned());
        let busy = Trouble::network("451 later".to_owned());
        assert_eq!(BACKOFF.outcome(&letter(1, 0), Ok(()), now), Outcome::Delivered { at: now });
        assert!(matches!(BACKOFF.outcome(&letter(1, 0), Err(gone), now), Outcome::Dead { .. }));
        assert!(matches!(BACKOFF.outcome(&letter(1, 0), Err(busy.clone()), now), Outcome::Retry { .. }));
        let late = UnixMs(99_990_000);
        assert_eq!(
            BACKOFF.outcome(&letter(1, 7), Err(busy), late),
            Outcome::Dead { at: late, reason: "given up after 8 tries: 451 later".to_owned() }
        );
    }

    proptest! {
        #[test]
        fn pauses_double_up_to_the_longest_and_are_never_zero(id in any::<i64>(), tries in 0..100_u32) {
            let pause = BACKOFF.pause(&letter(id, tries));
            let full = 30_u64.saturating_mul(2_u64.saturating_pow(tries)).min(1800);
            prop_assert!(pause <= Duration::from_secs(full));
            prop_assert!(pause >= Duration::from_secs(full).mul_f64(0.79));
            prop_assert_eq!(pause, BACKOFF.pause(&letter(id, tries)));
        }
    }
}
