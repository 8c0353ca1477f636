//! How much one client, and one mail address, may ask: of the page, and of the control API.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use monitor_core::config::StandIn;

use crate::listener::{HeldPlace, Places, source};

/// Connections of one client at the same time: a browser opens six to a server.
const PER_CLIENT: usize = 32;

/// One address may be typed this often within an hour, by whomever.
const PER_MAIL: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Keys in a limiter before those that are idle are forgotten.
const KEYS: usize = 100_000;

/// See the module. One for all the ways to ask.
pub struct Limits {
    answers: DefaultKeyedRateLimiter<IpAddr>,
    mails: DefaultKeyedRateLimiter<String>,
    places: Arc<Places>,
}

impl Limits {
    /// These settings, and so many connections at the same time; nobody has asked yet.
    #[must_use]
    pub fn new(settings: &StandIn, connections: usize) -> Self {
        let answers = NonZeroU32::new(settings.answers).unwrap_or(NonZeroU32::MIN);
        Self {
            answers: RateLimiter::keyed(Quota::per_minute(answers)),
            mails: RateLimiter::keyed(
                Quota::with_period(Duration::from_secs(3600 / 5))
                    .unwrap_or(Quota::per_hour(PER_MAIL))
                    .allow_burst(PER_MAIL),
            ),
            places: Arc::new(Places::new(connections, PER_CLIENT)),
        }
    }

    /// Whether this client may answer now.
    pub(super) fn may_answer(&self, client: IpAddr) -> bool {
        if self.answers.len() > KEYS {
            self.answers.retain_recent();
        }
        self.answers.check_key(&source(client)).is_ok()
    }

    /// Whether this address may be typed now.
    pub(super) fn may_register(&self, mail: &str) -> bool {
        if self.mails.len() > KEYS {
            self.mails.retain_recent();
        }
        self.mails.check_key(&mail.to_lowercase()).is_ok()
    }

    /// Connections at the same time.
    pub(super) fn most(&self) -> usize {
        self.places.most()
    }

    /// A place for one more connection.
    pub(super) fn connection(&self, client: IpAddr) -> HeldPlace {
        self.places.take(client)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn one_client_answers_no_more_than_its_share_whatever_address_of_its_network_it_uses() {
        let limits = Limits::new(&StandIn { answers: 2, ..StandIn::default() }, 34);
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(limits.may_answer(addr("2001:db8::1")) && limits.may_answer(addr("2001:db8::2")));
        assert!(!limits.may_answer(addr("2001:db8::3")));
        assert!(limits.may_answer(addr("2001:db8:0:1::1")));
    }

    #[test]
    fn an_address_is_not_typed_again_and_again() {
        let limits = Limits::new(&StandIn::default(), 34);
        let taken = (0..10).filter(|_| limits.may_register("A@example.test")).count();
        assert_eq!(taken, 5);
        assert!(!limits.may_register("a@EXAMPLE.test"));
    }
}
