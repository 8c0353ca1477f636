//! How much one client, and one mail address, may ask: of the page, and of the control API.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use monitor_core::config::StandIn;
use tokio_util::sync::CancellationToken;

use super::counters::Count;

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
    connections: Mutex<Connections>,
    most: usize,
}

#[derive(Default)]
struct Connections {
    /// Whose each of them is, and what ends it, by age: numbers rise.
    open: BTreeMap<u64, (IpAddr, CancellationToken)>,
    next: u64,
    by_client: HashMap<IpAddr, BTreeSet<u64>>,
}

/// A connection that counts until it is dropped.
pub(super) struct Counted {
    limits: Arc<Limits>,
    number: u64,
    /// Cancelled when a newer one needs its place.
    pub(super) displaced: CancellationToken,
    /// It took the place of an older one: of its own client, or of all.
    pub(super) displaces: Option<Count>,
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

    /// Counts one more connection. When its client has its share, or all places are taken, the oldest is ended: a page is
    /// served in a moment, so whoever holds a place for long either hides behind slowness or listens to the stream, and
    /// comes again. Nobody is turned away: behind one address there may be a whole office.
    pub(super) fn connection(self: &Arc<Self>, client: IpAddr) -> Counted {
        let client = block(client);
        let mut connections = self.connections();
        let displaces = if connections.by_client.get(&client).is_some_and(|own| own.len() >= PER_CLIENT) {
            connections.end_oldest_of(client);
            Some(Count::ClientLimit)
        } else if connections.open.len() >= self.most {
            connections.end_oldest();
            Some(Count::Displaced)
        } else {
            None
        };
        let (number, displaced) = (connections.next, CancellationToken::new());
        connections.next += 1;
        connections.open.insert(number, (client, displaced.clone()));
        connections.by_client.entry(client).or_default().insert(number);
        Counted { limits: Arc::clone(self), number, displaced, displaces }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // A thread that panicked has counted at most one connection too many.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn end_oldest(&mut self) {
        if let Some(oldest) = self.open.keys().next().copied() {
            self.end(oldest);
        }
    }

    fn end_oldest_of(&mut self, client: IpAddr) {
        if let Some(oldest) = self.by_client.get(&client).and_then(BTreeSet::first).copied() {
            self.end(oldest);
        }
    }

    /// Its place is free at once, though its task may need a moment to end.
    fn end(&mut self, number: u64) {
        let Some((client, displaced)) = self.open.remove(&number) else { return };
        displaced.cancel();
        if let Entry::Occupied(mut own) = self.by_client.entry(client) {
            own.get_mut().remove(&number);
            if own.get().is_empty() {
                own.remove();
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.limits.connections().end(self.number);
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
    fn one_client_answers_no_more_than_its_share_whatever_address_of_its_network_it_uses() {
        let limits = Arc::new(Limits::new(&StandIn { answers: 2, ..StandIn::default() }));
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(limits.may_answer(addr("2001:db8::1")) && limits.may_answer(addr("2001:db8::2")));
        assert!(!limits.may_answer(addr("2001:db8::3")));
        assert!(limits.may_answer(addr("2001:db8:0:1::1")));
    }

    #[test]
    fn the_oldest_connection_makes_room_of_its_own_client_or_of_all() {
        let limits = Arc::new(Limits::new(&StandIn { connections: 34, ..StandIn::default() }));
        let addr = |text: &str| text.parse::<IpAddr>().unwrap();
        let connect = |from: &str| limits.connection(addr(from));
        let ended = |held: &[Counted]| -> Vec<_> {
            held.iter().enumerate().filter(|(_, held)| held.displaced.is_cancelled()).map(|(at, _)| at).collect()
        };
        let mut held: Vec<_> =
            [connect("10.0.0.2")].into_iter().chain((0..PER_CLIENT).map(|_| connect("10.0.0.1"))).collect();
        assert!(held.iter().all(|held| held.displaces.is_none()));
        held.push(connect("10.0.0.1"));
        assert_eq!(
            (ended(&held), held[33].displaces),
            (vec![1], Some(Count::ClientLimit)),
            "its own, though not the oldest"
        );
        held.push(connect("10.0.0.3"));
        assert_eq!((ended(&held), held[34].displaces), (vec![1], None));
        held.push(connect("10.0.0.3"));
        assert_eq!((ended(&held), held[35].displaces), (vec![0, 1], Some(Count::Displaced)), "the oldest of all");
        drop(held);
        let connections = limits.connections();
        assert!(connections.open.is_empty() && connections.by_client.is_empty());
    }

    #[test]
    fn an_address_is_not_typed_again_and_again() {
        let limits = Limits::new(&StandIn::default());
        let taken = (0..10).filter(|_| limits.may_register("A@example.test")).count();
        assert_eq!(taken, 5);
        assert!(!limits.may_register("a@EXAMPLE.test"));
    }
}
