//! How much one client, and one mail address, may ask: of the page, and of the control API.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::counters::Count;
use crate::config::StandIn;

/// Connections of one client at the same time: a browser opens six to a server.
const PER_CLIENT: u32 = 32;

/// One address may be typed this often within an hour, by whomever.
const PER_MAIL: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Keys in a limiter before those that are idle are forgotten.
const KEYS: usize = 100_000;

/// See the module. One for all the ways to ask.
pub struct Limits {
    answers: DefaultKeyedRateLimiter<IpAddr>,
    mails: DefaultKeyedRateLimiter<String>,
    connections: Mutex<Connections>,
    most: usize,
}

#[derive(Default)]
struct Connections {
    /// What ends each of them, by age: numbers rise.
    open: BTreeMap<u64, CancellationToken>,
    next: u64,
    by_client: HashMap<IpAddr, u32>,
}

/// A connection that counts until it is dropped.
pub(super) struct Counted {
    limits: Arc<Limits>,
    number: u64,
    client: IpAddr,
    /// Cancelled when a newer one needs its place.
    pub(super) displaced: CancellationToken,
    /// It took the place of an older one.
    pub(super) displaces: bool,
}

impl Limits {
    /// These settings; nobody has asked yet.
    #[must_use]
    pub fn new(settings: &StandIn) -> Self {
        let answers = NonZeroU32::new(settings.answers).unwrap_or(NonZeroU32::MIN);
        Self {
            answers: RateLimiter::keyed(Quota::per_minute(answers)),
            mails: RateLimiter::keyed(
                Quota::with_period(Duration::from_secs(3600 / 5))
                    .unwrap_or(Quota::per_hour(PER_MAIL))
                    .allow_burst(PER_MAIL),
            ),
            connections: Mutex::default(),
            most: settings.connections as usize,
        }
    }

    /// Whether this client may answer now.
    pub(super) fn may_answer(&self, client: IpAddr) -> bool {
        if self.answers.len() > KEYS {
            self.answers.retain_recent();
        }
        self.answers.check_key(&block(client)).is_ok()
    }

    /// Whether this address may be typed now.
    pub(super) fn may_register(&self, mail: &str) -> bool {
        if self.mails.len() > KEYS {
            self.mails.retain_recent();
        }
        self.mails.check_key(&mail.to_lowercase()).is_ok()
    }

    /// Room for one more connection, or which limit it is beyond. When all places are taken the oldest is ended: a page is
    /// served in a moment, so whoever holds a place for long either hides behind slowness or listens to the stream, and
    /// comes again.
    pub(super) fn connection(self: &Arc<Self>, client: IpAddr) -> Result<Counted, Count> {
        let client = block(client);
        // A thread that panicked has counted at most one connection too many.
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let own = connections.by_client.get(&client).copied().unwrap_or_default();
        if own >= PER_CLIENT {
            return Err(Count::ClientLimit);
        }
        let mut displaces = false;
        while connections.open.len() >= self.most {
            let Some((_, oldest)) = connections.open.pop_first() else { break };
            oldest.cancel();
            displaces = true;
        }
        let (number, displaced) = (connections.next, CancellationToken::new());
        connections.next += 1;
        connections.open.insert(number, displaced.clone());
        connections.by_client.insert(client, own + 1);
        Ok(Counted { limits: Arc::clone(self), number, client, displaced, displaces })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut connections = self.limits.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.open.remove(&self.number);
        match connections.by_client.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(connections.by_client.remove(&self.client)),
        }
    }
}

/// One customer of a provider has a /64 of IPv6 addresses, and one of IPv4.
fn block(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn one_client_takes_no_more_than_its_share_whatever_address_of_its_network_it_uses() {
        let limits = Arc::new(Limits::new(&StandIn { answers: 2, connections: 33, ..StandIn::default() }));
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(limits.may_answer(addr("2001:db8::1")) && limits.may_answer(addr("2001:db8::2")));
        assert!(!limits.may_answer(addr("2001:db8::3")));
        assert!(limits.may_answer(addr("2001:db8:0:1::1")));
        let held: Vec<_> = (0..PER_CLIENT).map(|_| limits.connection(addr("10.0.0.1")).unwrap()).collect();
        assert_eq!(limits.connection(addr("10.0.0.1")).err(), Some(Count::ClientLimit));
        let _other = limits.connection(addr("10.0.0.2")).unwrap();
        assert!(held.iter().all(|held| !held.displaced.is_cancelled()));
        let _newest = limits.connection(addr("10.0.0.3")).unwrap();
        let displaced: Vec<_> = held.iter().map(|held| held.displaced.is_cancelled()).collect();
        assert!(displaced[0] && !displaced[1..].contains(&true), "all together have a limit too: {displaced:?}");
        drop(held);
        assert!(limits.connection(addr("10.0.0.1")).is_ok());
    }

    #[test]
    fn an_address_is_not_typed_again_and_again() {
        let limits = Limits::new(&StandIn::default());
        let taken = (0..10).filter(|_| limits.may_register("A@example.test")).count();
        assert_eq!(taken, 5);
        assert!(!limits.may_register("a@EXAMPLE.test"));
    }
}
