//! No stampede: at most so many letters per second and recovered service (design rule 8).
//!
//! People who are told at the same moment come back at the same moment, to a service that has just started. A letter
//! about several services counts for the first of them.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::HashMapStateStore,
};

use super::Letter;
use crate::domain::{MonotonicNs, Service};

type Limiter = RateLimiter<Service, HashMapStateStore<Service>, ToldClock, NoOpMiddleware<Nanos>>;

/// The limiter's clock: it stands where [`Pacer`] was last told that it is.
#[derive(Clone, Default)]
struct ToldClock(Arc<AtomicU64>);

impl ToldClock {
    fn set(&self, now: MonotonicNs) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

impl Clock for ToldClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// Holds letters back until their service's turn comes.
pub struct Pacer {
    limiter: Option<Limiter>,
    clock: ToldClock,
    held: HashMap<Service, Held>,
}

/// The letters of one service, in order, and when the first of them may go.
struct Held {
    letters: VecDeque<Letter>,
    next: MonotonicNs,
}

impl Pacer {
    /// `rate`: letters per second and service; 0: no limit.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let clock = ToldClock::default();
        let limiter =
            NonZeroU32::new(rate).map(|rate| RateLimiter::hashmap_with_clock(Quota::per_second(rate), clock.clone()));
        Self { limiter, clock, held: HashMap::new() }
    }

    /// The letter, if it may go now; else it is held.
    pub fn admit(&mut self, now: MonotonicNs, letter: Letter) -> Option<Letter> {
        let Some(service) = letter.services().first().map(|first| first.service) else { return Some(letter) };
        if let Some(held) = self.held.get_mut(&service) {
            held.letters.push_back(letter);
            return None;
        }
        match self.wait(now, service) {
            None => Some(letter),
            Some(wait) => {
                let next = now + wait;
                self.held.insert(service, Held { letters: VecDeque::from([letter]), next });
                None
            }
        }
    }

    /// Every held letter: they are somebody else's by now.
    pub fn give_up(&mut self) -> Vec<Letter> {
        self.held.drain().flat_map(|(_, held)| held.letters).collect()
    }

    /// Every held letter that may go now.
    pub fn release(&mut self, now: MonotonicNs) -> Vec<Letter> {
        self.clock.set(now);
        let due: Vec<Service> =
            self.held.iter().filter(|(_, held)| held.next <= now).map(|(service, _)| *service).collect();
        let mut released = Vec::new();
        for service in due {
            let Some(mut held) = self.held.remove(&service) else { continue };
            while let Some(letter) = held.letters.pop_front() {
                match self.wait(now, service) {
                    None => released.push(letter),
                    Some(wait) => {
                        held.letters.push_front(letter);
                        held.next = now + wait;
                        break;
                    }
                }
            }
            if !held.letters.is_empty() {
                self.held.insert(service, held);
            }
        }
        if self.held.is_empty()
            && let Some(limiter) = &self.limiter
        {
            limiter.retain_recent();
        }
        released
    }

    /// When to call [`Pacer::release`] next; `None`: nothing is held.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicNs> {
        self.held.values().map(|held| held.next).min()
    }

    /// Takes one of the service's places, or says how long until there is one.
    fn wait(&self, now: MonotonicNs, service: Service) -> Option<Duration> {
        let limiter = self.limiter.as_ref()?;
        self.clock.set(now);
        limiter.check_key(&service).err().map(|until| until.wait_time_from(Nanos::new(now.0)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::mail::sample::{letter_about, service};

    const NOW: MonotonicNs = MonotonicNs(5_000_000_000);

    fn about(id: i64, port: u16) -> Letter {
        letter_about(id, None, vec![service(17, port)])
    }

    #[test]
    fn one_service_is_held_back_another_is_not() {
        let mut pacer = Pacer::new(2);
        let now: Vec<bool> = (0..5).map(|id| pacer.admit(NOW, about(id, 443)).is_some()).collect();
        assert_eq!(now, [true, true, false, false, false], "a second's worth goes at once");
        assert!(pacer.admit(NOW, about(9, 80)).is_some());
        assert_eq!(pacer.next_deadline().unwrap(), NOW + Duration::from_millis(500));
        assert!(pacer.release(NOW).is_empty(), "before its time");
        let released = pacer.release(NOW + Duration::from_millis(500));
        assert_eq!(released.iter().map(|letter| letter.id.0).collect::<Vec<_>>(), [2]);
        assert_eq!(pacer.next_deadline().unwrap(), NOW + Duration::from_millis(1000));
        assert_eq!(pacer.give_up().len(), 2);
        assert_eq!(pacer.next_deadline(), None);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut pacer = Pacer::new(0);
        assert!((0..1000).all(|id| pacer.admit(NOW, about(id, 443)).is_some()));
        assert_eq!(pacer.next_deadline(), None);
    }
}
