//! What gateways that share traffic ask each other: whether an attempt was answered where the one who asks does not see it.

use std::time::Duration;

use crate::domain::{AttemptMask, ClientAddr, Service, UnixMs};

/// Gateways' clocks agree to within this.
const CLOCKS: Duration = Duration::from_secs(1);

/// One attempt that nobody was seen to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What was tried.
    pub service: Service,
    /// Who tried.
    pub client: ClientAddr,
    /// From which port.
    pub client_port: u16,
    /// The SYN's sequence number: only an answer of just that SYN acknowledges it.
    pub seq: u32,
    /// When the SYN passed.
    pub since: UnixMs,
    /// Attempts of this client that the report stood for.
    pub attempts: u32,
}

impl Question {
    /// Which of the client's attempts it is about.
    #[must_use]
    pub const fn mask(&self) -> AttemptMask {
        AttemptMask::of(self.client_port, self.seq)
    }

    /// Up to when the service was well, by what the gateway that is asked knows: whether just this answer passed there,
    /// without its SYN, and when the service last answered a SYN that passed there. `None`: nothing is known.
    #[must_use]
    pub fn well(&self, just_this_answer: bool, last_answer: Option<UnixMs>) -> Option<UnixMs> {
        if just_this_answer { Some(self.since) } else { last_answer.filter(|last| *last >= self.since + CLOCKS) }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_answer_itself_or_a_later_one_says_that_the_service_was_well() {
        let question = Question {
            service: "10.0.2.7:80".parse().unwrap(),
            client: ClientAddr::new([10, 0, 1, 1].into()),
            client_port: 40_000,
            seq: 1,
            since: UnixMs(10_000),
            attempts: 1,
        };
        for (just_this, last, well) in [
            (false, None, None),
            (true, None, Some(10_000)),
            (true, Some(12_000), Some(10_000)),
            // By clocks that are a second apart, this may have been before the attempt.
            (false, Some(10_999), None),
            (false, Some(11_000), Some(11_000)),
        ] {
            assert_eq!(question.well(just_this, last.map(UnixMs)), well.map(UnixMs), "{just_this} {last:?}");
        }
    }
}
