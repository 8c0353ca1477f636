//! How a waiting list knows again which attempts it has counted.

use serde::{Deserialize, Serialize};

/// Attempts of one client: a Bloom filter of 64 bits, three for each, by its source port and sequence number. A list keeps
/// those that it has counted, so that an attempt which gets through is taken back where it was counted, and nowhere else. Of
/// ten thousand attempts, one is mistaken for the one that is there, and 66 where four are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptMask(i64);

impl AttemptMask {
    /// No attempt.
    pub const NONE: Self = Self(0);

    /// Any attempt: which it was is not known.
    pub const ANY: Self = Self(-1);

    /// This one.
    #[must_use]
    pub const fn of(client_port: u16, seq: u32) -> Self {
        // 2^64 divided by the golden ratio: neighbours spread evenly.
        let hash = ((seq as u64) << 16 | client_port as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = 1_u64 << (hash >> 58) | 1 << (hash >> 52 & 63) | 1 << (hash >> 46 & 63);
        Self(bits.cast_signed())
    }

    /// Either's.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether those of `other` are in it, by all that is known.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// As a database keeps it.
    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// The mask of these bits.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }
}

impl Default for AttemptMask {
    /// What was kept before attempts were told apart.
    fn default() -> Self {
        Self::ANY
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::AttemptMask;

    #[test]
    fn attempts_of_neighbouring_ports_and_numbers_are_told_apart() {
        let of_ports: HashSet<_> = (40_000..40_016).map(|port| AttemptMask::of(port, 7)).collect();
        let of_numbers: HashSet<_> = (0..16).map(|seq| AttemptMask::of(40_000, seq)).collect();
        assert!(of_ports.len() == 16 && of_numbers.len() == 16, "{of_ports:?} {of_numbers:?}");
        let (one, other) = (AttemptMask::of(1, 1), AttemptMask::of(2, 1));
        assert!(one.has(one) && !one.has(other) && one.and(other).has(other) && one.has(AttemptMask::NONE));
    }
}
