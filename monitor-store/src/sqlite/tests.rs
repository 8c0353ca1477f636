//! What only this backend can show: its files, its lock, its transactions.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use monitor_core::{domain::OutageId, outage::Change};
use rusqlite::Connection;

use crate::{
    Store, StoreError,
    database::Database,
    tables::Session,
    tests::{File, SINCE, address, closing, outage, ready, service, wait},
};

type Bed = crate::tests::Bed<File>;

fn refused(path: &Path) -> String {
    Store::open(path).expect_err("opened what it must refuse").to_string()
}

#[test]
fn a_missing_folder_is_created_and_one_that_cannot_be_is_named() {
    let bed = Bed::fresh();
    assert!(bed.path().exists());
    let below_a_file = bed.path().join("deeper/ringback.db");
    let said = refused(&below_a_file);
    assert!(said.contains("cannot create the folder") && said.contains("set store.state_dir"), "{said}");
    let said = refused(bed.path().parent().unwrap());
    assert!(said.contains("it is a folder: name a file in it"), "{said}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringback.db");
    let text = "a diary, with enough words in it to be longer than the header of any database file there is".repeat(9);
    fs::write(&path, &text).unwrap();
    let said = refused(&path);
    assert!(said.contains("it is not a database: move it away") && said.contains("ringback.db"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringback.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE song (name TEXT)").unwrap();
    let said = refused(&path);
    assert!(said.contains("another program's database"), "{said}");
    assert!(!Connection::open(&path).unwrap().table_exists(None, "outage").unwrap());
}

#[test]
fn a_database_of_a_newer_version_is_refused_with_both_numbers() {
    let bed = Bed::fresh();
    let path = bed.path();
    let folder = bed.closed();
    Connection::open(&path).unwrap().execute("UPDATE schema_version SET version = 99", ()).unwrap();
    match Store::open(&path) {
        Err(StoreError::Newer { found: 99, known: 12, path: named }) => assert_eq!(named, path.display().to_string()),
        other => panic!("{other:?}"),
    }
    drop(folder);
}

#[test]
fn a_database_on_a_read_only_file_system_is_refused() {
    // The kernel's own read-only file system: true for root too.
    let said = refused(Path::new("/proc/ringback.db"));
    assert!(said.contains("must be writable for this user"), "{said}");
}

#[tokio::test]
async fn a_second_daemon_is_told_who_has_it_and_an_operator_can_read_along() {
    let bed = Bed::with_outages(&[1]).await;
    let said = refused(&bed.path());
    assert!(said.contains(&format!("another ringback (process {}) is using it", std::process::id())), "{said}");

    let operator = Connection::open(bed.path()).unwrap();
    let open: i64 = operator.query_row("SELECT count(*) FROM outage", (), |row| row.get(0)).unwrap();
    assert_eq!(open, 1);
    drop(operator);
    bed.local.apply(vec![Change::Put(outage(2))]).await.unwrap();
    // Once the first is gone, the next may have it.
    assert_eq!(bed.reopened().local.restore().await.unwrap().outages.len(), 2);
}

#[tokio::test]
async fn the_connection_is_durable_before_it_answers() {
    let bed = Bed::fresh();
    let (journal, synchronous): (String, i64) = bed
        .store
        .database
        .write(|session| {
            let journal = session.conn.sqlite().pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            Ok((journal, session.conn.sqlite().pragma_query_value(None, "synchronous", |row| row.get(0))?))
        })
        .await
        .unwrap();
    // 2 is FULL.
    assert_eq!((journal.as_str(), synchronous), ("wal", 2));
}

/// Limits the database to its present size, or lifts the limit.
async fn limit_pages(database: &Database, limit: Limit) {
    database
        .write(move |session| {
            let pages: i64 = match limit {
                Limit::Present => session.conn.sqlite().pragma_query_value(None, "page_count", |row| row.get(0))?,
                Limit::None => i64::from(u32::MAX - 1),
            };
            session.conn.sqlite().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        })
        .await
        .unwrap();
}

#[derive(Clone, Copy)]
enum Limit {
    Present,
    None,
}

#[tokio::test]
async fn a_full_disk_writes_nothing_says_so_and_is_forgotten_when_there_is_room() {
    let bed = Bed::with_outages(&[1]).await;
    let who: Vec<_> = (0..500).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    bed.store.put_addresses(who.iter().map(|who| address(who, &format!("{who}@example"))).collect()).await.unwrap();
    bed.local.apply(who.iter().map(|who| wait(1, who, SINCE)).collect()).await.unwrap();

    limit_pages(&bed.store.database, Limit::Present).await;
    let close = || bed.local.apply(vec![Change::Close(closing(&[1]))]);
    let error = close().await.expect_err("there is no room for the letters");
    assert!(matches!(error, StoreError::Full), "{error}");
    assert_eq!(bed.store.waiting(None, 1000).await.unwrap().len(), 500);
    assert_eq!(bed.outbox.counts().await.unwrap().queued, 0);
    assert_eq!(bed.local.restore().await.unwrap().outages, [outage(1)]);

    // In a group with others: they are not spoiled by it.
    let learn = || bed.store.learn(vec![(service(1), SINCE)]);
    let (first, full, last) = tokio::join!(learn(), close(), learn());
    assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
    first.unwrap();
    last.unwrap();
    assert_eq!(bed.store.learned_services().await.unwrap().len(), 1);

    limit_pages(&bed.store.database, Limit::None).await;
    assert_eq!(close().await.unwrap().letters, 500);
    assert_eq!(bed.letters().await.len(), 500);
    assert!(bed.store.waiting(None, 1).await.unwrap().is_empty());
}

/// Holds the writer until the sender is dropped or used, so that what is queued meanwhile becomes one group.
fn hold(database: &Database) -> (std::sync::mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let database = database.clone();
    let holding = tokio::spawn(async move {
        let wait = move |_: &mut Session<'_>| {
            let _ = held.lock().unwrap().recv();
            Ok(())
        };
        database.write(wait).await.unwrap();
    });
    (release, holding)
}

fn fails(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.conn.execute("INSERT INTO service (server, port, answered) VALUES (x'00', 1, 1)", ())?;
    Ok(session.conn.execute_batch("SELECT no_such_column FROM service")?)
}

/// As a full disk or a read error may: the whole transaction is gone, not only the savepoint.
fn ends_the_transaction(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.conn.execute_batch("ROLLBACK")?;
    Err(StoreError::Full)
}

#[tokio::test]
async fn work_that_fails_takes_nobody_elses_with_it() {
    for spoiler in [fails, ends_the_transaction] {
        let bed = Bed::fresh();
        let (release, holding) = hold(&bed.store.database);
        let release = async move {
            // Polled last: the others are queued.
            release.send(()).unwrap();
        };
        tokio::task::yield_now().await;
        let (before, spoilt, after, ()) = tokio::join!(
            biased;
            bed.local.apply(vec![Change::Put(outage(1))]),
            bed.store.database.write(spoiler),
            bed.local.apply(vec![Change::Put(outage(2))]),
            release
        );
        holding.await.unwrap();
        before.unwrap();
        spoilt.expect_err("it must fail");
        after.unwrap();
        let bed = bed.reopened();
        let kept: Vec<_> = bed.local.restore().await.unwrap().outages.iter().map(|outage| outage.id).collect();
        assert_eq!(kept, [OutageId(1), OutageId(2)]);
        assert!(bed.store.learned_services().await.unwrap().is_empty(), "half of the failed work is there");
    }
}

#[tokio::test]
async fn an_address_that_was_rolled_back_is_not_told() {
    let bed = Bed::fresh();
    bed.local.apply(vec![Change::Put(outage(1)), wait(1, "10.0.0.1", SINCE)]).await.unwrap();
    let failed: Result<(), _> = bed
        .store
        .database
        .write(|session| {
            crate::tables::address::put(session, &[address("10.0.0.1", "never@example")])?;
            session.book.load(session.conn)?;
            Err(StoreError::Full)
        })
        .await;
    failed.expect_err("it must fail");
    assert_eq!(bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap().letters, 0);
}

/// The queries that `status` and the delivery loop run all the time must not walk through a million letters.
#[tokio::test]
async fn the_outbox_is_asked_by_index() {
    let bed = Bed::fresh();
    let queries = [
        "SELECT due FROM letter WHERE state = 'queued' ORDER BY due LIMIT 1",
        "SELECT at FROM letter WHERE state = 'queued' ORDER BY at LIMIT 1",
        "SELECT id FROM letter WHERE state = 'queued' AND due <= 5 ORDER BY due, id LIMIT 10",
        "SELECT id FROM letter WHERE state <> 'queued' AND settled < 5 LIMIT 10",
        "SELECT id FROM letter WHERE state = 'dead' ORDER BY settled DESC, id DESC LIMIT 10",
        "SELECT client FROM waiting WHERE outage = 1 AND client > x'00' ORDER BY client LIMIT 10",
    ];
    for query in queries {
        let plan: Vec<String> = bed
            .store
            .database
            .read(move |conn| {
                let mut explain = conn.prepare_cached(&format!("EXPLAIN QUERY PLAN {query}"))?;
                let steps = explain.query_map((), |row| row.get(3))?;
                Ok(steps.collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        let plan = plan.join("; ");
        assert!(plan.contains("USING") && !plan.contains("TEMP B-TREE"), "{query}: {plan}");
    }
}

/// Version 4 had two ways; a letter of the other one that waits in the outbox keeps its words and its Message-ID.
#[tokio::test]
async fn words_of_an_older_schema_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ringback.db");
    let conn = Connection::open(&path).unwrap();
    for migration in [
        include_str!("migrations/0001_first.sql"),
        include_str!("migrations/0002_declined.sql"),
        include_str!("migrations/0003_relay.sql"),
        include_str!("migrations/0004_notice.sql"),
        "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (4);
         INSERT INTO letter (outage, client, mail, recovered, evidence, expires, due, subject, text)
         VALUES (-7, x'ABCDEF00112233445566778899AABBCC', 'a@example.test', 1000, 'signal', 9000, 1000, 'down', 'it is')",
    ] {
        conn.execute_batch(migration).unwrap();
    }
    drop(conn);
    let store = Store::open(&path).unwrap();
    let letters = store
        .outbox()
        .take_due(monitor_core::domain::UnixMs(2_000), 10, std::time::Duration::from_secs(1))
        .await
        .unwrap();
    let ready = ready(&letters[0]);
    assert_eq!(letters[0].key, "ringback.-7.1000.abcdef00112233445566778899aabbcc");
    assert_eq!((ready.subject.as_str(), ready.text.as_str(), ready.unsubscribe), ("down", "it is", true));
}
