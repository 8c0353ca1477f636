//! What is said to the core, and what it answers.

use std::{collections::HashSet, time::Duration};

use monitor_common::Evidence;
use monitor_core::{
    config::Watch,
    domain::{ClientAddr, MonotonicNs, Service, UnixMs},
    outage::{Failure, GuardFinding, Observation, Phase, Question, Recovery, Rules},
    port::{Policy, Request, Subscription},
    snmp::RemoteEngine,
};
use monitor_store::OutageRecord;

use super::{Bed, client, mail, settings, until, web, world::BOOT};
use crate::core::Settings;

fn subscription(client: ClientAddr, service: Service) -> Subscription {
    Subscription { client, service, at: UnixMs(BOOT.0 + 5000), on_record: false }
}

// proves: F-24a B-2a
#[tokio::test]
async fn a_client_that_asks_is_told_whether_it_is_listed() {
    let bed = Bed::new();
    let running = bed.start().await;
    assert_eq!(running.core.subscribe(subscription(client(2), web())).await, Ok(false), "nothing is failed");
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    assert_eq!(running.core.subscribe(subscription(client(2), web())).await, Ok(true));
    let waiting = running.store.waiting(None, 10).await.unwrap();
    let lines: Vec<_> = waiting.iter().map(|line| (line.client, line.attempts, line.evidence)).collect();
    assert_eq!(lines, [(client(1), 1, Failure::Unanswered), (client(2), 0, Failure::Asked)]);
    assert_eq!(running.outages().await[0].outage.failures, 1);
    running.stop().await.unwrap();
}

// proves: F-7a F-24a
#[tokio::test]
async fn what_is_said_in_order_is_taken_in_order() {
    let known_only = || Settings { rules: Rules { only_known_clients: true, ..Rules::default() }, ..settings() };
    let bed = Bed::with(known_only);
    let running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    assert_eq!(running.core.subscribe(subscription(client(2), web())).await, Ok(false));
    let sure = Subscription { on_record: true, ..subscription(client(3), web()) };
    assert_eq!(running.core.subscribe(sure).await, Ok(true), "it has just said where");
    // The book is read again before whoever asks next is looked up in it.
    running.knows(client(2), "two@example.net").await;
    assert_eq!(running.core.subscribe(subscription(client(2), web())).await, Ok(true));
    running.stop().await.unwrap();
}

// proves: D-1
#[tokio::test]
async fn guards_alone_say_whether_their_services_are_well() {
    let guarding = || Settings {
        rules: Rules { probe_interval: Some(Duration::from_millis(1)), ..Rules::default() },
        guarded: HashSet::from([80]),
        ..settings()
    };
    let bed = Bed::with(guarding);
    let own: Service = "127.0.0.1:80".parse().unwrap();
    bed.world.answers(own, client(9));
    let mut running = bed.start().await;
    bed.world.fails(client(1), own, Evidence::Refused);
    bed.world.fails(client(1), web(), Evidence::Refused);
    until("both have failed", async || running.open().await.len() == 2).await;
    let evidence = |service| move |record: &&OutageRecord| record.outage.service == service;
    let outages = running.outages().await;
    assert_eq!(outages.iter().find(evidence(own)).unwrap().outage.evidence, Failure::Sick);
    assert_eq!(outages.iter().find(evidence(web())).unwrap().outage.evidence, Failure::Refused, "another host's");
    // Both are due; a connection that a guard's kernel accepts says nothing.
    bed.world.later(1000);
    running.core.addresses_changed().await.unwrap();
    assert_eq!(tokio::time::timeout(super::LIMIT, running.probes.recv()).await.unwrap(), Some(web()));
    running.stop().await.unwrap();
}

// proves: D-1
#[tokio::test]
async fn a_connection_that_a_guard_ends_is_a_failed_attempt_of_its_client() {
    let bed = Bed::new();
    let running = bed.start().await;
    let own: Service = "127.0.0.1:80".parse().unwrap();
    let at = UnixMs(BOOT.0 + 3000);
    let finding = GuardFinding { client: client(1), service: own, seen: MonotonicNs(7), at, attempts: 1 };
    running.core.send(Request::Guarded(finding)).await.unwrap().committed().await.unwrap();
    let outages = running.outages().await;
    assert_eq!((outages[0].outage.service, outages[0].outage.evidence), (own, Failure::Sick));
    assert_eq!(running.waiting().await, [client(1)]);
    running.stop().await.unwrap();
}

// proves: F-10a
#[tokio::test]
async fn a_trap_ends_an_outage_and_is_remembered_in_the_same_commit() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    let engine = RemoteEngine { id: vec![1; 8], boots: 1, time: 2, received: UnixMs(3), seen: vec![(2, 9)] };
    let trap = Request::Trap { host: web().addr(), at: MonotonicNs(9_000_000_000), seen: Some(engine.clone()) };
    running.core.send(trap).await.unwrap().committed().await.unwrap();
    assert_eq!(running.open().await, []);
    assert_eq!(running.local.remote_engines().await.unwrap(), [engine]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn silence_is_asked_about_and_other_gateways_are_answered() {
    let asking = || Settings { rules: Rules { ask: Some(Duration::from_secs(3)), ..Rules::default() }, ..settings() };
    let bed = Bed::with(asking);
    let mut running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    let question = tokio::time::timeout(super::LIMIT, running.questions.recv()).await.unwrap().unwrap();
    assert_eq!((question.service, question.client, question.seq), (web(), client(1), 1));
    until("it is a suspicion", async || running.open().await == [web()]).await;
    assert_eq!(running.outages().await[0].outage.phase, Phase::Suspected);
    bed.world.later(5000);
    bed.world.answers(mail(), client(2));
    let ask = |service| Question { service, ..question };
    let answered = UnixMs(BOOT.0 + i64::try_from(bed.world.lock().now / 1_000_000).unwrap());
    let known = running.core.ask(vec![ask(mail()), ask(web())]).await.unwrap();
    assert_eq!(known, [Some(answered), None]);
    let elsewhere = Observation::AnsweredElsewhere {
        service: web(),
        client: client(1),
        mask: question.mask(),
        attempts: 1,
        well: question.since,
    };
    running.core.observed(elsewhere).await.unwrap();
    assert_eq!(running.open().await, []);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_policy_comes_into_force_as_a_whole_or_the_old_one_stays() {
    let bed = Bed::new();
    let running = bed.start().await;
    let policy = || Policy { rules: Rules { refused_is_failure: false, ..Rules::default() }, watch: Watch::default() };
    bed.world.lock().refuses_reload = true;
    let error = running.core.reload(policy()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be listed"), "{error}");
    bed.world.fails(client(1), web(), Evidence::Refused);
    until("a refusal is a failure", async || running.open().await == [web()]).await;
    bed.world.lock().refuses_reload = false;
    running.core.reload(policy()).await.unwrap();
    bed.world.fails(client(1), mail(), Evidence::Refused);
    until("it is taken", async || running.state.borrow().tally.refused_ignored == 1).await;
    assert_eq!(running.open().await, [web()]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn who_waits_is_not_kept_waiting_by_a_core_that_has_stopped() {
    let bed = Bed::new();
    let running = bed.start().await;
    let core = running.core.clone();
    running.stop().await.unwrap();
    assert!(core.subscribe(subscription(client(1), web())).await.is_err());
    assert!(
        core.try_observed(Observation::HostSeen { host: web().addr(), evidence: Recovery::Arp, at: UnixMs(0) })
            .is_err()
    );
}
