//! What becomes of an attempt: the decisions of the data path, apart from how it reads and writes its tables.
//!
//! The programs decide by these functions, and so does the simulated kernel.

use crate::{ServiceState, SilentSpan, SlotState, SlotTime, SlotWord, step};

/// Between two answers of a service, a pause of more than this may have been a failure; a shorter one is the loss of single
/// packets, which their repetition after a second mends.
pub const SILENCE_NS: u64 = 1_500_000_000;

/// What is to be said of an attempt whose time-out has passed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Its service may have no outage: nothing.
    Unknown,
    /// Its service answered others meanwhile: the client's own trouble (design rule 2).
    Isolated,
    /// It failed.
    Failed,
}

/// Judges an attempt that was first seen at `first_ns`.
#[inline(always)]
#[must_use]
pub const fn judge(word: SlotWord, first_ns: u64, service: &ServiceState) -> Judgement {
    // The daemon knows of an outage there, or is to: it judges by the outage's begin and end.
    if is_failed(word, service) || first_ns <= service.ended_ns {
        return Judgement::Failed;
    }
    if service.flags == 0 {
        return Judgement::Unknown;
    }
    // As exact as the times of attempts are kept.
    let silent = step(service.answered_syn_ns) <= step(first_ns);
    if silent || in_silence(first_ns, service) { Judgement::Failed } else { Judgement::Isolated }
}

/// Whether the service answered nobody around the first SYN of an attempt, in a silence that is remembered.
#[inline(always)]
#[must_use]
pub const fn in_silence(first_ns: u64, service: &ServiceState) -> bool {
    service.silence_at(first_ns).to_ns != 0
}

/// Whether the attempt's service is failed, or was when the attempt was made: also one that never answered here may be, as
/// another gateway has seen its outage.
#[inline(always)]
#[must_use]
pub const fn is_failed(word: SlotWord, service: &ServiceState) -> bool {
    word.is(SlotState::Hinted) || service.failed_ns != 0
}

/// Notes that the service has answered a SYN of `syn_ns`. One that is known and has not answered on this path was silent until
/// now.
#[inline(always)]
pub const fn note_answer(service: &mut ServiceState, syn_ns: u64, now_ns: u64) {
    // Answers do not come in the order of their SYNs, and clocks are not read in the order of answers.
    if now_ns > service.last_answer_ns {
        if now_ns - service.last_answer_ns > SILENCE_NS {
            service.add_silence(SilentSpan { from_ns: service.answered_syn_ns, to_ns: now_ns });
        }
        service.last_answer_ns = now_ns;
    }
    if syn_ns > service.answered_syn_ns {
        service.answered_syn_ns = syn_ns;
    }
    // Two CPUs that count at once may count one too few; only the change matters.
    service.answers = service.answers.wrapping_add(1);
}

/// An answer that comes later than this after its SYN is not that of the first SYN (RFC 6298 section 2.1: nothing is repeated
/// before a second has passed), and may find that its client has given up.
pub const LATE_ANSWER_NS: u64 = 900_000_000;

/// Whether an answer at `now_ns` is late: its attempt is kept for a while, as its client may say that it has given up.
#[inline(always)]
#[must_use]
pub const fn is_late(time: SlotTime, now_ns: u64) -> bool {
    now_ns.saturating_sub(time.first_ns(now_ns)) > LATE_ANSWER_NS
}

/// Whether the daemon is told of this answer. Those of services that are well are nobody's concern.
#[inline(always)]
#[must_use]
pub const fn is_reported(word: SlotWord, service: &ServiceState, now_ns: u64) -> bool {
    let is_known = word.is(SlotState::Hinted) || word.is_said() || word.is_unsaid_answer();
    is_known || service.failed_ns != 0 || now_ns < service.report_until_ns
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::{Judgement, SILENCE_NS, is_reported, judge, note_answer};
    use crate::{ServiceFlags, ServiceState, SlotState, SlotWord};

    const SECOND: u64 = 1_000_000_000;
    const PENDING: SlotWord = SlotWord::new(1 << 40, 7, SlotState::Pending);

    /// Each is answered a hundred milliseconds after its SYN.
    fn answered(syns: &[u64]) -> ServiceState {
        let mut service = ServiceState { flags: ServiceFlags::ANSWERED, ..ServiceState::default() };
        for syn in syns {
            note_answer(&mut service, *syn, *syn + SECOND / 10);
        }
        service
    }

    fn silences(service: &ServiceState) -> Vec<(u64, u64)> {
        let spans = service.silences.iter().rev().map(|span| (span.from_ns, span.to_ns));
        spans.skip_while(|(_, to)| *to == 0).collect()
    }

    // proves: F-3a
    #[test]
    fn rule_2_an_answer_to_others_proves_something_of_the_time_of_their_syns_only() {
        let at = |tenths: u64| 100 * SECOND + tenths * SECOND / 10;
        // A service that answers what comes ten times a second, but not from 0 to 4.1 s.
        let before: Vec<_> = (1..=10).rev().map(|tenth| 100 * SECOND - tenth * SECOND / 10).collect();
        let after: Vec<_> = (41..60).map(at).collect();
        let service = answered(&[before.clone(), after].concat());
        for (first, fate) in [(14, Judgement::Failed), (40, Judgement::Failed), (43, Judgement::Isolated)] {
            assert_eq!(judge(PENDING, at(first), &service), fate, "{first}");
        }
        let silent = answered(&before);
        assert_eq!(judge(PENDING, at(1), &silent), Judgement::Failed);
        // Between the last SYN that was answered and its answer.
        assert_eq!(judge(PENDING, at(0) - SECOND / 20, &silent), Judgement::Failed);
        let busy = answered(&[before, (0..60).map(at).collect()].concat());
        assert_eq!(judge(PENDING, at(1), &busy), Judgement::Isolated);
    }

    #[test]
    fn a_silence_is_remembered_although_others_follow_before_the_time_out() {
        // Silent from 10 to 12 s, then tried once each two seconds.
        let mut service = answered(&[10 * SECOND, 12 * SECOND, 14 * SECOND]);
        assert_eq!(judge(PENDING, 11 * SECOND + SECOND / 2, &service), Judgement::Failed);
        for syn in [16, 18, 20, 22] {
            note_answer(&mut service, syn * SECOND, syn * SECOND + 1);
        }
        assert_eq!(judge(PENDING, 11 * SECOND + SECOND / 2, &service), Judgement::Isolated);
        assert_eq!(judge(PENDING, 21 * SECOND, &service), Judgement::Failed);
    }

    #[test]
    fn of_two_silences_around_a_syn_it_is_the_later_one() {
        // The second SYN comes while the answer to the first one is on its way.
        let tenth = SECOND / 10;
        let service = answered(&[10 * SECOND, 12 * SECOND, 15 * SECOND]);
        let span = service.silence_at(12 * SECOND + tenth / 2);
        assert_eq!((span.from_ns, span.to_ns), (12 * SECOND, 15 * SECOND + tenth));
    }

    #[test]
    fn what_the_daemon_knows_an_outage_of_is_the_daemons_to_judge() {
        let busy = answered(&[SECOND, 2 * SECOND, 2 * SECOND + SECOND / 10]);
        let life = 2 * SECOND + 1;
        assert_eq!(judge(PENDING, life, &busy), Judgement::Isolated);
        assert_eq!(judge(PENDING.to(SlotState::Hinted), life, &busy), Judgement::Failed);
        assert_eq!(judge(PENDING, life, &ServiceState { failed_ns: 1, ..busy }), Judgement::Failed);
        assert_eq!(judge(PENDING, life, &ServiceState { ended_ns: life, ..busy }), Judgement::Failed);
        assert_eq!(judge(PENDING, life, &ServiceState { ended_ns: life - 1, ..busy }), Judgement::Isolated);
        let unknown = ServiceState { flags: 0, ..busy };
        assert_eq!(judge(PENDING, life, &unknown), Judgement::Unknown);
        // Another gateway knows it.
        assert_eq!(judge(PENDING.to(SlotState::Hinted), life, &unknown), Judgement::Failed);
    }

    #[test]
    fn a_short_pause_is_no_silence_and_the_time_before_the_first_answer_is_one() {
        let tenth = SECOND / 10;
        let service = answered(&[5 * SECOND, 5 * SECOND + SILENCE_NS]);
        assert_eq!(silences(&service), [(0, 5 * SECOND + tenth)]);
        let service = answered(&[5 * SECOND, 5 * SECOND + SILENCE_NS + 1, 6 * SECOND + SILENCE_NS]);
        let second = (5 * SECOND, 5 * SECOND + SILENCE_NS + 1 + tenth);
        assert_eq!(silences(&service), [(0, 5 * SECOND + tenth), second]);
        // Answers that were held up: nobody had one for as long.
        let mut held_up = answered(&[5 * SECOND]);
        note_answer(&mut held_up, 5 * SECOND + tenth, 8 * SECOND);
        assert_eq!(silences(&held_up)[1..], [(5 * SECOND, 8 * SECOND)]);
    }

    #[test]
    fn answers_that_come_in_another_order_than_their_syns_take_no_silence_away() {
        let mut service = answered(&[5 * SECOND, 9 * SECOND]);
        let before = silences(&service);
        note_answer(&mut service, 9 * SECOND - 5, 9 * SECOND + SECOND / 10 - 4);
        assert_eq!(silences(&service), before);
        assert_eq!((service.answered_syn_ns, service.last_answer_ns), (9 * SECOND, 9 * SECOND + SECOND / 10));
    }

    #[test]
    fn answers_are_reported_where_somebody_waits_for_them() {
        let well = answered(&[SECOND]);
        assert!(!is_reported(PENDING, &well, 2 * SECOND));
        assert!(!is_reported(PENDING.to(SlotState::Isolated), &well, 2 * SECOND));
        for state in [SlotState::Hinted, SlotState::Said, SlotState::Firm] {
            assert!(is_reported(PENDING.to(state), &well, 2 * SECOND));
        }
        assert!(is_reported(PENDING, &ServiceState { failed_ns: 1, ..well }, 2 * SECOND));
        assert!(is_reported(PENDING, &ServiceState { report_until_ns: 3 * SECOND, ..well }, 2 * SECOND));
    }
}
