//! The outbox: leases, outcomes, and numbers that agree with the letters.

use std::time::Duration;

use monitor_core::{
    domain::UnixMs,
    mail::{LetterId, Outcome},
    outage::Change,
};

use super::{Bed, RECOVERED, SINCE, address, closing, service, wait};
use crate::{DeadLetter, OutboxCounts};

const LEASE: Duration = Duration::from_millis(500);

/// A store with `count` letters that are due at [`RECOVERED`].
async fn with_letters(count: u8) -> Bed {
    let bed = Bed::with_outages(&[1]).await;
    let who: Vec<_> = (1..=count).map(|n| format!("10.0.0.{n}")).collect();
    bed.store.put_addresses(who.iter().map(|who| address(who, &format!("{who}@example"))).collect()).await.unwrap();
    let mut changes: Vec<_> = who.iter().map(|who| wait(1, who, SINCE)).collect();
    changes.push(Change::Close(closing(&[1])));
    bed.local.apply(changes).await.unwrap();
    bed
}

async fn take(bed: &Bed, now: UnixMs, limit: u32) -> Vec<LetterId> {
    bed.outbox.take_due(now, limit, LEASE).await.unwrap().iter().map(|letter| letter.id).collect()
}

fn retry(at: UnixMs) -> Outcome {
    Outcome::Retry { at, reason: "451 later".to_owned() }
}

#[tokio::test]
async fn a_letter_is_given_out_once_per_lease() {
    let bed = with_letters(3).await;
    assert_eq!(bed.outbox.next_due().await.unwrap(), Some(RECOVERED));
    assert!(take(&bed, UnixMs(RECOVERED.0 - 1), 9).await.is_empty());
    let first = take(&bed, RECOVERED, 2).await;
    let second = take(&bed, RECOVERED, 2).await;
    assert_eq!((first.len(), second.len()), (2, 1));
    assert!(!first.contains(&second[0]));
    let end = RECOVERED + LEASE;
    assert_eq!(bed.outbox.next_due().await.unwrap(), Some(end));
    assert!(take(&bed, UnixMs(end.0 - 1), 9).await.is_empty());
    assert_eq!(take(&bed, end, 9).await.len(), 3);
}

#[tokio::test]
async fn leases_of_an_earlier_process_end_but_a_pause_before_a_retry_does_not() {
    let bed = with_letters(2).await;
    let taken = take(&bed, RECOVERED, 9).await;
    let later = UnixMs(RECOVERED.0 + 60_000);
    bed.outbox.record(vec![(taken[0], retry(later))]).await.unwrap();
    let bed = bed.reopened();
    assert!(take(&bed, RECOVERED, 9).await.is_empty());
    bed.outbox.release_leases().await.unwrap();
    assert_eq!(take(&bed, RECOVERED, 9).await, taken[1..]);
    assert_eq!(take(&bed, later, 1).await.len(), 1);
}

#[tokio::test]
async fn outcomes_move_letters_and_the_numbers_follow() {
    let bed = with_letters(4).await;
    let taken = take(&bed, RECOVERED, 9).await;
    let later = UnixMs(RECOVERED.0 + 30_000);
    let dead = |reason: &str| Outcome::Dead { at: later, reason: reason.to_owned() };
    bed.outbox
        .record(vec![
            (taken[0], Outcome::Delivered { at: RECOVERED }),
            (taken[1], retry(later)),
            (taken[2], retry(later)),
            (taken[3], dead("550 no such user")),
        ])
        .await
        .unwrap();
    let after_first = OutboxCounts {
        queued: 2,
        retrying: 2,
        delivered: 1,
        dead: 1,
        oldest_queued: Some(RECOVERED),
        last_error: Some("550 no such user".to_owned()),
    };
    assert_eq!(bed.outbox.counts().await.unwrap(), after_first);
    assert_eq!(bed.outbox.next_due().await.unwrap(), Some(later));

    let again = bed.outbox.take_due(later, 9, LEASE).await.unwrap();
    assert_eq!(
        again.iter().map(|letter| (letter.id, letter.tries)).collect::<Vec<_>>(),
        [(taken[1], 1), (taken[2], 1)]
    );
    bed.outbox
        .record(vec![
            (taken[1], retry(later)),
            (taken[2], Outcome::Delivered { at: later }),
            // Said twice, or after the fact: nothing.
            (taken[0], dead("late")),
            (LetterId(999), dead("unknown")),
        ])
        .await
        .unwrap();
    bed.outbox.record(vec![(taken[1], dead("expired"))]).await.unwrap();
    let bed = bed.reopened();
    let at_the_end = OutboxCounts {
        queued: 0,
        retrying: 0,
        delivered: 2,
        dead: 2,
        oldest_queued: None,
        last_error: Some("expired".to_owned()),
    };
    assert_eq!(bed.outbox.counts().await.unwrap(), at_the_end);
    assert_eq!(bed.outbox.next_due().await.unwrap(), None);
    let dead = |id, n: u8, reason: &str| DeadLetter {
        id,
        to: format!("10.0.0.{n}@example"),
        service: Some(service(1)),
        subject: None,
        at: later,
        reason: reason.to_owned(),
    };
    let dead = [dead(taken[3], 4, "550 no such user"), dead(taken[1], 2, "expired")];
    assert_eq!(bed.outbox.dead_letters(9).await.unwrap(), dead);
    assert_eq!(bed.outbox.dead_letters(1).await.unwrap(), dead[..1]);
}
