//! Finding and taking slots in the table of seen attempts.

use monitor_common::{
    Attempt, Bucket, Counter, SLOTS, Settings, SlotState, SlotTime, SlotWord, far, first_look, flow_hash, is_done,
    may_be_far, near, rank, tick,
};

use crate::state::{atomic, count, maps::RB_PENDING};

/// An attempt's slot, as it was when it was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    word: *mut u64,
    time: *mut SlotTime,
    pub(crate) was: SlotWord,
}

impl Found {
    /// The slot at `word`, which was `was` when it was read; when its SYN was seen is at `time`.
    #[inline(always)]
    pub(crate) const fn new(word: *mut u64, time: *mut SlotTime, was: SlotWord) -> Self {
        Self { word, time, was }
    }

    /// Puts something else into the slot. Whether this caller did it: of all that find the slot at the same time, one.
    #[inline(always)]
    pub(crate) fn change(&self, to: SlotWord) -> bool {
        // SAFETY: `word` is a word of a live bucket.
        unsafe { atomic::swap(self.word, self.was.0, to.0) }
    }

    /// Says that this is known of the attempt now. Whether this caller did it.
    #[inline(always)]
    pub(crate) fn turn(&mut self, to: SlotState) -> bool {
        let word = self.was.to(to);
        let done = self.change(word);
        if done {
            self.was = word;
        }
        done
    }

    /// Frees the slot. Whether this caller did it.
    #[inline(always)]
    pub(crate) fn take(&self) -> bool {
        self.change(SlotWord(0))
    }

    /// When the attempt's SYN was seen.
    #[inline(always)]
    pub(crate) fn time(&self) -> SlotTime {
        // SAFETY: inside a live bucket; read whole.
        unsafe { self.time.read_volatile() }
    }

    /// Notes that the SYN, or its answer, was seen again.
    #[inline(always)]
    pub(crate) fn seen_again(&self, now_ns: u64) {
        // SAFETY: inside a live bucket. Of two at once, the later may win.
        unsafe { self.time.write_volatile(self.time().seen_again(now_ns)) };
    }
}

/// What [`remember`] did.
pub(crate) enum Remembered {
    /// A new attempt.
    New(Found),
    /// A repetition of this one.
    Again(Found),
}

/// Hash of an attempt's flow, its four-tuple: 64 bits of which the lower choose the buckets and the upper 15 are the tag.
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
        let found = slot(bucket, index);
        if found.was.same_attempt(wanted) {
            return Some(found);
        }
    }
    None
}

#[inline(always)]
fn slot(bucket: *mut Bucket, index: usize) -> Found {
    // SAFETY: inside the live bucket; a word is read whole.
    unsafe {
        let word = &raw mut (*bucket).words[index];
        Found::new(word, &raw mut (*bucket).times[index], SlotWord(word.read_volatile()))
    }
}

/// Finds the attempt's slot or takes one: in the near part, unless the fate of all its slots there is open.
#[inline(always)]
pub(crate) fn remember(attempt: &Attempt, settings: &Settings) -> Option<Remembered> {
    if let Some(found) = find(attempt, settings, attempt.seen_ns) {
        return Some(Remembered::Again(found));
    }
    let bucket = RB_PENDING.get_ptr_mut(near(attempt.hash))?;
    // A slot that nobody misses: on a busy path nearly all are. Not always the same one, so that each is kept for a while.
    for turn in 0..SLOTS {
        let found = slot(bucket, first_look(attempt.seq, turn));
        if found.was.is_spare()
            && let Some(taken) = give(found, attempt)
        {
            return Some(Remembered::New(taken));
        }
    }
    // Else one whose attempt is done: what is late about it is missed.
    let found = to_take(bucket, attempt.seen_ns);
    if is_done(found.was, found.time(), attempt.seen_ns)
        && let Some(taken) = give(found, attempt)
    {
        return Some(Remembered::New(taken));
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*bucket).overflowed).write_volatile(tick(attempt.seen_ns)) };
    remember_far(attempt, settings)
}

/// The slot that is missed least.
#[inline(always)]
fn to_take(bucket: *mut Bucket, now_ns: u64) -> Found {
    let (mut best, mut best_rank) = (0, 0);
    for index in 0..SLOTS {
        let found = slot(bucket, index);
        let rank = rank(found.was, found.time(), now_ns);
        if rank > best_rank {
            (best, best_rank) = (index, rank);
        }
    }
    // The verifier does not know the bound.
    slot(bucket, if best < SLOTS { best } else { 0 })
}

/// Gives the slot to this attempt; `None`: another CPU took it in between.
#[inline(always)]
fn give(found: Found, attempt: &Attempt) -> Option<Found> {
    let word = SlotWord::new(attempt.hash, attempt.seq, SlotState::Pending).with_data(attempt.detail);
    if !found.change(word) {
        return None;
    }
    // SAFETY: inside a live bucket; whoever reads it before sees another attempt's time, which is a hint.
    unsafe { found.time.write_volatile(SlotTime::first_seen(attempt.seen_ns)) };
    Some(Found { was: word, ..found })
}

/// Takes the slot in the far part that is missed least.
#[inline(always)]
fn remember_far(attempt: &Attempt, settings: &Settings) -> Option<Remembered> {
    let bucket = RB_PENDING.get_ptr_mut(far(attempt.hash, settings.bucket_mask))?;
    let found = to_take(bucket, attempt.seen_ns);
    let done = is_done(found.was, found.time(), attempt.seen_ns);
    let Some(taken) = give(found, attempt) else {
        // It is this attempt that is not remembered.
        count(Counter::PendingEvicted);
        return None;
    };
    if !done {
        count(if found.was.is_said() { Counter::SaidEvicted } else { Counter::PendingEvicted });
    }
    Some(Remembered::New(taken))
}
