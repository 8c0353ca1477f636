//! A database of the version before one outbox, with letters of every kind in it: nobody gets a second mail, and nobody
//! gets none.

use std::{fmt::Write as _, time::Duration};

use monitor_core::{
    domain::{Language, OutageId, UnixMs},
    mail::{Letter, Outcome, Ready, ReadyLetter},
    outage::{Failure, Recovery},
    relay::{List, Listed},
};

use super::{Bed, client, ready, recovered, wait};
use crate::{Gateway, OutboxCounts, Spooled};

const LETTERS: &str = include_str!("letters_before_0009.sql");

/// No letter's lifetime is over then, and all but the one that was put off are due.
const NOW: UnixMs = UnixMs(2_400_000);

const LEASE: Duration = Duration::from_secs(60);

/// The list of the third outage.
fn list() -> List {
    let listed = |text| Listed {
        client: client(text),
        first: UnixMs(1_000_050),
        latest: UnixMs(1_000_051),
        attempts: 2,
        evidence: Failure::Refused,
    };
    List {
        version: 1,
        gateway: "gw1".to_owned(),
        key: "k".to_owned(),
        outage: OutageId(3),
        server: "203.0.113.3".parse().unwrap(),
        port: 25,
        since: UnixMs(1_000_003),
        recovered: UnixMs(2_100_000),
        evidence: Recovery::Trap,
        clients: vec![listed("10.0.0.1"), listed("10.9.9.9")],
        issued: UnixMs(2_100_001),
        expires: UnixMs(2_400_001),
        nonce: "edf2e70dce12a6ec0e99065bc5cba794".to_owned(),
    }
}

fn upgraded() -> Bed {
    let json = serde_json::to_vec(&list()).unwrap().iter().fold(String::new(), |mut digits, byte| {
        write!(digits, "{byte:02X}").unwrap();
        digits
    });
    Bed::upgraded(&LETTERS.replace("x'LIST'", &format!("x'{json}'")))
}

/// Key, recipient, time, tries, lifetime.
fn row(letter: &Letter) -> (&str, &str, i64, u32, i64) {
    (&letter.key, &letter.to, letter.at.0, letter.tries, letter.expires.0)
}

/// Outage, client, service, name, begin, first and latest attempt, count, evidence.
fn told(letter: &Letter) -> Vec<String> {
    let services = recovered(letter).services.iter().map(|told| {
        let name = told.server_name.as_deref().unwrap_or("-");
        let attempts = format!("{}..{} {}", told.first.0, told.latest.0, told.attempts);
        format!(
            "{} {} {} {name} {} {attempts} {}",
            told.outage,
            told.client,
            told.service,
            told.since.0,
            told.failure.word()
        )
    });
    services.collect()
}

#[tokio::test]
async fn queued_letters_keep_their_keys_their_words_and_their_order() {
    let bed = upgraded();
    let letters = bed.outbox.take_due(NOW, 99, LEASE).await.unwrap();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.0).collect();
    assert_eq!(ids, [5, 6, 7, 8, 9, 10, 11], "what is taken and what is put off is not due");
    let [ja, two, list, again, receipt, notice, peer] = letters.as_slice() else { panic!("{letters:?}") };

    assert_eq!(row(ja), ("ringback.1.1000001.0a000005", "ja@example.net", 2_000_000, 0, 5_600_000));
    assert_eq!(recovered(ja).language, Some(Language::Ja));
    assert_eq!(told(ja), ["1 10.0.0.5 192.0.2.1:443 www.example.net 1000001 1000015..1000018 3 unanswered"]);
    let key = "ringback.1.1000001.20010db8000000000000000000000005";
    assert_eq!(row(two), (key, "two@example.net", 2_000_000, 0, 5_600_000));
    assert_eq!(recovered(two).language, Some(Language::En));
    let of_two = [
        "1 2001:db8::5 192.0.2.1:443 www.example.net 1000001 1000030..1000030 2 refused",
        "2 2001:db8::5 [2001:db8:1::2]:80 - 1000002 1000040..1000040 2 known-failed",
    ];
    assert_eq!(told(two), of_two);
    assert_eq!(row(again), ("ringback.4.1000009.0a000001", "gone@example.net", 2_200_000, 0, 5_800_000));
    assert_eq!(told(again), ["4 10.0.0.1 192.0.2.9:443 - 1000009 5..6 4 refused"]);

    let key = "ringback.list.edf2e70dce12a6ec0e99065bc5cba794";
    assert_eq!(row(list), (key, "relay@example.net", 2_100_001, 0, 2_400_001));
    let words = |subject: &str, text: &str, attachment: Option<(&str, &[u8])>, unsubscribe| Ready {
        subject: subject.to_owned(),
        text: text.to_owned(),
        attachment: attachment
            .map(|(name, bytes)| monitor_core::mail::Attachment { name: name.to_owned(), bytes: bytes.to_vec() }),
        unsubscribe,
    };
    let file: Option<(&str, &[u8])> = Some(("ringback-list.json", &[0x7b, 0, 0xff, 0x7d]));
    let subject = "Ringback list: 203.0.113.3:25 is back, 2 waiting";
    assert_eq!(*ready(list), words(subject, "To the Ringback relay", file, false));
    let key = "ringback.receipt.00000000000000000000000000000007";
    assert_eq!(row(receipt), (key, "gw@example.net", 2_200_001, 0, 2_400_000));
    let subject = "Ringback receipt: 192.0.2.9:443 is told";
    let file: Option<(&str, &[u8])> = Some(("ringback-receipt.json", b"{}"));
    assert_eq!(*ready(receipt), words(subject, "To the Ringback gateway", file, false));
    let key = "ringback.notice.1.1795799691684.edc0424c532522c1";
    assert_eq!(row(notice), (key, "ops@example.net", 2_300_000, 0, 5_900_000));
    let subject = "Ringback: 198.51.100.5:22 is down: unanswered";
    assert_eq!(*ready(notice), words(subject, "198.51.100.5:22 is down", None, false));
    let key = "ringback.0011223344556677.8899aabbccddeeff";
    assert_eq!(row(peer), (key, "admin@example.net", 2_400_000, 0, 6_000_000));
    assert_eq!(*ready(peer), words("web2 is down", "gw hears nothing of web2.", None, true));

    // At its start the worker frees what an earlier one had taken.
    let bed = bed.reopened();
    assert_eq!(bed.outbox.take_due(NOW, 99, LEASE).await.unwrap(), []);
    bed.outbox.release_leases().await.unwrap();
    let freed = bed.outbox.take_due(NOW, 1, LEASE).await.unwrap();
    assert_eq!(row(&freed[0]), ("ringback.1.1000001.0a000004", "leased@example.net", 2_000_000, 0, 5_600_000));
    bed.outbox.take_due(NOW, 99, LEASE * 60).await.unwrap();
    assert_eq!(bed.outbox.take_due(UnixMs(2_999_999), 99, LEASE).await.unwrap().len(), 1, "the one that was freed");
    let put_off = bed.outbox.take_due(UnixMs(3_000_000), 99, LEASE).await.unwrap();
    let [put_off] = put_off.as_slice() else { panic!("{put_off:?}") };
    assert_eq!(row(put_off), ("ringback.1.1000001.0a000003", "later@example.net", 2_000_000, 2, 5_600_000));
}

#[tokio::test]
async fn the_outbox_s_numbers_and_its_dead_letters_stay() {
    let bed = upgraded();
    let counts = OutboxCounts {
        queued: 9,
        retrying: 1,
        delivered: 1,
        dead: 2,
        oldest_queued: Some(UnixMs(2_000_000)),
        last_error: Some("554 no".to_owned()),
    };
    assert_eq!(bed.outbox.counts().await.unwrap(), counts);
    let dead: Vec<_> = bed
        .outbox
        .dead_letters(9)
        .await
        .unwrap()
        .into_iter()
        .map(|dead| (dead.id.0, dead.to, dead.service.map(|s| s.to_string()), dead.subject, dead.at.0, dead.reason))
        .collect();
    let text = |text: &str| text.to_owned();
    let bounced = (12, text("bounced@example.net"), None, Some(text("web2 is down")), 2_400_500, text("554 no"));
    let service = Some(text("192.0.2.1:443"));
    let unknown = (2, text("dead@example.net"), service, None, 2_000_600, text("550 no such user"));
    assert_eq!(dead, [bounced, unknown]);
    // Delivered and dead ones are forgotten in their time, and nothing is left of them.
    bed.store.prune(UnixMs(3_000_000)).await.unwrap();
    let counts = bed.outbox.counts().await.unwrap();
    assert_eq!((counts.queued, counts.delivered, counts.dead), (9, 1, 0));
    for (table, rows) in [("letter", 9), ("letter_service", 6), ("letter_words", 4), ("letter_attachment", 2)] {
        let count = format!("SELECT count(*) FROM {table}");
        let left: i64 =
            bed.store.database.read(move |conn| Ok(conn.query_row(&count, (), |row| row.get(0))?)).await.unwrap();
        assert_eq!(left, rows, "{table}");
    }
}

// proves: F-15a
#[tokio::test]
async fn nobody_is_told_again_of_what_the_earlier_version_had_written() {
    let bed = upgraded();
    let again = |key: &str| ReadyLetter {
        key: key.to_owned(),
        to: "admin@example.net".to_owned(),
        at: NOW,
        ready: Ready { subject: String::new(), text: String::new(), attachment: None, unsubscribe: true },
    };
    // One that is queued, one that was given up.
    let keys = ["ringback.0011223344556677.8899aabbccddeeff", "ringback.0011223344556677.0000000000000001"];
    assert_eq!(bed.store.put_letters(keys.map(again).to_vec()).await.unwrap(), 0);
    // A gateway says late who waited: two were told, one of them at another address, and one was not.
    let changes = ["10.0.0.1", "10.0.0.4", "10.0.0.9"].map(|who| wait(7, who, UnixMs(1_000_060))).to_vec();
    let gateway = Gateway { name: "a".to_owned(), host: "a.example".to_owned() };
    let applied = bed.shared.share(gateway, Spooled { number: 1, changes }, NOW).await.unwrap();
    assert_eq!(applied.letters, 1);
    let letters = bed.letters().await;
    let newest = letters.last().unwrap();
    assert_eq!((newest.key.as_str(), newest.to.as_str()), ("ringback.1.1000001.0a000009", "late@example.net"));
}

// proves: F-17a
#[tokio::test]
async fn a_list_that_was_sent_before_falls_back_and_ids_go_on() {
    let bed = upgraded();
    // The highest id is one of a letter that is gone.
    let newest = bed.outbox.take_due(NOW, 99, LEASE).await.unwrap().last().unwrap().id;
    bed.outbox.record(vec![(newest, Outcome::Delivered { at: UnixMs(1) })]).await.unwrap();
    bed.store.prune(UnixMs(3_000_000)).await.unwrap();
    assert_eq!(bed.store.settle_overdue(UnixMs(2_700_000)).await.unwrap(), 0, "before its time");
    assert_eq!(bed.store.settle_overdue(UnixMs(2_700_001)).await.unwrap(), 1);
    let letters = bed.letters().await;
    let letter = letters.last().unwrap();
    assert_eq!((letter.key.as_str(), letter.to.as_str()), ("ringback.3.1000003.0a000001", "gone@example.net"));
    assert_eq!(letter.id.0, 21, "the ids up to 20 were given out before");
    assert!(letters.iter().all(|letter| letter.to != "relay@example.net"), "the list itself goes out no more");
}
