//! One attempt's slot: a word that names it and says what was said of it, and beside it when its SYN was seen.
//!
//! All that decides an attempt's fate is in the word, so that one compare-and-swap decides it: the answer, the refusal and
//! the deadline of one attempt can meet on different CPUs, and exactly one of them gets it. The time beside it is a hint.

use crate::Evidence;

/// What is known of an attempt, and what of it was said to the daemon.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// No attempt.
    Free = 0,
    /// Nothing was said: it waits for its answer or its time-out.
    Pending = 1,
    /// It was said that its SYN passed, because its service is marked failed (F-4). Its fate is to come.
    Hinted = 2,
    /// Its fate was said: nobody answered in time. It may be answered all the same, if its client goes on.
    Said = 3,
    /// Its fate was said: it failed, by what somebody has said. What comes after that says nothing more.
    Firm = 4,
    /// It was said that it was answered, or is nobody's concern. It is kept because its client may answer with an RST, or
    /// repeat its SYN.
    Answered = 5,
    /// Its time-out passed while others were answered (design rule 2): nothing is said of it. It is kept because it may
    /// still be answered, or refused.
    Isolated = 6,
    /// It was answered, and the ring buffer had no room to say so.
    AnswerUnsaid = 7,
    /// The same, of an attempt whose fate was said to be a failure.
    WithdrawalUnsaid = 8,
    /// It failed by this evidence, and the ring buffer had no room to say so.
    RefusedUnsaid = 9,
    /// As above.
    HostUnreachableUnsaid = 10,
    /// As above.
    NetUnreachableUnsaid = 11,
    /// As above.
    PortUnreachableUnsaid = 12,
    /// As above.
    ProhibitedUnsaid = 13,
    /// As above.
    GaveUpUnsaid = 14,
    /// Its fate was said: its client had given up when it was answered. Answers that come again say nothing more.
    Gone = 15,
    /// It was answered at once, as nearly all are, and nothing was said of it. Its slot may be taken at any time; until then
    /// its SYN is known again, should it cross its answer, or should the answer not reach its client.
    Quick = 16,
    /// It was answered, and its client goes on: that answer was lost. The deadline of its first SYN is not its own any more.
    Reopened = 17,
}

impl SlotState {
    /// Whether it says that the attempt failed.
    #[inline(always)]
    #[must_use]
    pub const fn is_fate(self) -> bool {
        matches!(self, Self::Said | Self::Firm)
    }

    /// The state of an attempt of which this is still to be said.
    #[inline(always)]
    #[must_use]
    pub const fn unsaid(evidence: Evidence) -> Self {
        match evidence {
            Evidence::Refused => Self::RefusedUnsaid,
            Evidence::HostUnreachable => Self::HostUnreachableUnsaid,
            Evidence::NetUnreachable => Self::NetUnreachableUnsaid,
            Evidence::PortUnreachable => Self::PortUnreachableUnsaid,
            Evidence::GaveUp => Self::GaveUpUnsaid,
            _ => Self::ProhibitedUnsaid,
        }
    }
}

/// A slot's content: `tag (15 bits) | bytes of data (12 bits) | state (5 bits) | sequence number (32 bits)`. 0 is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWord(pub u64);

pub(crate) const STATE_SHIFT: u32 = 32;
pub(crate) const STATE_BITS: u32 = 5;
pub(crate) const STATE_MASK: u64 = ((1 << STATE_BITS) - 1) << STATE_SHIFT;
const DATA_SHIFT: u32 = STATE_SHIFT + STATE_BITS;
const DATA_BITS: u32 = 12;
const MOST_DATA: u64 = (1 << DATA_BITS) - 1;
const TAG_SHIFT: u32 = DATA_SHIFT + DATA_BITS;
/// What an Ethernet frame has room for behind the headers of IPv4 and TCP.
const MOST_SYN_DATA: u32 = 1460;

impl SlotWord {
    /// The word of an attempt. The upper 15 bits of `hash` are the tag; the bucket is chosen by lower ones.
    #[inline(always)]
    #[must_use]
    pub const fn new(hash: u64, seq: u32, state: SlotState) -> Self {
        Self((hash >> TAG_SHIFT << TAG_SHIFT) | ((state as u64) << STATE_SHIFT) | seq as u64)
    }

    /// The same of a SYN with so many bytes of data (TCP Fast Open, RFC 7413). More than 4094 are taken for any number.
    #[inline(always)]
    #[must_use]
    pub const fn with_data(self, bytes: u32) -> Self {
        let bytes = if (bytes as u64) < MOST_DATA { bytes as u64 } else { MOST_DATA };
        Self((self.0 & !(MOST_DATA << DATA_SHIFT)) | (bytes << DATA_SHIFT))
    }

    /// Sequence number of the attempt's SYN.
    #[inline(always)]
    #[must_use]
    pub const fn seq(self) -> u32 {
        self.0 as u32
    }

    /// Whether `wanted` is this attempt, whatever its state: the same SYN, or what acknowledges it with some or all of the
    /// data that it carries (RFC 7413 section 4.2).
    #[inline(always)]
    #[must_use]
    pub const fn same_attempt(self, wanted: Self) -> bool {
        let data = (self.0 >> DATA_SHIFT) & MOST_DATA;
        let data = if data < MOST_DATA { data as u32 } else { u16::MAX as u32 };
        (self.0 ^ wanted.0) >> TAG_SHIFT == 0
            && self.0 & STATE_MASK != 0
            && wanted.seq().wrapping_sub(self.seq()) <= data
    }

    /// Whether an answer that this word was kept of may be that of the attempt `asked`, of which it is not known whether its
    /// SYN carried data: as much as fits into a frame.
    #[inline(always)]
    #[must_use]
    pub const fn may_answer(self, asked: Self) -> bool {
        asked.with_data(MOST_SYN_DATA).same_attempt(self)
    }

    /// Whether this is its state.
    #[inline(always)]
    #[must_use]
    pub const fn is(self, state: SlotState) -> bool {
        self.state() == state as u64
    }

    #[inline(always)]
    const fn state(self) -> u64 {
        (self.0 & STATE_MASK) >> STATE_SHIFT
    }

    /// Whether its fate is still to be found out by its answer or its deadline.
    #[inline(always)]
    #[must_use]
    pub const fn is_open(self) -> bool {
        self.is_pending() || self.is(SlotState::Hinted)
    }

    /// Whether that is so, and nothing was said of it.
    #[inline(always)]
    #[must_use]
    pub const fn is_pending(self) -> bool {
        self.is(SlotState::Pending) || self.is(SlotState::Reopened)
    }

    /// Whether its fate was said to be a failure.
    #[inline(always)]
    #[must_use]
    pub const fn is_said(self) -> bool {
        self.is(SlotState::Said) || self.is(SlotState::Firm)
    }

    /// Whether it was answered, or is nobody's concern; what was to be said of that was said.
    #[inline(always)]
    #[must_use]
    pub const fn is_answered(self) -> bool {
        self.is(SlotState::Answered) || self.is(SlotState::Quick)
    }

    /// Whether another attempt may take the slot, whatever its time.
    #[inline(always)]
    #[must_use]
    pub const fn is_spare(self) -> bool {
        self.0 == 0 || self.is(SlotState::Quick)
    }

    /// Whether an answer is the first that it has: also where it is said not to be there, and its client goes on (RFC 1122
    /// section 4.2.3.9). A server that has refused answers no more.
    #[inline(always)]
    #[must_use]
    pub const fn awaits_answer(self) -> bool {
        let is_unreachable = match self.unsaid_failure() {
            Some(Evidence::Refused | Evidence::GaveUp) | None => false,
            Some(_) => true,
        };
        self.is_open() || self.is_said() || self.is(SlotState::Isolated) || is_unreachable
    }

    /// Whether its answer waits for room in the ring buffer.
    #[inline(always)]
    #[must_use]
    pub const fn is_unsaid_answer(self) -> bool {
        self.is(SlotState::AnswerUnsaid) || self.is(SlotState::WithdrawalUnsaid)
    }

    /// The evidence of its failure that waits for room in the ring buffer.
    #[inline(always)]
    #[must_use]
    pub const fn unsaid_failure(self) -> Option<Evidence> {
        const REFUSED: u64 = SlotState::RefusedUnsaid as u64;
        const HOST_UNREACHABLE: u64 = SlotState::HostUnreachableUnsaid as u64;
        const NET_UNREACHABLE: u64 = SlotState::NetUnreachableUnsaid as u64;
        const PORT_UNREACHABLE: u64 = SlotState::PortUnreachableUnsaid as u64;
        const PROHIBITED: u64 = SlotState::ProhibitedUnsaid as u64;
        const GAVE_UP: u64 = SlotState::GaveUpUnsaid as u64;
        match self.state() {
            REFUSED => Some(Evidence::Refused),
            HOST_UNREACHABLE => Some(Evidence::HostUnreachable),
            NET_UNREACHABLE => Some(Evidence::NetUnreachable),
            PORT_UNREACHABLE => Some(Evidence::PortUnreachable),
            PROHIBITED => Some(Evidence::Prohibited),
            GAVE_UP => Some(Evidence::GaveUp),
            _ => None,
        }
    }

    /// The same attempt in another state.
    #[inline(always)]
    #[must_use]
    pub const fn to(self, state: SlotState) -> Self {
        Self((self.0 & !STATE_MASK) | ((state as u64) << STATE_SHIFT))
    }
}

/// When an attempt's SYN was first seen, in steps of 2^18 ns (0.3 ms) modulo 2^19 (137 s), and how long after that it was
/// last seen, in steps of 2^24 ns (17 ms): 19 and 13 bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotTime(u32);

/// Sizes of the steps, as shifts of nanoseconds.
const FIRST_STEP: u32 = 18;
const AGE_STEP: u32 = 24;
const FIRST_BITS: u32 = 19;
const FIRST_MASK: u64 = (1 << FIRST_BITS) - 1;
/// How many steps a slot may be newer than a clock that was read before: a second.
const AHEAD: u64 = 1 << 12;
const MOST_AGE: u64 = (1 << (32 - FIRST_BITS)) - 1;

/// The longest first pause before a SYN is repeated, of systems that begin with three seconds, and half a second for the way
/// there and back; RFC 6298 section 2.1 says one second.
const LONGEST_FIRST_PAUSE_NS: u64 = 3_500_000_000;

/// Until when a client that goes on is to be expected to repeat its SYN: pauses double (RFC 6298 section 5.5), so the next
/// is at most as long as everything before it and one first pause more.
#[inline(always)]
#[must_use]
pub const fn trying_until_ns(first_ns: u64, latest_ns: u64) -> u64 {
    latest_ns.saturating_add(latest_ns.saturating_sub(first_ns)).saturating_add(LONGEST_FIRST_PAUSE_NS)
}

impl SlotTime {
    /// Of an attempt whose SYN is seen for the first time.
    #[inline(always)]
    #[must_use]
    pub const fn first_seen(now_ns: u64) -> Self {
        Self(((now_ns >> FIRST_STEP) & FIRST_MASK) as u32)
    }

    /// The same attempt, whose SYN, or answer, was seen again.
    #[inline(always)]
    #[must_use]
    pub const fn seen_again(self, now_ns: u64) -> Self {
        let age = now_ns.saturating_sub(self.first_ns(now_ns)) >> AGE_STEP;
        let age = if age > MOST_AGE { MOST_AGE } else { age };
        Self((self.0 & FIRST_MASK as u32) | (age as u32) << FIRST_BITS)
    }

    /// When its SYN was first seen, rounded down to a step ([`step`]); after `now_ns` if that is a coarser clock's.
    #[inline(always)]
    #[must_use]
    pub const fn first_ns(self, now_ns: u64) -> u64 {
        let now = now_ns >> FIRST_STEP;
        let age = now.wrapping_sub(self.0 as u64) & FIRST_MASK;
        if age > FIRST_MASK - AHEAD {
            // Another CPU has read its clock a moment later, or this one is coarse.
            return (now + FIRST_MASK + 1 - age) << FIRST_STEP;
        }
        // Nothing was seen before the clock's zero.
        let age = if age > now { now } else { age };
        (now - age) << FIRST_STEP
    }

    /// When its SYN, or its answer, was last seen, some milliseconds early.
    #[inline(always)]
    #[must_use]
    pub const fn latest_ns(self, now_ns: u64) -> u64 {
        self.first_ns(now_ns) + ((self.0 >> FIRST_BITS) as u64) * (1 << AGE_STEP)
    }

    /// The same, some milliseconds late, and not after `now_ns`. `near_ns`: a time of the attempt, as `now_ns` may be too far
    /// behind for what a slot keeps.
    #[inline(always)]
    #[must_use]
    pub const fn latest_by_ns(self, near_ns: u64, now_ns: u64) -> u64 {
        let by = self.latest_ns(near_ns) + (1 << AGE_STEP) + (1 << FIRST_STEP);
        if by < now_ns { by } else { now_ns }
    }

    /// Whether a client that goes on would have repeated its SYN by now.
    #[inline(always)]
    #[must_use]
    pub const fn is_given_up(self, now_ns: u64) -> bool {
        now_ns > trying_until_ns(self.first_ns(now_ns), self.latest_ns(now_ns))
    }

    /// How long ago it was first seen.
    #[inline(always)]
    const fn age_ns(self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.first_ns(now_ns))
    }
}

/// A time as [`SlotTime`] keeps it: two times of one attempt are compared by this, wherever they come from.
#[inline(always)]
#[must_use]
pub const fn step(ns: u64) -> u64 {
    ns >> FIRST_STEP
}

/// Whether an attempt is judged by the deadline of what was seen of it at `seen_ns`: not if it was answered since, and a later
/// SYN of it has a deadline of its own. Nor if it was forgotten, and seen again at a later SYN: its time then reads as one of
/// 137 s before, and nothing of it as late as `seen_ns`.
#[inline(always)]
#[must_use]
pub const fn is_deadline_of(word: SlotWord, time: SlotTime, seen_ns: u64) -> bool {
    let (first, latest, seen) = (step(time.first_ns(seen_ns)), step(time.latest_ns(seen_ns)), step(seen_ns));
    latest + AHEAD >= seen && (first < seen || (first == seen && !word.is(SlotState::Reopened)))
}

/// For how long a client whose answer was late may say that it had given up: a round trip of the slowest paths.
const ROUND_TRIP_NS: u64 = 1_000_000_000;

/// Whether another attempt may take this slot in the near part without a loss: nothing is waited for any more.
#[inline(always)]
#[must_use]
pub const fn is_done(word: SlotWord, time: SlotTime, now_ns: u64) -> bool {
    word.is_spare()
        || (word.is(SlotState::Answered) && now_ns.saturating_sub(time.latest_ns(now_ns)) > ROUND_TRIP_NS)
        || ((word.is_said() || word.is(SlotState::Isolated) || word.is(SlotState::Gone)) && time.is_given_up(now_ns))
}

/// In which order slots of the far part are taken: the highest first. Done ones, those whose fate was said, those that wait
/// for it; of each, the oldest.
#[inline(always)]
#[must_use]
pub const fn rank(word: SlotWord, time: SlotTime, now_ns: u64) -> u64 {
    const CLASS: u32 = 60;
    if word.0 == 0 {
        return u64::MAX;
    }
    let class = if is_done(word, time, now_ns) {
        3
    } else if word.is_said() || word.is(SlotState::Isolated) || word.is(SlotState::Gone) {
        2
    } else {
        1
    };
    (class << CLASS) + time.age_ns(now_ns) + 1
}

#[cfg(test)]
mod tests;
