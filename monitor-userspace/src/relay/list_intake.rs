//! The two readers of mailboxes: lists at a relay, receipts at a gateway.
//!
//! Both refuse the same way: the mail is kept aside, the refusal is in the store and in the log, and nobody is mailed.

use std::{sync::Arc, time::Duration};

use ipnet::IpNet;
use monitor_core::{
    config::{GatewaySetting, Key, Mistake, Mistakes},
    domain::UnixMs,
    relay::{Keyring, LIST_FILE, List, RECEIPT_FILE, Refusal, Relays},
};
use monitor_store::{ReceiptOrder, RefusedMail, Store, StoreError, Taken, TakenList};
use tokio::sync::Notify;

use super::{
    counters::{Count, Counters},
    mailbox_poller::{Fetched, Reader, Verdict},
    quarantine::Quarantine,
};
use crate::{clock::Now as _, secret};

/// A gateway whose lists are taken.
#[derive(Clone, Debug)]
pub struct GatewayKeys {
    keyring: Keyring,
    receipts: Option<String>,
    servers: Vec<IpNet>,
}

impl GatewayKeys {
    /// Reads the keys of every `[[gateway]]`.
    ///
    /// # Errors
    /// Everything by which the entries cannot be used.
    pub fn load(settings: &[GatewaySetting]) -> Result<Vec<Self>, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let load = |(index, setting): (usize, &GatewaySetting)| {
            let table = Key::from("gateway").at(index);
            let keyring = Keyring::of_table(&table, &setting.name, &setting.keys, &secret::read);
            Some(Self {
                keyring: mistakes.take_all(keyring)?,
                receipts: setting.receipts.clone(),
                servers: setting.servers.clone(),
            })
        };
        let gateways = settings.iter().enumerate().filter_map(load).collect();
        mistakes.or(Some(gateways))
    }

    fn verify(&self, bytes: &[u8], now: UnixMs) -> Result<List, Refusal> {
        let list = List::verify(bytes, &self.keyring, now)?;
        if self.servers.is_empty() || self.servers.iter().any(|net| net.contains(&list.server)) {
            Ok(list)
        } else {
            Err(Refusal::Server(list.server))
        }
    }
}

/// Keeps refused mails.
#[derive(Clone, Debug)]
struct Refuser {
    store: Store,
    quarantine: Quarantine,
    counters: Arc<Counters>,
}

impl Refuser {
    async fn refuse(&self, mail: Fetched, refusal: &Refusal) -> Result<Verdict, StoreError> {
        let at = UnixMs::now();
        let uid = mail.uid;
        let file = match mail.content {
            Err(_) => None,
            Ok(bytes) => {
                let quarantine = self.quarantine.clone();
                match tokio::task::spawn_blocking(move || quarantine.keep(&bytes, at)).await {
                    Ok(Ok(path)) => Some(path.display().to_string()),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "a refused mail cannot be kept aside; it stays in the mailbox");
                        None
                    }
                    Err(_) => None,
                }
            }
        };
        self.counters.count(Count::from(refusal));
        tracing::warn!(uid, reason = %refusal, file, "mail refused");
        let verdict = if file.is_some() { Verdict::Delete } else { Verdict::Leave };
        self.store.refuse(RefusedMail { at, reason: refusal.to_string(), file }).await?;
        Ok(verdict)
    }
}

/// Takes lists.
#[derive(Debug)]
pub struct ListIntake {
    gateways: Vec<GatewayKeys>,
    max_age: Duration,
    letters: Arc<Notify>,
    refuser: Refuser,
}

impl ListIntake {
    /// `letters` wakes the outbox.
    #[must_use]
    pub fn new(
        gateways: Vec<GatewayKeys>,
        max_age: Duration,
        store: Store,
        quarantine: Quarantine,
        letters: Arc<Notify>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { gateways, max_age, letters, refuser: Refuser { store, quarantine, counters } }
    }

    /// The list in the mail, and the gateway that signed it.
    fn list(&self, mail: &Fetched, now: UnixMs) -> Result<(List, &GatewayKeys), Refusal> {
        let bytes = mail.content.as_ref().map_err(Clone::clone)?;
        let attached = monitor_core::relay::find(bytes, LIST_FILE).ok_or(Refusal::Absent("list"))?;
        let mut refused = Refusal::WrongSignature;
        for gateway in &self.gateways {
            match gateway.verify(&attached, now) {
                Ok(list) => return Ok((list, gateway)),
                Err(Refusal::WrongSignature) => {}
                Err(other) => refused = other,
            }
        }
        Err(refused)
    }
}

impl Reader for ListIntake {
    async fn read(&mut self, mail: Fetched) -> Result<Verdict, StoreError> {
        let now = UnixMs::now();
        let (list, gateway) = match self.list(&mail, now) {
            Ok(found) => found,
            Err(refusal) => return self.refuser.refuse(mail, &refusal).await,
        };
        let (service, outage, clients) = (list.service(), list.outage, list.clients.len());
        let receipt =
            gateway.receipts.as_ref().map(|to| ReceiptOrder { to: to.clone(), keyring: gateway.keyring.clone() });
        let tell_since = list.recovered.before(self.max_age);
        let taken = TakenList { list, uid: mail.uid.clone(), tell_since, receipt };
        match self.refuser.store.take_list(taken, now).await? {
            Taken::New { letters, untold } => {
                let gateway = gateway.keyring.gateway();
                tracing::info!(gateway, %service, %outage, clients, letters, untold, "list taken, people are told");
                self.letters.notify_one();
                self.refuser.counters.count(Count::ListTaken);
                Ok(Verdict::Delete)
            }
            Taken::Again => {
                self.refuser.counters.count(Count::TakenBefore);
                Ok(Verdict::Delete)
            }
            Taken::Replayed => self.refuser.refuse(mail, &Refusal::Replayed).await,
        }
    }
}

/// Takes receipts.
#[derive(Debug)]
pub struct Receipts {
    relays: Relays,
    refuser: Refuser,
}

impl Receipts {
    /// For the lists that these relays were sent.
    #[must_use]
    pub fn new(relays: Relays, store: Store, quarantine: Quarantine, counters: Arc<Counters>) -> Self {
        Self { relays, refuser: Refuser { store, quarantine, counters } }
    }
}

impl Reader for Receipts {
    async fn read(&mut self, mail: Fetched) -> Result<Verdict, StoreError> {
        let now = UnixMs::now();
        let receipt = match &mail.content {
            Err(refusal) => Err(refusal.clone()),
            Ok(bytes) => monitor_core::relay::find(bytes, RECEIPT_FILE)
                .ok_or(Refusal::Absent("receipt"))
                .and_then(|attached| self.relays.receipt(&attached, now)),
        };
        match receipt {
            Err(refusal) => self.refuser.refuse(mail, &refusal).await,
            Ok(receipt) => {
                let (told, nonce) = (receipt.told, receipt.nonce.clone());
                if self.refuser.store.receive(receipt, now).await? {
                    tracing::info!(nonce, told, "the relay has taken the list");
                    self.refuser.counters.count(Count::ReceiptTaken);
                    Ok(Verdict::Delete)
                } else {
                    self.refuser.refuse(mail, &Refusal::Unknown).await
                }
            }
        }
    }
}
