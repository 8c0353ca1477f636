//! The waiting list (F-7, F-8) and what a restart finds.

use monitor_core::{
    domain::{AttemptMask, OutageId, UnixMs},
    outage::{Change, Failure, Level, Outage, Phase, Recovery, Restored},
};

use super::{Bed, MASK, RECOVERED, SINCE, client, outage, service, wait};
use crate::{Applied, WaitingClient};

fn attempt(at: i64, attempts: u32, evidence: Failure) -> Change {
    let (outage, client, at) = (OutageId(1), client("10.0.0.1"), UnixMs(at));
    Change::Wait { outage, client, at, trying_until: UnixMs(0), attempts, evidence, mask: MASK }
}

// proves: F-7a
#[tokio::test]
async fn a_client_is_listed_once_with_first_and_latest_attempt_count_and_telling_evidence() {
    let bed = Bed::with_outages(&[1]).await;
    bed.local.apply(vec![attempt(100, 1, Failure::KnownFailed), attempt(110, 2, Failure::Refused)]).await.unwrap();
    bed.local.apply(vec![attempt(130, 3, Failure::KnownFailed)]).await.unwrap();
    // An event that comes late does not set the clock back.
    bed.local.apply(vec![attempt(120, 1, Failure::KnownFailed)]).await.unwrap();

    let listed = WaitingClient {
        outage: OutageId(1),
        service: service(1),
        client: client("10.0.0.1"),
        first: UnixMs(100),
        latest: UnixMs(130),
        attempts: 7,
        evidence: Failure::Refused,
        connected: None,
    };
    assert_eq!(bed.store.waiting(None, 10).await.unwrap(), [listed]);
    assert_eq!(bed.store.outages(false, 10).await.unwrap()[0].clients, 1);
}

// proves: F-24a B-2a
#[tokio::test]
async fn a_client_that_asked_is_listed_as_such_until_it_tries() {
    let bed = Bed::with_outages(&[1]).await;
    let line = async || bed.store.waiting(None, 10).await.unwrap().remove(0);
    bed.local.apply(vec![attempt(100, 0, Failure::Asked)]).await.unwrap();
    let asked = line().await;
    assert_eq!((asked.first, asked.attempts, asked.evidence), (UnixMs(100), 0, Failure::Asked));
    for (evidence, listed) in [
        (Failure::Asked, Failure::Asked),
        (Failure::KnownFailed, Failure::KnownFailed),
        (Failure::Asked, Failure::KnownFailed),
        (Failure::Refused, Failure::Refused),
        (Failure::KnownFailed, Failure::Refused),
        (Failure::Asked, Failure::Refused),
    ] {
        bed.local.apply(vec![attempt(110, u32::from(evidence != Failure::Asked), evidence)]).await.unwrap();
        assert_eq!(line().await.evidence, listed, "after {evidence}");
    }
    assert_eq!(line().await.attempts, 3);
}

// proves: F-7a
#[tokio::test]
async fn lists_are_apart_by_outage_and_address_family() {
    let bed = Bed::with_outages(&[1, 2]).await;
    let who = ["10.0.0.1", "10.0.0.2", "2001:db8::1"];
    let mut changes: Vec<_> = who.iter().map(|who| wait(1, who, SINCE)).collect();
    changes.push(wait(2, "10.0.0.1", SINCE));
    bed.local.apply(changes).await.unwrap();

    let mut of_one: Vec<_> = bed.store.waiting(Some(OutageId(1)), 10).await.unwrap().iter().map(|w| w.client).collect();
    of_one.sort();
    assert_eq!(of_one, who.map(client));
    assert_eq!(bed.store.waiting(Some(OutageId(2)), 10).await.unwrap().len(), 1);
    assert_eq!(bed.store.waiting(None, 10).await.unwrap().len(), 4);
    assert_eq!(bed.store.waiting(None, 3).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_new_failure_clears_the_mark_of_having_got_through() {
    let bed = Bed::with_outages(&[1]).await;
    let connected = Change::Connected { outage: OutageId(1), client: client("10.0.0.1"), at: UnixMs(150) };
    bed.local.apply(vec![attempt(100, 1, Failure::Refused), connected]).await.unwrap();
    assert_eq!(bed.store.waiting(None, 10).await.unwrap()[0].connected, Some(UnixMs(150)));
    bed.local.apply(vec![attempt(160, 1, Failure::KnownFailed)]).await.unwrap();
    assert_eq!(bed.store.waiting(None, 10).await.unwrap()[0].connected, None);
}

// proves: F-8b
#[tokio::test]
async fn a_purge_removes_aged_entries_of_every_outage_without_a_recovery() {
    let bed = Bed::with_outages(&[1, 2]).await;
    let changes = vec![
        wait(1, "10.0.0.1", UnixMs(99)),
        wait(1, "10.0.0.2", UnixMs(100)),
        wait(2, "10.0.0.3", UnixMs(50)),
        // First try long ago, latest not: it still waits.
        wait(2, "10.0.0.4", UnixMs(50)),
        wait(2, "10.0.0.4", UnixMs(200)),
    ];
    bed.local.apply(changes).await.unwrap();
    let applied = bed.local.apply(vec![Change::Purge { older_than: UnixMs(100) }]).await.unwrap();
    assert_eq!(applied, Applied { letters: 0, untold: 2 });

    let left: Vec<_> = bed.store.waiting(None, 10).await.unwrap().iter().map(|w| w.client).collect();
    assert_eq!(left, [client("10.0.0.2"), client("10.0.0.4")]);
    let clients: Vec<_> = bed.store.outages(false, 10).await.unwrap().iter().map(|o| o.clients).collect();
    assert_eq!(clients, [1, 1]);
}

#[tokio::test]
async fn a_restart_goes_on_from_the_open_outages() {
    let settling = Outage {
        level: Level::Host,
        failures: 12,
        latest: UnixMs(1_500_000),
        phase: Phase::Settling { until: UnixMs(2_000_500), evidence: Recovery::Trap, recovered: RECOVERED },
        ..outage(2)
    };
    let suspected = Outage { phase: Phase::Suspected, ..outage(3) };
    let bed = Bed::with_outages(&[1, 2, 4]).await;
    bed.local
        .apply(vec![
            Change::Put(settling),
            Change::Put(suspected),
            wait(4, "10.0.0.1", SINCE),
            Change::Discard { outage: OutageId(4), at: RECOVERED },
        ])
        .await
        .unwrap();
    let bed = bed.reopened();
    let restored = bed.local.restore().await.unwrap();
    assert_eq!(
        restored,
        Restored { outages: vec![outage(1), settling, suspected], ended: vec![], next_outage: OutageId(5) }
    );
    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());

    let all = bed.store.outages(true, 10).await.unwrap();
    assert_eq!(all.iter().map(|o| o.outage.id.0).collect::<Vec<_>>(), [4, 3, 2, 1]);
    assert_eq!((all[0].ended, all[0].recovery, all[0].clients), (Some(RECOVERED), None, 1));
}

#[tokio::test]
async fn a_fresh_store_starts_at_outage_one() {
    let restored = Bed::fresh().local.restore().await.unwrap();
    assert_eq!(restored, Restored { outages: vec![], ended: vec![], next_outage: OutageId(1) });
}

#[tokio::test]
async fn a_server_name_is_kept() {
    let bed = Bed::with_outages(&[1]).await;
    bed.store.set_server_name(OutageId(1), "www.example".to_owned()).await.unwrap();
    // The machine's next word about the outage does not take the name away.
    bed.local.apply(vec![Change::Put(outage(1))]).await.unwrap();
    assert_eq!(bed.store.outages(false, 1).await.unwrap()[0].server_name.as_deref(), Some("www.example"));
}

#[tokio::test]
async fn learned_services_keep_their_latest_answer_until_they_are_forgotten() {
    let bed = Bed::fresh();
    bed.store.learn(vec![(service(1), UnixMs(10)), (service(2), UnixMs(20))]).await.unwrap();
    bed.store.learn(vec![(service(1), UnixMs(30)), (service(2), UnixMs(5))]).await.unwrap();
    let bed = bed.reopened();
    let learned = bed.store.learned_services().await.unwrap();
    assert_eq!(learned, [(service(1), UnixMs(30)), (service(2), UnixMs(20))]);
    assert_eq!(bed.store.forget_services(UnixMs(21)).await.unwrap(), 1);
    assert_eq!(bed.store.learned_services().await.unwrap(), [(service(1), UnixMs(30))]);
}

#[tokio::test]
async fn a_client_waits_for_the_outages_on_whose_lists_it_is() {
    let bed = Bed::with_outages(&[1, 2]).await;
    bed.local.apply(vec![wait(1, "10.0.0.1", SINCE)]).await.unwrap();
    for (outage, who, waits) in
        [(1, "10.0.0.1", true), (1, "10.0.0.2", false), (2, "10.0.0.1", false), (9, "10.0.0.1", false)]
    {
        assert_eq!(bed.store.is_waiting(OutageId(outage), client(who)).await.unwrap(), waits, "{outage} {who}");
    }
    bed.local.apply(vec![Change::Discard { outage: OutageId(1), at: RECOVERED }]).await.unwrap();
    assert!(!bed.store.is_waiting(OutageId(1), client("10.0.0.1")).await.unwrap());
}

#[tokio::test]
async fn a_service_has_its_outage_until_that_is_over() {
    let bed = Bed::with_outages(&[1, 2]).await;
    assert_eq!(bed.store.open_outage(service(2)).await.unwrap(), Some(OutageId(2)));
    assert_eq!(bed.store.open_outage(service(3)).await.unwrap(), None);
    bed.local.apply(vec![Change::Discard { outage: OutageId(2), at: RECOVERED }]).await.unwrap();
    assert_eq!(bed.store.open_outage(service(2)).await.unwrap(), None);
    assert_eq!(bed.store.open_outage(service(1)).await.unwrap(), Some(OutageId(1)));
}

// proves: F-7a F-12
#[tokio::test]
async fn an_attempt_that_gets_through_is_taken_back_where_it_was_counted() {
    let bed = Bed::with_outages(&[1, 2]).await;
    let who = client("10.0.0.1");
    let wait = |outage, seq| {
        let (outage, mask) = (OutageId(outage), AttemptMask::of(40_000, seq));
        let (at, trying_until, evidence) = (UnixMs(100), UnixMs(0), Failure::Unanswered);
        Change::Wait { outage, client: who, at, trying_until, attempts: 1, evidence, mask }
    };
    let through = |seq| {
        let (outage, instead, mask) = (OutageId(1), vec![OutageId(2)], AttemptMask::of(40_000, seq));
        Change::Withdraw { outage, instead, client: who, attempts: 1, mask }
    };
    let attempts = async || {
        let lines = bed.store.waiting(None, 10).await.unwrap();
        lines.iter().map(|line| (line.outage.0, line.attempts)).collect::<Vec<_>>()
    };
    bed.local.apply(vec![wait(1, 1), wait(2, 2), wait(2, 3)]).await.unwrap();
    bed.local.apply(vec![through(4)]).await.unwrap();
    assert_eq!(attempts().await, [(1, 1), (2, 2)], "nobody has counted it");
    bed.local.apply(vec![through(3)]).await.unwrap();
    assert_eq!(attempts().await, [(1, 1), (2, 1)]);
    bed.local.apply(vec![through(1)]).await.unwrap();
    assert_eq!(attempts().await, [(2, 1)]);
}
