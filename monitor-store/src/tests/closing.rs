//! The recovery: who gets a letter, what it says, and that the list is empty afterwards.

use std::time::Duration;

use monitor_core::{
    domain::{Language, OutageId, UnixMs},
    mail::{AddressEntry, LetterService, notice::Notices},
    outage::{Change, Closing, Failure, Outage, Phase, Recovery},
    relay::Relays,
};

use super::{Bed, MASK, RECOVERED, SINCE, address, client, client_of, closing, outage, recovered, service, wait};
use crate::{Applied, NotificationPolicy, OutageRecord};

async fn recipients(bed: &Bed) -> Vec<String> {
    let mut to: Vec<_> = bed.letters().await.into_iter().map(|letter| letter.to).collect();
    to.sort();
    to
}

// proves: F-15a
#[tokio::test]
async fn a_waiting_client_gets_one_letter_with_everything_a_mail_needs() {
    let bed = Bed::with_outages(&[1]).await;
    let entry = AddressEntry { language: Some(Language::Ja), ..address("10.0.0.0/24", "sato@example.jp") };
    bed.store.put_addresses(vec![entry]).await.unwrap();
    bed.store.set_server_name(OutageId(1), "www.example".to_owned()).await.unwrap();
    let policy = NotificationPolicy::new(Duration::from_secs(60), Relays::default(), Notices::default());
    bed.store.replace_policy(policy);
    bed.local
        .apply(vec![wait(1, "10.0.0.7", UnixMs(1_000_100)), wait(1, "10.0.0.7", UnixMs(1_000_200))])
        .await
        .unwrap();
    let applied = bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(applied, Applied { letters: 1, untold: 0 });

    let bed = bed.reopened();
    let letters = bed.letters().await;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((letter.key.as_str(), letter.to.as_str()), ("ringback.1.1000000.0a000007", "sato@example.jp"));
    assert_eq!((recovered(letter).language, letter.at), (Some(Language::Ja), RECOVERED));
    assert_eq!((letter.tries, letter.expires), (0, UnixMs(RECOVERED.0 + 60_000)));
    let told = LetterService {
        outage: OutageId(1),
        client: client("10.0.0.7"),
        service: service(1),
        server_name: Some("www.example".to_owned()),
        since: SINCE,
        first: UnixMs(1_000_100),
        latest: UnixMs(1_000_200),
        attempts: 2,
        failure: Failure::Unanswered,
    };
    assert_eq!(recovered(letter).services, [told]);

    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());
    let ended = &bed.store.outages(true, 1).await.unwrap()[0];
    assert_eq!((ended.ended, ended.recovery), (Some(RECOVERED), Some(Recovery::Answered)));
    assert_eq!((ended.clients, ended.letters), (1, 1));
    assert!(bed.local.restore().await.unwrap().outages.is_empty());
}

// proves: F-19
#[tokio::test]
async fn a_client_with_no_address_gets_nothing_and_leaves_the_list() {
    let bed = Bed::with_outages(&[1]).await;
    bed.store.put_addresses(vec![address("10.0.0.1", "a@example")]).await.unwrap();
    bed.local.apply(vec![wait(1, "10.0.0.1", SINCE), wait(1, "10.0.0.2", SINCE)]).await.unwrap();
    let applied = bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(applied, Applied { letters: 1, untold: 1 });
    assert_eq!(recipients(&bed).await, ["a@example"]);
    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());
}

// proves: F-8a
#[tokio::test]
async fn a_client_whose_latest_attempt_is_too_old_is_not_told() {
    let bed = Bed::with_outages(&[1]).await;
    bed.store
        .put_addresses(vec![address("10.0.0.1", "old@example"), address("10.0.0.2", "new@example")])
        .await
        .unwrap();
    bed.local.apply(vec![wait(1, "10.0.0.1", UnixMs(99)), wait(1, "10.0.0.2", UnixMs(100))]).await.unwrap();
    let closing = Closing { tell_since: UnixMs(100), ..closing(&[1]) };
    let applied = bed.local.apply(vec![Change::Close(closing)]).await.unwrap();
    assert_eq!(applied, Applied { letters: 1, untold: 1 });
    assert_eq!(recipients(&bed).await, ["new@example"]);
    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn who_got_through_is_left_out_only_when_asked() {
    for (skip_connected, told) in [(true, 0), (false, 1)] {
        let bed = Bed::with_outages(&[1]).await;
        bed.store.put_addresses(vec![address("10.0.0.1", "a@example")]).await.unwrap();
        let connected = Change::Connected { outage: OutageId(1), client: client("10.0.0.1"), at: RECOVERED };
        let closing = Closing { skip_connected, ..closing(&[1]) };
        let changes = vec![wait(1, "10.0.0.1", SINCE), connected, Change::Close(closing)];
        let applied = bed.local.apply(changes).await.unwrap();
        assert_eq!(applied, Applied { letters: told, untold: 1 - told });
        assert_eq!(bed.letters().await.len() as u64, told);
    }
}

// proves: F-15a
#[tokio::test]
async fn a_person_in_several_lists_or_with_several_machines_gets_one_letter() {
    let bed = Bed::with_outages(&[1, 2, 3]).await;
    bed.store
        .put_addresses(vec![address("10.0.0.1", "Sato@example"), address("10.0.0.2", "sato@Example")])
        .await
        .unwrap();
    let known = Change::Wait {
        outage: OutageId(1),
        client: client("10.0.0.1"),
        at: UnixMs(300),
        trying_until: UnixMs(0),
        attempts: 2,
        evidence: Failure::KnownFailed,
        mask: MASK,
    };
    let changes = vec![known, wait(1, "10.0.0.2", UnixMs(200)), wait(3, "10.0.0.2", UnixMs(400))];
    bed.local.apply(changes).await.unwrap();
    let applied = bed.local.apply(vec![Change::Close(closing(&[1, 2, 3]))]).await.unwrap();
    assert_eq!(applied, Applied { letters: 1, untold: 0 });

    let letters = bed.letters().await;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.key, "ringback.1.1000000.0a000001");
    let services = &recovered(letter).services;
    let told: Vec<_> = services.iter().map(|s| (s.outage.0, s.first.0, s.latest.0, s.attempts, s.failure)).collect();
    assert_eq!(told, [(1, 200, 300, 3, Failure::Unanswered), (3, 400, 400, 1, Failure::Unanswered)]);
    assert_eq!(services.iter().map(|s| s.client).collect::<Vec<_>>(), [client("10.0.0.1"), client("10.0.0.2")]);
    let letters_of: Vec<_> = bed.store.outages(true, 9).await.unwrap().iter().map(|o| o.letters).collect();
    assert_eq!(letters_of, [1, 0, 1]);
}

// proves: F-15a
#[tokio::test]
async fn a_recovery_that_is_applied_again_tells_nobody_twice_and_reopens_nothing() {
    let bed = Bed::fresh();
    bed.store.put_addresses(vec![address("10.0.0.1", "a@example")]).await.unwrap();
    let story = vec![Change::Put(outage(1)), wait(1, "10.0.0.1", SINCE), Change::Close(closing(&[1]))];
    assert_eq!(bed.local.apply(story.clone()).await.unwrap().letters, 1);
    let before = bed.store.outages(true, 9).await.unwrap();

    assert_eq!(bed.local.apply(story).await.unwrap(), Applied::default());
    // The client's attempt came again too, and its list was not closed for good: it was told.
    let settle = Change::Settle { closing: closing(&[1]), last: true };
    assert_eq!(bed.local.apply(vec![settle]).await.unwrap(), Applied::default());
    let late = Outage { failures: 9, latest: RECOVERED, phase: Phase::Suspected, ..outage(1) };
    assert_eq!(bed.local.apply(vec![Change::Put(late)]).await.unwrap(), Applied::default());
    assert_eq!(bed.letters().await.len(), 1);
    assert_eq!(bed.outbox.counts().await.unwrap().queued, 1);
    let after = bed.store.outages(true, 9).await.unwrap();
    let told =
        |records: &[OutageRecord]| records.iter().map(|one| (one.outage, one.ended, one.letters)).collect::<Vec<_>>();
    assert_eq!(told(&after), told(&before));
    assert!(bed.store.waiting(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_second_outage_of_the_same_service_is_told_again() {
    let bed = Bed::fresh();
    bed.store.put_addresses(vec![address("10.0.0.1", "a@example")]).await.unwrap();
    for id in [1, 2] {
        let story = vec![Change::Put(outage(id)), wait(id, "10.0.0.1", SINCE), Change::Close(closing(&[id]))];
        bed.local.apply(story).await.unwrap();
    }
    assert_eq!(bed.letters().await.len(), 2);
}

// proves: F-15a F-19
#[tokio::test]
async fn a_list_of_many_pages_is_told_without_a_gap_at_the_seams() {
    let bed = Bed::with_outages(&[1]).await;
    // Even addresses are known, odd ones are not; more than two pages.
    let who: Vec<_> = (0..10_000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    let entries = who.iter().step_by(2).map(|who| address(who, &format!("{who}@example"))).collect();
    bed.store.put_addresses(entries).await.unwrap();
    bed.local.apply(who.iter().map(|who| wait(1, who, SINCE)).collect()).await.unwrap();
    let applied = bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(applied, Applied { letters: 5_000, untold: 5_000 });

    let mut told: Vec<_> = bed.letters().await.into_iter().map(|letter| client_of(&letter).to_string()).collect();
    told.sort();
    let mut known: Vec<_> = who.into_iter().step_by(2).collect();
    known.sort();
    assert_eq!(told, known);
}

// proves: F-7a F-15a
#[tokio::test]
async fn one_person_s_machines_on_many_pages_are_told_of_together() {
    let bed = Bed::with_outages(&[1]).await;
    bed.store.put_addresses(vec![address("10.0.0.0/8", "all@example")]).await.unwrap();
    let waits = |machines: u32| -> Vec<_> {
        (0..machines).map(|n| wait(1, &std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(), SINCE)).collect()
    };
    bed.local.apply(waits(3_001)).await.unwrap();
    // Some are there and some are new.
    bed.local.apply(waits(9_003)).await.unwrap();
    assert_eq!(bed.store.outages(false, 1).await.unwrap()[0].clients, 9_003);
    let applied = bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(applied, Applied { letters: 1, untold: 0 });

    let letters = bed.letters().await;
    let told: Vec<_> = letters.iter().flat_map(|letter| letter.services()).map(|s| s.attempts).collect();
    assert_eq!(told, [12_004]);
}
