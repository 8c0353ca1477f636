//! Who may be connected: a place for each connection, in all and for each source.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Places {
    held: Mutex<Held>,
    most: usize,
    per_source: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// Whose each of them is, and what ends it, by age: numbers rise.
    open: BTreeMap<u64, (IpAddr, CancellationToken)>,
    next: u64,
    by_source: HashMap<IpAddr, BTreeSet<u64>>,
}

/// Whose connection had to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Displaced {
    /// The oldest of the same source, which had its share.
    OfSource,
    /// The oldest of all.
    OfAll,
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldPlace {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when a newer connection needs it.
    pub(crate) displaced: CancellationToken,
    /// Whether an older connection made room.
    pub(crate) displaces: Option<Displaced>,
}

impl Places {
    /// So many in all, and so many for one source.
    pub(crate) fn new(most: usize, per_source: usize) -> Self {
        Self { held: Mutex::default(), most, per_source }
    }

    /// How many there are.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Takes one. When its source has its share, or all are taken, the oldest connection is ended: an answer takes a moment,
    /// so whoever holds a place for long either hides behind slowness or listens to the stream, and comes again. Nobody is
    /// turned away: behind one address there may be a whole office.
    pub(crate) fn take(self: &Arc<Self>, from: IpAddr) -> HeldPlace {
        let source = source(from);
        let mut held = self.held();
        let displaces = if held.by_source.get(&source).is_some_and(|own| own.len() >= self.per_source) {
            held.end_oldest_of(source);
            Some(Displaced::OfSource)
        } else if held.open.len() >= self.most {
            held.end_oldest();
            Some(Displaced::OfAll)
        } else {
            None
        };
        let (number, displaced) = (held.next, CancellationToken::new());
        held.next += 1;
        held.open.insert(number, (source, displaced.clone()));
        held.by_source.entry(source).or_default().insert(number);
        HeldPlace { places: Arc::clone(self), number, displaced, displaces }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A thread that panicked has counted at most one connection too many.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn end_oldest(&mut self) {
        if let Some(oldest) = self.open.keys().next().copied() {
            self.end(oldest);
        }
    }

    fn end_oldest_of(&mut self, source: IpAddr) {
        if let Some(oldest) = self.by_source.get(&source).and_then(BTreeSet::first).copied() {
            self.end(oldest);
        }
    }

    /// Its place is free at once, though its task may need a moment to end.
    fn end(&mut self, number: u64) {
        let Some((source, displaced)) = self.open.remove(&number) else { return };
        displaced.cancel();
        if let Entry::Occupied(mut own) = self.by_source.entry(source) {
            own.get_mut().remove(&number);
            if own.get().is_empty() {
                own.remove();
            }
        }
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.places.held().end(self.number);
    }
}

/// One customer of a provider has a /64 of IPv6 addresses, and one of IPv4.
pub(crate) fn source(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_oldest_connection_makes_room_of_its_own_source_or_of_all() {
        let places = Arc::new(Places::new(34, 32));
        let connect = |from: &str| places.take(from.parse().unwrap());
        let ended = |held: &[HeldPlace]| -> Vec<_> {
            held.iter().enumerate().filter(|(_, held)| held.displaced.is_cancelled()).map(|(at, _)| at).collect()
        };
        let mut held: Vec<_> = [connect("10.0.0.2")].into_iter().chain((0..32).map(|_| connect("10.0.0.1"))).collect();
        assert!(held.iter().all(|held| held.displaces.is_none()));
        held.push(connect("10.0.0.1"));
        let own = (ended(&held), held[33].displaces);
        assert_eq!(own, (vec![1], Some(Displaced::OfSource)), "its own, though not the oldest");
        held.push(connect("10.0.0.3"));
        assert_eq!((ended(&held), held[34].displaces), (vec![1], None));
        held.push(connect("10.0.0.3"));
        assert_eq!((ended(&held), held[35].displaces), (vec![0, 1], Some(Displaced::OfAll)), "the oldest of all");
        drop(held);
        let held = places.held();
        assert!(held.open.is_empty() && held.by_source.is_empty());
    }
}
