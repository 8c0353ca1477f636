//! Evidence that comes by itself (`watch/evidence.rs`).

use monitor_common::{Attempt, Counter, EventKind, Evidence, SlotState, in_silence, is_failed};

use super::{
    DataPath, Found,
    report::{Room, Statement},
};

impl DataPath {
    /// Takes an RST of the server, or an ICMP message, on this CPU. Returns whether it matched an attempt.
    pub fn evidence(&mut self, cpu: u32, attempt: Attempt, evidence: Evidence, now_ns: u64) -> bool {
        let matched = self.matches(cpu, attempt, evidence, now_ns);
        match (evidence, matched) {
            (Evidence::Refused, true) => self.count(Counter::Refusals),
            (Evidence::Refused, false) => {}
            (_, true) => self.count(Counter::Unreachables),
            (_, false) => self.count(Counter::UnreachablesUnmatched),
        }
        matched
    }

    /// Takes the RST of a client in answer to a SYN/ACK.
    pub fn gave_up(&mut self, cpu: u32, attempt: Attempt, now_ns: u64) -> bool {
        let matched = self.matches(cpu, attempt, Evidence::GaveUp, now_ns);
        if matched {
            self.count(Counter::GaveUp);
        }
        matched
    }

    fn matches(&mut self, cpu: u32, mut attempt: Attempt, evidence: Evidence, now_ns: u64) -> bool {
        attempt.hash = self.hash(&attempt);
        let Some(mut found) = self.find(&attempt, now_ns) else { return false };
        attempt.seq = found.was.seq();
        let gave_up = evidence == Evidence::GaveUp;
        let is_answered = found.was.is(SlotState::Answered) || found.was.is_unsaid_answer();
        if is_answered != gave_up || found.was.is(SlotState::Quick) {
            return false;
        }
        let standing = self.standing(&attempt);
        let failed = self.service_of(&attempt).is_some_and(|service| is_failed(found.was, service));
        if standing == 0 && !failed {
            if found.was.is_open() {
                self.take(found);
                self.count(Counter::UnknownService);
            }
            return true;
        }
        let is_known = found.was.is(SlotState::Firm) || found.was.is(SlotState::Gone);
        if !is_known && found.was.unsaid_failure().is_none() {
            self.say_failed(cpu, attempt, evidence, (standing, now_ns), &mut found);
        }
        true
    }

    /// Says it, or has the timer say it when there is room.
    fn say_failed(
        &mut self,
        cpu: u32,
        attempt: Attempt,
        evidence: Evidence,
        (standing, now_ns): (u32, u64),
        found: &mut Found,
    ) {
        let was = found.was;
        let first_ns = self.table.time(found.place).first_ns(now_ns);
        let is_known = self.service_of(&attempt).is_some_and(|service| in_silence(first_ns, service));
        if evidence == Evidence::GaveUp && !is_known && now_ns < first_ns + self.syn_timeout_ns {
            self.turn(found, SlotState::unsaid(evidence));
            return self.table.seen_again(found.place, now_ns);
        }
        if self.failure(&attempt, evidence, (standing, now_ns), found) == Room::Yes {
            return;
        }
        if was.is(SlotState::Said) || was.is_unsaid_answer() {
            return self.lose(&attempt);
        }
        self.turn(found, SlotState::unsaid(evidence));
        // From here on this is when it failed.
        self.table.seen_again(found.place, now_ns);
        // One that is open has its deadline still to come.
        if !was.is_open() && !self.enter(cpu, &Attempt { seen_ns: now_ns, ..attempt }) {
            self.lose(&attempt);
        }
    }

    /// Says that the attempt failed by this evidence.
    pub(super) fn failure(
        &mut self,
        attempt: &Attempt,
        evidence: Evidence,
        (standing, now_ns): (u32, u64),
        found: &mut Found,
    ) -> Room {
        let time = self.table.time(found.place);
        let word = Statement {
            latest_ns: time.latest_ns(now_ns),
            at_ns: now_ns,
            kind: EventKind::Failed,
            evidence,
            attempts: u32::from(!found.was.is(SlotState::Said)),
            standing,
        };
        let attempt = Attempt { seen_ns: time.first_ns(now_ns), ..*attempt };
        let to = if evidence == Evidence::GaveUp { SlotState::Gone } else { SlotState::Firm };
        self.claim(&attempt, &word, found, to)
    }
}
