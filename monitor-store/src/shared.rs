//! One database for several gateways: each commits in a file of its own first, and hands that on in order.

use std::{collections::HashMap, time::Duration};

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::AddressEntry,
    outage::{Change, Outage, Question},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::{Applied, Store, StoreError, tables};

/// One of the gateways that share a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Made once for its file: another file is another gateway.
    pub name: String,
    /// Its host's name, for people.
    pub host: String,
}

impl Gateway {
    /// In whose name it takes letters.
    fn holder(&self) -> i64 {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.name.as_bytes());
        digest.as_ref().iter().take(7).fold(1, |number, byte| number << 8 | i64::from(*byte))
    }
}

/// A batch of changes that is to be shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// Ascending, by gateway.
    pub number: i64,
    /// In the gateway's own numbers of outages.
    pub changes: Vec<Change>,
}

/// What has happened at other gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Open outages that this gateway has never spoken of.
    pub opened: Vec<Outage>,
    /// Outages of this gateway that are over.
    pub ended: Vec<Elsewhere>,
    /// Changes with each change of the address book.
    pub book: i64,
    /// What other gateways ask, by number, as long as nobody has answered it.
    pub asked: Vec<(i64, Question)>,
    /// What this gateway has asked and another one knows: up to when the service was well.
    pub answered: Vec<(Question, UnixMs)>,
}

/// The end of an outage that one of the gateways has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// By the number that this gateway gave it.
    pub outage: OutageId,
    /// When it ended.
    pub ended: UnixMs,
}

/// A gateway in `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRecord {
    /// See [`Gateway::name`].
    pub name: String,
    /// Its host's name.
    pub host: String,
    /// Its latest batch that is in the database.
    pub applied: u64,
    /// When it was last there.
    pub seen: UnixMs,
}

impl Store {
    /// From now on what is applied here is kept for a shared database as well, in the same transaction, and tells nobody.
    pub fn spool(&self) {
        self.database.set_spooling();
    }

    /// Returns when something was spooled since the last time.
    pub async fn spooled(&self) {
        self.database.spooled().notified().await;
    }

    /// What is to be shared, oldest first.
    pub async fn to_share(&self, limit: u32) -> Result<Vec<Spooled>, StoreError> {
        self.database.read(move |conn| tables::spool::oldest(conn, limit)).await
    }

    /// It is shared.
    pub async fn was_shared(&self, up_to: i64) -> Result<(), StoreError> {
        self.database.write(move |session| tables::spool::forget(session.conn, up_to)).await
    }

    /// How many batches are to be shared, and since when.
    pub async fn spool_length(&self) -> Result<(u64, Option<UnixMs>), StoreError> {
        self.database.read(tables::spool::length).await
    }

    /// Who this gateway is: a name that was made with the file.
    pub async fn gateway(&self, host: String) -> Result<Gateway, StoreError> {
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| StoreError::Random)?;
        let new = random.map(|byte| format!("{byte:02x}")).concat();
        let name = self.database.write(move |session| tables::spool::name(session.conn, &new)).await?;
        Ok(Gateway { name, host })
    }

    /// Takes letters in this gateway's name, each time for so long.
    pub fn deliver_as(&self, gateway: &Gateway, lease: Duration) {
        self.database.set_holder(gateway.holder(), lease);
    }

    /// How long letters stay with the gateway that took them, where there are several.
    pub fn shared_lease(&self) -> Option<Duration> {
        self.database.lease()
    }

    /// Applies a gateway's batch to the common outages: all or nothing, and once, however often it comes.
    pub async fn share(&self, gateway: Gateway, spooled: Spooled, now: UnixMs) -> Result<Applied, StoreError> {
        let telling = self.database.telling();
        self.database.write(move |session| tables::shared::share(session, &gateway, &spooled, now, &telling)).await
    }

    /// Makes this gateway's own copy of the address book the same as `entries`, by the fewest changes. It is read while the
    /// shared one is out of reach, and nobody is told by it.
    pub async fn copy_addresses(&self, entries: &[AddressEntry]) -> Result<(), StoreError> {
        let mut own: HashMap<_, _> = self.addresses().await?.into_iter().map(|entry| (entry.client, entry)).collect();
        let changed: Vec<_> =
            entries.iter().filter(|entry| own.remove(&entry.client).as_ref() != Some(*entry)).cloned().collect();
        for client in own.into_keys() {
            self.remove_address(client).await?;
        }
        if changed.is_empty() { Ok(()) } else { self.put_addresses(changed).await }
    }

    /// Says that the gateway is there, and tells it what has happened at others and what they ask.
    pub async fn follow(&self, gateway: Gateway, now: UnixMs) -> Result<Following, StoreError> {
        let name = gateway.name.clone();
        self.database.write(move |session| tables::follow::greet(session.conn, &gateway, now)).await?;
        let following = self.database.read(move |conn| tables::follow::follow(conn, &name, now)).await?;
        let (following, done) = following;
        if !done.is_empty() {
            self.database.write(move |session| tables::questions::forget(session.conn, &done)).await?;
        }
        Ok(following)
    }

    /// Asks the other gateways about these attempts. Whoever knows nothing does not answer.
    pub async fn ask(&self, gateway: Gateway, questions: Vec<Question>, now: UnixMs) -> Result<(), StoreError> {
        self.database.write(move |session| tables::questions::ask(session.conn, &gateway, &questions, now)).await
    }

    /// Of each of these questions, by number, up to when the service was well.
    pub async fn answer(&self, known: Vec<(i64, UnixMs)>) -> Result<(), StoreError> {
        self.database.write(move |session| tables::questions::answer(session.conn, &known)).await
    }

    /// Deletes what was suspected only and came to nothing before.
    pub async fn forget_suspicions(&self, before: UnixMs) -> Result<(), StoreError> {
        self.database.write(move |session| tables::prune::suspicions(session.conn, before)).await
    }

    /// Every gateway that was ever here, latest first.
    pub async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        self.database.read(tables::follow::gateways).await
    }

    /// [`Store::set_server_name`] by a gateway's own number of the outage, if that is known already.
    pub async fn set_shared_name(&self, gateway: Gateway, own: OutageId, name: String) -> Result<(), StoreError> {
        self.database
            .write(move |session| tables::outages::set_shared_name(session.conn, &gateway.name, own, &name))
            .await
    }
}
