//! The table of seen attempts: an array of one-cache-line buckets with a few slots each.
//!
//! A slot is one word that holds all that is needed to recognise an attempt: a tag of the flow's hash, the SYN's
//! sequence number and what became of it. Changing the word is one compare-and-swap, so the answer, the refusal and the
//! deadline of one attempt can meet on different CPUs and exactly one of them gets it.

/// Slots in a bucket.
pub const SLOTS: usize = 5;

/// One cache line of attempts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// See [`SlotWord`]; 0 is free.
    pub words: [u64; SLOTS],
    /// When each was taken: the kernel's clock in units of 2^20 ns (about 1 ms), modulo 2^32.
    pub ticks: [u32; SLOTS],
    /// Fills the cache line.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// What became of an attempt.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Neither answered nor reported yet.
    Pending = 1,
    /// Reported as failed; kept to recognise its retransmissions, a late answer, and ICMP that quotes it.
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
    fn a_free_slot_is_no_attempt_even_for_tag_and_sequence_zero() {
        assert!(!SlotWord(0).same_attempt(SlotWord::new(0, 0, SlotState::Pending)));
    }
}
