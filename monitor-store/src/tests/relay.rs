//! Lists at the gateway and at the relay, receipts, and the way back to letters of our own.

use std::{fs, path::Path, time::Duration};

use monitor_core::{
    config::{Deliver, KeySetting, RelaySetting, SecretError},
    domain::{OutageId, UnixMs},
    mail::{Letter, notice::Notices},
    outage::{Change, Failure, Recovery},
    relay::{Keyring, List, Listed, Receipt, Relays},
};

use super::{Bed, RECOVERED, SINCE, address, client, closing, ready, recovered, service, wait};
use crate::{ListState, NotificationPolicy, ReceiptOrder, RefusedMail, Taken, TakenList};

struct Key(tempfile::TempDir);

fn read(file: &Path, _shortest: usize) -> Result<String, SecretError> {
    fs::read_to_string(file).map_err(|source| SecretError::Unreadable { path: file.to_owned(), source })
}

/// The policy by which these relays tell the clients.
fn by(relays: Relays) -> NotificationPolicy {
    NotificationPolicy::new(Duration::from_secs(2 * 24 * 3600), relays, Notices::default())
}

impl Key {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), "a key of thirty-two characters or more").unwrap();
        Self(folder)
    }

    fn settings(&self) -> Vec<KeySetting> {
        vec![KeySetting { id: "k".to_owned(), file: self.0.path().join("key") }]
    }

    fn ring(&self) -> Keyring {
        Keyring::load("gw1", &self.settings(), &read).unwrap()
    }

    fn relays(&self, fallback: Option<Duration>, deliver: Deliver) -> Relays {
        let setting = RelaySetting {
            server: "192.0.2.0/24".parse().unwrap(),
            mail: "relay@example.net".to_owned(),
            deliver,
            fallback,
            gateway: "gw1".to_owned(),
            keys: self.settings(),
        };
        Relays::load(&[setting], &read).unwrap()
    }
}

/// Two clients wait for outage 1, a known and an unknown one, and it closes.
async fn closed(key: &Key, fallback: Option<Duration>) -> Bed {
    let bed = Bed::with_outages(&[1]).await;
    bed.store.replace_policy(by(key.relays(fallback, Deliver::Relay)));
    bed.store.put_addresses(vec![address("198.18.0.1", "a@example.net")]).await.unwrap();
    let changes = vec![wait(1, "198.18.0.1", SINCE), wait(1, "198.18.0.2", SINCE), Change::Close(closing(&[1]))];
    let applied = bed.local.apply(changes).await.unwrap();
    assert_eq!((applied.letters, applied.untold), (1, 0));
    bed
}

fn list_in(letter: &Letter, key: &Key) -> List {
    let attachment = ready(letter).attachment.as_ref().unwrap();
    List::verify(&attachment.bytes, &key.ring(), crate::clock::now()).unwrap()
}

fn list(clients: &[&str], nonce: u128) -> List {
    List {
        version: 1,
        gateway: "gw1".to_owned(),
        key: "k".to_owned(),
        outage: OutageId(9),
        server: service(7).addr(),
        port: 443,
        since: SINCE,
        recovered: RECOVERED,
        evidence: Recovery::Trap,
        clients: clients
            .iter()
            .map(|text| Listed {
                client: client(text),
                first: SINCE,
                latest: UnixMs(SINCE.0 + 5),
                attempts: 4,
                evidence: Failure::Refused,
            })
            .collect(),
        issued: RECOVERED,
        expires: UnixMs(RECOVERED.0 + 1000),
        nonce: format!("{nonce:032x}"),
    }
}

fn taken(list: List, uid: &str, key: &Key) -> TakenList {
    let receipt = Some(ReceiptOrder { to: "gw@example.net".to_owned(), keyring: key.ring() });
    TakenList { list, uid: uid.to_owned(), tell_since: UnixMs(0), receipt }
}

// proves: F-17a
#[tokio::test]
async fn a_closing_writes_one_list_in_place_of_letters() {
    let key = Key::new();
    let bed = closed(&key, None).await;
    let letters = bed.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].to, "relay@example.net");
    let list = list_in(&letters[0], &key);
    let clients: Vec<_> = list.clients.iter().map(|listed| listed.client.to_string()).collect();
    assert_eq!(clients, ["198.18.0.1", "198.18.0.2"]);
    assert_eq!((list.service(), list.since, list.recovered), (service(1), SINCE, RECOVERED));
    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());
    assert_eq!(bed.outbox.counts().await.unwrap().queued, 1);
    assert_eq!(bed.store.lists(10).await.unwrap()[0].state, ListState::Pending);
    // The same recovery again, as after a crash: no second list.
    let again = bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap();
    assert_eq!(again.letters, 0);
    assert_eq!(bed.store.lists(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_waits_no_list_and_direct_means_letters() {
    let key = Key::new();
    let bed = Bed::with_outages(&[1, 2]).await;
    bed.store.replace_policy(by(key.relays(None, Deliver::Relay)));
    assert_eq!(bed.local.apply(vec![Change::Close(closing(&[1]))]).await.unwrap().letters, 0);
    bed.store.replace_policy(by(key.relays(None, Deliver::Direct)));
    bed.store.put_addresses(vec![address("198.18.0.1", "a@example.net")]).await.unwrap();
    let changes = vec![wait(2, "198.18.0.1", SINCE), Change::Close(closing(&[2]))];
    bed.local.apply(changes).await.unwrap();
    let letters = bed.letters().await;
    assert_eq!(letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["a@example.net"]);
    assert_eq!(recovered(&letters[0]).services.len(), 1);
}

#[tokio::test]
async fn a_receipt_settles_its_list_and_no_other() {
    let key = Key::new();
    let bed = closed(&key, Some(Duration::from_secs(60))).await;
    let list = list_in(&bed.letters().await[0], &key);
    let receipt = Receipt::new(&list, &key.ring(), 2, 0, crate::clock::now());
    let other = Receipt { nonce: "00".repeat(16), ..receipt.clone() };
    assert!(!bed.store.receive(other, crate::clock::now()).await.unwrap());
    assert_eq!(bed.store.lists(10).await.unwrap()[0].state, ListState::Pending);
    for _ in 0..2 {
        assert!(bed.store.receive(receipt.clone(), crate::clock::now()).await.unwrap());
        let shown = &bed.store.lists(10).await.unwrap()[0];
        assert_eq!((shown.state, shown.told), (ListState::Delivered, Some(2)));
    }
    // Then nothing is left to fall back from.
    assert_eq!(bed.store.settle_overdue(crate::clock::now() + Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(bed.letters().await.len(), 1);
}

// proves: F-17a F-15a
#[tokio::test]
async fn without_a_receipt_the_clients_on_record_get_letters_of_our_own_once() {
    let key = Key::new();
    let bed = closed(&key, Some(Duration::from_secs(60))).await;
    assert_eq!(bed.store.settle_overdue(crate::clock::now() + Duration::from_secs(59)).await.unwrap(), 0);
    let later = crate::clock::now() + Duration::from_secs(61);
    assert_eq!(bed.store.settle_overdue(later).await.unwrap(), 1);
    assert_eq!(bed.store.settle_overdue(later).await.unwrap(), 0);
    let letters = bed.letters().await;
    assert_eq!(letters.len(), 1, "the list itself does not go out any more: {letters:?}");
    assert_eq!((letters[0].to.as_str(), letters[0].services().len()), ("a@example.net", 1));
    assert_eq!(bed.store.lists(10).await.unwrap()[0].state, ListState::Direct);
    assert_eq!(bed.outbox.counts().await.unwrap().queued, 1);
}

#[tokio::test]
async fn a_list_with_a_fallback_is_void_before_the_fallback() {
    let key = Key::new();
    let bed = closed(&key, Some(Duration::from_secs(60))).await;
    let list = list_in(&bed.letters().await[0], &key);
    assert_eq!(list.expires.since(list.issued), Duration::from_secs(30));
    let shown = &bed.store.lists(10).await.unwrap()[0];
    assert_eq!(shown.fallback.unwrap().since(list.issued), Duration::from_secs(60));
}

#[tokio::test]
async fn without_fallback_a_list_expires() {
    let key = Key::new();
    let bed = closed(&key, None).await;
    assert_eq!(bed.store.settle_overdue(crate::clock::now() + Duration::from_secs(90 * 86_400)).await.unwrap(), 0);
    assert_eq!(bed.store.lists(10).await.unwrap()[0].state, ListState::Expired);
}

// proves: F-17a F-19
#[tokio::test]
async fn a_relay_writes_letters_and_receipt_once_whatever_comes_again() {
    let key = Key::new();
    let bed = Bed::fresh();
    let book = vec![address("198.18.0.0/31", "a@example.net"), address("198.18.0.4", "b@example.net")];
    bed.store.put_addresses(book).await.unwrap();
    let list = list(&["198.18.0.0", "198.18.0.1", "198.18.0.4", "198.18.0.9"], 1);
    let take = |list: &List, uid: &str| bed.store.take_list(taken(list.clone(), uid, &key), RECOVERED);
    assert_eq!(take(&list, "uid1").await.unwrap(), Taken::New { letters: 2, untold: 1 });
    // Killed before the mail was deleted; then the same list in another mail.
    assert_eq!(take(&list, "uid1").await.unwrap(), Taken::Again);
    assert_eq!(take(&list, "uid2").await.unwrap(), Taken::Replayed);
    let bed = bed.reopened();
    let take = |list: &List, uid: &str| bed.store.take_list(taken(list.clone(), uid, &key), RECOVERED);
    assert_eq!(take(&list, "uid3").await.unwrap(), Taken::Replayed);
    let letters = bed.letters().await;
    let to: Vec<_> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!(to, ["a@example.net", "b@example.net", "gw@example.net"]);
    assert_eq!(letters[0].services()[0].attempts, 8, "both machines of one person");
    let receipt = ready(&letters[2]);
    insta::assert_snapshot!(format!("{}\n\n{}", receipt.subject, receipt.text), @"
    Ringback receipt: 192.0.2.7:443 is told

    To the Ringback gateway gw1: the list of outage 9 is stored.

    Server:  192.0.2.7
    Port:    443
    Mailed:  2
    Without an address on record:  1

    Only the attachment counts; it is signed.
    ");
    let bytes = &receipt.attachment.as_ref().unwrap().bytes;
    let receipt = Receipt::verify(bytes, &key.ring(), RECOVERED).unwrap();
    assert_eq!((receipt.nonce, receipt.told, receipt.untold), (list.nonce.clone(), 2, 1));
    assert!(bed.store.waiting(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_nonce_is_remembered_until_its_list_has_expired() {
    let key = Key::new();
    let bed = Bed::fresh();
    let first = list(&["198.18.0.1"], 1);
    let take = |list: &List, uid: &str, now| bed.store.take_list(taken(list.clone(), uid, &key), now);
    take(&first, "1", RECOVERED).await.unwrap();
    // Other lists come and go; the clock stands at the last moment of the first.
    take(&list(&[], 2), "2", first.expires).await.unwrap();
    assert_eq!(take(&first, "3", first.expires).await.unwrap(), Taken::Replayed);
}

#[tokio::test]
async fn old_attempts_are_not_told_by_a_relay() {
    let key = Key::new();
    let bed = Bed::fresh();
    bed.store.put_addresses(vec![address("198.18.0.1", "a@example.net")]).await.unwrap();
    let taken = TakenList { tell_since: RECOVERED, ..taken(list(&["198.18.0.1"], 1), "1", &key) };
    assert_eq!(bed.store.take_list(taken, RECOVERED).await.unwrap(), Taken::New { letters: 0, untold: 1 });
}

#[tokio::test]
async fn lists_are_counted_by_state() {
    let key = Key::new();
    let bed = Bed::with_outages(&[1, 2, 3]).await;
    assert_eq!(bed.store.list_states().await.unwrap(), []);
    bed.store.replace_policy(by(key.relays(None, Deliver::Relay)));
    for id in [1, 2, 3] {
        bed.local.apply(vec![wait(id, "198.18.0.1", SINCE), Change::Close(closing(&[id]))]).await.unwrap();
    }
    let list = list_in(&bed.letters().await[0], &key);
    let receipt = Receipt::new(&list, &key.ring(), 1, 0, crate::clock::now());
    bed.store.receive(receipt, crate::clock::now()).await.unwrap();
    let states = [("delivered", 1), ("pending", 2)].map(|(state, lists)| (state.to_owned(), lists));
    assert_eq!(bed.store.list_states().await.unwrap(), states);
}

#[tokio::test]
async fn refused_mails_are_shown_latest_first() {
    let bed = Bed::fresh();
    let mails = [(1, "signature", Some("refused/1.eml")), (2, "too large", None), (3, "signature", None)];
    let mails = mails.map(|(at, reason, file)| RefusedMail {
        at: UnixMs(at),
        reason: reason.to_owned(),
        file: file.map(str::to_owned),
    });
    for mail in &mails {
        bed.store.refuse(mail.clone()).await.unwrap();
    }
    let [first, second, third] = mails;
    let bed = bed.reopened();
    assert_eq!(bed.store.refused(2).await.unwrap(), [third.clone(), second.clone()]);
    assert_eq!(bed.store.refused(9).await.unwrap(), [third, second, first]);
}
