//! Answering those who claim a shared address (H-4): the kernel's count of claims and the time in, out when the active host
//! says again that it is the one. Pure.
//!
//! The first claim is answered at once. While claims go on, there is one answer per [`PAUSE`]: two hosts that both mean it
//! must not flood the link (RFC 5227 section 2.4).

use std::time::Duration;

use crate::domain::MonotonicNs;

/// Between two answers.
pub const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defence {
    /// The kernel's count at the last look.
    seen: u64,
    /// Claims while this host was active.
    conflicts: u64,
    /// A claim has not been answered yet.
    owed: bool,
    not_before: MonotonicNs,
}

impl Defence {
    /// Looks at the count. Says whether to announce now.
    pub fn look(&mut self, now: MonotonicNs, active: bool, claims: u64) -> bool {
        let new = claims.saturating_sub(self.seen);
        self.seen = claims;
        if !active {
            // Another host's right, or another host's to answer.
            self.owed = false;
            return false;
        }
        self.conflicts += new;
        self.owed |= new > 0;
        if !self.owed || now < self.not_before {
            return false;
        }
        (self.owed, self.not_before) = (false, now + PAUSE);
        true
    }

    /// When to look again if nothing comes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicNs> {
        self.owed.then_some(self.not_before)
    }

    /// How often another has claimed an address while this host was active.
    #[must_use]
    pub const fn conflicts(&self) -> u64 {
        self.conflicts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> MonotonicNs {
        MonotonicNs(ms * 1_000_000)
    }

    // proves: H-4
    #[test]
    fn a_claim_is_answered_at_once_and_many_once_a_second() {
        let mut defence = Defence::default();
        assert!(!defence.look(ms(0), true, 0));
        assert!(defence.look(ms(10), true, 1));
        assert!(!defence.look(ms(20), true, 50));
        assert_eq!(defence.next_deadline(), Some(ms(1010)));
        assert!(defence.look(ms(1010), true, 50), "those of the pause are answered after it");
        assert!(!defence.look(ms(3000), true, 50));
        assert_eq!((defence.next_deadline(), defence.conflicts()), (None, 50));
    }

    // proves: H-1 H-4
    #[test]
    fn a_host_in_standby_answers_nothing_also_not_later() {
        let mut defence = Defence::default();
        assert!(!defence.look(ms(0), false, 3));
        assert!(!defence.look(ms(10), true, 3), "what was claimed before belongs to the host before");
        assert_eq!(defence.conflicts(), 0);
    }

    proptest! {
        #[test]
        fn answers_keep_their_distance_and_no_claim_stays_unanswered(steps in prop::collection::vec((1..400_u64, 0..3_u64), 0..200)) {
            let mut defence = Defence::default();
            let (mut now, mut claims, mut latest_answer, mut oldest_claim) = (0, 0, None::<u64>, None::<u64>);
            for (passed, new) in steps {
                now += passed;
                claims += new;
                if new > 0 {
                    oldest_claim = oldest_claim.or(Some(now));
                }
                if defence.look(ms(now), true, claims) {
                    prop_assert!(latest_answer.is_none_or(|at| now - at >= 1000));
                    prop_assert!(oldest_claim.is_some());
                    (latest_answer, oldest_claim) = (Some(now), None);
                }
                // Looked at late by no more than the last step.
                prop_assert!(oldest_claim.is_none_or(|at| now - at < 1000 + 400));
                prop_assert_eq!(oldest_claim.is_some(), defence.next_deadline().is_some());
            }
        }
    }
}
