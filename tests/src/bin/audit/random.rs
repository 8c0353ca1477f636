//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

use lab::flood::scramble;

/// One sequence of numbers.
pub(crate) struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    /// The sequence number `stream` of this seed.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        Self { seed: scramble(seed ^ scramble(stream)), drawn: 0 }
    }

    /// At least 0 and less than 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.drawn += 1;
        (scramble(self.seed.wrapping_add(self.drawn)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the elements.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[((self.unit() * of.len() as f64) as usize).min(of.len() - 1)]
    }

    /// A time between the two, in seconds.
    pub(crate) fn between(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(from + (to - from) * self.unit())
    }

    /// The pause until something that happens at any time, on average after so many seconds.
    pub(crate) fn pause(&mut self, mean: f64) -> Duration {
        Duration::from_secs_f64(-mean * (1.0 - self.unit()).ln())
    }
}
