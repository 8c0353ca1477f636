//! The database that several gateways share: each commits to a file of its own first, and hands that on in order.

use std::time::Duration;

use monitor_core::{
    domain::{OutageId, UnixMs},
    outage::Question,
};

use crate::{
    Applied, Following, Gateway, GatewayRecord, Location, NotificationPolicy, Outbox, Spooled, Store, StoreError,
    tables,
};

/// See the module.
#[derive(Clone, Debug)]
pub struct SharedStore {
    store: Store,
}

impl SharedStore {
    /// Opens it, even if it is out of reach for now: [`Store::at_or_later`].
    ///
    /// # Errors
    /// As there.
    pub fn at_or_later(
        location: &Location,
        policy: NotificationPolicy,
    ) -> Result<(Self, Option<StoreError>), StoreError> {
        let (store, absence) = Store::at_or_later(location, policy)?;
        Ok((Self::of(store), absence))
    }

    pub(crate) const fn of(store: Store) -> Self {
        Self { store }
    }

    /// What it holds as every database does.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The letters to be delivered, as this gateway takes them, each time for so long.
    #[must_use]
    pub fn outbox(&self, gateway: &Gateway, lease: Duration) -> Outbox {
        Outbox::of_holder(self.store.database.clone(), holder(gateway), lease)
    }

    /// Applies a gateway's batch to the common outages: all or nothing, and once, however often it comes.
    pub async fn share(&self, gateway: Gateway, spooled: Spooled, now: UnixMs) -> Result<Applied, StoreError> {
        let telling = self.store.database.policy();
        self.store
            .database
            .write(move |session| tables::shared::share(session, &gateway, &spooled, now, &telling))
            .await
    }

    /// Records that the gateway is alive, and reads what has happened at others and what they ask.
    pub async fn follow(&self, gateway: Gateway, now: UnixMs) -> Result<Following, StoreError> {
        let name = gateway.name.clone();
        self.store.database.write(move |session| tables::follow::greet(session.conn, &gateway, now)).await?;
        let following = self.store.database.read(move |conn| tables::follow::follow(conn, &name, now)).await?;
        let (following, done) = following;
        if !done.is_empty() {
            self.store.database.write(move |session| tables::questions::forget(session.conn, &done)).await?;
        }
        Ok(following)
    }

    /// Asks the other gateways about these attempts. A gateway that knows nothing does not answer.
    pub async fn ask(&self, gateway: Gateway, questions: Vec<Question>, now: UnixMs) -> Result<(), StoreError> {
        self.store.database.write(move |session| tables::questions::ask(session.conn, &gateway, &questions, now)).await
    }

    /// Answers questions, by number: up to when the service was well.
    pub async fn answer(&self, known: Vec<(i64, UnixMs)>) -> Result<(), StoreError> {
        self.store.database.write(move |session| tables::questions::answer(session.conn, &known)).await
    }

    /// Every gateway that has ever used this database, the one seen latest first.
    pub async fn gateways(&self) -> Result<Vec<GatewayRecord>, StoreError> {
        self.store.database.read(tables::follow::gateways).await
    }

    /// [`Store::set_server_name`] by a gateway's own number of the outage, if that is known already.
    pub async fn set_shared_name(&self, gateway: Gateway, own: OutageId, name: String) -> Result<(), StoreError> {
        self.store
            .database
            .write(move |session| tables::outages::set_shared_name(session.conn, &gateway.name, own, &name))
            .await
    }
}

/// The number in whose name a gateway takes letters.
fn holder(gateway: &Gateway) -> i64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, gateway.name.as_bytes());
    digest.as_ref().iter().take(7).fold(1, |number, byte| number << 8 | i64::from(*byte))
}
