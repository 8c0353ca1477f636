//! What pruning deletes, and what it must leave.

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::Outcome,
    outage::Change,
};

use super::{Bed, RECOVERED, SINCE, address, closing, outage, wait};

#[tokio::test]
async fn what_is_over_and_old_goes_and_what_is_queued_or_young_stays() {
    let bed = Bed::with_outages(&[1, 2, 3, 4]).await;
    bed.store.put_addresses(vec![address("10.0.0.0/8", "a@example")]).await.unwrap();
    for id in [1, 2, 3] {
        bed.local.apply(vec![wait(id, "10.0.0.1", SINCE), Change::Close(closing(&[id]))]).await.unwrap();
    }
    let letters = bed.letters().await;
    let young = UnixMs(RECOVERED.0 + 1_000);
    bed.outbox
        .record(vec![
            (letters[0].id, Outcome::Dead { at: RECOVERED, reason: "550".to_owned() }),
            (letters[1].id, Outcome::Delivered { at: young }),
        ])
        .await
        .unwrap();
    bed.store.prune(young).await.unwrap();

    // The first letter is gone with its outage; the second is young, the third not delivered, the fourth not over.
    let left: Vec<_> = bed.store.outages(true, 9).await.unwrap().iter().map(|o| o.outage.id.0).collect();
    assert_eq!(left, [4, 3, 2]);
    assert!(bed.outbox.dead_letters(9).await.unwrap().is_empty());
    let counts = bed.outbox.counts().await.unwrap();
    assert_eq!((counts.queued, counts.delivered, counts.dead), (1, 1, 0));
    assert_eq!(bed.letters().await[0].services().len(), 1);
    // Of the letter that is gone nothing is left.
    let services = "SELECT count(*) FROM letter_service";
    let services: i64 =
        bed.store.database.read(|conn| Ok(conn.query_row(services, (), |row| row.get(0))?)).await.unwrap();
    assert_eq!(services, 2);
}

#[tokio::test]
async fn an_outage_id_is_not_used_again_after_everything_was_pruned() {
    let bed = Bed::fresh();
    let story = vec![Change::Put(outage(1)), Change::Put(outage(7))];
    bed.local.apply(story).await.unwrap();
    let discard = |id| Change::Discard { outage: OutageId(id), at: RECOVERED };
    bed.local.apply(vec![discard(1), discard(7)]).await.unwrap();
    bed.store.prune(UnixMs(i64::MAX)).await.unwrap();
    assert_eq!(bed.store.outages(true, 9).await.unwrap().len(), 1);
    assert_eq!(bed.reopened().local.restore().await.unwrap().next_outage, OutageId(8));
}
