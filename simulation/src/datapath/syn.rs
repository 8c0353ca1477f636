//! A SYN (`watch/syn.rs`).

use monitor_common::{Attempt, Counter, EventKind, Evidence, LATE_ANSWER_NS, ServiceFlags, SlotState};

use super::{
    DataPath, Found,
    report::{Room, Statement},
    table::Remembered,
};

/// What is known of the service that a SYN asks for.
struct Wanted {
    standing: u32,
    failed: bool,
}

impl DataPath {
    /// Takes a SYN that arrived on this CPU. Returns whether its service is marked failed.
    pub fn syn(&mut self, cpu: u32, mut attempt: Attempt, now_ns: u64) -> bool {
        let Some(wanted) = self.wanted(&attempt) else { return false };
        attempt.seen_ns = now_ns;
        attempt.hash = self.hash(&attempt);
        match self.find(&attempt, now_ns) {
            Some(found) => self.seen_again(cpu, &attempt, &wanted, found),
            None => self.seen_first(cpu, &attempt, &wanted),
        }
        wanted.failed
    }

    fn seen_first(&mut self, cpu: u32, attempt: &Attempt, wanted: &Wanted) {
        let place = match self.table.remember(attempt) {
            Remembered::New(place) => place,
            Remembered::Instead(place, lost, was) => {
                self.count(lost);
                self.forgotten.push(was.0);
                place
            }
        };
        let mut found = Found { place, was: self.table.word(place) };
        let has_deadline = self.enter(cpu, attempt);
        if has_deadline || wanted.failed {
            self.count(Counter::Attempts);
        }
        if wanted.failed {
            let next = if has_deadline { SlotState::Hinted } else { SlotState::Said };
            self.hint(attempt, wanted, &mut found, next);
        } else if !has_deadline {
            self.take(found);
        }
    }

    fn seen_again(&mut self, cpu: u32, attempt: &Attempt, wanted: &Wanted, mut found: Found) {
        self.count(Counter::Retransmits);
        if found.was.is_unsaid_answer() {
            return;
        }
        if found.was.is_answered() {
            let answered_ns = self.table.time(found.place).latest_ns(attempt.seen_ns);
            if attempt.seen_ns.saturating_sub(answered_ns) < LATE_ANSWER_NS || !self.enter(cpu, attempt) {
                return;
            }
            self.turn(&mut found, SlotState::Reopened);
        }
        self.table.seen_again(found.place, attempt.seen_ns);
        let is_reported = found.was.is_said() || found.was.is(SlotState::Hinted);
        if is_reported || (wanted.failed && found.was.is_pending()) {
            self.hint(attempt, wanted, &mut found, SlotState::Hinted);
        }
    }

    fn hint(&mut self, attempt: &Attempt, wanted: &Wanted, found: &mut Found, next: SlotState) {
        let now = attempt.seen_ns;
        let attempt = Attempt { seen_ns: self.table.time(found.place).first_ns(now), ..*attempt };
        let word = Statement {
            latest_ns: now,
            at_ns: now,
            kind: EventKind::Failed,
            evidence: Evidence::KnownFailed,
            attempts: u32::from(next.is_fate()),
            standing: wanted.standing,
        };
        if found.was.is_pending() {
            self.claim(&attempt, &word, found, next);
        } else if self.plain(&attempt, &word) == Room::Full {
            self.lose(&attempt);
        }
    }

    pub(super) fn enter(&mut self, cpu: u32, attempt: &Attempt) -> bool {
        let entered = self.deadlines[cpu as usize].enter(*attempt);
        if !entered {
            self.count(Counter::DeadlinesFull);
            self.forgotten.push(self.word_of(attempt).0);
        }
        entered
    }

    fn wanted(&self, attempt: &Attempt) -> Option<Wanted> {
        if let Some(service) = self.service_of(attempt) {
            return Some(Wanted { standing: service.flags, failed: service.failed_ns != 0 });
        }
        let listed = self.lists(attempt.server, attempt.server_port);
        if !listed && !self.watched.learn {
            return None;
        }
        Some(Wanted { standing: if listed { ServiceFlags::LISTED } else { 0 }, failed: false })
    }
}
