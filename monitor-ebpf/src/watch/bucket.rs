//! Finding and taking slots in the table of seen attempts.

use monitor_common::{
    Attempt, Bucket, Counter, SLOTS, Settings, SlotState, SlotWord, far, flow_hash, may_be_far, near, tick,
};

use crate::state::{atomic, count, maps::RB_PENDING};

/// An attempt's slot, as it was when it was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    word: *mut u64,
    pub(crate) was: SlotWord,
}

impl Found {
    /// The slot at `word`, which was `was` when it was read.
    #[inline(always)]
    pub(crate) const fn new(word: *mut u64, was: SlotWord) -> Self {
        Self { word, was }
    }

    /// Where it lies.
    #[inline(always)]
    pub(crate) const fn word(&self) -> *mut u64 {
        self.word
    }

    /// Puts something else into the slot. Whether this caller did it.
    #[inline(always)]
    pub(crate) fn change(&self, to: SlotWord) -> bool {
        // SAFETY: `word` is a word of a live bucket.
        unsafe { atomic::swap(self.word, self.was.0, to.0) }
    }

    /// Frees the slot. Whether this caller did it: of all that find the slot at the same time, one.
    #[inline(always)]
    pub(crate) fn take(&self) -> bool {
        self.change(SlotWord(0))
    }

    /// Turns the slot from pending to reported. Whether this caller did it.
    #[inline(always)]
    pub(crate) fn mark_reported(&self) -> bool {
        self.change(self.was.reported())
    }
}

/// What [`remember`] did.
pub(crate) enum Remembered {
    /// A new attempt.
    New(Found),
    /// A repetition of this one.
    Again(Found),
}

/// Hash of an attempt's flow, its four-tuple: 64 bits of which the lower choose the buckets and the upper 30 are the tag.
/// A guard may have computed it before.
#[inline(always)]
pub(crate) fn hash(flow: &Attempt, settings: &Settings) -> u64 {
    if flow.hash != 0 {
        return flow.hash;
    }
    flow_hash(settings.hash_seed, flow.client, flow.server, flow.client_port, flow.server_port)
}

/// The attempt's slot, whatever became of it. `now_ns` may be some milliseconds late.
#[inline(always)]
pub(crate) fn find(attempt: &Attempt, settings: &Settings, now_ns: u64) -> Option<Found> {
    let wanted = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending);
    let bucket = RB_PENDING.get_ptr_mut(near(attempt.hash))?;
    let found = look(bucket, wanted);
    if found.is_some() {
        return found;
    }
    // SAFETY: inside the live bucket; read whole.
    if may_be_far(unsafe { (&raw const (*bucket).overflowed).read_volatile() }, tick(now_ns)) {
        return look(RB_PENDING.get_ptr_mut(far(attempt.hash, settings.bucket_mask))?, wanted);
    }
    None
}

#[inline(always)]
fn look(bucket: *mut Bucket, wanted: SlotWord) -> Option<Found> {
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

/// Finds the attempt's slot or takes one: in the near part, unless all its slots there are pending.
#[inline(always)]
pub(crate) fn remember(attempt: &Attempt, settings: &Settings) -> Option<Remembered> {
    let wanted = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending);
    if let Some(found) = find(attempt, settings, attempt.seen_ns) {
        return Some(Remembered::Again(found));
    }
    let bucket = RB_PENDING.get_ptr_mut(near(attempt.hash))?;
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; a word is read whole.
        let word = unsafe { &raw mut (*bucket).words[index] };
        // SAFETY: as above.
        let was = SlotWord(unsafe { word.read_volatile() });
        // What is reported is only kept to recognise what comes late.
        // SAFETY: as above.
        if (was.0 == 0 || was.is_reported()) && unsafe { atomic::swap(word, was.0, wanted.0) } {
            return Some(Remembered::New(Found { word, was: wanted }));
        }
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*bucket).overflowed).write_volatile(tick(attempt.seen_ns)) };
    remember_far(attempt, settings)
}

/// Takes a slot in the far part: a free one, else the oldest, reported ones first.
#[inline(always)]
fn remember_far(attempt: &Attempt, settings: &Settings) -> Option<Remembered> {
    let bucket = RB_PENDING.get_ptr_mut(far(attempt.hash, settings.bucket_mask))?;
    let wanted = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending);
    let now = tick(attempt.seen_ns);
    let mut best = 0;
    let mut best_rank = 0;
    for index in 0..SLOTS {
        // SAFETY: inside the live bucket; words and ticks are read whole.
        let (was, taken) = unsafe { ((&raw const (*bucket).words[index]).read_volatile(), (*bucket).ticks[index]) };
        let age = u64::from(now.wrapping_sub(taken));
        let rank = if was == 0 { u64::MAX } else { age + 1 + if SlotWord(was).is_reported() { 1 << 32 } else { 0 } };
        if rank > best_rank {
            best_rank = rank;
            best = index;
        }
    }
    // The verifier does not know the bound.
    let best = if best < SLOTS { best } else { 0 };
    // SAFETY: inside the live bucket.
    let word = unsafe { &raw mut (*bucket).words[best] };
    // SAFETY: as above.
    let was = SlotWord(unsafe { word.read_volatile() });
    // SAFETY: as above.
    if !unsafe { atomic::swap(word, was.0, wanted.0) } {
        // Another CPU took it in between: it is this attempt that is not remembered.
        count(Counter::PendingEvicted);
        return None;
    }
    if was.0 != 0 && !was.is_reported() {
        count(Counter::PendingEvicted);
    }
    // SAFETY: as above; only the age of a slot, read as a hint.
    unsafe { (*bucket).ticks[best] = now };
    Some(Remembered::New(Found { word, was: wanted }))
}
