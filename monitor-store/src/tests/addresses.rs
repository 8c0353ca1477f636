//! The address book: whose entry counts, and that a recovery sees each change of it.

use monitor_core::{
    mail::{AddressEntry, Origin},
    outage::Change,
};

use super::{Bed, SINCE, address, closing, outage, wait};

fn configured(net: &str, mail: &str) -> AddressEntry {
    AddressEntry { origin: Origin::Config, ..address(net, mail) }
}

async fn mails(bed: &Bed) -> Vec<String> {
    bed.store.addresses().await.unwrap().into_iter().map(|entry| entry.mail).collect()
}

#[tokio::test]
async fn entries_come_back_as_they_were_put() {
    let bed = Bed::fresh();
    let entries = ["10.0.0.0/8", "10.0.0.7", "::/0", "2001:db8::/32", "2001:db8::1"].map(|net| address(net, net));
    bed.store.put_addresses(entries.to_vec()).await.unwrap();
    let mut kept = bed.reopened().store.addresses().await.unwrap();
    kept.sort_by_key(|entry| entry.client);
    let mut put = entries.to_vec();
    put.sort_by_key(|entry| entry.client);
    assert_eq!(kept, put);
}

#[tokio::test]
async fn an_entry_is_replaced_by_network_and_removed_once() {
    let bed = Bed::fresh();
    bed.store
        .put_addresses(vec![address("10.0.0.7", "a@example"), address("10.0.0.0/24", "net@example")])
        .await
        .unwrap();
    bed.store.put_addresses(vec![address("10.0.0.7", "b@example")]).await.unwrap();
    assert_eq!(mails(&bed).await, ["net@example", "b@example"]);
    assert!(bed.store.remove_address("10.0.0.7".parse().unwrap()).await.unwrap());
    assert!(!bed.store.remove_address("10.0.0.7".parse().unwrap()).await.unwrap());
    assert_eq!(mails(&bed).await, ["net@example"]);
}

#[tokio::test]
async fn a_reload_replaces_the_files_entries_and_leaves_the_operators() {
    let bed = Bed::fresh();
    bed.store
        .replace_config_addresses(vec![configured("10.0.0.1", "a@file"), configured("10.0.0.2", "b@file")])
        .await
        .unwrap();
    bed.store.put_addresses(vec![address("10.0.0.2", "b@operator"), address("10.0.0.9", "z@operator")]).await.unwrap();
    let reload =
        vec![configured("10.0.0.2", "b@file"), configured("10.0.0.3", "c@file"), configured("10.0.0.3", "d@file")];
    bed.store.replace_config_addresses(reload).await.unwrap();
    assert_eq!(mails(&bed).await, ["b@operator", "d@file", "z@operator"]);
}

// proves: F-15a
#[tokio::test]
async fn a_recovery_looks_up_the_book_as_it_is_then() {
    let bed = Bed::fresh();
    let recover = async |id: i64| {
        let story = vec![Change::Put(outage(id)), wait(id, "10.0.0.7", SINCE), Change::Close(closing(&[id]))];
        bed.local.apply(story).await.unwrap();
        bed.letters().await.iter().find(|letter| letter.services()[0].outage.0 == id).map(|letter| letter.to.clone())
    };
    assert_eq!(recover(1).await, None);
    bed.store.put_addresses(vec![address("10.0.0.0/24", "net@example")]).await.unwrap();
    assert_eq!(recover(2).await.as_deref(), Some("net@example"));
    bed.store.replace_config_addresses(vec![configured("10.0.0.7", "host@file")]).await.unwrap();
    assert_eq!(recover(3).await.as_deref(), Some("host@file"));
    bed.store.remove_address("10.0.0.7".parse().unwrap()).await.unwrap();
    assert_eq!(recover(4).await.as_deref(), Some("net@example"));
}

#[tokio::test]
async fn a_copy_of_another_book_is_the_same_whatever_was_there() {
    let bed = Bed::fresh();
    bed.store.put_addresses(["10.0.0.1", "10.0.0.2"].map(|net| address(net, "old@example")).to_vec()).await.unwrap();
    bed.store.replace_config_addresses(vec![configured("10.0.0.3", "file@example")]).await.unwrap();
    let other =
        [address("10.0.0.2", "new@example"), configured("10.0.0.3", "file@example"), address("::/0", "6@example")];
    for _ in 0..2 {
        bed.local.copy_addresses(&other).await.unwrap();
        let mut kept = bed.store.addresses().await.unwrap();
        kept.sort_by_key(|entry| entry.mail.clone());
        assert_eq!(kept, [other[2].clone(), other[1].clone(), other[0].clone()]);
    }
}
