//! One client's refusal is not the service's (design rule 9, V-1).

use std::time::Duration;

use super::{
    Machine,
    bed::{ANSWERS, OFFSET, T0, attempt, closings, fail, machine, ms, now, restored, waits, web},
};
use crate::{
    domain::{MonotonicNs, OutageId, UnixMs},
    outage::{Actions, AnswersSeen, Change, FailedAttempt, Failure, Mark, Observation, Outage, Phase, Rules},
};

const FILTERS: [Failure; 3] = [Failure::Refused, Failure::PortUnreachable, Failure::Prohibited];

/// Client `n` is told so at `at`; the latest SYN that the service has answered is of `answered`.
fn refused(evidence: Failure, n: u8, at: UnixMs, answered: UnixMs) -> FailedAttempt {
    let said = OFFSET.kernel(at);
    let answers = Some(AnswersSeen { last: Some(OFFSET.kernel(answered)), ..ANSWERS });
    FailedAttempt { said, answers, ..attempt(evidence, web(), n, at) }
}

/// The machine asks for the probe that it needs, and this is what became of it.
fn probed(machine: &mut Machine, at: UnixMs, connected: bool) -> Actions {
    assert_eq!(machine.tick(&now(at)).probes, [web()], "at {at:?}");
    machine.observe(&now(at), Observation::Probed { service: web(), connected, at: OFFSET.kernel(at) })
}

fn phase(machine: &Machine) -> Option<Phase> {
    machine.outages().next().map(|outage| outage.phase)
}

#[test]
fn rule_9_a_client_that_a_filter_bars_opens_no_outage_and_is_told_nothing() {
    for evidence in FILTERS {
        let mut machine = machine(Rules::default());
        let suspected = fail(&mut machine, refused(evidence, 1, ms(10), T0));
        assert_eq!((phase(&machine), suspected.marks), (Some(Phase::Suspected), vec![]), "nobody is steered");
        let over = probed(&mut machine, ms(13), true);
        assert!(matches!(over.changes[..], [Change::Discard { .. }]), "{over:?}");
        assert_eq!((machine.outages().count(), machine.tally().isolated), (0, 1));
    }
}

#[test]
fn rule_9_a_service_that_refuses_the_gateway_too_has_failed() {
    for evidence in FILTERS {
        let mut machine = machine(Rules::default());
        let first = fail(&mut machine, refused(evidence, 1, ms(10), T0));
        assert_eq!(waits(&first).len(), 1, "its client is listed from the start");
        let opened = probed(&mut machine, ms(13), false);
        assert_eq!((phase(&machine), opened.marks), (Some(Phase::Open), vec![Mark::Failed(web())]));
        assert!(matches!(opened.changes[..], [Change::Put(Outage { phase: Phase::Open, .. })]));
    }
}

#[test]
fn rule_9_a_second_client_needs_no_probe() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, refused(Failure::Refused, 1, ms(10), T0));
    fail(&mut machine, refused(Failure::Refused, 1, ms(11), T0));
    assert_eq!(phase(&machine), Some(Phase::Suspected), "the same client is none");
    fail(&mut machine, refused(Failure::Refused, 2, ms(12), T0));
    assert_eq!(phase(&machine), Some(Phase::Open));
}

#[test]
fn rule_9_an_answer_to_anybody_clears_a_suspicion() {
    for rules in [Rules::default(), Rules { min_failures: 5, ..Rules::default() }] {
        let mut machine = machine(rules);
        for knock in 0..9 {
            let at = ms(100 * knock);
            // Another client, each time: but somebody was answered in between.
            let client = u8::try_from(knock).unwrap_or(0);
            let actions = fail(&mut machine, refused(Failure::Refused, client, at, UnixMs(at.0 - 50)));
            assert_eq!((phase(&machine), actions.marks), (Some(Phase::Suspected), vec![]));
        }
    }
}

#[test]
fn rule_9_who_is_refused_behind_an_answer_to_a_later_syn_is_alone() {
    let mut machine = machine(Rules::default());
    let said = OFFSET.kernel(ms(15));
    let alone = FailedAttempt { said, ..refused(Failure::Refused, 1, ms(10), ms(12)) };
    assert_eq!(fail(&mut machine, alone), Actions::default());
    assert_eq!((machine.outages().count(), machine.tally().isolated), (0, 1));
}

#[test]
fn rule_9_who_knocks_on_has_the_service_probed_once_a_second_and_hides_no_failure() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, refused(Failure::Refused, 1, ms(0), T0));
    probed(&mut machine, ms(5), true);
    let mut probes = 0;
    for knock in 1..100 {
        fail(&mut machine, refused(Failure::Refused, 1, ms(5 + knock * 10), T0));
        probes += machine.tick(&now(ms(6 + knock * 10))).probes.len();
    }
    assert_eq!((probes, phase(&machine)), (0, Some(Phase::Suspected)));
    // It has failed meanwhile.
    let opened = probed(&mut machine, ms(1010), false);
    assert_eq!((phase(&machine), opened.marks), (Some(Phase::Open), vec![Mark::Failed(web())]));
}

#[test]
fn rule_9_a_probe_from_before_the_latest_refusal_is_made_again() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, refused(Failure::Refused, 1, ms(0), T0));
    machine.tick(&now(ms(1)));
    fail(&mut machine, refused(Failure::Refused, 1, ms(100), T0));
    machine.observe(&now(ms(101)), Observation::Probed { service: web(), connected: true, at: OFFSET.kernel(ms(50)) });
    assert_eq!(phase(&machine), Some(Phase::Suspected));
    assert!(matches!(probed(&mut machine, ms(1200), true).changes[..], [Change::Discard { .. }]));
}

#[test]
fn rule_9_who_was_refused_is_told_where_the_probe_was_held_up() {
    // The store took nothing for a while; whether it was the client's own trouble cannot be known any more.
    let mut machine = machine(Rules::default());
    fail(&mut machine, refused(Failure::Refused, 1, ms(0), T0));
    let told = probed(&mut machine, ms(3000), true);
    assert_eq!((closings(&told).len(), machine.outages().count()), (1, 0));
}

#[test]
fn rule_9_a_probe_whose_answer_does_not_come_is_made_again_and_a_suspicion_is_not_for_ever() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, refused(Failure::Refused, 1, ms(0), T0));
    let mut probes = 0;
    for second in 0..70 {
        probes += machine.tick(&now(ms(1000 * second))).probes.len();
    }
    assert_eq!((probes, phase(&machine)), (12, None));
}

#[test]
fn rule_9_while_it_settles_a_barred_client_does_not_open_it_again() {
    for connected in [true, false] {
        let mut machine = machine(Rules { settle: Duration::from_secs(60), ..Rules::default() });
        fail(&mut machine, refused(Failure::Refused, 1, ms(0), T0));
        probed(&mut machine, ms(5), false);
        let answered =
            Observation::Answered { service: web(), attempt: None, at: ms(1000), when: OFFSET.kernel(ms(1000)) };
        machine.observe(&now(ms(1000)), answered);
        fail(&mut machine, refused(Failure::Refused, 3, ms(2000), ms(1000)));
        assert!(matches!(phase(&machine), Some(Phase::Settling { .. })));
        probed(&mut machine, ms(2005), connected);
        assert_eq!(phase(&machine) == Some(Phase::Open), !connected);
        let closed = machine.tick(&now(ms(61_001)));
        assert_eq!(closings(&closed).len(), usize::from(connected));
    }
}

#[test]
fn rule_9_a_suspicion_that_is_restored_counts_as_confirmed() {
    // The service may have come back since, and its client is to be told.
    let mut first = machine(Rules::default());
    fail(&mut first, refused(Failure::Refused, 1, ms(10), T0));
    let (mut second, _) = restored(Rules::default(), first.outages().copied().collect(), OutageId(2));
    assert_eq!(second.tick(&now(ms(20))).probes, []);
    assert_eq!(phase(&second), Some(Phase::Open));
}

#[test]
fn rule_9_a_probe_says_nothing_of_a_refusal_of_long_ago() {
    // No daemon ran then.
    let mut machine = machine(Rules::default());
    let said = FailedAttempt { said: MonotonicNs(1), ..refused(Failure::Refused, 1, ms(10), T0) };
    machine.observe(&now(ms(60_000)), Observation::Failed(said));
    assert_eq!(phase(&machine), Some(Phase::Open));
}

#[test]
fn what_no_filter_says_needs_no_probe() {
    for evidence in [Failure::Unanswered, Failure::HostUnreachable, Failure::NetUnreachable, Failure::Sick] {
        let mut machine = machine(Rules::default());
        fail(&mut machine, refused(evidence, 1, ms(10), T0));
        assert_eq!(phase(&machine), Some(Phase::Open), "{evidence}");
    }
}
