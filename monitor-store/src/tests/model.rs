//! Random changes against a model that is plain maps: the same lists, the same letters.

use std::collections::{BTreeMap, BTreeSet};

use monitor_core::{
    domain::{AttemptMask, ClientAddr, MonotonicNs, OutageId, UnixMs},
    mail::AddressBook,
    outage::{Change, Closing, Failure, Outage, Recovery},
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

/// What the store keeps of a client and does not show.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    trying_until: UnixMs,
    certain: bool,
    asked: bool,
    counted: AttemptMask,
}

impl Hidden {
    const NEW: Self = Self { trying_until: UnixMs(0), certain: false, asked: false, counted: AttemptMask::NONE };
}

/// Recipient, and the outages that the letter speaks of.
type Told = (String, BTreeSet<OutageId>);

#[derive(Default)]
struct Model {
    open: BTreeSet<OutageId>,
    ended: BTreeSet<OutageId>,
    /// Of these, the list may still change.
    settling: BTreeSet<OutageId>,
    waiting: BTreeMap<(OutageId, ClientAddr), Entry>,
    hidden: BTreeMap<(OutageId, ClientAddr), Hidden>,
    /// The outage's latest time of these.
    trying_until: BTreeMap<OutageId, UnixMs>,
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
                    self.trying_until.insert(outage.id, outage.trying_until);
                }
            }
            Change::Wait { outage, .. } if self.open.contains(outage) || self.settling.contains(outage) => {
                self.wait(change);
            }
            Change::Wait { .. } => {}
            Change::Withdraw { outage, instead, client, attempts, mask } => {
                let counted = |outage: &&OutageId| {
                    let key = (**outage, *client);
                    let is_any = *attempts == 0 || *mask == AttemptMask::ANY;
                    self.waiting.contains_key(&key) && (is_any || self.hidden[&key].counted.has(*mask))
                };
                let Some(outage) = std::iter::once(outage).chain(instead).find(counted) else { return applied };
                let key = (*outage, *client);
                if let Some(entry) = self.waiting.get_mut(&key) {
                    entry.attempts = entry.attempts.saturating_sub(u64::from(*attempts));
                    if entry.attempts == 0 && !self.hidden[&key].asked {
                        self.waiting.remove(&key);
                    }
                }
            }
            Change::Connected { outage, client, at } => {
                if let Some(entry) = self.waiting.get_mut(&(*outage, *client)) {
                    entry.connected = Some(*at);
                }
            }
            Change::Close(closing) => {
                let outages: Vec<_> = closing.outages.iter().filter(|id| self.open.contains(id)).copied().collect();
                applied = self.tell(closing, &outages, closing.known, book);
                for outage in outages {
                    self.open.remove(&outage);
                    self.ended.insert(outage);
                    self.settling.insert(outage);
                }
            }
            Change::Settle { closing, last } => {
                let known = if *last { UnixMs(i64::MAX) } else { closing.known };
                let outages: Vec<_> = closing.outages.iter().filter(|id| self.settling.contains(id)).copied().collect();
                applied = self.tell(closing, &outages, known, book);
                for outage in outages.iter().filter(|_| *last) {
                    self.settling.remove(outage);
                }
            }
            Change::EndedElsewhere { outage, .. } => {
                let was_open = self.open.contains(outage);
                self.end(*outage);
                if was_open {
                    self.settling.insert(*outage);
                }
            }
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

    fn wait(&mut self, change: &Change) {
        let Change::Wait { outage, client, at, trying_until, attempts, evidence, mask } = change else { return };
        if !self.waiting.contains_key(&(*outage, *client)) {
            self.hidden.remove(&(*outage, *client));
        }
        let hidden = self.hidden.entry((*outage, *client)).or_insert(Hidden::NEW);
        hidden.trying_until = hidden.trying_until.max(*trying_until);
        hidden.asked |= *evidence == Failure::Asked;
        if *attempts > 0 {
            hidden.counted = hidden.counted.and(*mask);
        }
        hidden.certain |= *evidence == Failure::Asked || *attempts > 0 && evidence.is_final();
        let entry = self.waiting.entry((*outage, *client)).or_insert(Entry {
            first: *at,
            latest: *at,
            attempts: 0,
            evidence: *evidence,
            connected: None,
        });
        entry.first = entry.first.min(*at);
        entry.latest = entry.latest.max(*at);
        entry.attempts += u64::from(*attempts);
        entry.connected = entry.connected.filter(|connected| *at <= *connected && *evidence != Failure::GaveUp);
        if !entry.evidence.tells_more_than(*evidence) {
            entry.evidence = *evidence;
        }
    }

    /// Tells those who cannot get through after `known`; a person waits as long as any of their machines.
    fn tell(&mut self, closing: &Closing, outages: &[OutageId], known: UnixMs, book: &AddressBook) -> Applied {
        let mut applied = Applied::default();
        let mut told: BTreeMap<String, BTreeSet<OutageId>> = BTreeMap::new();
        let person = |client: ClientAddr| book.lookup(client).map(|known| known.mail.to_lowercase());
        let trying = |key: &(OutageId, ClientAddr)| {
            let hidden = self.hidden[key];
            if hidden.certain { UnixMs(i64::MIN) } else { hidden.trying_until }
        };
        let mut held: BTreeMap<String, UnixMs> = BTreeMap::new();
        for key in self.waiting.keys().filter(|key| outages.contains(&key.0) && trying(key) > known) {
            // The outage's own time says whether there is anybody to look for.
            if let Some(person) = person(key.1).filter(|_| self.trying_until[&key.0] > known) {
                let until = held.entry(person).or_default();
                *until = self.hidden[key].trying_until.max(*until);
            }
        }
        let (mut gone, mut later) = (Vec::new(), Vec::new());
        for (key, entry) in &self.waiting {
            if !outages.contains(&key.0) || trying(key) > known {
                continue;
            }
            let person = person(key.1);
            if let Some(until) = person.as_ref().and_then(|person| held.get(person)) {
                later.push((*key, *until));
                continue;
            }
            gone.push(*key);
            let failed = entry.attempts > 0 || self.hidden[key].asked;
            let left_out = entry.latest < closing.tell_since || closing.skip_connected && entry.connected.is_some();
            match person.filter(|_| failed && !left_out) {
                Some(person) => {
                    let before = self.letters.iter().any(|(to, outages)| *to == person && outages.contains(&key.0));
                    if !before {
                        told.entry(person).or_default().insert(key.0);
                    }
                }
                None => applied.untold += u64::from(failed),
            }
        }
        for key in gone {
            self.waiting.remove(&key);
        }
        for (key, until) in later {
            let hidden = self.hidden.entry(key).or_insert(Hidden::NEW);
            (hidden.trying_until, hidden.certain) = (until, false);
        }
        applied.letters = told.len() as u64;
        self.letters.extend(told);
        applied
    }

    fn end(&mut self, outage: OutageId) {
        self.waiting.retain(|(of, _), _| *of != outage);
        if self.open.remove(&outage) {
            self.ended.insert(outage);
        }
    }
}

/// Of a batch's words about an outage, the store writes the first and the last: all are the same here.
fn put(id: OutageId) -> Outage {
    Outage { trying_until: UnixMs(if id.0 == 3 { 0 } else { 7 }), ..outage(id.0) }
}

fn change() -> impl Strategy<Value = Change> {
    let id = || (1..4_i64).prop_map(OutageId);
    let who = || proptest::sample::select(&CLIENTS[..]).prop_map(client);
    let at = || (0..12_i64).prop_map(UnixMs);
    let evidence = proptest::sample::select([&Failure::ALL[..], &[Failure::Asked]].concat());
    let closing = || {
        (proptest::collection::btree_set(id(), 1..3), at(), any::<bool>(), (0..6_i64).prop_map(UnixMs)).prop_map(
            |(outages, tell_since, skip_connected, known)| Closing {
                outages: outages.into_iter().collect(),
                recovered: UnixMs(1000),
                until: MonotonicNs(1),
                evidence: Recovery::Answered,
                known,
                tell_since,
                skip_connected,
            },
        )
    };
    let trying = || (0..8_i64).prop_map(UnixMs);
    let mask =
        || prop_oneof![4 => (0..4_u32).prop_map(|seq| AttemptMask::of(40_000, seq)), 1 => Just(AttemptMask::ANY)];
    prop_oneof![
        4 => id().prop_map(|id| Change::Put(put(id))),
        16 => (id(), who(), at(), trying(), (0..4_u32, mask()), evidence)
            .prop_map(|(outage, client, at, trying_until, (attempts, mask), evidence)| {
                Change::Wait { outage, client, at, trying_until, attempts, evidence, mask }
            }),
        3 => (id(), who(), at()).prop_map(|(outage, client, at)| Change::Connected { outage, client, at }),
        2 => ((id(), prop::collection::vec(id(), 0..3)), who(), 0..3_u32, mask())
            .prop_map(|((outage, instead), client, attempts, mask)| {
                Change::Withdraw { outage, instead, client, attempts, mask }
            }),
        2 => closing().prop_map(Change::Close),
        2 => (closing(), any::<bool>()).prop_map(|(closing, last)| Change::Settle { closing, last }),
        1 => (id(), at()).prop_map(|(outage, at)| Change::EndedElsewhere { outage, at, until: MonotonicNs(1) }),
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
    prop_assert_eq!(restored.ended.iter().map(|o| o.outage.id).collect::<BTreeSet<_>>(), model.settling);

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
