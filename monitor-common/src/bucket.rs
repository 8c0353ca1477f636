//! The table of seen attempts: an array of one-cache-line buckets with a few slots each.
//!
//! It has two parts. An attempt is put into the near part, which is small enough to stay in a processor's cache, and goes to
//! the far part only if its near bucket is full of attempts whose fate is still open. Most attempts are answered within
//! milliseconds: the near part is all that a healthy path touches, however much may be pending when it is not.

use crate::{SlotTime, SlotWord, rank};

/// Slots in a bucket.
pub const SLOTS: usize = 5;

/// Buckets of the near part, in front of those of the far part: 128 KiB.
pub const NEAR_BUCKETS: u32 = 2048;

/// One cache line of attempts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// See [`SlotWord`]; 0 is free.
    pub words: [u64; SLOTS],
    /// When each SYN was seen: [`SlotTime`].
    pub times: [SlotTime; SLOTS],
    /// In the near part: when an attempt last had to go to the far part, in ticks; 0: never.
    pub overflowed: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    /// The slot of the far part that another attempt takes, and what is in it.
    #[inline(always)]
    #[must_use]
    pub fn to_take(words: &[u64; SLOTS], times: &[SlotTime; SLOTS], now_ns: u64) -> usize {
        let (mut best, mut best_rank) = (0, 0);
        let mut index = 0;
        while index < SLOTS {
            let rank = rank(SlotWord(words[index]), times[index], now_ns);
            if rank > best_rank {
                (best, best_rank) = (index, rank);
            }
            index += 1;
        }
        best
    }
}

/// The slot of a near bucket that is looked at as number `turn` for one to take: which one is first depends on the attempt.
#[inline(always)]
#[must_use]
pub const fn first_look(seq: u32, turn: usize) -> usize {
    let index = (seq & 3) as usize + turn;
    if index < SLOTS { index } else { index - SLOTS }
}

/// For how many ticks after an overflow an attempt may still lie in the far part: longer than any client repeats a SYN.
const FAR_TICKS: i32 = 1 << 18;

/// The kernel's clock in ticks of 2^20 ns (about 1 ms), modulo 2^32; never 0.
#[inline(always)]
#[must_use]
pub const fn tick(now_ns: u64) -> u32 {
    (now_ns >> 20) as u32 | 1
}

/// Whether attempts of a near bucket may lie in the far part, given when one last went there.
#[inline(always)]
#[must_use]
pub const fn may_be_far(overflowed: u32, tick: u32) -> bool {
    // The clock may have been read a moment before the overflow.
    overflowed != 0 && (tick.wrapping_sub(overflowed) as i32) < FAR_TICKS
}

/// Where an attempt lies in the near part.
#[inline(always)]
#[must_use]
pub const fn near(hash: u64) -> u32 {
    hash as u32 & (NEAR_BUCKETS - 1)
}

/// Where an attempt lies in the far part of `mask + 1` buckets. It uses other bits than [`near`], so that what one near
/// bucket cannot take spreads over the whole far part.
#[inline(always)]
#[must_use]
pub const fn far(hash: u64, mask: u32) -> u32 {
    NEAR_BUCKETS + ((hash >> NEAR_BUCKETS.trailing_zeros()) as u32 & mask)
}

/// Where an unmatched SYN/ACK is noted, of `mask + 1` places: the newest takes the place of what is there.
#[inline(always)]
#[must_use]
pub const fn unmatched_place(hash: u64, mask: u32) -> u32 {
    hash as u32 & mask
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Bucket {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_far_part_is_looked_at_while_an_overflow_is_remembered() {
        let overflowed = super::tick(5 << 20);
        assert!(super::may_be_far(overflowed, super::tick(100_000 << 20)));
        assert!(!super::may_be_far(overflowed, super::tick(300_000 << 20)));
        assert!(super::may_be_far(overflowed, super::tick(3 << 20)), "by a coarser clock");
        assert!(!super::may_be_far(0, super::tick(5 << 20)));
        assert!(super::near(u64::MAX) < super::NEAR_BUCKETS && super::far(0, 7) == super::NEAR_BUCKETS);
        assert_eq!(super::far(u64::MAX, 7), super::NEAR_BUCKETS + 7);
        for seq in 0..9 {
            let mut looks = [0, 1, 2, 3, 4].map(|turn| super::first_look(seq, turn));
            looks.sort_unstable();
            assert_eq!(looks, [0, 1, 2, 3, 4]);
        }
    }
}
