//! One attempt, one fate: what belongs to an outage, by the kernel's clock alone.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::{
    Machine,
    bed::{ANSWERS, MASK, OFFSET, attempt, client, closings, ended, fail, machine, ms, now, open, waits, web},
};
use crate::{
    domain::{ClientAddr, MonotonicNs, OutageId, UnixMs},
    outage::{
        Actions, AnsweredAttempt, AnswersSeen, Change, Ended, FailedAttempt, Failure, Mark, Observation, Phase,
        Recovery, Restored, Rules, Silence,
    },
};

/// A refusal counts without a probe.
fn at_once() -> Rules {
    Rules { confirm_refusals: false, ..Rules::default() }
}

fn kernel(at: UnixMs) -> MonotonicNs {
    OFFSET.kernel(at)
}

/// The service answers the attempt of this client that began at `seen`.
fn answer(machine: &mut Machine, who: ClientAddr, seen: UnixMs, at: UnixMs, withdrawn: u32) -> Actions {
    let attempt = Some(AnsweredAttempt { client: who, mask: MASK, seen: kernel(seen), withdrawn });
    machine.observe(&now(at), Observation::Answered { service: web(), attempt, at, when: kernel(at) })
}

/// An attempt of client `n` that began at `seen`, was silent, and is reported at `at`.
fn silent(n: u8, seen: UnixMs, trying_until: UnixMs) -> FailedAttempt {
    FailedAttempt { trying_until, ..attempt(Failure::Unanswered, web(), n, seen) }
}

fn report(machine: &mut Machine, at: UnixMs, attempt: FailedAttempt) -> Actions {
    machine.observe(&now(at), Observation::Failed(attempt))
}

/// Who is told, or dropped, from the lists of ended outages.
fn settled(actions: &Actions) -> Vec<(Vec<OutageId>, UnixMs, bool)> {
    let of = |change: &Change| match change {
        Change::Settle { closing, last } => Some((closing.outages.clone(), closing.known, *last)),
        _ => None,
    };
    actions.changes.iter().filter_map(of).collect()
}

fn waits_in(actions: &Actions) -> Vec<(OutageId, ClientAddr, u32)> {
    let of = |change: &Change| match change {
        Change::Wait { outage, client, attempts, .. } => Some((*outage, *client, *attempts)),
        _ => None,
    };
    actions.changes.iter().filter_map(of).collect()
}

// proves: F-4 F-7a
#[test]
fn a_syn_to_a_failed_service_lists_its_client_and_its_fate_alone_counts() {
    let mut machine = machine(at_once());
    open(&mut machine, Failure::Unanswered, web());
    let hint = fail(&mut machine, attempt(Failure::KnownFailed, web(), 2, ms(5)));
    assert_eq!(waits_in(&hint), [(OutageId(1), client(2), 0)]);
    assert_eq!(machine.outages().next().unwrap().failures, 1);
    let fate = report(&mut machine, ms(3005), silent(2, ms(5), ms(3505)));
    assert_eq!(waits_in(&fate), [(OutageId(1), client(2), 1)]);
    assert_eq!(machine.outages().next().unwrap().failures, 2);
}

// proves: F-7a F-12
#[test]
fn an_attempt_that_began_before_the_end_joins_the_outage_whenever_its_fate_is_reported() {
    let mut machine = machine(at_once());
    open(&mut machine, Failure::Refused, web());
    let closed = answer(&mut machine, client(9), ms(4000), ms(4100), 0);
    assert_eq!((closings(&closed).len(), closed.marks.clone()), (1, vec![ended(web(), ms(4100))]));
    // Its time-out was later than the answer to somebody else.
    let answers = Some(AnswersSeen { last: Some(kernel(ms(4300))), count: 7, ..ANSWERS });
    let late = report(&mut machine, ms(4400), FailedAttempt { answers, ..silent(2, ms(1400), ms(4900)) });
    assert_eq!((waits_in(&late), late.marks), (vec![(OutageId(1), client(2), 1)], vec![]));
    assert_eq!(machine.tally().late, 1);
    assert_eq!(settled(&machine.tick(&now(ms(4800)))), [], "it may still get through");
    assert_eq!(settled(&machine.tick(&now(ms(5000)))), [(vec![OutageId(1)], ms(5000), false)]);
    // One that began later is another matter.
    let isolated = report(&mut machine, ms(7300), FailedAttempt { answers, ..silent(3, ms(4200), ms(7900)) });
    assert_eq!((isolated, machine.tally().isolated), (Actions::default(), 1));
}

// proves: F-12
#[test]
fn who_gets_through_by_a_repeated_syn_is_taken_off_the_outage_that_it_was_counted_in() {
    let mut machine = machine(at_once());
    report(&mut machine, ms(3000), silent(1, ms(0), ms(6500)));
    let closed = answer(&mut machine, client(9), ms(4000), ms(4100), 0);
    assert!(matches!(closings(&closed)[..], [closing] if closing.known == ms(4100)));
    // It fails again at once; the client of the first outage is still trying.
    let again = report(&mut machine, ms(5000), attempt(Failure::Refused, web(), 2, ms(5000)));
    assert_eq!(waits_in(&again), [(OutageId(2), client(2), 1)]);
    let through = answer(&mut machine, client(1), ms(0), ms(7010), 1);
    let (outage, instead) = (OutageId(1), vec![OutageId(2)]);
    let back = Change::Withdraw { outage, instead, client: client(1), attempts: 1, mask: MASK };
    assert!(through.changes.contains(&back), "{through:?}");
    assert_eq!(closings(&through)[0].outages, [OutageId(2)]);
}

// proves: F-12
#[test]
fn a_service_that_fails_again_before_its_mark_is_taken_back_has_a_second_outage_by_the_fates() {
    let mut machine = machine(at_once());
    open(&mut machine, Failure::Unanswered, web());
    answer(&mut machine, client(1), ms(1000), ms(1001), 0);
    // The kernel has the mark of the first outage: a hint of a time when there was none.
    let hint = report(&mut machine, ms(2000), attempt(Failure::KnownFailed, web(), 2, ms(2000)));
    assert_eq!((waits_in(&hint), hint.marks), (vec![], vec![Mark::Recovered(web())]));
    let last = Some(kernel(ms(1001)));
    let answers = Some(AnswersSeen { last, count: 1, ..ANSWERS });
    let fate = report(&mut machine, ms(5000), FailedAttempt { answers, ..silent(2, ms(2000), ms(5500)) });
    assert_eq!(waits_in(&fate), [(OutageId(2), client(2), 1)]);
    assert_eq!(fate.marks, [Mark::Failed(web())]);
    let closed = answer(&mut machine, client(9), ms(6000), ms(6001), 0);
    assert_eq!(closings(&closed)[0].outages, [OutageId(2)]);
}

// proves: F-3a F-12
#[test]
fn an_outage_that_is_over_before_its_first_time_out_is_one_all_the_same() {
    let silence = Some(Silence { from: kernel(ms(0)), to: kernel(ms(4100)) });
    let answers = Some(AnswersSeen { last: Some(kernel(ms(4390))), count: 9, on_path: true, silence });
    let of = |n, seen| FailedAttempt { answers, ..silent(n, ms(seen), ms(seen + 3500)) };
    let mut one = machine(at_once());
    let first = report(&mut one, ms(4400), of(1, 1400));
    assert_eq!(waits_in(&first), [(OutageId(1), client(1), 1)]);
    assert!(matches!(closings(&first)[..], [closing] if closing.recovered == ms(4100)));
    assert_eq!(first.marks, [Mark::Failed(web()), ended(web(), ms(4100))]);
    assert_eq!(waits_in(&report(&mut one, ms(4600), of(2, 1600))), [(OutageId(1), client(2), 1)]);
    // Where two clients are asked for, the second confirms it.
    let mut two = machine(Rules { min_clients: 2, ..at_once() });
    assert_eq!(closings(&report(&mut two, ms(4400), of(1, 1400))).len(), 0);
    assert_eq!(closings(&report(&mut two, ms(4600), of(2, 1600))).len(), 1);
    // A suspicion of a time that was over says nothing of a later one.
    let mut other = machine(Rules { min_clients: 2, ..at_once() });
    report(&mut other, ms(4400), of(1, 1400));
    let later = report(&mut other, ms(9000), attempt(Failure::Refused, web(), 2, ms(9000)));
    assert_eq!(waits_in(&later), [(OutageId(2), client(2), 1)]);
    assert!(later.changes.contains(&Change::Discard { outage: OutageId(1), at: ms(9000) }));
}

// proves: F-12
#[test]
fn a_client_that_had_given_up_when_its_answer_came_failed() {
    let mut machine = machine(at_once());
    report(&mut machine, ms(3000), silent(1, ms(0), ms(6500)));
    let gave_up = FailedAttempt { attempts: 1, ..attempt(Failure::GaveUp, web(), 1, ms(0)) };
    let closed = answer(&mut machine, client(1), ms(0), ms(3100), 1);
    assert_eq!(closings(&closed).len(), 1);
    assert_eq!(waits_in(&report(&mut machine, ms(3101), gave_up)), [(OutageId(1), client(1), 1)]);
    // At a service that is well it says nothing: a port scanner does the same.
    let answers = Some(AnswersSeen { last: Some(kernel(ms(10_000))), count: 9, ..ANSWERS });
    let scan = FailedAttempt { answers, ..attempt(Failure::GaveUp, web(), 2, ms(9000)) };
    assert_eq!(report(&mut machine, ms(10_001), scan), Actions::default());
    // Where nobody was answered in all that time, the service was away.
    let silence = Some(Silence { from: kernel(ms(8000)), to: kernel(ms(10_000)) });
    let answers = Some(AnswersSeen { last: Some(kernel(ms(10_000))), count: 9, on_path: true, silence });
    let away = report(&mut machine, ms(10_001), FailedAttempt { answers, ..scan });
    assert_eq!((waits_in(&away).len(), closings(&away).len()), (1, 1));
}

#[test]
fn a_second_word_on_an_attempt_of_the_outage_before_says_nothing_of_the_next() {
    let mut machine = machine(at_once());
    report(&mut machine, ms(3000), silent(1, ms(0), ms(6500)));
    answer(&mut machine, client(9), ms(3100), ms(3101), 0);
    let answers = Some(AnswersSeen { last: Some(kernel(ms(3101))), count: 1, ..ANSWERS });
    report(&mut machine, ms(5000), FailedAttempt { answers, ..attempt(Failure::Refused, web(), 2, ms(5000)) });
    let second = FailedAttempt { attempts: 0, ..attempt(Failure::HostUnreachable, web(), 1, ms(0)) };
    let actions = report(&mut machine, ms(5100), second);
    assert_eq!(waits_in(&actions), [(OutageId(1), client(1), 0)]);
    assert_eq!(actions.marks, []);
}

// proves: F-12
#[test]
fn an_answer_from_before_the_outage_that_comes_late_ends_nothing() {
    let mut machine = machine(at_once());
    let answers = Some(AnswersSeen { last: Some(kernel(ms(90))), count: 1, ..ANSWERS });
    report(&mut machine, ms(100), FailedAttempt { answers, ..attempt(Failure::Refused, web(), 1, ms(99)) });
    assert_eq!(closings(&answer(&mut machine, client(2), ms(80), ms(85), 0)).len(), 0);
    assert_eq!(closings(&answer(&mut machine, client(2), ms(110), ms(111), 0)).len(), 1);
}

// proves: F-15b
#[test]
fn an_ended_outage_is_let_go_when_nobody_can_be_reported_any_more() {
    let mut machine = machine(at_once());
    open(&mut machine, Failure::Refused, web());
    answer(&mut machine, client(9), ms(1000), ms(1001), 0);
    assert_eq!(machine.tick(&now(ms(100_000))).changes, []);
    // What the kernel has reported up to then is not known yet: a daemon that catches up.
    let behind = crate::domain::Moment { known: kernel(ms(2000)), ..now(ms(500_000)) };
    assert_eq!(settled(&machine.tick(&behind)), []);
    assert_eq!(settled(&machine.tick(&now(ms(141_001)))), [(vec![OutageId(1)], ms(141_001), true)]);
    assert_eq!(machine.tick(&now(ms(900_000))), Actions::default());
}

// proves: F-12 R-6a
#[test]
fn a_restored_machine_goes_on_with_outages_that_have_ended() {
    let mut first = machine(at_once());
    report(&mut first, ms(3000), silent(1, ms(0), ms(6500)));
    let mut outage = *first.outages().next().unwrap();
    outage.span.until = Some(kernel(ms(4000)));
    let kept = Ended { outage, recovered: ms(4000), evidence: Recovery::Answered };
    let restored = Restored { outages: vec![], ended: vec![kept], next_outage: OutageId(2) };
    let (mut second, actions) = Machine::restore(at_once(), restored, &now(ms(5000)));
    assert_eq!(actions, Actions::default());
    assert_eq!(waits_in(&report(&mut second, ms(5100), silent(2, ms(2100), ms(5600)))), [(OutageId(1), client(2), 1)]);
    assert_eq!(settled(&second.tick(&now(ms(6500)))), [(vec![OutageId(1)], ms(6500), false)]);
}

#[test]
fn services_of_one_host_that_ended_together_are_told_together() {
    let mut machine = machine(at_once());
    open(&mut machine, Failure::Unanswered, web());
    open(&mut machine, Failure::Unanswered, "10.0.2.7:443".parse().unwrap());
    machine.observe(&now(ms(9)), Observation::Trap { host: web().addr(), at: OFFSET.kernel(ms(9)) });
    let last = machine.tick(&now(ms(140_009)));
    assert_eq!(settled(&last), [(vec![OutageId(1), OutageId(2)], ms(140_009), true)]);
}

#[test]
fn while_it_settles_who_began_before_the_recovery_joins_and_who_began_after_it_opens_it_again() {
    let rules = Rules { settle: Duration::from_secs(60), skip_connected: true, ..at_once() };
    let mut machine = machine(rules);
    open(&mut machine, Failure::Refused, web());
    let settling = answer(&mut machine, client(9), ms(4000), ms(4100), 0);
    assert!(matches!(settling.marks[..], [Mark::Ended { report_until, .. }] if report_until == kernel(ms(74_100))));
    let answers = Some(AnswersSeen { last: Some(kernel(ms(4300))), count: 7, ..ANSWERS });
    let late = report(&mut machine, ms(4400), FailedAttempt { answers, ..silent(2, ms(1400), ms(4900)) });
    assert_eq!((waits(&late), late.marks), (vec![client(2)], vec![]));
    // By itself, while it settles: whoever asks for that leaves it out.
    let through = answer(&mut machine, client(2), ms(4500), ms(4501), 0);
    assert!(through.changes.contains(&Change::Connected { outage: OutageId(1), client: client(2), at: ms(4501) }));
    let answers = Some(AnswersSeen { last: Some(kernel(ms(4501))), count: 8, ..ANSWERS });
    let again = report(&mut machine, ms(8000), FailedAttempt { answers, ..silent(3, ms(5000), ms(8500)) });
    assert_eq!((waits(&again), again.marks), (vec![client(3)], vec![Mark::Failed(web())]));
    assert_eq!(machine.outages().next().unwrap().phase, Phase::Open);
}

#[test]
fn a_settling_outage_is_read_back_as_it_was_written() {
    let mut machine = machine(Rules { settle: Duration::from_secs(60), ..at_once() });
    open(&mut machine, Failure::Refused, web());
    let settling = answer(&mut machine, client(9), ms(4000), ms(4100), 0);
    for change in settling.changes {
        let kept = serde_json::to_string(&change).unwrap();
        let read: Change = serde_json::from_str(&kept).unwrap();
        // The span is of this kernel's clock, and is not written.
        let plain = |change: Change| match change {
            Change::Put(outage) => {
                Change::Put(crate::outage::Outage { span: crate::outage::Span::default(), ..outage })
            }
            other => other,
        };
        assert_eq!(plain(read), plain(change), "{kept}");
    }
}

// proves: F-12
#[test]
fn an_answer_from_before_the_latest_failure_ends_nothing() {
    let mut machine = machine(at_once());
    report(&mut machine, ms(100), attempt(Failure::Refused, web(), 1, ms(100)));
    // Its program was interrupted, or it waited for room in the ring buffer.
    let late = answer(&mut machine, client(9), ms(90), ms(99), 0);
    assert!(closings(&late).is_empty(), "{late:?}");
    let back = answer(&mut machine, client(9), ms(150), ms(200), 0);
    assert_eq!(closings(&back)[0].outages, [OutageId(1)]);
}

// proves: F-3a
#[test]
fn a_silence_that_ended_just_after_the_present_outage_began_is_one_of_its_own() {
    let mut machine = machine(at_once());
    let known = AnswersSeen { last: Some(kernel(ms(5000))), count: 5, ..ANSWERS };
    report(
        &mut machine,
        ms(5100),
        FailedAttempt { answers: Some(known), ..attempt(Failure::Refused, web(), 1, ms(5020)) },
    );
    let silence = Some(Silence { from: kernel(ms(1000)), to: kernel(ms(5050)) });
    let answers = Some(AnswersSeen { silence, ..known });
    let late = report(&mut machine, ms(5200), FailedAttempt { answers, ..silent(2, ms(2000), ms(5500)) });
    assert_eq!(waits_in(&late), [(OutageId(2), client(2), 1)]);
    assert_eq!(closings(&late)[0].outages, [OutageId(2)]);
    assert_eq!(machine.outages().count(), 1, "the present one goes on");
}

#[test]
fn a_client_without_patience_for_one_answer_has_seen_no_failure() {
    let mut machine = machine(at_once());
    let answers = Some(AnswersSeen { last: Some(kernel(ms(0))), count: 5, ..ANSWERS });
    report(&mut machine, ms(3000), FailedAttempt { answers, ..attempt(Failure::GaveUp, web(), 1, ms(0)) });
    assert_eq!((machine.outages().count(), machine.tally().isolated), (0, 1));
}

// proves: F-2a F-7a
#[test]
fn a_second_word_counts_if_the_first_was_taken_for_the_clients_own_trouble() {
    let mut machine = machine(at_once());
    // Silent, and the service had answered a later SYN.
    let answers = Some(AnswersSeen { last: Some(kernel(ms(200))), count: 7, ..ANSWERS });
    let own = report(&mut machine, ms(3000), FailedAttempt { answers, ..silent(2, ms(100), ms(3500)) });
    assert_eq!((waits_in(&own), machine.tally().isolated), (vec![], 1));
    // Then its host goes away, and the router says so of this attempt too: the kernel has said it once already.
    let answers = Some(AnswersSeen { last: Some(kernel(ms(3100))), count: 8, ..ANSWERS });
    let unreachable = |n, seen, attempts| FailedAttempt {
        answers,
        attempts,
        ..attempt(Failure::HostUnreachable, web(), n, ms(seen))
    };
    assert_eq!(waits_in(&report(&mut machine, ms(6200), unreachable(1, 3200, 1))), [(OutageId(1), client(1), 1)]);
    assert_eq!(waits_in(&report(&mut machine, ms(6201), unreachable(2, 100, 0))), [(OutageId(1), client(2), 1)]);
    // A third word adds nothing.
    assert_eq!(waits_in(&report(&mut machine, ms(6202), unreachable(2, 100, 0))), [(OutageId(1), client(2), 0)]);
}
