//! What is said to the core, one request after the other.

use anyhow::Result;
use monitor_core::{
    domain::{MonotonicNs, UnixMs},
    mail::AddressBook,
    outage::{Observation, Question},
    port::{Answer, Clock, Policy, Request, Subscription},
};
use monitor_store::{LocalStore, Store, StoreError};

use super::{BATCH, Core, Turn};
use crate::{
    kernel::{EventSource, KernelError, KernelPort},
    port::Message,
};

/// Whether a request waits for the store.
#[derive(PartialEq, Eq)]
enum ReadsStore {
    Yes,
    No,
}

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    /// Takes this request and those that wait behind it. The turn ends after one that reads the store: what the kernel has
    /// reported meanwhile comes next.
    pub(super) async fn take_requests(&mut self, first: Message, turn: &mut Turn) {
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(message) = next else { return };
            if self.take_request(message, turn).await == ReadsStore::Yes {
                return;
            }
            next = self.wiring.requests.try_recv().ok();
        }
    }

    /// Takes one request; it is answered when the turn is committed.
    async fn take_request(&mut self, message: Message, turn: &mut Turn) -> ReadsStore {
        let (request, reply) = message.open();
        let reads = match &request {
            Request::AddressesChanged | Request::Reload(_) => ReadsStore::Yes,
            _ => ReadsStore::No,
        };
        let answer = match request {
            Request::Observed(observation) => {
                self.observe(observation, turn);
                Answer::Committed
            }
            Request::Trap { host, at, seen } => {
                turn.seen.extend(seen);
                self.observe(Observation::Trap { host, at }, turn);
                Answer::Committed
            }
            Request::Guarded(finding) => {
                let known = self.book.lookup(finding.client).is_some();
                self.observe(Observation::Failed(finding.attempt(known)), turn);
                Answer::Committed
            }
            Request::Subscribe(Subscription { client, service, at, on_record }) => {
                let known = on_record || self.book.lookup(client).is_some();
                let now = self.now();
                let actions = self.machine.observe(&now, Observation::Asked { client, service, at, known });
                let listed = actions.list(client);
                turn.actions.append(actions);
                Answer::Subscribed(listed)
            }
            Request::AddressesChanged => {
                match read_book(&self.wiring.book, &self.store, self.shared).await {
                    Ok(book) => self.book = book,
                    Err(error) => tracing::error!(%error, "the address book cannot be read again"),
                }
                Answer::Committed
            }
            Request::Asked(questions) => Answer::Known(questions.iter().map(|question| self.hear(question)).collect()),
            Request::Reload(policy) => Answer::Reloaded(self.reload(*policy).await.map_err(|why| format!("{why:#}"))),
        };
        turn.answers.push((reply, answer));
        reads
    }

    /// Up to when the service is known to have been well.
    fn hear(&self, question: &Question) -> Option<UnixMs> {
        let known = || {
            let just_this = self.kernel.has_unmatched_answer(question)?;
            let state = self.kernel.service(question.service)?.unwrap_or_default();
            let last = (state.last_answer_ns != 0).then(|| self.offset.unix(MonotonicNs(state.last_answer_ns)));
            Ok::<_, KernelError>(question.well(just_this, last))
        };
        known().unwrap_or_else(|error| {
            tracing::error!(%error, "another gateway's question cannot be answered");
            None
        })
    }

    async fn reload(&mut self, policy: Policy) -> Result<()> {
        // What may fail comes first: the policy comes into force whole, or not at all.
        let book = read_book(&self.wiring.book, &self.store, self.shared).await?;
        self.kernel.reload(&policy.watch).await?;
        self.time_out = policy.watch.syn_timeout;
        self.machine.set_rules(policy.rules);
        self.book = book;
        self.publish();
        Ok(())
    }
}

/// The address book; one that is shared is copied to `own`, and read there while it is out of reach.
pub(super) async fn read_book(book: &Store, own: &LocalStore, shared: bool) -> Result<AddressBook, StoreError> {
    match book.addresses().await {
        Ok(entries) => {
            if shared {
                own.copy_addresses(&entries).await?;
            }
            Ok(AddressBook::new(entries))
        }
        Err(error) if shared => {
            tracing::warn!("the address book is this gateway's own copy");
            tracing::debug!(%error, "the address book");
            Ok(AddressBook::new(own.store().addresses().await?))
        }
        Err(error) => Err(error),
    }
}
