//! Finding and taking slots in the table of seen attempts.

use monitor_common::{Attempt, Bucket, Counter, SLOTS, Settings, SlotState, SlotWord};

use crate::{atomic, counters::count, maps::RB_PENDING};

/// An attempt's slot, as it was when it was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    word: *mut u64,
    pub(crate) was: SlotWord,
}

impl Found {
    /// Frees the slot. Whether this caller did it: of all that find the slot at the same time, one.
    #[inline(always)]
    pub(crate) fn take(&self) -> bool {
        // SAFETY: `word` is a word of a live bucket.
        unsafe { atomic::swap(self.word, self.was.0, 0) }
    }

    /// Turns the slot from pending to reported. Whether this caller did it.
    #[inline(always)]
    pub(crate) fn mark_reported(&self) -> bool {
        // SAFETY: as above.
        unsafe { atomic::swap(self.word, self.was.0, self.was.reported().0) }
    }
}

/// What [`remember`] did.
pub(crate) enum Remembered {
    /// A new attempt.
    New(Found),
    /// A repetition of this one.
    Again(Found),
}

/// Hash of an attempt's flow, its four-tuple: 64 bits of which the lower choose the bucket and the upper 30 are the tag.
#[inline(always)]
pub(crate) fn hash(flow: &Attempt, settings: &Settings) -> u64 {
    // Multiply and fold, twice per address: full diffusion of 36 bytes in ten multiplications without a table.
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    #[inline(always)]
    const fn mix(hash: u64, word: u64) -> u64 {
        let product = (hash ^ word).wrapping_mul(K);
        product ^ (product >> 32)
    }
    let [client0, client1] = flow.client.halves();
    let [server0, server1] = flow.server.halves();
    let ports = ((flow.client_port as u64) << 16) | flow.server_port as u64;
    let mut hash = mix(settings.hash_seed, client0);
    hash = mix(hash, client1);
    hash = mix(hash, server0);
    hash = mix(hash, server1);
    mix(mix(hash, ports), settings.hash_seed)
}

#[inline(always)]
fn bucket(hash: u64, settings: &Settings) -> Option<*mut Bucket> {
    RB_PENDING.get_ptr_mut(hash as u32 & settings.bucket_mask)
}

/// The attempt's slot, whatever became of it.
#[inline(always)]
pub(crate) fn find(attempt: &Attempt, settings: &Settings) -> Option<Found> {
    let bucket = bucket(attempt.hash, settings)?;
    let wanted = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending);
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; a word is read whole.
        let word = unsafe { &raw mut (*bucket).words[index] };
        // SAFETY: as above.
        let was = SlotWord(unsafe { word.read_volatile() });
        if was.same_attempt(wanted) {
            return Some(Found { word, was });
        }
    }
    None
}

/// Finds the attempt's slot or takes one: a free one, else the oldest, reported ones first.
#[inline(always)]
pub(crate) fn remember(attempt: &Attempt, settings: &Settings) -> Option<Remembered> {
    let bucket = bucket(attempt.hash, settings)?;
    let wanted = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending);
    let tick = (attempt.seen_ns >> 20) as u32;
    let mut best = 0;
    let mut best_rank = 0;
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; a word is read whole.
        let word = unsafe { &raw mut (*bucket).words[index] };
        // SAFETY: as above.
        let was = SlotWord(unsafe { word.read_volatile() });
        if was.same_attempt(wanted) {
            return Some(Remembered::Again(Found { word, was }));
        }
        // SAFETY: as above.
        let age = u64::from(tick.wrapping_sub(unsafe { (*bucket).ticks[index] }));
        let rank = if was.0 == 0 { u64::MAX } else { age + 1 + if was.is_reported() { 1 << 32 } else { 0 } };
        if rank > best_rank {
            best_rank = rank;
            best = index;
        }
    }
    // The bound is known here, but not to the verifier.
    let best = if best < SLOTS { best } else { 0 };
    // SAFETY: inside the live bucket.
    let word = unsafe { &raw mut (*bucket).words[best] };
    // SAFETY: as above.
    let was = SlotWord(unsafe { word.read_volatile() });
    // SAFETY: as above.
    if !unsafe { atomic::swap(word, was.0, wanted.0) } {
        // Another CPU took it in between: this attempt is the one that is not remembered.
        count(Counter::PendingEvicted);
        return None;
    }
    if was.0 != 0 && !was.is_reported() {
        count(Counter::PendingEvicted);
    }
    // SAFETY: as above; only the age of a slot, read as a hint.
    unsafe { (*bucket).ticks[best] = tick };
    Some(Remembered::New(Found { word, was: wanted }))
}
