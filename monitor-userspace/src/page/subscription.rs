//! Where clients say that they want to be told, and at which address: the page's form, the page's own address, the control
//! API. One set of limits for all of them.

use std::time::{Duration, Instant};

use monitor_core::{
    domain::{ClientAddr, ClientNet, Language, OutageId, Service, UnixMs},
    mail::{AddressEntry, Origin},
    port::Subscription,
};
use monitor_store::{Store, StoreError};
use tokio::time::{sleep, timeout};

use super::limits::Limits;
use crate::{clock::Now as _, port::CoreHandle};

/// RFC 5321 section 4.5.3.1.3, without the angle brackets.
const LONGEST_MAIL: usize = 254;

/// What the core has not committed by then counts as not kept.
const LIMIT: Duration = Duration::from_secs(5);

/// How much later a shared database may have what the core has committed.
const LATE: Duration = Duration::from_secs(2);

/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What it needs of the daemon.
pub struct Subscriptions<'a> {
    /// The address book.
    pub store: &'a Store,
    /// Who lists the client.
    pub core: &'a CoreHandle,
    /// How often.
    pub limits: &'a Limits,
}

/// What became of a client's wish to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The client waits.
    Granted,
    /// That is no mail address.
    NotAnAddress,
    /// This client, or somebody with this address, has asked too often.
    TooOften,
    /// The outage is over, or it lists only who is on record (`watch.remember`, `outage.max_unknown`).
    NotListed,
    /// The store or the core did not take it in time.
    NotKept,
}

impl Subscriptions<'_> {
    /// The client wants to be told of the end of this outage, at this address or at the one on record.
    pub async fn subscribe(
        &self,
        client: ClientAddr,
        (outage, service): (OutageId, Service),
        mail: Option<&str>,
        language: Option<Language>,
    ) -> Subscribed {
        if !self.limits.may_answer(client.ip()) {
            return Subscribed::TooOften;
        }
        if let Some(mail) = mail {
            if mail.len() > LONGEST_MAIL || mail.parse::<lettre::Address>().is_err() {
                return Subscribed::NotAnAddress;
            }
            if !self.limits.may_register(mail) {
                return Subscribed::TooOften;
            }
            if let Err(error) = self.register(client, outage, mail, language).await {
                tracing::warn!(%error, "a typed address was not kept");
                return Subscribed::NotKept;
            }
        }
        let subscription = Subscription { client, service, at: UnixMs::now(), on_record: mail.is_some() };
        match timeout(LIMIT, self.core.subscribe(subscription)).await {
            Ok(Ok(true)) => Subscribed::Granted,
            Ok(Ok(false)) => self.unless_it_waits(outage, client).await,
            Ok(Err(_)) | Err(_) => Subscribed::NotKept,
        }
    }

    /// Not listed for having asked; it may be for having tried.
    async fn unless_it_waits(&self, outage: OutageId, client: ClientAddr) -> Subscribed {
        match self.is_waiting(outage, client).await {
            Ok(true) => Subscribed::Granted,
            Ok(false) => Subscribed::NotListed,
            Err(error) => {
                tracing::warn!(%error, "the waiting list cannot be read");
                Subscribed::NotKept
            }
        }
    }

    /// A database that several gateways share has the core's commit a moment later.
    async fn is_waiting(&self, outage: OutageId, client: ClientAddr) -> Result<bool, StoreError> {
        let patience = if self.store.is_on_server() { LATE } else { Duration::ZERO };
        let begun = Instant::now();
        loop {
            let waits = self.store.is_waiting(outage, client).await?;
            if waits || begun.elapsed() >= patience {
                return Ok(waits);
            }
            sleep(LOOK).await;
        }
    }

    async fn register(
        &self,
        client: ClientAddr,
        outage: OutageId,
        mail: &str,
        language: Option<Language>,
    ) -> Result<(), StoreError> {
        let entry = AddressEntry {
            client: ClientNet::host(client.ip()),
            mail: mail.to_owned(),
            language,
            origin: Origin::Page,
            registered: UnixMs::now(),
        };
        self.store.register(outage, client, entry).await?;
        self.core.addresses_changed().await.map_err(|_| StoreError::Closed)
    }
}
