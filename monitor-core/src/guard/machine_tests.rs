//! The machine's promises: by example, and under any order of facts.

use std::{collections::HashSet, time::Duration};

use proptest::prelude::*;

use super::{Action, GuardFact, GuardMachine, GuardOutcome, GuardRules, Health};
use crate::domain::MonotonicNs;

const MS: u64 = 1_000_000;

fn rules() -> GuardRules {
    GuardRules {
        fail_open: true,
        hold: Duration::from_millis(500),
        keep: Duration::ZERO,
        max_held: 3,
        probe: Duration::from_millis(100),
        probe_max: Duration::from_millis(350),
    }
}

fn at(ms: u64) -> MonotonicNs {
    MonotonicNs(ms * MS)
}

#[test]
fn requests_that_come_during_a_check_share_it() {
    let mut machine = GuardMachine::new(rules());
    assert_eq!(machine.observe(at(1), GuardFact::Held(1)), [Action::Check(0)]);
    assert_eq!(machine.observe(at(2), GuardFact::Held(2)), []);
    let done = machine.observe(at(3), GuardFact::Checked(0, GuardOutcome::Healthy));
    assert_eq!(done, [Action::Admit(1), Action::Admit(2), Action::Settle(GuardOutcome::Healthy)]);
    assert_eq!(machine.observe(at(4), GuardFact::Held(3)), [Action::Check(1)]);
}

#[test]
fn what_is_not_decided_in_time_follows_the_rule() {
    for (fail_open, expected) in [(true, Action::Pass(1)), (false, Action::Refuse(1))] {
        let mut machine = GuardMachine::new(GuardRules { fail_open, ..rules() });
        machine.observe(at(1), GuardFact::Held(1));
        machine.observe(at(300), GuardFact::Held(2));
        assert_eq!(machine.next_deadline(), Some(at(501)));
        assert_eq!(machine.tick(at(500)), []);
        assert_eq!(machine.tick(at(501)), [expected]);
        let late = machine.observe(at(600), GuardFact::Checked(0, GuardOutcome::Healthy));
        assert_eq!(late, [Action::Admit(2), Action::Settle(GuardOutcome::Healthy)]);
    }
}

#[test]
fn a_kept_result_answers_without_a_check() {
    let mut machine = GuardMachine::new(GuardRules { keep: Duration::from_millis(100), ..rules() });
    machine.observe(at(1), GuardFact::Held(1));
    let done = machine.observe(at(2), GuardFact::Checked(0, GuardOutcome::Healthy));
    assert_eq!(done[0], Action::GoodUntil(at(102)));
    assert_eq!(machine.observe(at(101), GuardFact::Held(2)), [Action::Admit(2)]);
    assert_eq!(machine.observe(at(102), GuardFact::Held(3)), [Action::Check(1)]);
    machine.observe(at(103), GuardFact::Checked(1, GuardOutcome::Sick));
    assert_eq!(machine.observe(at(104), GuardFact::Held(4)), [Action::Refuse(4)]);
}

#[test]
fn a_sick_guard_is_checked_with_growing_pauses_until_it_is_well() {
    let mut machine = GuardMachine::new(rules());
    machine.observe(at(0), GuardFact::Established);
    let mut now = 10;
    assert_eq!(
        machine.observe(at(now), GuardFact::Checked(0, GuardOutcome::Sick)),
        [Action::Sick, Action::Settle(GuardOutcome::Sick)]
    );
    for (number, pause) in [(1, 100), (2, 200), (3, 350), (4, 350)] {
        assert_eq!(machine.next_deadline(), Some(at(now + pause)));
        now += pause;
        assert_eq!(machine.tick(at(now)), [Action::Check(number)]);
        machine.observe(at(now), GuardFact::Checked(number, GuardOutcome::Sick));
    }
    assert_eq!(machine.observe(at(now + 1), GuardFact::Held(7)), [Action::Check(5)]);
    let done = machine.observe(at(now + 2), GuardFact::Checked(5, GuardOutcome::Healthy));
    assert_eq!(done, [Action::Admit(7), Action::Settle(GuardOutcome::Healthy), Action::Recovered]);
    assert_eq!((machine.health(), machine.next_deadline()), (Health::Healthy(at(now + 2)), None));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Held,
    Established,
    Ends(bool),
    StaleEnd,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Held),
        1 => Just(Step::Established),
        2 => any::<bool>().prop_map(Step::Ends),
        1 => Just(Step::StaleEnd),
        3 => (0_u16..700).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// One check at a time, bounded requests, each answered once and none left behind by a check.
    #[test]
    fn any_order_of_facts_keeps_the_promises(
        steps in steps(),
        fail_open in any::<bool>(),
        keep in prop_oneof![Just(0_u64), 1_u64..400],
        max_held in 1_usize..5,
    ) {
        let rules = GuardRules { fail_open, keep: Duration::from_millis(keep), max_held, ..rules() };
        let mut machine = GuardMachine::new(rules);
        let (mut now, mut requests) = (1, 0);
        let mut waiting = HashSet::new();
        let mut running = None;
        let mut well = None;
        for step in steps {
            let mut ended = false;
            let actions = match step {
                Step::Held => {
                    requests += 1;
                    waiting.insert(requests);
                    machine.observe(at(now), GuardFact::Held(requests))
                }
                Step::Established => machine.observe(at(now), GuardFact::Established),
                Step::Ends(healthy) => {
                    let Some(number) = running.take() else { continue };
                    well = healthy.then_some(now);
                    ended = true;
                    let outcome = if healthy { GuardOutcome::Healthy } else { GuardOutcome::Sick };
                    machine.observe(at(now), GuardFact::Checked(number, outcome))
                }
                Step::StaleEnd => machine.observe(at(now), GuardFact::Checked(u64::MAX, GuardOutcome::Healthy)),
                Step::Wait(ms) => {
                    now += u64::from(ms);
                    machine.tick(at(now))
                }
            };
            for action in actions {
                match action {
                    Action::Check(number) => prop_assert!(running.replace(number).is_none(), "two checks"),
                    Action::Admit(request) => {
                        prop_assert!(waiting.remove(&request), "answered twice");
                        let good = well.is_some_and(|at: u64| at == now && ended || at + keep > now);
                        prop_assert!(good, "admitted without a healthy result that counts");
                    }
                    Action::Pass(request) => {
                        prop_assert!(fail_open && waiting.remove(&request));
                    }
                    Action::Refuse(request) | Action::Forget(request) => {
                        prop_assert!(waiting.remove(&request), "answered twice");
                    }
                    Action::Settle(_) | Action::Sick | Action::Recovered | Action::GoodUntil(_) => {}
                }
            }
            prop_assert_eq!(waiting.len(), machine.held());
            prop_assert!(machine.held() <= max_held);
            prop_assert_eq!(running.is_some(), machine.is_checking());
            prop_assert!(waiting.is_empty() || running.is_some(), "requests wait for nothing");
            prop_assert!(!ended || waiting.is_empty(), "a check left requests behind");
        }
    }
}
