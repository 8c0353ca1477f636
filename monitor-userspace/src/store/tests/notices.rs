//! Letters that bring their own words: once per key, from whatever version of the schema.

use rusqlite::Connection;

use super::*;
use crate::store::{Outcome, Ready, ReadyLetter};

fn letter(key: &str, to: &str) -> ReadyLetter {
    ReadyLetter {
        to: to.to_owned(),
        at: UnixMs(1_000),
        ready: Ready {
            key: key.to_owned(),
            subject: "down".to_owned(),
            text: "it is".to_owned(),
            attachment: None,
            unsubscribe: true,
        },
    }
}

#[tokio::test]
async fn a_letter_that_is_written_twice_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("ringback.db")).unwrap();
    let both = vec![letter("down.1.a", "a@example.test"), letter("down.1.b", "B@example.test")];
    assert_eq!(store.put_letters(both.clone()).await.unwrap(), 2);
    assert_eq!(store.put_letters(both).await.unwrap(), 0);
    assert_eq!(store.put_letters(vec![letter("down.2.b", "b@example.test")]).await.unwrap(), 1);
    assert_eq!(store.outbox_counts().await.unwrap().queued, 3);
    let letters = store.take_due(UnixMs(2_000), 10, Duration::from_secs(1)).await.unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[0].ready, Some(letter("down.1.a", "").ready));
    // Given up, it is shown by its subject.
    let dead = Outcome::Dead { at: UnixMs(3_000), reason: "550".to_owned() };
    store.record(vec![(letters[0].id, dead)]).await.unwrap();
    let dead = store.dead_letters(10).await.unwrap();
    assert_eq!((dead[0].service, dead[0].subject.as_deref()), (None, Some("down")));
}

/// Version 4 had two ways; a letter of the other one that waits in the outbox keeps its words and its Message-ID.
#[tokio::test]
async fn words_of_an_older_schema_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringback.db");
    let conn = Connection::open(&path).unwrap();
    for migration in [
        include_str!("../sqlite/migrations/0001_first.sql"),
        include_str!("../sqlite/migrations/0002_declined.sql"),
        include_str!("../sqlite/migrations/0003_relay.sql"),
        include_str!("../sqlite/migrations/0004_notice.sql"),
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (4);
         INSERT INTO letter (outage, client, mail, recovered, evidence, expires, due, subject, text)
         VALUES (-7, x'ABCDEF00112233445566778899AABBCC', 'a@example.test', 1000, 'signal', 9000, 1000, 'down', 'it is')",
    ] {
        conn.execute_batch(migration).unwrap();
    }
    drop(conn);
    let store = Store::open(&path).unwrap();
    let letters = store.take_due(UnixMs(2_000), 10, Duration::from_secs(1)).await.unwrap();
    assert_eq!(letters[0].ready, Some(letter("ringback.-7.1000.abcdef00112233445566778899aabbcc", "").ready));
}
