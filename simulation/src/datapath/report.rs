//! Reports to the daemon (`watch/report.rs`).

use monitor_common::{Attempt, Counter, Event, EventKind, Evidence, SlotState};

use super::{DataPath, Found};

/// Whether a report found room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    Full,
}

/// What is said of an attempt.
pub(super) struct Statement {
    pub(super) latest_ns: u64,
    pub(super) at_ns: u64,
    pub(super) kind: EventKind,
    pub(super) evidence: Evidence,
    pub(super) attempts: u32,
    pub(super) standing: u32,
}

impl DataPath {
    /// Says it, and turns the attempt's slot to `to`.
    pub(super) fn claim(&mut self, attempt: &Attempt, word: &Statement, found: &mut Found, to: SlotState) -> Room {
        if !self.ring.has_room() {
            self.count(Counter::RingFull);
            return Room::Full;
        }
        self.turn(found, to);
        self.say(attempt, word);
        Room::Yes
    }

    /// Says what needs no claim on an attempt.
    pub(super) fn plain(&mut self, attempt: &Attempt, word: &Statement) -> Room {
        if !self.ring.has_room() {
            self.count(Counter::RingFull);
            return Room::Full;
        }
        self.say(attempt, word);
        Room::Yes
    }

    fn say(&mut self, attempt: &Attempt, word: &Statement) {
        let service = self.service_of(attempt).copied().unwrap_or_default();
        let silence = service.silence_at(attempt.seen_ns);
        self.ring.push(Event {
            kind: word.kind,
            evidence: word.evidence,
            client: attempt.client,
            server: attempt.server,
            seen_ns: attempt.seen_ns,
            latest_ns: word.latest_ns,
            at_ns: word.at_ns,
            answered_syn_ns: service.answered_syn_ns,
            silent_from_ns: silence.from_ns,
            silent_to_ns: silence.to_ns,
            client_port: attempt.client_port,
            server_port: attempt.server_port,
            attempts: word.attempts,
            standing: word.standing,
            ifindex: attempt.arrival.ifindex(),
            answers: service.answers,
            seq: attempt.seq,
        });
        self.count(Counter::Events);
    }
}
