//! The table of seen attempts (`watch/bucket.rs`).

use monitor_common::{
    Attempt, Bucket, Counter, SLOTS, SlotState, SlotTime, SlotWord, first_look, is_done, may_be_far, tick,
};

/// Where a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Table {
    buckets: Vec<Bucket>,
    near: u32,
    far_mask: u32,
    /// Words of attempts whose slots were taken although their clients might have gone on.
    pub(super) reused: Vec<u64>,
}

/// What [`Table::remember`] did.
pub(super) enum Remembered {
    /// A new attempt took this slot.
    New(Place),
    /// A new attempt took the slot of one that is forgotten now.
    Instead(Place, Counter, SlotWord),
}

impl Table {
    pub(super) fn new(near: u32, far: u32) -> Self {
        Self { buckets: vec![Bucket::default(); (near + far) as usize], near, far_mask: far - 1, reused: Vec::new() }
    }

    fn near(&self, hash: u64) -> usize {
        (hash as u32 & (self.near - 1)) as usize
    }

    fn far(&self, hash: u64) -> usize {
        (self.near + ((hash >> self.near.trailing_zeros()) as u32 & self.far_mask)) as usize
    }

    pub(super) fn word(&self, place: Place) -> SlotWord {
        SlotWord(self.buckets[place.bucket].words[place.slot])
    }

    pub(super) fn time(&self, place: Place) -> SlotTime {
        self.buckets[place.bucket].times[place.slot]
    }

    pub(super) fn put(&mut self, place: Place, word: SlotWord) {
        self.buckets[place.bucket].words[place.slot] = word.0;
    }

    pub(super) fn seen_again(&mut self, place: Place, now_ns: u64) {
        let time = &mut self.buckets[place.bucket].times[place.slot];
        *time = time.seen_again(now_ns);
    }

    pub(super) fn find(&self, hash: u64, seq: u32, now_ns: u64) -> Option<Place> {
        let wanted = SlotWord::new(hash, seq, SlotState::Pending);
        let near = self.near(hash);
        let found = self.look(near, wanted);
        if found.is_some() || !may_be_far(self.buckets[near].overflowed, tick(now_ns)) {
            return found;
        }
        self.look(self.far(hash), wanted)
    }

    fn look(&self, bucket: usize, wanted: SlotWord) -> Option<Place> {
        let slots = self.buckets[bucket].words;
        let slot = slots.into_iter().position(|word| SlotWord(word).same_attempt(wanted))?;
        Some(Place { bucket, slot })
    }

    /// Takes a slot for an attempt that has none.
    pub(super) fn remember(&mut self, attempt: &Attempt) -> Remembered {
        let Attempt { hash, seq, seen_ns: now_ns, .. } = *attempt;
        let word = SlotWord::new(hash, seq, SlotState::Pending).with_data(attempt.detail);
        let bucket = self.near(hash);
        let looks = (0..SLOTS).map(|turn| Place { bucket, slot: first_look(seq, turn) });
        let spare = looks.into_iter().find(|place| self.word(*place).is_spare());
        let place = spare.unwrap_or_else(|| self.to_take(bucket, now_ns));
        if is_done(self.word(place), self.time(place), now_ns) {
            self.give(place, word, now_ns);
            return Remembered::New(place);
        }
        self.buckets[bucket].overflowed = tick(now_ns);
        let place = self.to_take(self.far(hash), now_ns);
        let (was, time) = (self.word(place), self.time(place));
        self.give(place, word, now_ns);
        match is_done(was, time, now_ns) {
            true => Remembered::New(place),
            false if was.is_said() => Remembered::Instead(place, Counter::SaidEvicted, was),
            false => Remembered::Instead(place, Counter::PendingEvicted, was),
        }
    }

    /// The slot that is missed least.
    fn to_take(&self, bucket: usize, now_ns: u64) -> Place {
        let Bucket { words, times, .. } = &self.buckets[bucket];
        Place { bucket, slot: Bucket::to_take(words, times, now_ns) }
    }

    fn give(&mut self, place: Place, word: SlotWord, now_ns: u64) {
        if self.word(place).0 != 0 {
            self.reused.push(self.word(place).0);
        }
        let bucket = &mut self.buckets[place.bucket];
        bucket.words[place.slot] = word.0;
        bucket.times[place.slot] = SlotTime::first_seen(now_ns);
    }
}
