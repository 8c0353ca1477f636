//! The table of seen attempts: an array of one-cache-line buckets with a few slots each.
//!
//! It has two parts. An attempt is put into the near part, which is small enough to stay in a processor's cache, and goes to
//! the far part only if its near bucket is full of attempts that are still pending. Most attempts are answered within
//! milliseconds: the near part is all that a healthy path touches, however much may be pending when it is not.
//!
//! A slot is one word that holds all that is needed to recognise an attempt: a tag of the flow's hash, the SYN's
//! sequence number and what became of it. Changing the word is one compare-and-swap, so the answer, the refusal and the
//! deadline of one attempt can meet on different CPUs and exactly one of them gets it.

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
    /// In the far part: when each was taken, in ticks.
    pub ticks: [u32; SLOTS],
    /// In the near part: when an attempt last had to go to the far part, in ticks; 0: never.
    pub overflowed: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// For how many ticks after an overflow an attempt may still lie in the far part: longer than any client repeats a SYN.
const FAR_TICKS: u32 = 1 << 18;

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
    overflowed != 0 && tick.wrapping_sub(overflowed) < FAR_TICKS
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

/// What became of an attempt.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Neither answered nor reported yet.
    Pending = 1,
    /// Reported as failed; kept to recognise its retransmissions, a late answer, and ICMP messages that quote it.
    Reported = 2,
}

/// A slot's content: `tag (30 bits) | state (2 bits) | sequence number (32 bits)`. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWord(pub u64);

const STATE_SHIFT: u32 = 32;
const STATE_MASK: u64 = 3 << STATE_SHIFT;

impl SlotWord {
    /// The word of an attempt. The upper 30 bits of `hash` are the tag; the bucket is chosen by lower ones.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u64, seq: u32, state: SlotState) -> Self {
        Self((hash & !(STATE_MASK | 0xffff_ffff)) | ((state as u64) << STATE_SHIFT) | seq as u64)
    }

    /// Whether both words are of the same attempt, whatever its state.
    #[inline(always)]
    #[must_use]
    pub const fn same_attempt(self, other: Self) -> bool {
        (self.0 ^ other.0) & !STATE_MASK == 0 && self.0 & STATE_MASK != 0
    }

    /// Whether it was reported before.
    #[inline(always)]
    #[must_use]
    pub const fn is_reported(self) -> bool {
        self.0 & STATE_MASK == (SlotState::Reported as u64) << STATE_SHIFT
    }

    /// The same attempt, reported.
    #[inline(always)]
    #[must_use]
    pub const fn reported(self) -> Self {
        Self((self.0 & !STATE_MASK) | ((SlotState::Reported as u64) << STATE_SHIFT))
    }
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Bucket {}
}

#[cfg(test)]
mod tests {
    use super::{SlotState, SlotWord};

    #[test]
    fn a_word_tells_attempts_apart_and_keeps_its_state() {
        let word = SlotWord::new(0xdead_beef_0000_0001, 7, SlotState::Pending);
        assert!(word.same_attempt(word.reported()));
        assert!(word.reported().is_reported() && !word.is_reported());
        assert!(!word.same_attempt(SlotWord::new(0xdead_beef_0000_0001, 8, SlotState::Pending)));
        assert!(!word.same_attempt(SlotWord::new(0x1ead_beef_0000_0001, 7, SlotState::Pending)));
    }

    #[test]
    fn the_far_part_is_looked_at_while_an_overflow_is_remembered() {
        let overflowed = super::tick(5 << 20);
        assert!(super::may_be_far(overflowed, super::tick(100_000 << 20)));
        assert!(!super::may_be_far(overflowed, super::tick(300_000 << 20)));
        assert!(!super::may_be_far(0, super::tick(5 << 20)));
        assert!(super::near(u64::MAX) < super::NEAR_BUCKETS && super::far(0, 7) == super::NEAR_BUCKETS);
        assert_eq!(super::far(u64::MAX, 7), super::NEAR_BUCKETS + 7);
    }

    #[test]
    fn a_free_slot_is_no_attempt_even_for_tag_and_sequence_zero() {
        assert!(!SlotWord(0).same_attempt(SlotWord::new(0, 0, SlotState::Pending)));
    }
}
