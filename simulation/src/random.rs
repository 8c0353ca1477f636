//! Random numbers: the same for the same seed, on every machine.
//!
//! What happens to one packet depends on the seed and the packet alone: if other attempts are taken out of a history, the rest
//! of it stays as it was.

/// A stream of numbers (SplitMix64: Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Random {
    /// The stream of one thing, named by numbers.
    pub(crate) fn of(seed: u64, names: &[u64]) -> Self {
        Self(names.iter().fold(mix(seed ^ STEP), |state, name| mix(state.wrapping_add(STEP) ^ mix(*name))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Less than `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// From `from` to below `to`.
    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// Whether something happens that happens `times` in 1000 times.
    pub(crate) fn per_mille(&mut self, times: u32) -> bool {
        self.below(1000) < u64::from(times)
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_numbers_of_a_seed_never_change() {
        let mut random = Random::of(1, &[]);
        assert_eq!(random.next(), Random::of(1, &[]).next());
        assert_ne!(Random::of(1, &[2, 3]).next(), Random::of(1, &[3, 2]).next());
        assert!((0..1000).all(|_| (5..9).contains(&random.within(5, 9))));
        assert_eq!(Random::of(7, &[]).below(0), 0);
    }
}
