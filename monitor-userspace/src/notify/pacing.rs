//! No stampede: at most so many letters per second and recovered service (design rule 8).
//!
//! People who are told at the same moment come back at the same moment, to a service that has just started. A letter
//! about several services counts for the first of them.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::{outage::Service, store::Letter};

/// Holds letters back until their service's turn comes.
pub(super) struct Pacer {
    limiter: Option<DefaultKeyedRateLimiter<Service>>,
    held: HashMap<Service, Held>,
}

/// The letters of one service, in order, and when the first of them may go.
struct Held {
    letters: VecDeque<Letter>,
    next: Instant,
}

impl Pacer {
    /// `rate`: letters per second and service; 0: no limit.
    pub(super) fn new(rate: u32) -> Self {
        let limiter = NonZeroU32::new(rate).map(|rate| RateLimiter::keyed(Quota::per_second(rate)));
        Self { limiter, held: HashMap::new() }
    }

    /// The letter, if it may go now; else it is held.
    pub(super) fn admit(&mut self, letter: Letter) -> Option<Letter> {
        let Some(service) = letter.services.first().map(|first| first.service) else { return Some(letter) };
        if let Some(held) = self.held.get_mut(&service) {
            held.letters.push_back(letter);
            return None;
        }
        match self.wait(service) {
            None => Some(letter),
            Some(wait) => {
                let next = Instant::now() + wait;
                self.held.insert(service, Held { letters: VecDeque::from([letter]), next });
                None
            }
        }
    }

    /// Every held letter: they are somebody else's by now.
    pub(super) fn give_up(&mut self) -> Vec<Letter> {
        self.held.drain().flat_map(|(_, held)| held.letters).collect()
    }

    /// Every held letter that may go now.
    pub(super) fn release(&mut self) -> Vec<Letter> {
        let now = Instant::now();
        let due: Vec<Service> =
            self.held.iter().filter(|(_, held)| held.next <= now).map(|(service, _)| *service).collect();
        let mut released = Vec::new();
        for service in due {
            let Some(mut held) = self.held.remove(&service) else { continue };
            while let Some(letter) = held.letters.pop_front() {
                match self.wait(service) {
                    None => released.push(letter),
                    Some(wait) => {
                        held.letters.push_front(letter);
                        held.next = Instant::now() + wait;
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
    pub(super) fn next(&self) -> Option<Instant> {
        self.held.values().map(|held| held.next).min()
    }

    /// Takes one of the service's places, or says how long until there is one.
    fn wait(&self, service: Service) -> Option<Duration> {
        let limiter = self.limiter.as_ref()?;
        limiter.check_key(&service).err().map(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::notify::sample::{letter, service};

    fn about(id: i64, port: u16) -> Letter {
        Letter { services: vec![service(17, port)], ..letter(id) }
    }

    #[test]
    fn one_service_is_held_back_another_is_not() {
        let mut pacer = Pacer::new(2);
        let now: Vec<bool> = (0..5).map(|id| pacer.admit(about(id, 443)).is_some()).collect();
        assert_eq!(now, [true, true, false, false, false], "a second's worth goes at once");
        assert!(pacer.admit(about(9, 80)).is_some());
        let wait = pacer.next().unwrap().duration_since(Instant::now());
        assert!(wait <= Duration::from_millis(500), "{wait:?}");
        assert!(pacer.release().is_empty(), "before its time");
    }

    #[test]
    fn zero_is_no_limit() {
        let mut pacer = Pacer::new(0);
        assert!((0..1000).all(|id| pacer.admit(about(id, 443)).is_some()));
        assert_eq!(pacer.next(), None);
    }
}
