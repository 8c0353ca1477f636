//! What only a server can show: two gateways at once, and every way in which it is not there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::HashSet, time::Duration};

use monitor_core::{domain::UnixMs, mail::Outcome, outage::Change};

use crate::{
    LocalStore, Location, NotificationPolicy, Outbox, SharedStore, Store, StoreError,
    postgres::{Server, no_authorities},
    tests::{Bed, Place as _, RECOVERED, SINCE, Server as Database, address, closing, wait},
};

const LEASE: Duration = Duration::from_secs(10);

/// Letters that are due at [`RECOVERED`], and two gateways on the same database, each with a connection of its own.
async fn two_gateways(letters: u32) -> (Bed<Database>, LocalStore, [Outbox; 2]) {
    let bed = Bed::<Database>::with_outages(&[1]).await;
    let who: Vec<_> = (0..letters).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    bed.store.put_addresses(who.iter().map(|who| address(who, &format!("{who}@example"))).collect()).await.unwrap();
    let mut changes: Vec<_> = who.iter().map(|who| wait(1, who, SINCE)).collect();
    changes.push(Change::Close(closing(&[1])));
    bed.local.apply(changes).await.unwrap();
    let gateway = |name: &str| crate::Gateway { name: name.to_owned(), host: String::new() };
    let other = Store::at(&Database::located(&bed.name()), NotificationPolicy::default()).unwrap();
    let outboxes =
        [bed.shared.outbox(&gateway("a"), LEASE), SharedStore::of(other.clone()).outbox(&gateway("b"), LEASE)];
    (bed, LocalStore::of(other), outboxes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_that_take_letters_at_once_never_take_the_same() {
    let (_bed, _, [one, two]) = two_gateways(400).await;
    let mut taken = HashSet::new();
    loop {
        let take = |outbox: &Outbox| {
            let outbox = outbox.clone();
            async move { outbox.take_due(RECOVERED, 7, LEASE).await.unwrap() }
        };
        let (one, two) = tokio::join!(take(&one), take(&two));
        if one.is_empty() && two.is_empty() {
            break;
        }
        for letter in one.into_iter().chain(two) {
            assert!(taken.insert(letter.id), "{letter:?} was given out twice");
        }
    }
    assert_eq!(taken.len(), 400);
}

#[tokio::test]
async fn letters_of_a_gateway_that_is_gone_come_back_after_its_lease_and_not_before() {
    let (_bed, _, [one, other]) = two_gateways(3).await;
    assert_eq!(one.take_due(RECOVERED, 9, LEASE).await.unwrap().len(), 3);
    // Its lease is its own: another one that starts does not end it.
    other.release_leases().await.unwrap();
    assert!(other.take_due(RECOVERED, 9, LEASE).await.unwrap().is_empty());
    one.renew_leases(RECOVERED + LEASE * 2).await.unwrap();
    assert!(other.take_due(RECOVERED + LEASE, 9, LEASE).await.unwrap().is_empty());
    let later = RECOVERED + LEASE * 2;
    let taken = other.take_due(later, 9, LEASE).await.unwrap();
    assert_eq!(taken.len(), 3);
    // What the first one says of them now does not take them away; that one was delivered counts whoever says so.
    let put_off = Outcome::Retry { at: later, reason: "lease lost".to_owned() };
    one.record(vec![(taken[0].id, put_off)]).await.unwrap();
    one.record(vec![(taken[1].id, Outcome::Delivered { at: later })]).await.unwrap();
    assert!(other.take_due(later, 9, LEASE).await.unwrap().is_empty());
    assert_eq!(other.counts().await.unwrap().queued, 2);
}

#[tokio::test]
async fn the_address_book_of_one_gateway_is_that_of_the_other() {
    let (bed, other, _) = two_gateways(0).await;
    let open = crate::tests::outage(2);
    // The other one has read the book before it changes.
    other.apply(vec![Change::Put(open), Change::Close(closing(&[2]))]).await.unwrap();
    bed.store.put_addresses(vec![address("10.9.9.9", "new@example")]).await.unwrap();
    let open = crate::tests::outage(3);
    let changes = vec![Change::Put(open), wait(3, "10.9.9.9", SINCE), Change::Close(closing(&[3]))];
    assert_eq!(other.apply(changes).await.unwrap().letters, 1);
}

fn refused(url: &str) -> String {
    let server = Server::new(url, None, no_authorities).unwrap();
    Store::at(&Location::Server(Box::new(server)), NotificationPolicy::default())
        .expect_err("opened what it must refuse")
        .to_string()
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_refused_in_one_line() {
    let bed = Bed::<Database>::fresh();
    let name = bed.name();
    let (folder, _) = name.split_once('\n').unwrap();
    let folder = folder.replace('/', "%2F");
    for (url, said) in [
        (
            "postgres://ringback@127.0.0.1:1/ringback?sslmode=disable".to_owned(),
            "check store.url, that the server runs",
        ),
        (format!("postgres://ringback@{folder}/nowhere"), "create it, or name another one in store.url"),
        (format!("postgres://stranger@{folder}/postgres"), "check the user in store.url"),
    ] {
        let line = refused(&url);
        assert!(line.contains(said) && line.contains("postgres://") && !line.contains('\n'), "{url}: {line}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_both_numbers() {
    let bed = Bed::<Database>::fresh();
    bed.store
        .database
        .write(|session| Ok(session.conn.execute("UPDATE schema_version SET version = 99", ())?))
        .await
        .unwrap();
    match Store::at(&Database::located(&bed.name()), NotificationPolicy::default()) {
        Err(StoreError::Newer { found: 99, known: 7, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_made_again() {
    let bed = Bed::<Database>::fresh();
    bed.store.outages(true, 1).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()";
    // The writer ends itself and the readers; that call cannot be answered.
    bed.store.database.write(move |session| Ok(session.conn.execute(end, ())?)).await.expect_err("it was ended");
    bed.store.learn(vec![(crate::tests::service(1), UnixMs(1))]).await.unwrap();
    assert_eq!(bed.store.learned_services().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_goes_on_without_the_server_finds_it_when_it_is_there() {
    let bed = Bed::<Database>::fresh();
    let name = bed.name();
    let (folder, database) = name.split_once('\n').unwrap();
    let late = tempfile::tempdir().unwrap();
    let socket = late.path().join("socket");
    let located = Database::located(&format!("{}\n{database}", socket.display()));
    let (store, absence) = Store::at_or_later(&located, NotificationPolicy::default()).unwrap();
    let absence = absence.expect("nothing is there").to_string();
    assert!(absence.contains("out of reach: postgres://") && absence.contains("check store.url"), "{absence}");
    for tried in [store.learn(Vec::new()).await.map(drop), store.outages(true, 1).await.map(drop)] {
        assert!(matches!(tried, Err(StoreError::Unreachable(_))), "{tried:?}");
    }
    std::os::unix::fs::symlink(folder, &socket).unwrap();
    store.learn(vec![(crate::tests::service(1), UnixMs(1))]).await.unwrap();
    assert_eq!(bed.store.learned_services().await.unwrap().len(), 1);
    // Whom the server does not let in need not wait.
    let stranger = format!("postgres://stranger@{}/{database}", folder.replace('/', "%2F"));
    let stranger = Location::Server(Box::new(Server::new(&stranger, None, no_authorities).unwrap()));
    assert!(matches!(
        Store::at_or_later(&stranger, NotificationPolicy::default()).map(drop),
        Err(StoreError::Unusable { .. })
    ));
}
