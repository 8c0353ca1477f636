//! Letters that bring their own words, once per key; operators, who are told of everything once and not too often.

use monitor_core::{
    config::{NoticeKind, NoticeSetting},
    mail::{
        Outcome, Ready, ReadyLetter,
        notice::{Notices, Peer},
    },
    relay::Relays,
};

use super::*;
use crate::NotificationPolicy;

/// The policy by which these operators are told.
fn telling(notices: Notices) -> NotificationPolicy {
    NotificationPolicy::new(Duration::from_secs(2 * 24 * 3600), Relays::default(), notices)
}

fn letter(key: &str, to: &str) -> ReadyLetter {
    ReadyLetter {
        key: key.to_owned(),
        to: to.to_owned(),
        at: UnixMs(1_000),
        ready: Ready { subject: "down".to_owned(), text: "it is".to_owned(), attachment: None, unsubscribe: true },
    }
}

#[tokio::test]
async fn a_letter_that_is_written_twice_is_one() {
    let Bed { store, outbox, .. } = &Bed::fresh();
    let both = vec![letter("down.1.a", "a@example.test"), letter("down.1.b", "B@example.test")];
    assert_eq!(store.put_letters(both.clone()).await.unwrap(), 2);
    assert_eq!(store.put_letters(both).await.unwrap(), 0);
    assert_eq!(store.put_letters(vec![letter("down.2.b", "b@example.test")]).await.unwrap(), 1);
    assert_eq!(outbox.counts().await.unwrap().queued, 3);
    let letters = outbox.take_due(UnixMs(2_000), 10, Duration::from_secs(1)).await.unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!((letters[0].key.as_str(), ready(&letters[0])), ("down.1.a", &letter("down.1.a", "").ready));
    // Given up, it is shown by its subject.
    let dead = Outcome::Dead { at: UnixMs(3_000), reason: "550".to_owned() };
    outbox.record(vec![(letters[0].id, dead)]).await.unwrap();
    let dead = outbox.dead_letters(10).await.unwrap();
    assert_eq!((dead[0].service, dead[0].subject.as_deref()), (None, Some("down")));
}

/// Tells these, of that kind, at most every 5 min.
fn notices(to: &[&str], evidence: &[NoticeKind]) -> Notices {
    Notices::new(&[NoticeSetting {
        to: to.iter().map(|to| (*to).to_owned()).collect(),
        servers: Vec::new(),
        evidence: evidence.to_vec(),
        gather: Duration::from_secs(2),
        pause: Duration::from_secs(300),
    }])
}

fn after(seconds: u64) -> UnixMs {
    crate::clock::now() + Duration::from_secs(seconds)
}

/// Subject and text of each queued message to this address, in order.
async fn messages(bed: &Bed, to: &str) -> Vec<(String, String)> {
    let letters = bed.letters().await.into_iter().filter(|letter| letter.to == to);
    letters.map(|letter| ready(&letter).clone()).map(|ready| (ready.subject, ready.text)).collect()
}

// proves: B-1a
#[tokio::test]
async fn operators_are_told_of_opening_and_end_once_whoever_waits() {
    let bed = Bed::fresh();
    bed.store.replace_policy(telling(notices(
        &["ops@example.net", "OPS@example.net", "boss@example.net"],
        &[NoticeKind::Unanswered],
    )));
    let suspected = Outage { phase: Phase::Suspected, ..outage(1) };
    bed.local.apply(vec![Change::Put(suspected)]).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(10)).await.unwrap(), 0, "not confirmed");
    let open = vec![Change::Put(outage(1)), wait(1, "198.18.0.1", SINCE), wait(1, "198.18.0.2", SINCE)];
    bed.local.apply(open.clone()).await.unwrap();
    assert_eq!(bed.store.tell_operators(crate::clock::now()).await.unwrap(), 0, "others are waited for");
    assert_eq!(bed.store.notices_waiting().await.unwrap(), 2);
    assert_eq!(bed.store.tell_operators(after(10)).await.unwrap(), 2);
    assert_eq!(bed.store.notices_waiting().await.unwrap(), 0);
    bed.local.apply(open).await.unwrap();
    let refused = Outage { evidence: Failure::Refused, ..outage(2) };
    bed.local.apply(vec![Change::Put(refused)]).await.unwrap();
    assert_eq!(
        bed.store.tell_operators(after(1000)).await.unwrap(),
        0,
        "it is told already; the other is not of the kind"
    );
    let end = vec![Change::Close(closing(&[1, 2]))];
    bed.local.apply(end.clone()).await.unwrap();
    bed.local.apply(end).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(20)).await.unwrap(), 0, "too soon after the opening");
    assert_eq!(bed.store.tell_operators(after(1000)).await.unwrap(), 2);
    assert_eq!(bed.store.tell_operators(after(10_000)).await.unwrap(), 0);
    for to in ["ops@example.net", "boss@example.net"] {
        let told = messages(&bed, to).await;
        assert_eq!(told.len(), 2, "{told:#?}");
        assert_eq!(told[0].0, "Ringback: 192.0.2.1:443 is down: unanswered");
        assert_eq!(told[1].0, "Ringback: 192.0.2.1:443 is back");
        assert!(told.iter().all(|(_, text)| text.contains("Waiting:   2 clients")), "{told:#?}");
    }
}

// proves: B-1a O-4b
#[tokio::test]
async fn what_comes_within_the_pause_is_one_message_also_over_restarts() {
    let bed = Bed::fresh();
    let settings = || notices(&["ops@example.net"], &[]);
    bed.store.replace_policy(telling(settings()));
    bed.local.apply(vec![Change::Put(outage(1))]).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(10)).await.unwrap(), 1);
    let bed = bed.reopened();
    bed.store.replace_policy(telling(settings()));
    bed.local.apply(vec![Change::Put(outage(2)), Change::Put(outage(3)), Change::Put(outage(4))]).await.unwrap();
    let peer = |back| Peer { name: "web2".to_owned(), addresses: Vec::new(), since: UnixMs(5_000), back };
    for _ in 0..2 {
        // As after a crash between the commit and its answer.
        bed.store.note_peer(peer(None), crate::clock::now()).await.unwrap();
    }
    bed.local.apply(vec![Change::Close(closing(&[1, 2]))]).await.unwrap();
    bed.local.apply(vec![Change::Discard { outage: OutageId(3), at: RECOVERED }]).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(20)).await.unwrap(), 0);
    let bed = bed.reopened();
    bed.store.replace_policy(telling(settings()));
    assert_eq!(bed.store.tell_operators(after(1000)).await.unwrap(), 1);
    let told = messages(&bed, "ops@example.net").await;
    assert_eq!(told[1].0, "Ringback: 2 down, 3 back", "{told:#?}");
    for line in [
        "192.0.2.1:443 is back",
        "192.0.2.2:443 is back",
        "192.0.2.3:443: outage given up",
        "192.0.2.4:443 is down",
        "peer web2 is down",
    ] {
        assert_eq!(told[1].1.matches(line).count(), 1, "{line}: {}", told[1].1);
    }
    bed.store.note_peer(peer(Some(UnixMs(9_000))), crate::clock::now()).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(2000)).await.unwrap(), 1);
    assert_eq!(messages(&bed, "ops@example.net").await[2].0, "Ringback: peer web2 is back");
}

#[tokio::test]
async fn who_is_taken_out_of_the_configuration_is_not_told() {
    let bed = Bed::fresh();
    bed.store.replace_policy(telling(notices(&["ops@example.net", "gone@example.net"], &[])));
    bed.local.apply(vec![Change::Put(outage(1)), Change::Put(outage(2))]).await.unwrap();
    bed.store.replace_policy(telling(notices(&["ops@example.net"], &[])));
    bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(10)).await.unwrap(), 1);
    assert_eq!(bed.store.tell_operators(after(1000)).await.unwrap(), 0);
    // What was told is forgotten, but not of an outage that goes on: its end is told to the same.
    bed.store.prune(after(10_000)).await.unwrap();
    bed.local.apply(vec![Change::Close(closing(&[2]))]).await.unwrap();
    assert_eq!(bed.store.tell_operators(after(1000)).await.unwrap(), 1);
    assert_eq!(messages(&bed, "gone@example.net").await, []);
}
