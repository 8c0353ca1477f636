//! Random facts against a small model of what the store and the kernel are left with.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashSet, net::IpAddr, time::Duration};

use proptest::prelude::*;

use super::{
    Machine,
    bed::{answered, restored},
    outside::{Clock, Outside, may_wait},
};
use crate::{
    domain::{AttemptMask, ClientAddr, Moment, MonotonicNs, OutageId, Service, UnixMs},
    outage::{
        AnsweredAttempt, AnswersSeen, Ended, FailedAttempt, Failure, Level, Observation, Outage, Phase, Recovery,
        Restored, Rules, Span, Standing, Target,
    },
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Observe(Observation),
    Tick,
    /// kill -9, and a new machine from what the store holds.
    Restart,
}

fn service() -> impl Strategy<Value = Service> {
    (1..3u8, 80..82u16).prop_map(|(host, port)| Service::new(IpAddr::from([10, 0, 2, host]), port))
}

fn client() -> impl Strategy<Value = ClientAddr> {
    (1..4u8).prop_map(|host| ClientAddr::new(IpAddr::from([10, 0, 1, host])))
}

fn failed() -> impl Strategy<Value = Observation> {
    let standing = prop_oneof![Just(Standing::Listed), Just(Standing::Learned), Just(Standing::Unknown)];
    // How long ago: attempts are reported late.
    let seen = 0..8_000_000_000u64;
    let answer = proptest::option::of(0..8_000_000_000u64);
    (
        (client(), service(), proptest::sample::select(Failure::ALL.to_vec())),
        (seen, answer, 0..2u32, standing),
        (any::<bool>(), 0..3u32),
        any::<bool>(),
    )
        .prop_map(|((client, service, evidence), (seen, answer, attempts, standing), (on_path, count), known)| {
            Observation::Failed(FailedAttempt {
                client,
                service,
                mask: AttemptMask::of(0, u32::from(known)),
                evidence,
                seen: MonotonicNs(seen),
                at: UnixMs(0),
                attempts,
                standing,
                known,
                said: MonotonicNs(seen),
                trying_until: UnixMs(0),
                answers: Some(AnswersSeen { last: answer.map(MonotonicNs), count, on_path, silence: None }),
            })
        })
}

fn recovery() -> impl Strategy<Value = Observation> {
    let at = UnixMs(0);
    prop_oneof![
        (service(), proptest::option::of(client())).prop_map(move |(service, client)| answered(service, client, at)),
        (service(), proptest::sample::select(vec![Recovery::Arp, Recovery::NeighbourAdvertisement]))
            .prop_map(move |(service, evidence)| Observation::HostSeen { host: service.addr(), evidence, at }),
        service().prop_map(move |service| Observation::Trap { host: service.addr(), at: MonotonicNs(0) }),
        service().prop_map(move |service| Observation::Signal { target: Target::Service(service), at: MonotonicNs(0) }),
        service()
            .prop_map(move |service| Observation::Signal { target: Target::Host(service.addr()), at: MonotonicNs(0) }),
        (service(), any::<bool>()).prop_map(move |(service, connected)| Observation::Probed {
            service,
            connected,
            at: MonotonicNs(0)
        }),
    ]
}

/// A client that asks, or what the kernel knows after a mark.
fn said_to_us() -> impl Strategy<Value = Observation> {
    let at = UnixMs(0);
    prop_oneof![
        (client(), service(), any::<bool>()).prop_map(move |(client, service, known)| Observation::Asked {
            client,
            service,
            at,
            known
        }),
        (service(), 0..3u32, 0..5u64).prop_map(move |(service, count, last)| {
            Observation::AnswersAfterMark { service, count, last: MonotonicNs(last), at }
        }),
    ]
}

/// Another gateway's outage, or its end.
fn elsewhere() -> impl Strategy<Value = Observation> {
    prop_oneof![
        service().prop_map(|service| Observation::OpenElsewhere(Outage {
            id: OutageId(1_000_000),
            service,
            since: UnixMs(0),
            latest: UnixMs(0),
            evidence: Failure::Unanswered,
            level: Level::Host,
            failures: 7,
            span: Span::default(),
            trying_until: UnixMs(0),
            phase: Phase::Open,
        })),
        (service(), client(), 1..3u32, -2_000..1i64).prop_map(|(service, client, attempts, well)| {
            Observation::AnsweredElsewhere { service, client, mask: AttemptMask::ANY, attempts, well: UnixMs(well) }
        }),
        (1..6_i64).prop_map(|id| Observation::EndedElsewhere { outage: OutageId(id), at: UnixMs(0) }),
    ]
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let step = prop_oneof![
        6 => failed().prop_map(Step::Observe),
        2 => recovery().prop_map(Step::Observe),
        1 => elsewhere().prop_map(Step::Observe),
        1 => said_to_us().prop_map(Step::Observe),
        2 => Just(Step::Tick),
        1 => Just(Step::Restart),
    ];
    // The wall clock steps back now and then.
    (prop_oneof![20 => 0..3_000i64, 1 => -5_000..0i64], step)
}

fn rules() -> impl Strategy<Value = Rules> {
    (1..3u32, 1..3u32, 0..3u64, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(min_failures, min_clients, settle, refused, only_known, confirm, probes, asks)| Rules {
            max_unknown: u64::MAX,
            refused_is_failure: refused,
            only_known_clients: only_known,
            min_failures,
            min_clients,
            suspect_for: Duration::from_secs(4),
            settle: Duration::from_secs(settle),
            max_age: Duration::from_secs(30),
            skip_connected: false,
            confirm_traps: confirm,
            confirm_refusals: false,
            probe_interval: probes.then_some(Duration::from_secs(2)),
            probe_max_interval: Duration::from_secs(8),
            ask: asks.then_some(Duration::from_secs(1)),
        },
    )
}

fn at(observation: Observation, now: &Moment) -> Observation {
    let (wall, kernel) = (now.wall, now.known);
    let ago = |by: MonotonicNs| MonotonicNs(kernel.0 - by.0);
    match observation {
        Observation::Failed(attempt) => {
            let answers = attempt.answers.map(|answers| AnswersSeen { last: answers.last.map(ago), ..answers });
            let trying_until = now.steady.unix(kernel) + Duration::from_secs(1);
            Observation::Failed(FailedAttempt {
                at: wall,
                seen: ago(attempt.seen),
                said: kernel,
                answers,
                trying_until,
                ..attempt
            })
        }
        Observation::Asked { client, service, known, .. } => Observation::Asked { client, service, at: wall, known },
        Observation::AnswersAfterMark { service, count, last, .. } => {
            Observation::AnswersAfterMark { service, count, last: ago(last), at: wall }
        }
        Observation::Answered { service, attempt, .. } => {
            let attempt = attempt.map(|attempt| AnsweredAttempt { seen: kernel, ..attempt });
            Observation::Answered { service, attempt, at: wall, when: kernel }
        }
        Observation::Withdrawn { .. } => observation,
        Observation::HostSeen { host, evidence, .. } => Observation::HostSeen { host, evidence, at: wall },
        Observation::Trap { host, .. } => Observation::Trap { host, at: kernel },
        Observation::Signal { target, .. } => Observation::Signal { target, at: kernel },
        Observation::Probed { service, connected, .. } => Observation::Probed { service, connected, at: kernel },
        Observation::OpenElsewhere(outage) => {
            Observation::OpenElsewhere(Outage { since: wall, latest: wall, ..outage })
        }
        Observation::AnsweredElsewhere { service, client, mask, attempts, well } => {
            Observation::AnsweredElsewhere { service, client, mask, attempts, well: UnixMs(wall.0 + well.0) }
        }
        Observation::EndedElsewhere { outage, .. } => Observation::EndedElsewhere { outage, at: wall },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    // proves: F-1 F-4 F-7a
    #[test]
    fn store_and_kernel_agree_with_the_machine_after_every_step(
        rules in rules(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut outside = Outside::new();
        let (mut machine, _) = restored(rules.clone(), Vec::new(), OutageId(1));
        // The wall clock steps; the kernel's does not.
        let mut clock = Clock { wall: 1_000_000, kernel: 1_000_000 };
        for (later, step) in steps {
            let now = clock.pass(later);
            match step {
                Step::Tick => outside.carry_out(&machine.tick(&now), &rules)?,
                Step::Observe(observation) => {
                    let observation = at(observation, &now);
                    let listed = outside.waiting.clone();
                    let failed = outside.failed.clone();
                    let there = match &observation {
                        Observation::Failed(FailedAttempt { service, .. }) | Observation::Asked { service, .. } => {
                            outside.outages.values().any(|outage| outage.service == *service)
                        }
                        _ => false,
                    };
                    if let Observation::OpenElsewhere(theirs) = &observation {
                        outside.elsewhere.insert(theirs.service);
                    }
                    let expected = match &observation {
                        Observation::Failed(attempt) => may_wait(attempt, &rules, &outside),
                        _ => false,
                    };
                    outside.carry_out(&machine.observe(&now, observation), &rules)?;
                    let joined: Vec<_> = outside.waiting.difference(&listed).collect();
                    match &observation {
                        Observation::Failed(attempt) => {
                            let waits = outside.outages.values().chain(outside.late.values()).any(|outage| {
                                outage.service == attempt.service
                                    && outside.waiting.contains(&(outage.id, attempt.client))
                            });
                            prop_assert!(joined.iter().all(|(_, client)| *client == attempt.client));
                            if expected {
                                prop_assert!(waits, "a client that failed does not wait");
                            } else {
                                prop_assert!(joined.is_empty(), "a client waits that did not fail");
                            }
                        }
                        Observation::Asked { client, service, known, .. } => {
                            let waits = outside.outages.values().any(|outage| {
                                outage.service == *service && outside.waiting.contains(&(outage.id, *client))
                            });
                            prop_assert!(joined.iter().all(|(_, joined)| joined == client));
                            if there && (!rules.only_known_clients || *known) {
                                prop_assert!(waits, "a client that asked does not wait");
                            } else {
                                prop_assert!(joined.is_empty(), "a client waits that must not");
                            }
                            prop_assert_eq!(&failed, &outside.failed, "nothing fails because somebody asks");
                        }
                        _ => prop_assert!(joined.is_empty()),
                    }
                }
                Step::Restart => {
                    outside.failed.clear();
                    outside.hosts.clear();
                    let outages = outside.outages.values().copied().collect();
                    let ended = outside.late.values().map(|outage| Ended {
                        outage: *outage,
                        recovered: now.wall,
                        evidence: Recovery::Signal,
                    });
                    let next_outage = OutageId(outside.next);
                    let kept = Restored { outages, ended: ended.collect(), next_outage };
                    let (restored, actions) = Machine::restore(rules.clone(), kept, &now);
                    machine = restored;
                    outside.carry_out(&actions, &rules)?;
                }
            }
            // The latest attempt is noted also where it changes nothing else.
            let plain = |outage: &Outage| Outage { span: Span { latest: None, ..outage.span }, ..*outage };
            let held: Vec<_> = machine.outages().map(plain).collect();
            prop_assert_eq!(&held, &outside.outages.values().map(plain).collect::<Vec<_>>());
            prop_assert_eq!(outside.open().map(|outage| outage.service).collect::<HashSet<_>>(), outside.failed.clone());
            let hosts: HashSet<_> =
                outside.open().filter(|outage| outage.level == Level::Host).map(|outage| outage.service.addr()).collect();
            prop_assert_eq!(&hosts, &outside.hosts);
            prop_assert!(held.is_empty() || machine.next_deadline().is_some());
        }
    }

    #[test]
    fn every_outage_ends_when_time_passes_and_nothing_else_happens(
        rules in rules(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let (mut machine, _) = restored(rules, Vec::new(), OutageId(1));
        let mut clock = Clock { wall: 1_000_000, kernel: 1_000_000 };
        for (later, step) in steps {
            let now = clock.pass(later);
            if let Step::Observe(observation) = step {
                machine.observe(&now, at(observation, &now));
            }
        }
        let mut turns = 0;
        while let Some(deadline) = machine.next_deadline() {
            machine.tick(&clock.pass(deadline.since(UnixMs(clock.wall)).as_millis().try_into().unwrap()));
            turns += 1;
            prop_assert!(turns < 10_000, "the deadline does not advance");
        }
        prop_assert_eq!(machine.outages().count(), 0);
    }
}
