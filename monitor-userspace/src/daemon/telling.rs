//! Telling people: the outbox, receipts of relays, lists that nobody receipts, and operators' notices.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use monitor_core::{config::Config, domain::UnixMs, relay::Relays};
use monitor_store::{Outbox, Store, StoreError};
use tokio::sync::Notify as Wake;
use tokio_util::sync::CancellationToken;

use super::supervise::Tasks;
use crate::{
    clock::Now as _,
    notify::{Delivery, OutboxWorker, ServerNames},
    relay::{self, MailboxPoller, Pop3, Quarantine, Receipts},
};

/// Between two looks for lists without a receipt and for operators to tell: indexes that are nearly always empty.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Telling {
    delivery: Arc<Delivery>,
    store: Store,
    outbox: Outbox,
    letters: Arc<Wake>,
    receipts: Option<Mailbox>,
}

/// Where relays' receipts arrive.
struct Mailbox {
    poller: MailboxPoller,
    receipts: Receipts,
    poll: Duration,
}

impl Telling {
    /// `letters` wakes the outbox. A mailbox is of use where there are relays to get receipts from.
    pub(super) fn new(
        config: &Config,
        delivery: Arc<Delivery>,
        mailbox: Option<Pop3>,
        relays: Relays,
        (store, outbox): (&Store, &Outbox),
        letters: &Arc<Wake>,
    ) -> Self {
        let receipts = mailbox.filter(|_| !relays.is_empty()).map(|mailbox| {
            let poller = MailboxPoller::new(mailbox);
            let quarantine = Quarantine::below(&config.store.state_dir);
            let receipts = Receipts::new(relays, store.clone(), quarantine, Arc::clone(poller.counters()));
            Mailbox { poller, receipts, poll: config.mailbox.poll }
        });
        Self { delivery, store: store.clone(), outbox: outbox.clone(), letters: Arc::clone(letters), receipts }
    }

    /// The mailbox that is looked into, if there is one.
    pub(super) fn poller(&self) -> Option<MailboxPoller> {
        self.receipts.as_ref().map(|mailbox| mailbox.poller.clone())
    }

    /// Looks servers' names up.
    pub(super) fn names(&self) -> Arc<ServerNames> {
        Arc::clone(self.delivery.names())
    }

    /// Fetches receipts until `fed`, tells until `told`.
    pub(super) fn spawn(self, tasks: &mut Tasks, (fed, told): (&CancellationToken, &CancellationToken)) {
        let Self { delivery, store, outbox, letters, receipts } = self;
        tasks.spawn("lists and notices", settle(store, Arc::clone(&letters), told.clone()));
        if let Some(Mailbox { poller, receipts, poll }) = receipts {
            tasks.spawn_sure("mailbox", relay::watch(poller, poll, Arc::default(), receipts, fed.clone()));
        }
        tasks.spawn("outbox", OutboxWorker::new(outbox, delivery, letters).run(told.clone()));
    }
}

/// Settles lists and tells operators when their time has come, until `cancel`.
async fn settle(store: Store, letters: Arc<Wake>, cancel: CancellationToken) -> Result<()> {
    loop {
        let now = UnixMs::now();
        match store.settle_overdue(now).await {
            Ok(0) => {}
            Ok(written) => {
                tracing::warn!(letters = written, "no receipt of a relay: people are told from here");
                letters.notify_one();
            }
            // Who shares it says so.
            Err(StoreError::Unreachable(_)) => {}
            Err(error) => tracing::error!(%error, "lists without a receipt cannot be settled; trying again"),
        }
        match store.tell_operators(now).await {
            Ok(0) => {}
            Ok(written) => {
                tracing::info!(messages = written, "operators are told");
                letters.notify_one();
            }
            Err(StoreError::Unreachable(_)) => {}
            Err(error) => tracing::error!(%error, "operators cannot be told; trying again"),
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
