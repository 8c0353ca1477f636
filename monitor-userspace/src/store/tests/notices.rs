//! Notices in the outbox: once per event and person, with their own words.

use super::*;
use crate::store::{Notice, NoticeLetter};

#[tokio::test]
async fn a_notice_that_is_written_twice_is_one_letter() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("ringback.db")).unwrap();
    let letter = |to: &str| NoticeLetter {
        to: to.to_owned(),
        language: None,
        at: UnixMs(1_000),
        notice: Notice { subject: "down".to_owned(), text: "it is".to_owned() },
    };
    let both = vec![letter("a@example.test"), letter("B@example.test")];
    assert_eq!(store.put_notice("b down 1".to_owned(), both.clone()).await.unwrap(), 2);
    assert_eq!(store.put_notice("b down 1".to_owned(), both).await.unwrap(), 0);
    assert_eq!(store.put_notice("b down 2".to_owned(), vec![letter("b@example.test")]).await.unwrap(), 1);
    assert_eq!(store.outbox_counts().await.unwrap().queued, 3);
    let letters = store.take_due(UnixMs(2_000), 10, Duration::from_secs(1)).await.unwrap();
    assert!(letters.iter().all(|letter| letter.notice.as_ref().is_some_and(|notice| notice.text == "it is")));
}
