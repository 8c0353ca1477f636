//! The outbox worker and the mail server: which letters are sent, and what becomes of each try.

use std::collections::BTreeMap;

use monitor_core::{
    config,
    domain::MonotonicNs,
    mail::{self, Backoff, Letter, LetterId, Outcome, Pacer, expired, outcome},
};
use monitor_store::Outbox;

use crate::{
    disk::Disk,
    random::Random,
    time::{MS, SECOND},
    world::clock::Clocks,
};

/// Letters read from the store at once.
const TAKE: u32 = 512;
/// The store is asked at least this often.
const LOOK: u64 = 60 * SECOND;

/// See the module. It dies with its daemon; what the mail server has taken stays.
pub(crate) struct Mailer {
    outbox: Outbox,
    pacer: Pacer,
    in_hand: BTreeMap<LetterId, Letter>,
    outcomes: Vec<(LetterId, Outcome)>,
    look: u64,
    backoff: Backoff,
    /// Every letter that was taken, once.
    pub(crate) written: Vec<Letter>,
}

/// A letter that the mail server has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) letter: Letter,
}

impl Mailer {
    pub(crate) fn start(outbox: Outbox, disk: &Disk, now: u64, rate: u32) -> Self {
        // A store that refuses is asked again at the next look.
        let _ = disk.wait(outbox.release_leases());
        Self {
            outbox,
            pacer: Pacer::new(rate),
            in_hand: BTreeMap::new(),
            outcomes: Vec::new(),
            look: now,
            backoff: Backoff::new(&config::Notify::default()),
            written: Vec::new(),
        }
    }

    /// Letters may be there.
    pub(crate) fn wake(&mut self, now: u64) {
        self.look = now;
    }

    /// Records, takes; returns letters that are on their way from now on, and when to go on.
    pub(crate) fn step(&mut self, disk: &Disk, clocks: Clocks) -> (Vec<LetterId>, u64) {
        let Clocks { now, .. } = clocks;
        if !self.outcomes.is_empty() && disk.wait(self.outbox.record(self.outcomes.clone())).is_ok() {
            for (id, _) in self.outcomes.drain(..) {
                self.in_hand.remove(&id);
            }
            self.look = now;
        }
        let mut sent: Vec<LetterId> = Vec::new();
        let mut released = self.pacer.release(MonotonicNs(now));
        released.sort_by_key(|letter| letter.id);
        sent.extend(released.iter().map(|letter| letter.id));
        if self.look <= now {
            let due = disk.wait(self.outbox.take_due(clocks.wall(), TAKE, self.outbox.lease()));
            for letter in due.unwrap_or_default() {
                let id = letter.id;
                if self.in_hand.insert(id, letter.clone()).is_none() {
                    self.written.push(letter.clone());
                    sent.extend(self.pacer.admit(MonotonicNs(now), letter).map(|letter| letter.id));
                }
            }
            let next = disk.wait(self.outbox.next_due()).ok().flatten();
            let wait = next.map_or(LOOK, |due| due.since(clocks.wall()).as_nanos() as u64);
            self.look = now + wait.clamp(5 * MS, LOOK);
        }
        let held = self.pacer.next_deadline().map_or(self.look, |held| held.0.max(now));
        (sent, held.min(self.look).max(now + MS))
    }

    /// How a try ends. Returns the letter if the mail server has it now.
    pub(crate) fn tried(&mut self, id: LetterId, trouble: u32, seed: u64, clocks: Clocks) -> Option<Accepted> {
        let letter = self.in_hand.get(&id)?.clone();
        let wall = clocks.wall();
        if let Some(dead) = expired(&letter, wall) {
            self.outcomes.push((id, dead));
            return None;
        }
        let mut random = Random::of(seed, &[id.0.unsigned_abs(), u64::from(letter.tries), 99]);
        let said = |text: &str| text.to_owned();
        let (attempt, is_taken) = match (random.per_mille(trouble), random.below(20)) {
            (false, _) => (mail::Attempt::Accepted, true),
            (true, 0) => (mail::Attempt::Refused(said("550")), false),
            (true, 1..=6) => (mail::Attempt::Deferred(said("lost behind the final dot")), true),
            (true, 7..=12) => (mail::Attempt::NoSession(said("no connection")), false),
            (true, _) => (mail::Attempt::Deferred(said("451")), false),
        };
        self.outcomes.push((id, outcome(&letter, attempt, wall, self.backoff)));
        is_taken.then_some(Accepted { letter })
    }

    /// Whether the worker has nothing to do and nothing is queued.
    pub(crate) fn is_done(&self, disk: &Disk) -> bool {
        let queued = disk.wait(self.outbox.counts()).map_or(0, |counts| counts.queued);
        queued == 0 && self.outcomes.is_empty()
    }
}
