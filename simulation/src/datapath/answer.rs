//! An answer (`watch/answer.rs`).

use monitor_common::{
    Attempt, Counter, EventKind, Evidence, ServiceFlags, ServiceState, SlotState, SlotWord, is_late, is_reported,
    note_answer,
};

use super::{
    DataPath, Found, Now,
    report::{Room, Statement},
};

impl DataPath {
    /// Takes a SYN/ACK that passes on this CPU. Returns whether it matched an attempt and is its answer.
    pub fn syn_ack(&mut self, cpu: u32, mut attempt: Attempt, now: Now) -> bool {
        attempt.hash = self.hash(&attempt);
        let answered = self.answered(cpu, &mut attempt, now);
        if !answered {
            self.count(Counter::AnswersUnmatched);
        }
        answered
    }

    fn answered(&mut self, cpu: u32, attempt: &mut Attempt, now: Now) -> bool {
        let tick_ns = now.coarse;
        let Some(mut found) = self.find(attempt, tick_ns) else {
            self.keep_unmatched(attempt);
            return false;
        };
        attempt.seq = found.was.seq();
        attempt.seen_ns = tick_ns;
        let syn_ns = self.table.time(found.place).latest_ns(tick_ns);
        if !found.was.awaits_answer() {
            if found.was.is_answered() {
                self.table.seen_again(found.place, tick_ns);
            }
            return false;
        }
        if self.service_of(attempt).is_none() && !self.enter_service(attempt) {
            self.count(Counter::ServicesFull);
            self.turn(&mut found, SlotState::Quick);
            return true;
        }
        let service = self.service_of(attempt).copied().unwrap_or_default();
        if is_reported(found.was, &service, tick_ns) {
            self.say_answered(cpu, attempt, (service.flags, now.exact), &mut found);
        } else {
            let late = is_late(self.table.time(found.place), tick_ns);
            self.turn(&mut found, if late { SlotState::Answered } else { SlotState::Quick });
            self.table.seen_again(found.place, tick_ns);
        }
        self.count(Counter::Answers);
        let key = (attempt.server.bytes, attempt.server_port);
        if let Some(service) = self.services.get_mut(&key) {
            note_answer(service, syn_ns, attempt.seen_ns);
        }
        if service.flags & ServiceFlags::ANSWERED == 0
            && self.say_learned(attempt, service.flags) == Room::Yes
            && let Some(service) = self.services.get_mut(&key)
        {
            service.flags |= ServiceFlags::ANSWERED;
        }
        true
    }

    /// Frees the slot.
    pub(super) fn take(&mut self, found: Found) {
        self.table.put(found.place, SlotWord(0));
    }

    fn say_answered(&mut self, cpu: u32, attempt: &mut Attempt, (standing, now_ns): (u32, u64), found: &mut Found) {
        let was_said = found.was.is_said();
        let unsaid = if was_said { SlotState::WithdrawalUnsaid } else { SlotState::AnswerUnsaid };
        self.turn(found, unsaid);
        let room = self.unsaid_answer(attempt, (standing, now_ns), found);
        // From here on this is when it was answered.
        self.table.seen_again(found.place, now_ns);
        attempt.seen_ns = now_ns;
        // The deadline of one whose fate was said is over.
        if room == Room::Full && was_said && !self.enter(cpu, attempt) {
            self.lose(attempt);
        }
    }

    /// Says that an attempt is answered which was not said yet, at `now_ns`.
    pub(super) fn unsaid_answer(
        &mut self,
        attempt: &Attempt,
        (standing, now_ns): (u32, u64),
        found: &mut Found,
    ) -> Room {
        let time = self.table.time(found.place);
        let attempt = Attempt { seen_ns: time.first_ns(now_ns), ..*attempt };
        let word = Statement {
            latest_ns: time.latest_ns(now_ns),
            at_ns: now_ns,
            kind: EventKind::Answered,
            evidence: Evidence::SynAck,
            attempts: u32::from(found.was.is(SlotState::WithdrawalUnsaid)),
            standing,
        };
        self.claim(&attempt, &word, found, SlotState::Answered)
    }

    fn say_learned(&mut self, attempt: &Attempt, standing: u32) -> Room {
        let now = attempt.seen_ns;
        let word = Statement {
            latest_ns: now,
            at_ns: now,
            kind: EventKind::Learned,
            evidence: Evidence::SynAck,
            attempts: 0,
            standing,
        };
        self.plain(attempt, &word)
    }

    /// Puts the service of the attempt into the table. Returns whether there was room.
    fn enter_service(&mut self, attempt: &Attempt) -> bool {
        let room = self.services.len() < self.sizes.services;
        if room {
            let flags = self.standing(attempt);
            let service = ServiceState { last_answer_ns: attempt.seen_ns, flags, ..ServiceState::default() };
            self.services.insert((attempt.server.bytes, attempt.server_port), service);
        }
        room
    }
}
