//! What people answer to the stand-in page, and what it leaves of the operator's book.

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{AddressEntry, Origin},
    outage::Change,
};

use super::{Bed, SINCE, address, client, closing, wait};

const WHO: &str = "10.0.0.1";

fn typed(mail: &str, at: UnixMs) -> AddressEntry {
    AddressEntry { origin: Origin::Page, registered: at, ..address(WHO, mail) }
}

async fn mails(bed: &Bed) -> Vec<String> {
    bed.store.addresses().await.unwrap().into_iter().map(|entry| entry.mail).collect()
}

// proves: F-23a F-24a
#[tokio::test]
async fn a_no_counts_for_its_outage_until_a_yes() {
    let bed = Bed::with_outages(&[1, 2, 3]).await;
    bed.store.put_addresses(vec![address(WHO, "a@example")]).await.unwrap();
    for id in [1, 2] {
        bed.store.decline(OutageId(id), client(WHO), SINCE).await.unwrap();
        // Said again, or of an outage that is not there, it changes nothing.
        bed.store.decline(OutageId(id), client(WHO), SINCE).await.unwrap();
    }
    bed.store.decline(OutageId(99), client(WHO), SINCE).await.unwrap();
    bed.store.register(OutageId(2), client(WHO), typed("b@example", SINCE)).await.unwrap();
    let mut told = Vec::new();
    for id in [1, 2, 3] {
        let applied = bed.local.apply(vec![wait(id, WHO, SINCE), Change::Close(closing(&[id]))]).await.unwrap();
        told.push(applied.letters);
    }
    assert_eq!(told, [0, 1, 1]);
    // The operator's entry counts, not what was typed.
    assert!(bed.letters().await.iter().all(|letter| letter.to == "a@example"));
}

// proves: F-24a
#[tokio::test]
async fn what_was_typed_is_replaced_taken_back_and_forgotten_and_what_operators_wrote_stays() {
    let bed = Bed::with_outages(&[1]).await;
    bed.store.put_addresses(vec![address("10.0.0.0/24", "ops@example")]).await.unwrap();
    for mail in ["a@example", "b@example"] {
        bed.store.register(OutageId(1), client(WHO), typed(mail, SINCE)).await.unwrap();
    }
    assert_eq!(mails(&bed).await, ["ops@example", "b@example"]);
    assert_eq!(bed.store.forget_typed(SINCE).await.unwrap(), 0);
    assert_eq!(bed.store.forget_typed(UnixMs(SINCE.0 + 1)).await.unwrap(), 1);
    bed.store.register(OutageId(1), client(WHO), typed("b@example", SINCE)).await.unwrap();
    assert!(!bed.store.unsubscribe("B@Example".to_owned()).await.unwrap());
    assert!(bed.store.unsubscribe("OPS@example".to_owned()).await.unwrap(), "it is in the book by the operator's hand");
    assert_eq!(mails(&bed).await, ["ops@example"]);
}
