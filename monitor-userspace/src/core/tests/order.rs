//! Commit, then kernel, then answer; whatever happens in between.

use std::time::Duration;

use monitor_common::Evidence;
use monitor_core::{
    domain::MonotonicNs,
    outage::{Failure, Mark, Observation, Recovery, Target},
};
use tokio::time::timeout;

use super::{Bed, client, mail, until, web, world::Done};

fn signal() -> Observation {
    Observation::Signal { target: Target::Service(web()), at: MonotonicNs(0) }
}

// proves: F-3a F-13a
#[tokio::test(flavor = "multi_thread")]
async fn the_kernel_is_told_after_the_commit_and_who_waits_is_answered_after_that() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.world.lock().witness = Some(running.store.clone());
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    running.core.observed(signal()).await.unwrap();
    // Nothing is waited for from here on: all of it was done before the answer.
    assert!(!bed.world.is_marked(web()));
    assert_eq!(running.open().await, []);
    let expected = [
        Done::Released(1),
        Done::Marked(Mark::Failed(web()), vec![web()]),
        Done::Marked(Mark::Recovered(web()), vec![]),
    ];
    assert_eq!(bed.world.lock().done, expected);
    bed.world.lock().witness = None;
    running.stop().await.unwrap();
}

#[tokio::test]
async fn while_the_store_takes_no_changes_the_kernel_is_told_nothing_and_nobody_is_answered() {
    let bed = Bed::new();
    let mut running = bed.start().await;
    bed.refuse();
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    let complains = running.state.wait_for(|state| state.store_error.is_some());
    let said = timeout(super::LIMIT, complains).await.unwrap().unwrap().store_error.clone().unwrap();
    assert!(said.contains("the disk is full"), "{said}");
    let core = running.core.clone();
    let answer = core.observed(signal());
    tokio::pin!(answer);
    assert!(timeout(Duration::from_millis(300), &mut answer).await.is_err(), "answered without a commit");
    assert_eq!(bed.world.lock().done, []);
    bed.accept();
    timeout(super::LIMIT, answer).await.unwrap().unwrap();
    assert_eq!(bed.world.marks(), [Mark::Failed(web()), Mark::Recovered(web())]);
    assert_eq!(running.outages().await[0].recovery, Some(Recovery::Signal));
    running.stop().await.unwrap();
}

// proves: F-12
#[tokio::test]
async fn what_comes_while_a_transaction_runs_is_taken_in_its_order() {
    let bed = Bed::new();
    let running = bed.start().await;
    let busy = bed.connection();
    busy.execute_batch("BEGIN IMMEDIATE").unwrap();
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the first is read", async || bed.world.lock().read == 1).await;
    // The mark is not set yet, so the programs report time-outs of their own.
    for (who, service, evidence) in [
        (client(2), web(), Evidence::Unanswered),
        (client(3), mail(), Evidence::Refused),
        (client(5), mail(), Evidence::Unanswered),
    ] {
        bed.world.fails(who, service, evidence);
    }
    assert_eq!(running.open().await, []);
    busy.execute_batch("COMMIT").unwrap();
    until("all is committed", async || running.waiting().await == [client(1), client(2), client(3), client(5)]).await;
    let of_mail = running.outages().await.into_iter().find(|record| record.outage.service == mail());
    assert_eq!(of_mail.map(|record| record.outage.evidence), Some(Failure::Refused), "the first of its reports");
    // What comes after it, comes after it.
    bed.world.answers(web(), client(2));
    bed.world.fails(client(4), web(), Evidence::Refused);
    // The clients of the first outage give up.
    until("it failed again", async || running.outages().await.len() == 3).await;
    bed.world.later(5000);
    until("they are told", async || running.waiting().await == [client(3), client(5), client(4)]).await;
    let outages: Vec<_> =
        running.outages().await.iter().rev().map(|record| (record.outage.service, record.ended.is_some())).collect();
    assert_eq!(outages, [(web(), true), (mail(), false), (web(), false)]);
    running.stop().await.unwrap();
}

// proves: F-12
#[tokio::test]
async fn rule_7_an_answer_between_the_attempt_and_the_mark_is_found() {
    let bed = Bed::new();
    let running = bed.start().await;
    running.knows(client(1), "one@example.net").await;
    bed.world.lock().answers_before_mark = Some(web());
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("it is over", async || running.open().await.is_empty() && running.outages().await.len() == 1).await;
    assert!(running.told().await.is_empty(), "its client may still repeat its SYN");
    bed.world.later(5000);
    until("it has given up", async || running.told().await == ["one@example.net"]).await;
    assert_eq!(bed.world.marks(), [Mark::Failed(web()), Mark::Recovered(web())]);
    assert_eq!(running.outages().await[0].recovery, Some(Recovery::Answered));
    // Without one it goes on.
    bed.world.fails(client(1), mail(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(mail())).await;
    running.core.observed(signal()).await.unwrap();
    assert_eq!(running.open().await, [mail()]);
    running.stop().await.unwrap();
}
