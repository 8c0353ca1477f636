//! Silence where several gateways share the traffic: the others are asked first.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{net::IpAddr, time::Duration};

use super::{
    Machine,
    bed::{MASK, now, restored},
};
use crate::{
    domain::{ClientAddr, OutageId, Service, UnixMs},
    outage::{Actions, AnswersSeen, Change, FailedAttempt, Failure, Observation, Outage, Phase, Rules, Standing},
};

const ASK: Duration = Duration::from_secs(3);

fn ms(at: i64) -> UnixMs {
    UnixMs(1_000_000 + at)
}

fn web() -> Service {
    "10.0.2.7:80".parse().unwrap()
}

fn client(n: u8) -> ClientAddr {
    ClientAddr::new(IpAddr::from([10, 0, 1, n]))
}

fn machine(rules: Rules) -> Machine {
    restored(Rules { ask: Some(ASK), ..rules }, Vec::new(), OutageId(1)).0
}

fn fail(machine: &mut Machine, evidence: Failure, n: u8, at: UnixMs) -> Actions {
    let attempt = FailedAttempt {
        client: client(n),
        service: web(),
        mask: MASK,
        evidence,
        seen: now(at).known,
        at,
        said: now(at).known,
        trying_until: UnixMs(0),
        attempts: 1,
        standing: Standing::Learned,
        known: true,
        answers: Some(AnswersSeen { last: None, count: 0, on_path: true, silence: None }),
    };
    machine.observe(&now(at), Observation::Failed(attempt))
}

fn answered(machine: &mut Machine, n: u8, well: UnixMs, at: UnixMs) -> Actions {
    machine.observe(
        &now(at),
        Observation::AnsweredElsewhere { service: web(), client: client(n), mask: MASK, attempts: 1, well },
    )
}

fn withdrawn(n: u8) -> Change {
    Change::Withdraw { outage: OutageId(1), instead: Vec::new(), client: client(n), attempts: 1, mask: MASK }
}

fn phase(machine: &Machine) -> Option<Phase> {
    machine.outages().next().map(|outage| outage.phase)
}

// proves: F-3a
#[test]
fn silence_opens_an_outage_when_nobody_has_seen_an_answer() {
    let mut machine = machine(Rules::default());
    let actions = fail(&mut machine, Failure::Unanswered, 1, ms(0));
    assert!(matches!(actions.changes[..], [Change::Put(_), Change::Wait { .. }]), "it is kept, and waits: {actions:?}");
    assert_eq!((phase(&machine), actions.marks), (Some(Phase::Suspected), vec![]));
    assert!(machine.asks_about(web()));
    assert_eq!(machine.next_deadline(), Some(ms(3000)));
    assert_eq!(machine.tick(&now(ms(2999))), Actions::default());
    let actions = machine.tick(&now(ms(3000)));
    assert!(matches!(actions.changes[..], [Change::Put(Outage { phase: Phase::Open, .. })]), "{actions:?}");
    assert_eq!(actions.marks.len(), 1);
    assert!(!machine.asks_about(web()));
}

// proves: F-3a
#[test]
fn an_answer_at_another_gateway_ends_the_suspicion_and_nobody_is_told() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, Failure::Unanswered, 1, ms(0));
    fail(&mut machine, Failure::Unanswered, 2, ms(10));
    let actions = answered(&mut machine, 2, ms(10), ms(500));
    assert_eq!(actions.changes, [Change::Discard { outage: OutageId(1), at: ms(500) }]);
    assert_eq!((phase(&machine), machine.tally().answered_elsewhere), (None, 1));
    // Nothing is left to be said of it.
    assert_eq!(answered(&mut machine, 2, ms(10), ms(600)), Actions::default());
}

#[test]
fn who_tried_after_that_answer_is_asked_about_for_the_whole_time() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, Failure::Unanswered, 1, ms(0));
    fail(&mut machine, Failure::Unanswered, 2, ms(2000));
    let actions = answered(&mut machine, 1, ms(0), ms(2500));
    let withdrawn = withdrawn(1);
    assert!(actions.changes.contains(&withdrawn), "{actions:?}");
    assert_eq!(machine.tick(&now(ms(5000))), Actions::default());
    machine.tick(&now(ms(5500)));
    assert_eq!(phase(&machine), Some(Phase::Open));
}

#[test]
fn an_answer_that_is_known_late_takes_its_client_off_and_ends_what_it_disproves() {
    let mut machine = machine(Rules::default());
    fail(&mut machine, Failure::Unanswered, 1, ms(0));
    fail(&mut machine, Failure::Unanswered, 2, ms(100));
    machine.tick(&now(ms(3000)));
    let actions = answered(&mut machine, 1, ms(0), ms(4000));
    assert_eq!(actions.changes, [withdrawn(1)]);
    assert_eq!(phase(&machine), Some(Phase::Open), "the second one tried later");
    let actions = answered(&mut machine, 2, ms(100), ms(4100));
    assert!(matches!(actions.changes[..], [Change::Withdraw { .. }, Change::Close(_)]), "{actions:?}");
}

// proves: F-2a F-6
#[test]
fn what_is_no_silence_needs_no_asking() {
    for evidence in [Failure::Refused, Failure::HostUnreachable] {
        let mut machine = machine(Rules::default());
        fail(&mut machine, Failure::Unanswered, 1, ms(0));
        fail(&mut machine, evidence, 2, ms(1));
        assert_eq!(phase(&machine), Some(Phase::Open), "{evidence}");
    }
}

#[test]
fn the_last_of_several_clients_that_an_outage_needs_is_asked_about_too() {
    let mut machine = machine(Rules { min_clients: 2, ..Rules::default() });
    fail(&mut machine, Failure::Unanswered, 1, ms(0));
    machine.tick(&now(ms(3000)));
    assert_eq!((phase(&machine), machine.asks_about(web())), (Some(Phase::Suspected), false));
    fail(&mut machine, Failure::Unanswered, 2, ms(20_000));
    assert_eq!((phase(&machine), machine.asks_about(web())), (Some(Phase::Suspected), true));
    machine.tick(&now(ms(23_000)));
    assert_eq!(phase(&machine), Some(Phase::Open));
}

#[test]
fn a_service_that_settles_is_failed_again_only_when_nobody_has_seen_an_answer() {
    for objection in [false, true] {
        let mut machine = machine(Rules { settle: Duration::from_secs(1), ..Rules::default() });
        fail(&mut machine, Failure::Refused, 1, ms(0));
        machine.observe(&now(ms(1000)), super::bed::answered(web(), None, ms(1000)));
        fail(&mut machine, Failure::Unanswered, 2, ms(1500));
        assert_eq!(machine.tick(&now(ms(2000))), Actions::default(), "not told as long as that is open");
        if objection {
            answered(&mut machine, 2, ms(1500), ms(2500));
        }
        machine.tick(&now(ms(4500)));
        assert_eq!(phase(&machine), (!objection).then_some(Phase::Open));
    }
}

#[test]
fn a_suspicion_of_before_a_restart_opens_at_once() {
    let mut before = machine(Rules::default());
    fail(&mut before, Failure::Unanswered, 1, ms(0));
    let outages = before.outages().copied().collect();
    let (mut machine, _) = restored(Rules { ask: Some(ASK), ..Rules::default() }, outages, OutageId(2));
    machine.tick(&now(ms(10)));
    assert_eq!(phase(&machine), Some(Phase::Open));
}
