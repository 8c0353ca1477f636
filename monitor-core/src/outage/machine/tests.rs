//! The rules one by one.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::{
    Tally,
    bed::{
        ANSWERS, OFFSET, T0, answered, attempt, client, closings, ended, fail, machine, ms, now, open, restored,
        service, waits, web,
    },
};
use crate::{
    domain::{MonotonicNs, OutageId},
    outage::{
        Actions, AnswersSeen, Change, FailedAttempt, Failure, Level, Mark, Observation, Phase, Recovery, Rules,
        Standing, Target,
    },
};

// proves: F-3a F-7a
#[test]
fn an_unanswered_attempt_opens_an_outage_and_its_client_waits() {
    let mut machine = machine(Rules::default());
    let actions = open(&mut machine, Failure::Unanswered, web());
    assert!(matches!(actions.changes[0], Change::Put(outage) if outage.phase == Phase::Open && outage.since == T0));
    assert_eq!(waits(&actions), [client(1)]);
    assert_eq!(actions.marks, [Mark::Failed(web())]);
}

// proves: F-2a
#[test]
fn rule_1_host_level_evidence_marks_the_host_and_service_level_does_not() {
    for evidence in Failure::ALL.into_iter().filter(|evidence| evidence.is_finding()) {
        let actions = open(&mut machine(Rules::default()), evidence, web());
        let host = matches!(evidence, Failure::HostUnreachable | Failure::NetUnreachable);
        assert_eq!(actions.marks.contains(&Mark::HostFailed(web().addr())), host, "{evidence}");
    }
}

#[test]
fn rule_1_later_host_level_evidence_marks_the_host_once() {
    let mut machine = machine(Rules::default());
    open(&mut machine, Failure::Unanswered, web());
    let actions =
        fail(&mut machine, FailedAttempt { attempts: 0, ..attempt(Failure::HostUnreachable, web(), 1, ms(60)) });
    assert_eq!(actions.marks, [Mark::HostFailed(web().addr())]);
    let again = fail(&mut machine, attempt(Failure::HostUnreachable, web(), 2, ms(70)));
    assert_eq!(again.marks, []);
    assert_eq!(machine.outages().next().unwrap().level, Level::Host);
}

#[test]
fn rule_2_a_service_that_answered_somebody_since_the_syn_is_not_failed() {
    let mut machine = machine(Rules::default());
    let silent = attempt(Failure::Unanswered, web(), 1, T0);
    for answer in [silent.seen.0 + 1_000_000, silent.seen.0 + 1_000_000_000].map(MonotonicNs) {
        assert_eq!(
            fail(
                &mut machine,
                FailedAttempt { answers: Some(AnswersSeen { last: Some(answer), ..ANSWERS }), ..silent }
            ),
            Actions::default()
        );
    }
    assert_eq!(machine.tally().isolated, 2);
    let before = Some(MonotonicNs(silent.seen.0 - 1));
    assert_ne!(
        fail(&mut machine, FailedAttempt { answers: Some(AnswersSeen { last: before, ..ANSWERS }), ..silent }),
        Actions::default()
    );
}

#[test]
fn rule_3_scans_of_empty_addresses_open_nothing() {
    let mut machine = machine(Rules::default());
    for evidence in [Failure::Unanswered, Failure::Refused, Failure::HostUnreachable] {
        let scan = FailedAttempt { standing: Standing::Unknown, ..attempt(evidence, web(), 1, T0) };
        assert_eq!(fail(&mut machine, scan), Actions::default());
    }
    assert_eq!(machine.tally(), Tally { unknown_service: 3, ..Tally::default() });
    let listed = FailedAttempt { standing: Standing::Listed, ..attempt(Failure::Unanswered, web(), 1, T0) };
    assert_ne!(fail(&mut machine, listed), Actions::default());
}

#[test]
fn rule_3_silence_on_a_path_without_answers_cannot_be_judged_but_a_refusal_can() {
    let mut machine = machine(Rules::default());
    let blind = |evidence| FailedAttempt {
        answers: Some(AnswersSeen { on_path: false, ..ANSWERS }),
        ..attempt(evidence, web(), 1, T0)
    };
    assert_eq!(fail(&mut machine, blind(Failure::Unanswered)), Actions::default());
    assert_eq!(machine.tally().cannot_tell, 1);
    assert_ne!(fail(&mut machine, blind(Failure::Refused)), Actions::default());
}

// proves: F-4
#[test]
fn rule_4_each_further_syn_adds_its_client_at_once() {
    let mut machine = machine(Rules::default());
    open(&mut machine, Failure::Unanswered, web());
    let actions = fail(&mut machine, attempt(Failure::KnownFailed, web(), 2, ms(5)));
    assert_eq!(waits(&actions), [client(2)]);
    assert_eq!(actions.marks, []);
    assert_eq!(machine.outages().count(), 1);
}

#[test]
fn rule_4_a_report_under_a_mark_that_should_be_gone_opens_nothing_and_repeats_the_unmarking() {
    let mut machine = machine(Rules::default());
    let actions = fail(&mut machine, attempt(Failure::KnownFailed, web(), 2, T0));
    assert_eq!(actions, Actions { marks: vec![Mark::Recovered(web())], ..Actions::default() });
    let late = FailedAttempt { attempts: 0, ..attempt(Failure::HostUnreachable, web(), 2, T0) };
    assert_eq!(fail(&mut machine, late), Actions::default());
    assert_eq!(machine.tally().stale, 2);
}

// proves: F-10a F-11 F-12 F-13a F-14
#[test]
fn rule_5_what_ends_an_outage_of_each_level() {
    let host = web().addr();
    let at = ms(100);
    let ends = [
        (answered(web(), None, at), Recovery::Answered, [true, true]),
        (Observation::HostSeen { host, evidence: Recovery::Arp, at }, Recovery::Arp, [false, true]),
        (
            Observation::HostSeen { host, evidence: Recovery::NeighbourAdvertisement, at },
            Recovery::NeighbourAdvertisement,
            [false, true],
        ),
        (Observation::Trap { host, at: OFFSET.kernel(at) }, Recovery::Trap, [true, true]),
        (Observation::Signal { target: Target::Host(host), at: OFFSET.kernel(at) }, Recovery::Signal, [true, true]),
        (Observation::Signal { target: Target::Service(web()), at: OFFSET.kernel(at) }, Recovery::Signal, [true, true]),
        (Observation::Probed { service: web(), connected: true, at: OFFSET.kernel(at) }, Recovery::Probe, [true, true]),
    ];
    for (observation, evidence, closes) in ends {
        for (failure, over) in [Failure::Unanswered, Failure::HostUnreachable].into_iter().zip(closes) {
            let mut machine = machine(Rules::default());
            open(&mut machine, failure, web());
            let actions = machine.observe(&now(at), observation);
            assert_eq!(closings(&actions).len(), usize::from(over), "{observation:?} of {failure}");
            if over {
                assert_eq!(closings(&actions)[0].evidence, evidence);
                assert!(actions.marks.contains(&ended(web(), at)));
                assert_eq!(actions.marks.contains(&Mark::HostRecovered(host)), failure == Failure::HostUnreachable);
                assert_eq!(machine.outages().count(), 0);
            }
        }
    }
}

#[test]
fn rule_5_evidence_for_another_service_or_host_ends_nothing() {
    let mut machine = machine(Rules::default());
    open(&mut machine, Failure::HostUnreachable, web());
    let at = ms(1);
    for observation in [
        answered(service("10.0.2.7:81"), None, at),
        Observation::Trap { host: service("10.0.2.8:80").addr(), at: OFFSET.kernel(at) },
        Observation::Probed { service: web(), connected: false, at: OFFSET.kernel(at) },
    ] {
        assert_eq!(machine.observe(&now(at), observation), Actions::default(), "{observation:?}");
    }
}

#[test]
fn rule_5_a_trap_that_must_be_confirmed_is_probed_until_it_is() {
    let mut machine = machine(Rules { confirm_traps: true, ..Rules::default() });
    open(&mut machine, Failure::Unanswered, web());
    let actions = machine.observe(&now(ms(10)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(10)) });
    assert_eq!(actions, Actions { probes: vec![web()], ..Actions::default() });
    machine.observe(&now(ms(11)), Observation::Probed { service: web(), connected: false, at: OFFSET.kernel(ms(11)) });
    let next = machine.next_deadline().unwrap();
    assert!(next <= ms(1010), "{next:?}");
    assert_eq!(machine.tick(&now(next)).probes, [web()]);
    let closed = machine
        .observe(&now(ms(1020)), Observation::Probed { service: web(), connected: true, at: OFFSET.kernel(ms(1020)) });
    assert_eq!(closings(&closed)[0].evidence, Recovery::Probe);
}

// proves: F-15a
#[test]
fn rule_6_services_of_one_host_that_recover_together_close_together() {
    let mut machine = machine(Rules::default());
    open(&mut machine, Failure::Unanswered, web());
    open(&mut machine, Failure::HostUnreachable, service("10.0.2.7:443"));
    open(&mut machine, Failure::Unanswered, service("10.0.2.8:80"));
    let actions = machine.observe(&now(ms(9)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(9)) });
    assert_eq!(closings(&actions).len(), 1);
    assert_eq!(closings(&actions)[0].outages, [OutageId(1), OutageId(2)]);
    assert_eq!(machine.outages().count(), 1);
}

#[test]
fn rule_6_a_client_that_got_through_is_noted_before_the_closing() {
    let mut machine = machine(Rules { skip_connected: true, ..Rules::default() });
    open(&mut machine, Failure::Unanswered, web());
    let at = ms(9);
    let actions = machine.observe(&now(at), answered(web(), Some(client(1)), at));
    assert!(matches!(actions.changes[0], Change::Withdraw { client: who, attempts: 0, .. } if who == client(1)));
    assert!(matches!(actions.changes[1], Change::Connected { client: who, .. } if who == client(1)));
    assert!(matches!(&actions.changes[2], Change::Close(closing) if closing.skip_connected));
}

#[test]
fn rule_8_an_outage_opens_with_enough_failures_of_enough_clients() {
    let mut machine = machine(Rules { min_failures: 3, min_clients: 2, ..Rules::default() });
    for later in 0..3 {
        let actions = fail(&mut machine, attempt(Failure::Unanswered, web(), 1, ms(later)));
        assert_eq!((actions.marks.len(), waits(&actions).len()), (0, 1));
    }
    let actions = fail(&mut machine, attempt(Failure::Unanswered, web(), 2, ms(4)));
    assert_eq!(actions.marks, [Mark::Failed(web())]);
    assert_eq!(machine.outages().next().unwrap().since, T0);
}

#[test]
fn rule_8_a_suspicion_that_is_not_confirmed_is_forgotten_and_nobody_is_told() {
    let rules = Rules { min_failures: 2, suspect_for: Duration::from_secs(5), ..Rules::default() };
    let mut one = machine(rules.clone());
    open(&mut one, Failure::Unanswered, web());
    assert!(one.tick(&now(ms(4999))).changes.iter().all(|change| !matches!(change, Change::Discard { .. })));
    assert!(one.tick(&now(ms(5000))).changes.contains(&Change::Discard { outage: OutageId(1), at: ms(5000) }));
    let mut other = machine(rules);
    open(&mut other, Failure::Unanswered, web());
    let actions = other.observe(&now(ms(1)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(1)) });
    assert_eq!(actions.changes, [Change::Discard { outage: OutageId(1), at: ms(1) }]);
}

#[test]
fn rule_8_clients_are_told_when_the_service_has_stayed_up_for_the_settle_time() {
    let mut machine = machine(Rules { settle: Duration::from_secs(10), ..Rules::default() });
    open(&mut machine, Failure::Unanswered, web());
    let answered = |at| answered(web(), None, at);
    let actions = machine.observe(&now(ms(100)), answered(ms(100)));
    assert_eq!((closings(&actions).len(), actions.marks), (0, vec![ended(web(), ms(100))]));
    // A flap: it fails again, and is marked again.
    let again = fail(&mut machine, attempt(Failure::Unanswered, web(), 2, ms(200)));
    assert_eq!(again.marks, [Mark::Failed(web())]);
    assert_eq!(closings(&machine.tick(&now(ms(20_000)))).len(), 0);
    machine.observe(&now(ms(30_000)), answered(ms(30_000)));
    let told = machine.tick(&now(ms(40_000)));
    assert_eq!(closings(&told)[0].recovered, ms(30_000));
    assert_eq!(told.marks, []);
}

#[test]
fn rule_8_an_attempt_from_before_the_recovery_does_not_undo_it() {
    let mut machine = machine(Rules { settle: Duration::from_secs(10), ..Rules::default() });
    open(&mut machine, Failure::Unanswered, web());
    machine.observe(&now(ms(100)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(100)) });
    let late = fail(&mut machine, attempt(Failure::Unanswered, web(), 2, ms(90)));
    assert_eq!((late.marks.len(), waits(&late)), (0, vec![client(2)]));
    // Reported by a mark that is gone by now: its fate is to come.
    assert_eq!(fail(&mut machine, attempt(Failure::KnownFailed, web(), 3, ms(120))), Actions::default());
    assert_eq!(closings(&machine.tick(&now(ms(10_100)))).len(), 1);
}

// proves: F-6
#[test]
fn a_refusal_is_a_failure_if_the_operator_says_so() {
    let mut machine = machine(Rules { refused_is_failure: false, ..Rules::default() });
    assert_eq!(open(&mut machine, Failure::Refused, web()), Actions::default());
    assert_eq!(machine.tally().refused_ignored, 1);
}

// proves: F-7b
#[test]
fn with_only_known_clients_an_unknown_one_opens_the_outage_and_is_not_listed() {
    let mut machine = machine(Rules { only_known_clients: true, ..Rules::default() });
    let actions = fail(&mut machine, FailedAttempt { known: false, ..attempt(Failure::Unanswered, web(), 1, T0) });
    assert_eq!((actions.marks.len(), waits(&actions).len()), (1, 0));
    let known = fail(&mut machine, attempt(Failure::KnownFailed, web(), 2, ms(1)));
    assert_eq!(waits(&known), [client(2)]);
}

// proves: F-7a
#[test]
fn clients_without_an_address_are_listed_up_to_a_limit_and_those_with_one_beyond_it() {
    let mut machine = machine(Rules { max_unknown: 2, ..Rules::default() });
    let mut listed = Vec::new();
    for (number, known) in [(1, false), (2, false), (3, false), (4, true), (5, false)] {
        let evidence = if number == 1 { Failure::Unanswered } else { Failure::KnownFailed };
        listed.extend(waits(&fail(&mut machine, FailedAttempt { known, ..attempt(evidence, web(), number, T0) })));
    }
    assert_eq!(listed, [client(1), client(2), client(4)]);
    assert_eq!(machine.tally().too_many_unknown, 2);
}

// proves: F-8a F-8b
#[test]
fn old_attempts_are_not_told_and_are_purged() {
    let max_age = Duration::from_secs(240);
    let mut machine = machine(Rules { max_age, ..Rules::default() });
    open(&mut machine, Failure::Unanswered, web());
    machine.tick(&now(T0));
    assert_eq!(machine.next_deadline(), Some(ms(10_000)));
    assert_eq!(machine.tick(&now(ms(10_000))).changes, [Change::Purge { older_than: ms(10_000).before(max_age) }]);
    fail(&mut machine, attempt(Failure::KnownFailed, web(), 2, ms(20_000)));
    let actions = machine.tick(&now(ms(260_000)));
    assert!(actions.changes.contains(&Change::Discard { outage: OutageId(1), at: ms(260_000) }));
    assert_eq!(actions.marks, [Mark::Recovered(web())]);
    open(&mut machine, Failure::Unanswered, web());
    let closed =
        machine.observe(&now(ms(300_000)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(300_000)) });
    assert_eq!(closings(&closed)[0].tell_since, ms(60_000));
}

// proves: F-14
#[test]
fn probes_back_off_up_to_their_cap_and_end_with_the_outage() {
    let rules = Rules {
        probe_interval: Some(Duration::from_secs(10)),
        probe_max_interval: Duration::from_secs(60),
        ..Rules::default()
    };
    let mut machine = machine(rules);
    open(&mut machine, Failure::Unanswered, web());
    let (mut latest, mut pauses) = (T0, Vec::new());
    while pauses.len() < 7 {
        let next = machine.next_deadline().unwrap();
        if machine.tick(&now(next)).probes == [web()] {
            pauses.push(next.since(latest).as_secs_f64());
            latest = next;
        }
    }
    for (pause, full) in pauses.iter().zip([10.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]) {
        assert!((full * 0.8..=full).contains(pause), "{pauses:?}");
    }
    machine.observe(&now(latest), Observation::Probed { service: web(), connected: true, at: OFFSET.kernel(latest) });
    assert_eq!(machine.tick(&now(ms(10_000_000))).probes, []);
}

#[test]
fn a_restored_machine_marks_again_and_never_reuses_an_id() {
    let mut first = machine(Rules::default());
    open(&mut first, Failure::HostUnreachable, web());
    let outages: Vec<_> = first.outages().copied().collect();
    let (mut second, actions) = restored(Rules::default(), outages, OutageId(1));
    assert_eq!(actions.marks, [Mark::Failed(web()), Mark::HostFailed(web().addr())]);
    open(&mut second, Failure::Unanswered, service("10.0.2.9:80"));
    assert_eq!(second.outages().map(|outage| outage.id).collect::<Vec<_>>(), [OutageId(1), OutageId(2)]);
}
