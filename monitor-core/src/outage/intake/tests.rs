//! Each rule of the intake, and what holds of every event.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use monitor_common::{Addr, Event, EventKind, Evidence, ServiceFlags, ServiceState};
use proptest::prelude::*;

use super::{Background, GuardFinding, Intake, Meaning};
use crate::{
    domain::{AttemptMask, ClientAddr, ClockOffset, MonotonicNs, Service, UnixMs},
    outage::{
        AnsweredAttempt, AnswersSeen, FailedAttempt, Failure, Observation, Question, Recovery, Silence, Standing,
    },
};

/// The wall clock is a thousand seconds ahead.
const OFFSET: ClockOffset = ClockOffset::from_nanoseconds(1_000_000_000_000);

fn client() -> ClientAddr {
    ClientAddr::new(IpAddr::from([10, 0, 1, 1]))
}

fn web() -> Service {
    "10.0.2.7:80".parse().unwrap()
}

/// An unanswered attempt of five seconds ago, reported two seconds ago.
fn event() -> Event {
    Event {
        kind: EventKind::Failed,
        evidence: Evidence::Unanswered,
        client: Addr::from(client().ip()),
        server: Addr::from(web().addr()),
        seen_ns: 5_000_000_000,
        latest_ns: 6_000_000_000,
        at_ns: 8_000_000_000,
        answered_syn_ns: 4_000_000_000,
        silent_from_ns: 0,
        silent_to_ns: 1,
        client_port: 40_000,
        server_port: 80,
        attempts: 1,
        standing: ServiceFlags::ANSWERED,
        ifindex: 3,
        answers: 17,
        seq: 99,
    }
}

fn known() -> Background<'static> {
    Background { offset: OFFSET, steady: OFFSET, in_book: &|_| false, is_guarded: &|_| false }
}

fn take(event: Event) -> Meaning {
    Intake::default().take(&event, &known())
}

fn attempt(meaning: Meaning) -> FailedAttempt {
    let Meaning::Failed { attempt, .. } = meaning else { panic!("no failed attempt: {meaning:?}") };
    attempt
}

// proves: F-3a
#[test]
fn a_failed_attempt_is_dated_by_its_syn_and_carries_what_was_known_of_answers() {
    let expected = FailedAttempt {
        client: client(),
        service: web(),
        mask: AttemptMask::of(event().client_port, event().seq),
        evidence: Failure::Unanswered,
        seen: MonotonicNs(5_000_000_000),
        at: UnixMs(1_005_000),
        said: MonotonicNs(8_000_000_000),
        trying_until: UnixMs(1_010_500),
        attempts: 1,
        standing: Standing::Learned,
        known: false,
        answers: Some(AnswersSeen { last: Some(MonotonicNs(4_000_000_000)), count: 17, on_path: true, silence: None }),
    };
    assert_eq!(attempt(take(event())), expected);
}

// proves: F-2a F-3a F-4 F-5a F-6
#[test]
fn every_evidence_of_a_failure_has_its_word() {
    for (evidence, failure) in [
        (Evidence::Unanswered, Failure::Unanswered),
        (Evidence::Refused, Failure::Refused),
        (Evidence::HostUnreachable, Failure::HostUnreachable),
        (Evidence::NetUnreachable, Failure::NetUnreachable),
        (Evidence::PortUnreachable, Failure::PortUnreachable),
        (Evidence::Prohibited, Failure::Prohibited),
        (Evidence::KnownFailed, Failure::KnownFailed),
        (Evidence::Stalled, Failure::Stalled),
    ] {
        assert_eq!(attempt(take(Event { evidence, ..event() })).evidence, failure);
    }
}

#[test]
fn rule_3_what_is_listed_is_listed_whether_or_not_it_has_answered() {
    for (flags, standing) in [
        (0, Standing::Unknown),
        (ServiceFlags::ANSWERED, Standing::Learned),
        (ServiceFlags::LISTED, Standing::Listed),
        (ServiceFlags::LISTED | ServiceFlags::ANSWERED, Standing::Listed),
    ] {
        assert_eq!(attempt(take(Event { standing: flags, ..event() })).standing, standing);
    }
}

// proves: D-1
#[test]
fn a_refusal_at_a_guarded_port_says_that_the_application_is_sick() {
    let guarded = Background { is_guarded: &|service| service == web(), ..known() };
    let mut intake = Intake::default();
    let mut evidence = |event: Event| attempt(intake.take(&event, &guarded)).evidence;
    let refused = Event { evidence: Evidence::Refused, ..event() };
    assert_eq!(evidence(refused), Failure::Sick);
    assert_eq!(evidence(Event { server_port: 81, ..refused }), Failure::Refused, "another port");
    assert_eq!(
        evidence(event()),
        Failure::Unanswered,
        "other evidence means at a guarded port what it means elsewhere"
    );
}

// proves: F-7b
#[test]
fn the_address_book_is_asked_about_the_client() {
    let book = Background { in_book: &|asked| asked == client(), ..known() };
    assert!(attempt(Intake::default().take(&event(), &book)).known);
    let other = Event { client: Addr::from(IpAddr::from([10, 0, 1, 2])), ..event() };
    assert!(!attempt(Intake::default().take(&other, &book)).known);
}

#[test]
fn rule_3_a_path_shows_answers_from_the_first_that_it_has_shown() {
    let never = Event { answered_syn_ns: 0, ..event() };
    let learned = Event { kind: EventKind::Learned, answered_syn_ns: 0, ..event() };
    let on_path = |intake: &mut Intake, event| attempt(intake.take(&event, &known())).answers.unwrap().on_path;
    for shown in [None, Some(event()), Some(learned)] {
        let mut intake = Intake::default();
        assert!(!on_path(&mut intake, never));
        match shown {
            Some(event) => drop(intake.take(&event, &known())),
            None => intake.note_answers(),
        }
        assert!(on_path(&mut intake, never), "after {shown:?}");
    }
}

// proves: F-12
#[test]
fn an_answer_names_the_attempt_that_it_takes_back() {
    let answer = Event { kind: EventKind::Answered, evidence: Evidence::SynAck, ..event() };
    for withdrawn in [0, 1] {
        let (mask, seen) = (AttemptMask::of(event().client_port, event().seq), MonotonicNs(5_000_000_000));
        let attempt = AnsweredAttempt { client: client(), mask, seen, withdrawn };
        let when = MonotonicNs(8_000_000_000);
        let answered = Observation::Answered { service: web(), attempt: Some(attempt), at: UnixMs(1_008_000), when };
        assert_eq!(take(Event { attempts: withdrawn, ..answer }).observation(), Some(answered));
    }
}

// proves: F-3a
#[test]
fn a_client_that_goes_on_may_get_through_until_its_next_syn_and_one_that_was_refused_may_not() {
    let trying = |evidence, latest_ns| {
        let event = Event { evidence, latest_ns, at_ns: 8_000_000_000, ..event() };
        attempt(take(event)).trying_until
    };
    assert_eq!(trying(Evidence::Unanswered, 5_000_000_000), UnixMs(1_008_500));
    assert_eq!(trying(Evidence::KnownFailed, 8_000_000_000), UnixMs(1_014_500));
    assert_eq!(trying(Evidence::HostUnreachable, 8_000_000_000), UnixMs(1_014_500), "RFC 5461: a soft error");
    for evidence in [Evidence::Refused, Evidence::GaveUp] {
        assert_eq!(trying(evidence, 8_000_000_000), UnixMs(1_008_000), "{evidence:?}");
    }
}

#[test]
fn rule_2_a_silence_that_is_over_counts_if_it_holds_the_whole_attempt() {
    let silence = |silent_from_ns, silent_to_ns| {
        attempt(take(Event { silent_from_ns, silent_to_ns, ..event() })).answers.unwrap().silence
    };
    let whole = Silence { from: MonotonicNs(4_000_000_000), to: MonotonicNs(7_000_000_000) };
    assert_eq!(silence(4_000_000_000, 7_000_000_000), Some(whole));
    assert_eq!(silence(4_000_000_000, 6_000_000_000), None, "it was repeated when others were answered");
    assert_eq!(silence(5_000_000_000, 7_000_000_000), None, "somebody was answered after its SYN");
}

#[test]
fn a_first_answer_is_learned_and_tells_the_machine_nothing() {
    let learned = take(Event { kind: EventKind::Learned, ..event() });
    assert_eq!(learned, Meaning::Learned { service: web(), at: UnixMs(1_008_000) });
    assert_eq!(learned.observation(), None);
}

// proves: F-11
#[test]
fn a_host_is_seen_by_arp_or_by_its_neighbour_advertisement() {
    for (evidence, recovery) in
        [(Evidence::Arp, Recovery::Arp), (Evidence::NeighbourAdvertisement, Recovery::NeighbourAdvertisement)]
    {
        let seen = Event { kind: EventKind::HostSeen, evidence, server_port: 0, ..event() };
        let expected = Observation::HostSeen { host: web().addr(), evidence: recovery, at: UnixMs(1_008_000) };
        assert_eq!(take(seen).observation(), Some(expected));
    }
}

#[test]
fn other_gateways_can_be_asked_about_silence_alone() {
    let Meaning::Failed { question, .. } = take(event()) else { panic!("no failed attempt") };
    let expected = Question {
        service: web(),
        client: client(),
        client_port: 40_000,
        seq: 99,
        since: UnixMs(1_005_000),
        attempts: 1,
    };
    assert_eq!(question, Some(expected));
    for evidence in [Evidence::Refused, Evidence::HostUnreachable, Evidence::KnownFailed, Evidence::Stalled] {
        let meaning = take(Event { evidence, ..event() });
        assert!(matches!(meaning, Meaning::Failed { question: None, .. }), "{meaning:?}");
    }
}

// proves: D-1
#[test]
fn what_a_guard_ended_is_a_failed_attempt_at_a_listed_service() {
    let finding = GuardFinding { client: client(), service: web(), seen: MonotonicNs(7), at: UnixMs(9), attempts: 1 };
    let attempt = finding.attempt(true);
    assert_eq!((attempt.evidence, attempt.standing, attempt.known), (Failure::Sick, Standing::Listed, true));
    assert_eq!((attempt.seen, attempt.at, attempt.attempts), (MonotonicNs(7), UnixMs(9), 1));
    assert_eq!(attempt.answers, None, "a guard sees no answers");
}

#[test]
fn rule_7_a_service_that_has_answered_is_looked_at_after_its_mark() {
    let state = ServiceState { last_answer_ns: 2_000_000, failed_ns: 9, answers: 5, ..ServiceState::default() };
    let expected =
        Observation::AnswersAfterMark { service: web(), count: 5, last: MonotonicNs(2_000_000), at: UnixMs(1_000_002) };
    assert_eq!(Intake::answers_after_mark(web(), &state, OFFSET), Some(expected));
    let never = ServiceState { last_answer_ns: 0, ..state };
    assert_eq!(Intake::answers_after_mark(web(), &never, OFFSET), None);
}

fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(EventKind::Failed),
        Just(EventKind::Answered),
        Just(EventKind::Learned),
        Just(EventKind::HostSeen)
    ];
    let evidence = prop_oneof![
        Just(Evidence::Unanswered),
        Just(Evidence::Refused),
        Just(Evidence::HostUnreachable),
        Just(Evidence::KnownFailed),
        Just(Evidence::SynAck),
        Just(Evidence::NeighbourAdvertisement),
        Just(Evidence::Stalled),
        Just(Evidence::GaveUp),
    ];
    let addr = || prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    (kind, evidence, addr(), addr(), any::<[u64; 6]>(), any::<[u16; 2]>(), any::<[u32; 5]>()).prop_map(
        |(kind, evidence, client, server, times, ports, numbers)| Event {
            kind,
            evidence,
            client: Addr::from(client),
            server: Addr::from(server),
            seen_ns: times[0],
            latest_ns: times[1],
            at_ns: times[2],
            answered_syn_ns: times[3],
            silent_from_ns: times[4],
            silent_to_ns: times[5],
            client_port: ports[0],
            server_port: ports[1],
            attempts: numbers[0],
            standing: numbers[1],
            ifindex: numbers[2],
            answers: numbers[3],
            seq: numbers[4],
        },
    )
}

proptest! {
    #[test]
    fn of_every_event_all_that_is_said_was_in_it(events in prop::collection::vec(any_event(), 1..20)) {
        let mut intake = Intake::default();
        let (mut newest, mut shown) = (0, false);
        for event in events {
            newest = newest.max(event.at_ns);
            shown |= event.answered_syn_ns != 0 || event.kind == EventKind::Learned;
            let meaning = intake.take(&event, &known());
            prop_assert_eq!((intake.newest(), intake.answers_seen()), (newest, shown));
            let service = Service::new(IpAddr::from(event.server), event.server_port);
            let client = ClientAddr::new(IpAddr::from(event.client));
            match meaning {
                Meaning::Learned { service: learned, .. } => prop_assert_eq!(learned, service),
                Meaning::Failed { attempt, question } => {
                    prop_assert_eq!((attempt.client, attempt.service), (client, service));
                    prop_assert_eq!(attempt.answers.and_then(|answers| answers.last).is_some(), event.answered_syn_ns != 0);
                    prop_assert_eq!(question.is_some(), attempt.evidence == Failure::Unanswered);
                }
                Meaning::Answered { service: answered, attempt, when, .. } => {
                    prop_assert_eq!((answered, attempt.client, attempt.withdrawn), (service, client, event.attempts));
                    prop_assert_eq!((attempt.seen.0, when.0), (event.seen_ns, event.at_ns));
                }
                Meaning::HostSeen { host, evidence, .. } => {
                    prop_assert_eq!(host, service.addr());
                    prop_assert!(matches!(evidence, Recovery::Arp | Recovery::NeighbourAdvertisement));
                }
            }
        }
    }
}
