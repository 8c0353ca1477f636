//! Established connections of watched services, followed by sequence and acknowledgement numbers (F-5; only where the
//! operator asks for it). The table is made as that of attempts is: buckets of one cache line.
//!
//! A flow's word has a state besides those of [`crate::SlotState`]: idle, nothing is waited for. Data of the client
//! turns it to pending, with the number that acknowledges it; the server's acknowledgement turns it back.

use crate::{
    SlotState, SlotWord,
    slot::{STATE_BITS, STATE_MASK, STATE_SHIFT},
};

/// State of a flow whose data is all acknowledged, beside [`SlotState::Pending`] and [`SlotState::Said`].
const IDLE: u64 = 31;

/// The lowest bit of a word's tag: whether the client is the lower of the two ends.
const CLIENT_IS_LOWER: u64 = 1 << (STATE_SHIFT + STATE_BITS);

/// Tag without that bit.
const TAG_MASK: u64 = !(STATE_MASK | CLIENT_IS_LOWER | 0xffff_ffff);

/// A flow's slot: `tag (26 bits) | client is lower (1 bit) | state (5 bits) | sequence number (32 bits)`. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowWord(pub u64);

impl FlowWord {
    /// A flow that waits for nothing. `hash` is that of both ends in order, whichever end is the client.
    #[inline(always)]
    #[must_use]
    pub const fn idle(hash: u64, client_is_lower: bool) -> Self {
        let end = if client_is_lower { CLIENT_IS_LOWER } else { 0 };
        Self((hash & TAG_MASK) | end | (IDLE << STATE_SHIFT))
    }

    /// Whether it is the flow with this hash.
    #[inline(always)]
    #[must_use]
    pub const fn is(self, hash: u64) -> bool {
        (self.0 ^ hash) & TAG_MASK == 0 && self.0 & STATE_MASK != 0
    }

    /// Whether the client is the lower end.
    #[inline(always)]
    #[must_use]
    pub const fn client_is_lower(self) -> bool {
        self.0 & CLIENT_IS_LOWER != 0
    }

    /// Whether nothing is waited for.
    #[inline(always)]
    #[must_use]
    pub const fn is_idle(self) -> bool {
        self.0 & STATE_MASK == IDLE << STATE_SHIFT
    }

    /// The flow, waiting for an acknowledgement of `end`.
    #[inline(always)]
    #[must_use]
    pub const fn waiting(self, end: u32) -> Self {
        Self((self.0 & (TAG_MASK | CLIENT_IS_LOWER)) | ((SlotState::Pending as u64) << STATE_SHIFT) | end as u64)
    }

    /// The flow, waiting for nothing.
    #[inline(always)]
    #[must_use]
    pub const fn idled(self) -> Self {
        Self((self.0 & (TAG_MASK | CLIENT_IS_LOWER)) | (IDLE << STATE_SHIFT))
    }

    /// The number that acknowledges the data waited for.
    #[inline(always)]
    #[must_use]
    pub const fn end(self) -> u32 {
        self.0 as u32
    }

    /// Whether this acknowledgement number covers the data waited for, modulo 2^32 (RFC 9293 section 3.4).
    #[inline(always)]
    #[must_use]
    pub const fn is_acknowledged_by(self, ack: u32) -> bool {
        ack.wrapping_sub(self.end()) < 1 << 31
    }

    /// The same bits as a slot of an attempt: what is pending, and what was said, is the same.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> SlotWord {
        SlotWord(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::FlowWord;
    use crate::SlotState;

    #[test]
    fn a_flow_keeps_its_name_and_its_client_whatever_it_waits_for() {
        let hash = 0xdead_beef_0bad_cafe;
        for lower in [false, true] {
            let idle = FlowWord::idle(hash, lower);
            let waiting = idle.waiting(5);
            let reported = FlowWord(waiting.slot().to(SlotState::Said).0);
            for word in [idle, waiting, reported, reported.idled()] {
                assert!(word.is(hash) && word.client_is_lower() == lower && !word.is(!hash));
            }
            assert!(idle.is_idle() && !waiting.is_idle() && !reported.is_idle() && reported.idled().is_idle());
            assert!(waiting.slot().is_open() && reported.slot().is(SlotState::Said) && reported.end() == 5);
        }
        assert!(!FlowWord(0).is(0));
    }

    #[test]
    fn acknowledgements_wrap() {
        let waiting = FlowWord::idle(1, true).waiting(u32::MAX);
        assert!(waiting.is_acknowledged_by(u32::MAX) && waiting.is_acknowledged_by(3));
        assert!(!waiting.is_acknowledged_by(u32::MAX - 1));
    }
}
