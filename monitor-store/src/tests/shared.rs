//! Several gateways on one store: their outages are one, each client is told once, and nobody who waited is forgotten.

use std::time::Duration;

use monitor_core::{
    domain::{OutageId, UnixMs},
    outage::{Change, Closing, Failure, Outage, Phase, Question},
};

use super::{Bed, MASK, RECOVERED, SINCE, address, client, client_of, closing, outage, service, wait};
use crate::{Applied, Elsewhere, Gateway, SharedStore, Spooled};

/// After the recovery.
const LATER: UnixMs = UnixMs(3_000_000);

fn gateway(name: &str) -> Gateway {
    Gateway { name: name.to_owned(), host: format!("{name}.example") }
}

/// The service of outage 1, by another number of one's own.
fn seen_as(own: i64) -> Outage {
    Outage { id: OutageId(own), service: service(1), ..outage(own) }
}

async fn share(store: &SharedStore, name: &str, number: i64, changes: Vec<Change>) -> Applied {
    store.share(gateway(name), Spooled { number, changes }, LATER).await.unwrap()
}

async fn with_addresses(who: &[&str]) -> Bed {
    let bed = Bed::fresh();
    bed.store.put_addresses(who.iter().map(|who| address(who, &format!("{who}@example"))).collect()).await.unwrap();
    bed
}

async fn told(bed: &Bed) -> Vec<String> {
    let mut told: Vec<_> = bed.letters().await.into_iter().map(|letter| client_of(&letter).to_string()).collect();
    told.sort();
    told
}

// proves: F-7a F-15a
#[tokio::test]
async fn an_outage_that_two_gateways_see_is_one_and_each_client_is_told_once() {
    let bed = with_addresses(&["10.0.0.1", "10.0.0.2"]).await;
    let store = &bed.shared;
    let one = Outage { failures: 3, ..seen_as(1) };
    let two = Outage { since: UnixMs(SINCE.0 - 5), failures: 2, ..seen_as(9) };
    share(store, "a", 1, vec![Change::Put(one), wait(1, "10.0.0.1", SINCE)]).await;
    share(store, "b", 1, vec![Change::Put(two), wait(9, "10.0.0.2", SINCE), wait(9, "10.0.0.1", SINCE)]).await;
    let outages = bed.store.outages(true, 9).await.unwrap();
    let [common] = outages.as_slice() else { panic!("{outages:?}") };
    assert_eq!((common.clients, common.outage.failures, common.outage.since), (2, 5, two.since));
    // A gateway's count is its own: said again, it adds only what is new.
    share(store, "b", 2, vec![Change::Put(Outage { failures: 4, ..two })]).await;
    assert_eq!(bed.store.outages(true, 9).await.unwrap()[0].outage.failures, 7);

    let applied = share(store, "b", 3, vec![Change::Close(closing(&[9]))]).await;
    assert_eq!(applied, Applied { letters: 2, untold: 0 });
    let applied = share(store, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    assert_eq!(applied, Applied::default());
    assert_eq!(told(&bed).await, ["10.0.0.1", "10.0.0.2"]);
}

#[tokio::test]
async fn a_batch_that_comes_twice_counts_once() {
    let bed = with_addresses(&["10.0.0.1"]).await;
    for _ in 0..2 {
        share(&bed.shared, "a", 5, vec![Change::Put(seen_as(1)), wait(1, "10.0.0.1", SINCE)]).await;
    }
    let waiting = bed.store.waiting(None, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|w| w.attempts).collect::<Vec<_>>(), [1]);
    for _ in 0..2 {
        share(&bed.shared, "a", 6, vec![Change::Close(closing(&[1]))]).await;
    }
    assert_eq!(told(&bed).await.len(), 1);
    // Another gateway's numbers are its own.
    share(&bed.shared, "b", 5, vec![Change::Put(Outage { since: LATER, latest: LATER, ..seen_as(1) })]).await;
    assert_eq!(bed.local.restore().await.unwrap().outages.len(), 1);
}

#[tokio::test]
async fn each_gateway_is_told_of_the_others_outages_and_of_the_ends_of_its_own() {
    let bed = Bed::fresh();
    let store = &bed.shared;
    share(store, "a", 1, vec![Change::Put(seen_as(4))]).await;
    assert_eq!(store.follow(gateway("a"), LATER).await.unwrap().opened, []);
    let following = store.follow(gateway("b"), LATER).await.unwrap();
    assert_eq!(following.opened.iter().map(|o| o.service).collect::<Vec<_>>(), [service(1)]);
    let suspected = Outage { phase: Phase::Suspected, ..outage(2) };
    share(store, "a", 2, vec![Change::Put(suspected)]).await;
    assert_eq!(store.follow(gateway("b"), LATER).await.unwrap().opened.len(), 1, "a suspicion is nobody else's");

    share(store, "b", 1, vec![Change::Put(seen_as(7))]).await;
    assert_eq!(store.follow(gateway("b"), LATER).await.unwrap().opened, []);
    share(store, "a", 3, vec![Change::Close(closing(&[4]))]).await;
    let end = Elsewhere { outage: OutageId(7), ended: RECOVERED };
    assert_eq!(store.follow(gateway("b"), LATER).await.unwrap().ended, [end]);
    assert_eq!(store.follow(gateway("a"), LATER).await.unwrap().ended, []);
    share(store, "b", 2, vec![Change::Discard { outage: OutageId(7), at: RECOVERED }]).await;
    assert_eq!(store.follow(gateway("b"), LATER).await.unwrap().ended, []);
    let names: Vec<_> = store.gateways().await.unwrap().into_iter().map(|gateway| gateway.name).collect();
    assert_eq!(names, ["a", "b"]);
}

// proves: F-15a
#[tokio::test]
async fn who_waited_at_a_gateway_that_was_late_to_say_so_is_told_too_and_nobody_twice() {
    let bed = with_addresses(&["10.0.0.1", "10.0.0.2"]).await;
    let store = &bed.shared;
    share(store, "a", 1, vec![Change::Put(seen_as(1)), wait(1, "10.0.0.1", SINCE)]).await;
    share(store, "b", 1, vec![Change::Put(seen_as(1))]).await;
    share(store, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    assert_eq!(told(&bed).await, ["10.0.0.1"]);
    // The second of these was told already, the third is on no record, the fourth tried after the end under an old
    // mark.
    let known = Change::Wait {
        outage: OutageId(1),
        client: client("10.0.0.2"),
        at: LATER,
        trying_until: UnixMs(0),
        attempts: 1,
        evidence: Failure::KnownFailed,
        mask: MASK,
    };
    let late = vec![wait(1, "10.0.0.2", SINCE), wait(1, "10.0.0.1", SINCE), wait(1, "10.0.0.3", SINCE), known];
    assert_eq!(share(store, "b", 2, late).await.letters, 0);
    let settle = |last| vec![Change::Settle { closing: closing(&[1]), last }];
    assert_eq!(share(store, "b", 3, settle(false)).await.letters, 1);
    assert_eq!(share(store, "b", 4, settle(false)).await.letters, 0);
    // Of an outage whose list is closed for good, whoever comes is told at once.
    share(store, "a", 3, settle(true)).await;
    assert_eq!(share(store, "b", 5, vec![wait(1, "10.0.0.2", SINCE)]).await.letters, 0);
    assert_eq!(told(&bed).await, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(bed.outbox.counts().await.unwrap().queued, 2);
    assert!(bed.local.restore().await.unwrap().outages.is_empty());
}

#[tokio::test]
async fn what_fails_at_one_gateway_after_the_end_is_a_new_outage() {
    let bed = with_addresses(&["10.0.0.2"]).await;
    let store = &bed.shared;
    share(store, "a", 1, vec![Change::Put(seen_as(1))]).await;
    share(store, "b", 1, vec![Change::Put(seen_as(1))]).await;
    share(store, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    let again = Outage { latest: LATER, failures: 2, ..seen_as(1) };
    share(store, "b", 2, vec![Change::Put(again), wait(1, "10.0.0.2", LATER)]).await;
    let open = bed.local.restore().await.unwrap().outages;
    assert_eq!(open.iter().map(|o| (o.id.0, o.since)).collect::<Vec<_>>(), [(2, LATER)]);
    assert_eq!(store.follow(gateway("b"), LATER).await.unwrap().ended, [], "its outage goes on");
    assert_eq!(store.follow(gateway("a"), LATER).await.unwrap().opened.len(), 1);
}

#[tokio::test]
async fn an_outage_that_one_gateway_gives_up_goes_on_at_the_other() {
    let bed = Bed::fresh();
    let store = &bed.shared;
    share(store, "a", 1, vec![Change::Put(seen_as(1))]).await;
    share(store, "b", 1, vec![Change::Put(seen_as(1))]).await;
    share(store, "a", 2, vec![Change::Discard { outage: OutageId(1), at: LATER }]).await;
    assert_eq!(bed.local.restore().await.unwrap().outages.len(), 1);
    share(store, "b", 2, vec![Change::Discard { outage: OutageId(1), at: LATER }]).await;
    assert!(bed.local.restore().await.unwrap().outages.is_empty());
}

#[tokio::test]
async fn what_one_gateway_only_suspects_does_not_doubt_what_another_knows() {
    let bed = Bed::fresh();
    share(&bed.shared, "a", 1, vec![Change::Put(seen_as(1))]).await;
    share(&bed.shared, "b", 1, vec![Change::Put(Outage { phase: Phase::Suspected, ..seen_as(1) })]).await;
    assert_eq!(bed.local.restore().await.unwrap().outages[0].phase, Phase::Open);
}

#[tokio::test]
async fn a_gateway_keeps_what_it_commits_until_it_is_shared_and_tells_nobody_itself() {
    let bed = with_addresses(&["10.0.0.1"]).await;
    let local = bed.local.clone().spooling();
    let batches = [vec![Change::Put(outage(1)), wait(1, "10.0.0.1", SINCE)], vec![Change::Close(closing(&[1]))]];
    for batch in &batches {
        local.apply(batch.clone()).await.unwrap();
    }
    local.spooled().await;
    drop(local);
    assert!(bed.letters().await.is_empty());
    let name = bed.local.gateway("host".to_owned()).await.unwrap().name;
    // As after a kill -9.
    let bed = bed.reopened();
    let kept = bed.local.to_share(9).await.unwrap();
    assert_eq!(kept.iter().map(|spooled| &spooled.changes).collect::<Vec<_>>(), batches.iter().collect::<Vec<_>>());
    assert_eq!(bed.local.spool_length().await.unwrap().0, 2);
    bed.local.was_shared(kept[0].number).await.unwrap();
    assert_eq!(bed.local.to_share(9).await.unwrap(), kept[1..]);
    assert_eq!(bed.local.gateway("host".to_owned()).await.unwrap().name, name);
}

fn question(seq: u32) -> Question {
    Question { service: service(1), client: client("10.0.0.1"), client_port: 4000, seq, since: SINCE, attempts: 1 }
}

#[tokio::test]
async fn what_one_gateway_asks_the_others_answer_once() {
    let bed = Bed::fresh();
    let store = &bed.shared;
    let later = |ms| UnixMs(LATER.0 + ms);
    store.ask(gateway("a"), vec![question(u32::MAX), question(7)], LATER).await.unwrap();
    assert_eq!(store.follow(gateway("a"), LATER).await.unwrap().asked, [], "its own");
    // Asked until somebody answers, or nobody waits for it any more.
    for who in ["b", "c", "b"] {
        let asked = store.follow(gateway(who), later(1)).await.unwrap().asked;
        assert_eq!(asked.iter().map(|(_, question)| *question).collect::<Vec<_>>(), [question(u32::MAX), question(7)]);
    }
    let asked = store.follow(gateway("b"), later(2)).await.unwrap().asked;
    store.answer(vec![(asked[1].0, RECOVERED)]).await.unwrap();
    store.answer(vec![(asked[1].0, LATER)]).await.unwrap();
    assert_eq!(store.follow(gateway("c"), later(3)).await.unwrap().asked, asked[..1]);
    assert_eq!(store.follow(gateway("a"), later(3)).await.unwrap().answered, [(question(7), RECOVERED)]);
    assert_eq!(store.follow(gateway("a"), later(3)).await.unwrap().answered, [], "said once");
    assert_eq!(store.follow(gateway("c"), later(10_000)).await.unwrap().asked, []);
    // A late answer is heard all the same; what nobody answers is forgotten.
    store.answer(vec![(asked[0].0, RECOVERED)]).await.unwrap();
    assert_eq!(store.follow(gateway("a"), later(10_000)).await.unwrap().answered.len(), 1);
}

#[tokio::test]
async fn suspicions_that_came_to_nothing_are_forgotten_and_their_numbers_not_given_out_again() {
    let bed = Bed::fresh();
    let suspected = |id| Change::Put(Outage { phase: Phase::Suspected, ..outage(id) });
    let discard = |id| Change::Discard { outage: OutageId(id), at: RECOVERED };
    bed.local.apply(vec![suspected(1), discard(1), Change::Put(outage(2)), discard(2)]).await.unwrap();
    bed.local.apply(vec![suspected(3), suspected(4), discard(4), suspected(5), discard(5)]).await.unwrap();
    bed.store.forget_suspicions(RECOVERED).await.unwrap();
    assert_eq!(bed.store.outages(true, 9).await.unwrap().len(), 5);
    bed.store.forget_suspicions(LATER).await.unwrap();
    let left: Vec<_> = bed.store.outages(true, 9).await.unwrap().into_iter().map(|record| record.outage.id.0).collect();
    assert_eq!(left, [5, 3, 2]);
    assert_eq!(bed.local.restore().await.unwrap().next_outage, OutageId(6));
}

// proves: F-16
#[tokio::test]
async fn a_server_name_is_kept_by_the_number_of_the_gateway_that_found_it() {
    let bed = Bed::fresh();
    share(&bed.shared, "a", 1, vec![Change::Put(seen_as(7))]).await;
    let name = |gateway_name: &str, own: i64, name: &str| {
        bed.shared.set_shared_name(gateway(gateway_name), OutageId(own), name.to_owned())
    };
    name("b", 7, "wrong.example").await.unwrap();
    name("a", 8, "wrong.example").await.unwrap();
    assert_eq!(bed.store.outages(false, 9).await.unwrap()[0].server_name, None);
    name("a", 7, "www.example").await.unwrap();
    assert_eq!(bed.store.outages(false, 9).await.unwrap()[0].server_name.as_deref(), Some("www.example"));
}

#[tokio::test]
async fn a_gateway_renews_and_gives_back_only_what_it_has_taken() {
    let bed = with_addresses(&["10.0.0.1"]).await;
    share(&bed.shared, "a", 1, vec![Change::Put(seen_as(1)), wait(1, "10.0.0.1", SINCE)]).await;
    share(&bed.shared, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    let lease = Duration::from_secs(60);
    let (end, later) = (RECOVERED + lease, RECOVERED + lease * 2);
    let [a, b] = ["a", "b"].map(|name| bed.shared.outbox(&gateway(name), lease));
    assert_eq!(a.take_due(RECOVERED, 9, lease).await.unwrap().len(), 1);
    b.release_leases().await.unwrap();
    b.renew_leases(later).await.unwrap();
    assert_eq!(b.next_due().await.unwrap(), Some(end), "it is the other one's");
    a.renew_leases(later).await.unwrap();
    assert_eq!(a.next_due().await.unwrap(), Some(later));
    a.release_leases().await.unwrap();
    assert_eq!(a.take_due(RECOVERED, 9, lease).await.unwrap().len(), 1);
}

// proves: F-15a
#[tokio::test]
async fn an_end_from_before_another_gateways_part_of_the_outage_does_not_end_that() {
    let bed = with_addresses(&["10.0.0.1", "10.0.0.2"]).await;
    let store = &bed.shared;
    let since = |at| Outage { since: at, ..seen_as(1) };
    share(store, "a", 1, vec![Change::Put(since(SINCE)), wait(1, "10.0.0.1", SINCE)]).await;
    share(store, "b", 1, vec![Change::Put(since(LATER)), wait(1, "10.0.0.2", LATER)]).await;
    // It answered at `a`, and failed at `b` after that.
    share(store, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    assert!(told(&bed).await.is_empty());
    // `a` hears of it as of any other outage, also while it still has the old one to settle.
    let opened = store.follow(gateway("a"), LATER).await.unwrap().opened;
    assert_eq!(opened.len(), 1);
    let later = Closing { recovered: LATER, ..closing(&[1]) };
    share(store, "b", 2, vec![Change::Close(later)]).await;
    assert_eq!(told(&bed).await, ["10.0.0.1", "10.0.0.2"]);
}

// proves: F-15a
#[tokio::test]
async fn who_gets_through_after_a_suspicion_was_discarded_is_taken_off_the_others_list() {
    let bed = with_addresses(&["10.0.0.1", "10.0.0.2"]).await;
    let store = &bed.shared;
    let suspected = Outage { phase: Phase::Suspected, ..seen_as(1) };
    share(store, "a", 1, vec![Change::Put(seen_as(1)), wait(1, "10.0.0.1", SINCE)]).await;
    share(store, "b", 1, vec![Change::Put(suspected), wait(1, "10.0.0.2", SINCE)]).await;
    share(store, "b", 2, vec![Change::Discard { outage: OutageId(1), at: SINCE }]).await;
    let (outage, client) = (OutageId(1), client("10.0.0.2"));
    let through = Change::Withdraw { outage, instead: Vec::new(), client, attempts: 1, mask: MASK };
    share(store, "b", 3, vec![through]).await;
    share(store, "a", 2, vec![Change::Close(closing(&[1]))]).await;
    assert_eq!(told(&bed).await, ["10.0.0.1"]);
}
