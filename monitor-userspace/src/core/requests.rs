//! What is said to the core, one request after the other.

use anyhow::Result;
use monitor_core::{
    domain::{MonotonicNs, UnixMs},
    mail::AddressBook,
    outage::{Observation, Question},
    port::{Answer, Clock, Policy, Request, Subscription},
};
use monitor_store::{LocalStore, Store, StoreError};

use super::{Core, Turn};
use crate::{
    kernel::{EventSource, KernelError, KernelPort},
    port::Message,
};

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    /// Takes one request; it is answered when the turn is committed.
    pub(super) async fn take_request(&mut self, message: Message, turn: &mut Turn) {
        let (request, reply) = message.open();
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
                let actions =
                    self.machine.observe(self.clock.wall(), Observation::Asked { client, service, at, known });
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
        self.kernel.reload(&policy.watch, &policy.interfaces).await?;
        self.machine.set_rules(policy.rules);
        self.book = read_book(&self.wiring.book, &self.store, self.shared).await?;
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
