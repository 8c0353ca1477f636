//! Where clients say that they want to be told, and at which address: the page's form, the page's own address, the control
//! API. One set of limits for all of them.

use std::time::{Duration, Instant};

use monitor_core::{
    domain::{ClientAddr, ClientNet, Language, OutageId, Service, UnixMs},
    mail::{AddressEntry, Origin},
};
use monitor_store::{Store, StoreError};
use tokio::{sync::mpsc, time::sleep};

use super::limits::Limits;
use crate::{
    clock::Now as _,
    daemon::Command,
    recovery::{Reported, asked},
};

/// RFC 5321 section 4.5.3.1.3, without the angle brackets.
const LONGEST_MAIL: usize = 254;

/// How long the shared database may take to have what the core has committed, and between two looks.
const LATE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);

/// What it needs of the daemon.
pub struct Desk<'a> {
    /// The address book.
    pub store: &'a Store,
    /// To the core: the address book has changed.
    pub commands: &'a mpsc::Sender<Command>,
    /// To the core: somebody waits.
    pub reported: &'a mpsc::Sender<Reported>,
    /// How often.
    pub limits: &'a Limits,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
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

impl Desk<'_> {
    /// The client wants to be told of the end of this outage, at this address or at the one on record.
    pub async fn wish(
        &self,
        client: ClientAddr,
        (outage, service): (OutageId, Service),
        mail: Option<&str>,
        language: Option<Language>,
    ) -> Wish {
        if !self.limits.may_answer(client.ip()) {
            return Wish::TooOften;
        }
        if let Some(mail) = mail {
            if mail.len() > LONGEST_MAIL || mail.parse::<lettre::Address>().is_err() {
                return Wish::NotAnAddress;
            }
            if !self.limits.may_register(mail) {
                return Wish::TooOften;
            }
            if let Err(error) = self.register(client, outage, mail, language).await {
                tracing::warn!(%error, "a typed address was not kept");
                return Wish::NotKept;
            }
        }
        if asked::wait(self.reported, client, service, mail.is_some()).await.is_none() {
            return Wish::NotKept;
        }
        match self.is_waiting(outage, client).await {
            Ok(true) => Wish::Granted,
            Ok(false) => Wish::NotListed,
            Err(error) => {
                tracing::warn!(%error, "the waiting list cannot be read");
                Wish::NotKept
            }
        }
    }

    /// A database that several gateways share has the core's commit a moment later.
    async fn is_waiting(&self, outage: OutageId, client: ClientAddr) -> Result<bool, StoreError> {
        let patience = if self.store.shared_lease().is_some() { LATE } else { Duration::ZERO };
        let begun = Instant::now();
        loop {
            let waits = self.store.is_waiting(outage, client).await?;
            if waits || begun.elapsed() >= patience {
                return Ok(waits);
            }
            sleep(AGAIN).await;
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
        self.commands.send(Command::AddressesChanged).await.map_err(|_| StoreError::Closed)
    }
}
