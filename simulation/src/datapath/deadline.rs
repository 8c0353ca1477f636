//! The passing of time (`watch/deadline.rs`, `watch/ring.rs`).

use std::collections::VecDeque;

use monitor_common::{Attempt, Counter, EventKind, Evidence, Judgement, SlotState, is_deadline_of, judge, step};

use super::{
    DataPath, Found,
    report::{Room, Statement},
};

/// Attempts that one look takes from one CPU's ring at most.
const BATCH: u32 = 16_384;

/// The ring of one CPU, in which attempts wait for their deadline.
#[derive(Clone, Debug)]
pub(super) struct Deadlines {
    most: usize,
    attempts: VecDeque<Attempt>,
}

impl Deadlines {
    pub(super) const fn new(most: u32) -> Self {
        Self { most: most as usize, attempts: VecDeque::new() }
    }

    pub(super) fn first(&self) -> Option<&Attempt> {
        self.attempts.front()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    /// Returns whether there was room.
    pub(super) fn enter(&mut self, attempt: Attempt) -> bool {
        let room = self.attempts.len() < self.most;
        if room {
            self.attempts.push_back(attempt);
        }
        room
    }
}

impl DataPath {
    /// One look of the timer at the heads of all rings.
    pub fn look(&mut self, now_ns: u64) {
        for cpu in 0..self.deadlines.len() {
            for _ in 0..BATCH {
                let Some(attempt) = self.deadlines[cpu].first().copied() else { break };
                if attempt.seen_ns + self.syn_timeout_ns > now_ns || self.expire(&attempt, now_ns) == Room::Full {
                    break;
                }
                self.deadlines[cpu].attempts.pop_front();
            }
        }
    }

    fn expire(&mut self, entry: &Attempt, now_ns: u64) -> Room {
        let Some(mut found) = self.find(entry, now_ns) else { return Room::Yes };
        if !is_deadline_of(found.was, self.table.time(found.place), entry.seen_ns) {
            return Room::Yes;
        }
        if found.was.is_open() {
            self.silent(entry, &mut found, now_ns)
        } else {
            self.say_late(entry, &mut found, now_ns)
        }
    }

    /// What found no room when it came.
    fn say_late(&mut self, entry: &Attempt, found: &mut Found, now_ns: u64) -> Room {
        let standing = self.standing(entry);
        if let Some(evidence) = found.was.unsaid_failure() {
            let at_ns = self.table.time(found.place).latest_ns(entry.seen_ns);
            return self.failure(entry, evidence, (standing, at_ns), found);
        }
        if found.was.is_unsaid_answer() {
            let at_ns = self.table.time(found.place).latest_by_ns(entry.seen_ns, now_ns);
            return self.unsaid_answer(entry, (standing, at_ns), found);
        }
        Room::Yes
    }

    fn silent(&mut self, entry: &Attempt, found: &mut Found, now_ns: u64) -> Room {
        let time = self.table.time(found.place);
        let first_ns = time.first_ns(entry.seen_ns);
        let seen_ns = if step(first_ns) == step(entry.seen_ns) { entry.seen_ns } else { first_ns };
        let attempt = Attempt { seen_ns, ..*entry };
        let latest_ns = time.latest_ns(entry.seen_ns).max(seen_ns);
        let standing = self.standing(entry);
        let judgement = match self.service_of(entry) {
            Some(service) => judge(found.was, seen_ns, service),
            None if standing == 0 => Judgement::Unknown,
            None => Judgement::Failed,
        };
        if judgement == Judgement::Failed {
            let word = Statement {
                latest_ns,
                at_ns: now_ns,
                kind: EventKind::Failed,
                evidence: Evidence::Unanswered,
                attempts: 1,
                standing,
            };
            let room = self.claim(&attempt, &word, found, SlotState::Said);
            if room == Room::Yes {
                self.count(Counter::Expired);
            }
            return room;
        }
        self.count(Counter::Expired);
        if judgement == Judgement::Unknown {
            self.take(*found);
            self.count(Counter::UnknownService);
        } else {
            self.turn(found, SlotState::Isolated);
            self.count(Counter::Isolated);
        }
        Room::Yes
    }
}
