//! The race rule (design rule 7): between a failed attempt and the kernel's mark the service may answer somebody. Nobody
//! reports answers of a service that is not marked, so the kernel is asked after the mark.

use super::Machine;
use crate::{
    domain::{Moment, MonotonicNs, Service, UnixMs},
    outage::{Actions, FailedAttempt, LatestAttempt},
};

impl LatestAttempt {
    pub(super) fn of(attempt: &FailedAttempt) -> Option<Self> {
        // What somebody has said is of that moment; silence is of the time since the SYN.
        let seen = if attempt.evidence.is_silence() { attempt.seen } else { attempt.said };
        attempt.answers.map(|answers| Self { seen, answers: answers.count })
    }

    /// The count is exact where two times are too close to compare; the time is right where the count began anew.
    fn was_answered(self, (count, last): (u32, MonotonicNs)) -> bool {
        count != self.answers || last >= self.seen
    }
}

impl Machine {
    /// How often the service has answered, and when it last did, read after its mark was set.
    pub(super) fn answers_after_mark(
        &mut self,
        now: &Moment,
        service: Service,
        known: (u32, MonotonicNs),
        at: UnixMs,
        actions: &mut Actions,
    ) {
        let tracked = self.index.of_service(service).and_then(|id| self.index.get(id));
        let latest = tracked.and_then(|tracked| tracked.outage.span.latest);
        if let Some(latest) = latest.filter(|latest| latest.was_answered(known)) {
            // The time of an answer is a clock tick early at most; the count says that it came after the SYN.
            self.answered(now, service, None, (at, known.1.max(latest.seen)), actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::bed::{ANSWERS, T0, answered, attempt, closings, fail, machine, ms, now, open, restored, web};
    use crate::{
        domain::{MonotonicNs, OutageId, UnixMs},
        outage::{
            Actions, AnswersSeen, FailedAttempt, Failure, Machine, Mark, Observation, Outage, Phase, Rules, Span,
        },
    };

    /// When the SYN of an attempt at `at` passed.
    fn seen(at: UnixMs) -> u64 {
        attempt(Failure::Unanswered, web(), 1, at).seen.0
    }

    fn after_mark(machine: &mut Machine, count: u32, last: u64) -> Actions {
        machine.observe(
            &now(ms(50)),
            Observation::AnswersAfterMark { service: web(), count, last: MonotonicNs(last), at: ms(40) },
        )
    }

    #[test]
    fn rule_7_whatever_marks_a_service_has_it_checked() {
        let mut first = machine(Rules::default());
        let opened = open(&mut first, Failure::Unanswered, web());
        assert_eq!((opened.marks, opened.race_checks), (vec![Mark::Failed(web())], vec![web()]));
        let joined = fail(&mut first, attempt(Failure::KnownFailed, web(), 2, ms(1)));
        assert_eq!((joined.marks, joined.race_checks), (vec![], vec![]));
        let (_, restored) = restored(Rules::default(), first.outages().copied().collect(), OutageId(2));
        assert_eq!(restored.race_checks, [web()]);
    }

    // proves: F-12
    #[test]
    fn rule_7_an_answer_between_the_attempt_and_the_mark_ends_the_outage() {
        for (count, last) in [(1, seen(T0) - 1), (0, seen(T0)), (1, seen(T0) + 5)] {
            let mut machine = machine(Rules::default());
            open(&mut machine, Failure::Unanswered, web());
            let actions = after_mark(&mut machine, count, last);
            assert_eq!(closings(&actions)[0].recovered, ms(40), "{count} answers, the last at {last}");
            let until = MonotonicNs(last.max(seen(T0)));
            let report_until = MonotonicNs::default();
            assert_eq!(actions.marks, [Mark::Ended { service: web(), until, report_until }]);
        }
    }

    #[test]
    fn rule_7_an_answer_from_before_the_attempt_ends_nothing() {
        let mut machine = machine(Rules::default());
        open(&mut machine, Failure::Unanswered, web());
        assert_eq!(after_mark(&mut machine, 0, seen(T0) - 1), Actions::default());
        assert_eq!(machine.outages().count(), 1);
    }

    #[test]
    fn rule_7_the_latest_attempt_counts_even_if_it_joins_an_outage_or_is_the_clients_own_trouble() {
        for isolated in [false, true] {
            let mut machine = machine(Rules::default());
            open(&mut machine, Failure::Unanswered, web());
            let last = isolated.then_some(MonotonicNs(seen(ms(10))));
            let answers = Some(AnswersSeen { last, count: 3, ..ANSWERS });
            fail(&mut machine, FailedAttempt { answers, ..attempt(Failure::Unanswered, web(), 2, ms(10)) });
            // It answered after the first attempt: the second says that this was not the end.
            assert_eq!(after_mark(&mut machine, 3, seen(ms(9))), Actions::default());
            assert_eq!(closings(&after_mark(&mut machine, 4, seen(ms(9)))).len(), 1);
        }
    }

    #[test]
    fn rule_7_an_outage_that_no_attempt_here_speaks_of_is_not_ended() {
        let theirs = Outage {
            id: OutageId(77),
            service: web(),
            since: T0,
            latest: T0,
            evidence: Failure::Unanswered,
            level: Failure::Unanswered.level(),
            failures: 1,
            span: Span::default(),
            trying_until: UnixMs::default(),
            phase: Phase::Open,
        };
        // This gateway had a suspicion once, and its service has answered since.
        let mut machine = machine(Rules { min_failures: 2, ..Rules::default() });
        open(&mut machine, Failure::Unanswered, web());
        let opened = machine.observe(&now(ms(10)), Observation::OpenElsewhere(theirs));
        assert_eq!(opened.race_checks, [web()]);
        assert_eq!(after_mark(&mut machine, 9, seen(ms(20))), Actions::default());
        let guarded = FailedAttempt { answers: None, ..attempt(Failure::Sick, web(), 2, ms(30)) };
        fail(&mut machine, guarded);
        assert_eq!(after_mark(&mut machine, 9, seen(ms(40))), Actions::default(), "a guard sees no answers");
    }

    #[test]
    fn rule_7_an_outage_that_a_guard_opens_again_is_not_ended_by_what_the_kernel_counted_before() {
        let mut machine = machine(Rules { settle: Duration::from_secs(60), ..Rules::default() });
        open(&mut machine, Failure::Unanswered, web());
        machine.observe(&now(ms(10)), answered(web(), None, ms(10)));
        let guarded = FailedAttempt { answers: None, ..attempt(Failure::Sick, web(), 2, ms(20)) };
        assert_eq!(fail(&mut machine, guarded).race_checks, [web()], "it is failed again");
        assert_eq!(after_mark(&mut machine, 9, seen(ms(10))), Actions::default());
    }

    #[test]
    fn what_is_not_failed_is_not_checked() {
        let mut machine = machine(Rules::default());
        assert_eq!(after_mark(&mut machine, 9, 9), Actions::default());
        assert_eq!(machine.tally().not_failed, 0);
    }

    /// What happens at one service while a turn gathers reports, by a clock that does not always advance.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Answers,
        /// An attempt is made and found failed; `meanwhile`: the service answers somebody in between.
        Fails {
            meanwhile: bool,
        },
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
        let step = prop_oneof![Just(Step::Answers), any::<bool>().prop_map(|meanwhile| Step::Fails { meanwhile }),];
        prop::collection::vec((0..2_u64, step), 1..12)
    }

    proptest! {
        #[test]
        fn rule_7_an_outage_outlives_its_mark_exactly_if_nobody_was_answered_since_the_latest_attempt(steps in steps()) {
            let mut machine = machine(Rules::default());
            // In milliseconds: the kernel tells two SYNs apart that are a third of one apart.
            const MS: u64 = 1_000_000;
            let (mut now, mut count, mut last) = (MS, 0, 0);
            let (mut fails, mut answered_since) = (false, false);
            for (later, step) in steps {
                now += later * MS;
                let mut answers = |at| (count, last, answered_since) = (count + 1, at, true);
                match step {
                    Step::Answers => answers(now),
                    Step::Fails { meanwhile } => {
                        if meanwhile {
                            answers(now + MS);
                        }
                        let seen = MonotonicNs(now);
                        // Of the same moment: nobody can say which was first, and to keep an outage that is over is
                        // the worse mistake.
                        answered_since = last >= now;
                        fails |= last <= now;
                        now += MS;
                        let known = AnswersSeen { last: (last > 0).then_some(MonotonicNs(last)), count, ..ANSWERS };
                        let unanswered = attempt(Failure::Unanswered, web(), 1, T0);
                        fail(&mut machine, FailedAttempt { seen, answers: Some(known), ..unanswered });
                    }
                }
            }
            prop_assert_eq!(machine.outages().count(), usize::from(fails));
            if last > 0 {
                after_mark(&mut machine, count, last);
            }
            prop_assert_eq!(machine.outages().count(), usize::from(fails && !answered_since));
        }
    }
}
