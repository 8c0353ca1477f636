//! Random changes against a model that is plain maps: the same lists, the same letters.

use std::collections::{BTreeMap, BTreeSet};

use monitor_core::{
    domain::{ClientAddr, OutageId, UnixMs},
    mail::AddressBook,
    outage::{Change, Closing, Failure, Recovery},
};
use proptest::prelude::*;

use super::{Bed, address, client, outage};
use crate::Applied;

const CLIENTS: [&str; 6] = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "172.16.0.1", "2001:db8::1", "2001:db8:1::1"];

/// Two machines of one person, a network, a hole in it (IPv6), and a client that nobody knows (172.16.0.1).
fn book() -> Vec<monitor_core::mail::AddressEntry> {
    vec![
        address("10.0.0.1", "one@example"),
        address("10.0.0.2", "ONE@example"),
        address("10.0.0.0/16", "net@example"),
        address("2001:db8::/32", "six@example"),
        address("2001:db8:1::/48", "one@Example"),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    first: UnixMs,
    latest: UnixMs,
    attempts: u64,
    evidence: Failure,
    connected: Option<UnixMs>,
}

/// Recipient, and the outages that the letter speaks of.
type Told = (String, BTreeSet<OutageId>);

#[derive(Default)]
struct Model {
    open: BTreeSet<OutageId>,
    ended: BTreeSet<OutageId>,
    waiting: BTreeMap<(OutageId, ClientAddr), Entry>,
    letters: Vec<Told>,
}

impl Model {
    fn apply(&mut self, change: &Change, book: &AddressBook) -> Applied {
        let listed = self.waiting.len() as u64;
        let mut applied = Applied::default();
        match change {
            Change::Put(outage) => {
                if !self.ended.contains(&outage.id) {
                    self.open.insert(outage.id);
                }
            }
            Change::Wait { outage, client, at, attempts, evidence } if self.open.contains(outage) => {
                let entry = self.waiting.entry((*outage, *client)).or_insert(Entry {
                    first: *at,
                    latest: *at,
                    attempts: 0,
                    evidence: *evidence,
                    connected: None,
                });
                entry.latest = entry.latest.max(*at);
                entry.attempts += u64::from(*attempts);
                entry.connected = None;
                if !entry.evidence.tells_more_than(*evidence) {
                    entry.evidence = *evidence;
                }
            }
            Change::Wait { .. } => {}
            Change::Withdraw { outage, client, attempts } => {
                let key = (*outage, *client);
                if let Some(entry) = self.waiting.get_mut(&key) {
                    entry.attempts = entry.attempts.saturating_sub(u64::from(*attempts));
                    if entry.attempts == 0 {
                        self.waiting.remove(&key);
                    }
                }
            }
            Change::Connected { outage, client, at } => {
                if let Some(entry) = self.waiting.get_mut(&(*outage, *client)) {
                    entry.connected = Some(*at);
                }
            }
            Change::Close(closing) => applied = self.close(closing, book),
            Change::Discard { outage, .. } => {
                self.end(*outage);
                applied.untold = listed - self.waiting.len() as u64;
            }
            Change::Purge { older_than } => {
                self.waiting.retain(|_, entry| entry.latest >= *older_than);
                applied.untold = listed - self.waiting.len() as u64;
            }
        }
        applied
    }

    fn close(&mut self, closing: &Closing, book: &AddressBook) -> Applied {
        let mut applied = Applied::default();
        let mut told: BTreeMap<String, BTreeSet<OutageId>> = BTreeMap::new();
        for ((outage, client), entry) in &self.waiting {
            if !closing.outages.contains(outage) {
                continue;
            }
            let left_out = entry.latest < closing.tell_since || closing.skip_connected && entry.connected.is_some();
            match book.lookup(*client) {
                Some(known) if !left_out => {
                    told.entry(known.mail.to_lowercase()).or_default().insert(*outage);
                }
                _ => applied.untold += 1,
            }
        }
        applied.letters = told.len() as u64;
        self.letters.extend(told);
        for outage in &closing.outages {
            self.end(*outage);
        }
        applied
    }

    fn end(&mut self, outage: OutageId) {
        self.waiting.retain(|(of, _), _| *of != outage);
        if self.open.remove(&outage) {
            self.ended.insert(outage);
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let id = || (1..4_i64).prop_map(OutageId);
    let who = || proptest::sample::select(&CLIENTS[..]).prop_map(client);
    let at = || (0..12_i64).prop_map(UnixMs);
    let evidence = proptest::sample::select([&Failure::ALL[..], &[Failure::Asked]].concat());
    let closing = (proptest::collection::btree_set(id(), 1..3), at(), any::<bool>()).prop_map(
        |(outages, tell_since, skip_connected)| {
            Change::Close(Closing {
                outages: outages.into_iter().collect(),
                recovered: UnixMs(1000),
                evidence: Recovery::Answered,
                tell_since,
                skip_connected,
            })
        },
    );
    prop_oneof![
        4 => id().prop_map(|id| Change::Put(outage(id.0))),
        16 => (id(), who(), at(), 1..4_u32, evidence)
            .prop_map(|(outage, client, at, attempts, evidence)| Change::Wait { outage, client, at, attempts, evidence }),
        3 => (id(), who(), at()).prop_map(|(outage, client, at)| Change::Connected { outage, client, at }),
        2 => (id(), who(), 1..3_u32)
            .prop_map(|(outage, client, attempts)| Change::Withdraw { outage, client, attempts }),
        2 => closing,
        1 => (id(), at()).prop_map(|(outage, at)| Change::Discard { outage, at }),
        1 => (0..6_i64).prop_map(|at| Change::Purge { older_than: UnixMs(at) }),
    ]
}

async fn compare(batches: Vec<Vec<Change>>) -> Result<(), TestCaseError> {
    let bed = Bed::fresh();
    bed.store.put_addresses(book()).await.unwrap();
    let book = AddressBook::new(book());
    let mut model = Model::default();
    for batch in batches {
        let mut expected = Applied::default();
        for change in &batch {
            let applied = model.apply(change, &book);
            expected.letters += applied.letters;
            expected.untold += applied.untold;
        }
        prop_assert_eq!(bed.local.apply(batch).await.unwrap(), expected);

        let waiting: BTreeMap<_, _> = bed
            .store
            .waiting(None, u32::MAX)
            .await
            .unwrap()
            .into_iter()
            .map(|w| {
                let entry = Entry {
                    first: w.first,
                    latest: w.latest,
                    attempts: w.attempts,
                    evidence: w.evidence,
                    connected: w.connected,
                };
                ((w.outage, w.client), entry)
            })
            .collect();
        prop_assert_eq!(&waiting, &model.waiting);
        for record in bed.store.outages(false, u32::MAX).await.unwrap() {
            let listed = waiting.keys().filter(|(of, _)| *of == record.outage.id).count();
            prop_assert_eq!(record.clients, listed as u64);
        }
    }
    let restored = bed.local.restore().await.unwrap();
    prop_assert_eq!(restored.outages.iter().map(|o| o.id).collect::<BTreeSet<_>>(), model.open);

    let mut told: Vec<Told> = bed
        .letters()
        .await
        .into_iter()
        .map(|letter| (letter.to.to_lowercase(), letter.services().iter().map(|s| s.outage).collect()))
        .collect();
    prop_assert_eq!(bed.outbox.counts().await.unwrap().queued, told.len() as u64);
    told.sort();
    model.letters.sort();
    prop_assert_eq!(told, model.letters);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    // proves: F-7a F-8a F-8b F-15a F-15b F-19
    #[test]
    fn random_changes_lead_to_the_models_lists_and_letters(
        batches in proptest::collection::vec(proptest::collection::vec(change(), 1..16), 1..10)
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(compare(batches))?;
    }
}
